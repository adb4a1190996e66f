# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From what was seen to what is recorded: the pure decision of a check.

``decide`` is given everything and touches nothing: no store, no clock, no file. Two checkers that see the same come
to the same commit; which of them writes it is the journal's business.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Dict, List, Mapping, Optional, Set

from ..settings import Settings
from ..state import OFFLINE, ONLINE, UNKNOWN, WARNING, Commit, Incident, Memory, State, SyncEntry, Transition
from . import flapping, hosts, mass, outage
from .ages import Limits, LimitsOf
from .judge import Change, Judge, event_id
from .planned import Calendar
from .survey import NO_WINDOWS, Sighting, Sightings
from .syncs import Ledger, what_holds


@dataclass
class Decision:
    """What a check found out, ready to be committed."""

    transitions: List[Transition] = field(default_factory=list)
    memories: Dict[str, Optional[Memory]] = field(default_factory=dict)
    joined: List[str] = field(default_factory=list)
    syncs: Dict[str, SyncEntry] = field(default_factory=dict)
    incidents: Dict[str, Incident] = field(default_factory=dict)
    zones: Dict[str, str] = field(default_factory=dict)
    hosts: Dict[str, str] = field(default_factory=dict)
    outage: Optional[outage.Outage] = None

    @property
    def empty(self) -> bool:
        """Nothing to record."""
        anything = (self.transitions, self.memories, self.joined, self.syncs, self.incidents, self.zones, self.hosts)
        return not any(anything) and not (self.outage is not None and self.outage.changed)

    def commit(self, number: int, at: int, writer: str) -> Commit:
        """The decision as the journal's next entry."""
        windows = self.outage.windows if self.outage is not None and self.outage.changed else None
        return Commit(
            number=number,
            at=at,
            writer=writer,
            transitions=self.transitions,
            memories=self.memories,
            joined=self.joined,
            syncs=self.syncs,
            incidents=self.incidents,
            windows=windows,
            zones=self.zones,
            hosts=self.hosts,
        )


def decide(
    now: int,
    received: Mapping[str, int],
    seen: Sightings,
    suspects: List[str],
    state: State,
    settings: Settings,
    calendar: Calendar = NO_WINDOWS,
) -> Decision:
    """Everything that follows from this look at the fleet.

    :param now: the store's time.
    :param received: machine id -> arrival of the last beat, from the scan.
    :param seen: what was read of the suspects, the witnesses and others, revalidated.
    :param suspects: the machines to be judged; all of them are in ``seen``.
    :param calendar: the maintenance windows that can still matter.
    """
    limits = LimitsOf(settings)
    decision = Decision()
    if suspects or outage.unsettled(now, state.windows):
        state = _assess_outage(now, received, seen, suspects, state, settings, calendar, decision)
    state = _assign_zones(seen, state, settings, decision)
    judge = Judge(now, state, settings, calendar)
    changes: List[Change] = []
    bases: Dict[str, Optional[Memory]] = {}
    for machine in suspects:
        change, memory = judge.judge(machine, seen[machine], limits(machine))
        if change is not None:
            changes.append(change)
            bases[machine] = memory
        elif memory != state.machines.get(machine):
            decision.memories[machine] = memory
    changes.sort(key=lambda c: (c.effective_at, c.machine_id))
    _record(now, changes, bases, seen, state, settings, decision)
    _note_hosts(now, seen, state, decision)
    _forget_quiet_ones(now, received, state, settings, decision)
    return decision


def _assess_outage(
    now: int,
    received: Mapping[str, int],
    seen: Sightings,
    suspects: List[str],
    state: State,
    settings: Settings,
    calendar: Calendar,
    decision: Decision,
) -> State:
    """The state with the windows of outages as they hold from now on."""
    limits = LimitsOf(settings)

    def excused(machine: str) -> bool:
        """It is in a maintenance window, or has just come out of one."""
        metadata = seen[machine].metadata if machine in seen else None
        return calendar.excuses(machine, metadata, now, limits(machine).warning)

    found = decision.outage = outage.assess(now, received, seen, state, limits, excused, frozenset(suspects))
    found.windows = outage.prune(now, found.windows, settings.longest_offline_ns(), received, state)
    decision.incidents.update(found.incidents)
    return replace(state, windows=found.windows) if found.changed else state


