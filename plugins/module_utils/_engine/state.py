# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the journal adds up to: the types of a commit, and the fold of commits into the fleet's state.

All times are store time in nanoseconds. The state holds a name for every machine ever seen (the roster) and a
:class:`Memory` only for those that are not plainly online, so it grows with what is abnormal, not with the fleet.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Dict, List, Optional

ONLINE = "online"
WARNING = "warning"
OFFLINE = "offline"
UNKNOWN = "unknown"
STATUSES = (ONLINE, WARNING, OFFLINE, UNKNOWN)

PENDING = "pending"
RUNNING = "running"
DONE = "done"
FAILED = "failed"
SKIPPED = "skipped"
HELD = "held"
CLOSED_SYNC_STATES = (DONE, SKIPPED)


@dataclass(frozen=True)
class Transition:
    """A recorded change of status."""

    event: int
    event_id: str
    machine_id: str
    from_status: str
    to_status: str
    effective_at: int
    detected_at: int
    cause: str
    received_at: Optional[int] = None
    boot_id: str = ""
    sequence: int = 0
    planned: bool = False
    held_by: Optional[str] = None


@dataclass(frozen=True)
class Memory:
    """What has to be remembered of a machine that is not plainly online."""

    status: str
    since: int
    event: int
    received_at: Optional[int] = None
    """The beat that the status rests on; only a different one brings the machine back."""
    offline_since: Optional[int] = None
    warning_since: Optional[int] = None
    planned: bool = False
    planned_by: Optional[str] = None
    """The maintenance window that covers the absence; None for a goodbye."""
    planned_until: Optional[int] = None
    held_by: Optional[str] = None
    released: bool = False
    """A mass failure held it and is over: until it has been back, nothing else of the kind counts or holds it."""
    flapping: bool = False
    anchor_at: Optional[int] = None
    """Where the age counts from instead of ``anchor_of``: the record is missing, or stamped in the future."""
    anchor_of: Optional[int] = None
    confirming: Optional[str] = None
    confirmations: int = 0
    changes: List[int] = field(default_factory=list)
    """When the machine went offline or came back, as far as flapping is judged by it."""


@dataclass(frozen=True)
class SyncEntry:
    """Work that a transition asks for; ``event_id`` is its idempotency key."""

    event_id: str
    machine_id: str
    event: str
    state: str
    opened_at: int
    reason: Optional[str] = None
    held_by: Optional[str] = None
    claimed_by: Optional[str] = None
    lease_until: Optional[int] = None
    attempts: int = 0


@dataclass(frozen=True)
class Incident:
    """Something wider than one machine."""

    incident_id: str
    kind: str
    opened_at: int
    since: int
    until: Optional[int] = None
    closed_at: Optional[int] = None
    closed_by: Optional[str] = None
    reason: str = ""
    machines: List[str] = field(default_factory=list)
    zone: Optional[str] = None
    common: Dict[str, str] = field(default_factory=dict)
    """What the machines have in common and the others have not: ``prefix`` of the name, ``metadata.<key>``."""


@dataclass(frozen=True)
class Window:
    """A time in which the store is known to have been away; open while ``until`` is None.

    One of no length was dismissed by a person: the silence since then is the machines' own.
    """

    since: int
    until: Optional[int]
    incident_id: str


@dataclass(frozen=True)
class Commit:
    """One entry of the journal: what happened, and the values it leaves behind (``None``: gone)."""

    number: int
    at: int
    writer: str
    transitions: List[Transition] = field(default_factory=list)
    memories: Dict[str, Optional[Memory]] = field(default_factory=dict)
    joined: List[str] = field(default_factory=list)
    forgotten: List[str] = field(default_factory=list)
    syncs: Dict[str, SyncEntry] = field(default_factory=dict)
    incidents: Dict[str, Incident] = field(default_factory=dict)
    windows: Optional[List[Window]] = None
    zones: Dict[str, str] = field(default_factory=dict)
    hosts: Dict[str, str] = field(default_factory=dict)
    voids: List[int] = field(default_factory=list)
    """Numbers of torn commits that this one supersedes (file systems without hard links)."""


@dataclass
class State:
    """The journal, folded up to commit ``number``."""

    number: int = 0
    event: int = 0
    roster: Dict[str, None] = field(default_factory=dict)
    machines: Dict[str, Memory] = field(default_factory=dict)
    syncs: Dict[str, SyncEntry] = field(default_factory=dict)
    incidents: Dict[str, Incident] = field(default_factory=dict)
    windows: List[Window] = field(default_factory=list)
    zones: Dict[str, str] = field(default_factory=dict)
    """The zone of each machine, where the fleet is divided into zones."""
    hosts: Dict[str, str] = field(default_factory=dict)
    """Which boot of which host was last recorded, for machines that rebooted or changed hands."""

    def status_of(self, machine_id: str) -> str:
        """The last recorded status of a machine."""
        memory = self.machines.get(machine_id)
        if memory is not None:
            return memory.status
        return ONLINE if machine_id in self.roster else UNKNOWN

    def copy(self) -> State:
        """A state that can be folded further without touching this one (its values are immutable)."""
        return State(
            self.number,
            self.event,
            dict(self.roster),
            dict(self.machines),
            dict(self.syncs),
            dict(self.incidents),
            list(self.windows),
            dict(self.zones),
            dict(self.hosts),
        )


def fold(state: State, commit: Commit) -> State:
    """Apply one commit to a state, in place, and return it. Pure but for that: no clock, no store."""
    state.number = commit.number
    for machine_id in commit.joined:
        state.roster[machine_id] = None
    for transition in commit.transitions:
        state.event = max(state.event, transition.event)
    for machine_id, memory in commit.memories.items():
        if memory is None:
            state.machines.pop(machine_id, None)
        else:
            state.machines[machine_id] = memory
            state.roster[machine_id] = None  # known, even if the commit in which it joined is lost
    for event_id, entry in commit.syncs.items():
        if entry.state in CLOSED_SYNC_STATES:
            state.syncs.pop(event_id, None)
        else:
            state.syncs[event_id] = entry
    for incident_id, incident in commit.incidents.items():
        if incident.closed_at is None:
            state.incidents[incident_id] = incident
        else:
            state.incidents.pop(incident_id, None)
    if commit.windows is not None:
        state.windows = list(commit.windows)
    state.zones.update(commit.zones)
    state.hosts.update(commit.hosts)
    for machine_id in commit.forgotten:
        for known in (state.roster, state.machines, state.zones, state.hosts):
            known.pop(machine_id, None)
    return state