def _assign_zones(seen: Sightings, state: State, settings: Settings, decision: Decision) -> State:
    """The state with the zones that the beats which were read name."""
    if settings.zone_key is None:
        return state
    for machine, sighting in seen.items():
        metadata = sighting.metadata
        if metadata is None or metadata.get(settings.zone_key) is None:
            continue
        zone = str(metadata[settings.zone_key])[:100]
        if state.zones.get(machine) != zone:
            decision.zones[machine] = zone
    return replace(state, zones=dict(state.zones, **decision.zones)) if decision.zones else state


def _record(
    now: int,
    changes: List[Change],
    bases: Mapping[str, Optional[Memory]],
    seen: Sightings,
    state: State,
    settings: Settings,
    decision: Decision,
) -> None:
    """Number the changes in the order in which they took effect, and see to what they ask for."""
    limits = LimitsOf(settings)
    late = _late(changes, bases, state)
    newly = [c.machine_id for c in changes if c.alarming and not _released(bases[c.machine_id])]
    holds = mass.assess(now, newly, late, seen, state, settings)
    decision.incidents.update(holds.incidents)
    held = mass.held_machines({**state.incidents, **holds.incidents})
    syncs = Ledger(now, state, settings)
    syncs.hold(holds.held_by)
    for number, change in enumerate(changes, state.event + 1):
        machine = change.machine_id
        before = bases[machine]
        # One that returns while its incident is going on is held like the others: nothing acts on it either.
        held_by = None if change.planned and change.to_status == OFFLINE else held.get(machine)
        after = _remember(now, number, change, seen[machine], before, limits(machine), held_by)
        transition = _transition(now, number, change, seen[machine], after)
        decision.transitions.append(transition)
        decision.memories[machine] = after
        if change.from_status == UNKNOWN:
            decision.joined.append(machine)
            if change.to_status == ONLINE and before is None:
                del decision.memories[machine]  # plainly online: nothing to remember
        syncs.open(transition, before)
        if after.flapping and not (before is not None and before.flapping):
            syncs.hold({machine: flapping.holder(machine)})
    for machine in holds.held_by.keys() - bases.keys():  # those that fell shortly before
        memory = decision.memories.get(machine) or state.machines[machine]
        decision.memories[machine] = replace(memory, held_by=holds.held_by[machine])
    _release(now, state, settings, decision, syncs)
    decision.syncs.update(syncs.changed)


def _late(changes: List[Change], bases: Mapping[str, Optional[Memory]], state: State) -> Set[str]:
    """The machines that are in warning, without those of whom it was expected, that are held, or were let go."""
    held = mass.held_machines(state.incidents)
    released = {m for m, memory in state.machines.items() if memory.released}
    before = {m for m, memory in state.machines.items() if memory.status == WARNING and not memory.planned}
    now_late = {c.machine_id for c in changes if c.to_status == WARNING and not c.planned}
    return (before - bases.keys() | now_late) - held.keys() - released


def _released(memory: Optional[Memory]) -> bool:
    return memory is not None and memory.released


def _release(now: int, state: State, settings: Settings, decision: Decision, syncs: Ledger) -> None:
    """Let go of what nothing holds any more: of incidents that are over, and of machines that flap no longer."""

    def memory_of(machine: str) -> Optional[Memory]:
        return decision.memories.get(machine) or state.machines.get(machine)

    def status_of(machine: str) -> str:
        memory = memory_of(machine)
        return memory.status if memory is not None else state.status_of(machine)

    incidents = {**state.incidents, **decision.incidents}
    over = mass.over(now, [i for i in incidents.values() if i.incident_id in state.incidents], status_of, settings)
    changed = {transition.machine_id for transition in decision.transitions}
    settled = flapping.settled(now, state, decision.memories, changed, settings)
    if not over and not settled:
        return
    for incident in over:
        incidents[incident.incident_id] = decision.incidents[incident.incident_id] = incident
        decision.memories.update(mass.released(incident, memory_of))
    for machine, memory in settled.items():
        decision.memories[machine] = replace(memory_of(machine) or memory, flapping=False)
    holds = {i.incident_id for i in over}.union(map(flapping.holder, settled))
    syncs.let_go(holds, status_of, what_holds(memory_of, incidents))


def _transition(now: int, number: int, change: Change, sighting: Sighting, after: Memory) -> Transition:
    return Transition(
        event=number,
        event_id=event_id(change, sighting),
        machine_id=change.machine_id,
        from_status=change.from_status,
        to_status=change.to_status,
        effective_at=change.effective_at,
        detected_at=now,
        cause=change.cause,
        received_at=sighting.received_at,
        boot_id=sighting.boot_id,
        sequence=sighting.sequence,
        planned=change.planned,
        held_by=flapping.holder(change.machine_id) if after.flapping else after.held_by,
    )


def _remember(
    now: int,
    number: int,
    change: Change,
    sighting: Sighting,
    before: Optional[Memory],
    limits: Limits,
    held_by: Optional[str],
) -> Memory:
    """What a change leaves behind."""
    base = before or Memory(status=change.from_status, since=now, event=0)
    hard = OFFLINE in (change.from_status, change.to_status) and change.from_status not in (UNKNOWN, change.to_status)
    changes = base.changes
    if hard and not change.planned and not (change.to_status == ONLINE and base.planned):
        changes = [*base.changes, change.effective_at][-(flapping.SLOTS + 1) :]
    stays = change.from_status == change.to_status
    warned = base.warning_since if change.to_status == OFFLINE else None
    return Memory(
        status=change.to_status,
        since=base.since if stays else change.effective_at,
        event=number,
        received_at=sighting.received_at,
        offline_since=(base.offline_since if stays else change.effective_at) if change.to_status == OFFLINE else None,
        warning_since=change.effective_at if change.to_status == WARNING else warned,
        planned=change.planned,
        planned_by=change.planned_by,
        planned_until=change.planned_until,
        held_by=held_by,
        released=base.released and change.to_status != ONLINE,
        flapping=flapping.is_flapping(now, base.flapping, changes, limits.offline),
        anchor_at=base.anchor_at,
        anchor_of=base.anchor_of,
        confirming=base.confirming,
        confirmations=base.confirmations,
        changes=changes,
    )


def _note_hosts(now: int, seen: Sightings, state: State, decision: Decision) -> None:
    """Record reboots and takeovers, as events that leave the status as it is."""
    for machine, cause in sorted(hosts.news(seen, state).items()):
        sighting = seen[machine]
        memory = decision.memories.get(machine, state.machines.get(machine))
        status = memory.status if memory is not None else ONLINE
        at = sighting.received_at if sighting.received_at is not None else now
        change = Change(machine, status, status, at, cause)
        number = state.event + len(decision.transitions) + 1
        decision.transitions.append(
            _transition(now, number, change, sighting, memory or Memory(status=status, since=at, event=0))
        )
        decision.hosts[machine] = hosts.tag(sighting)
    for machine in decision.joined:
        if hosts.has_past(seen[machine]):
            decision.hosts[machine] = hosts.tag(seen[machine])  # from before anybody looked: no news


def _forget_quiet_ones(
    now: int, received: Mapping[str, int], state: State, settings: Settings, decision: Decision
) -> None:
    """With a commit that is written anyway, drop what is remembered of machines that have long been well."""
    if decision.empty:
        return
    limits = LimitsOf(settings)
    for machine, memory in state.machines.items():
        anchored = memory.anchor_at is not None and memory.anchor_of == received.get(machine)
        free = not memory.flapping and memory.held_by is None
        well = memory.status == ONLINE and memory.confirming is None and free and not anchored
        if well and machine not in decision.memories and memory.since < now - flapping.SLOTS * limits(machine).offline:
            decision.memories[machine] = None
