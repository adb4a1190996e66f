# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The first, cheap look at a whole fleet: which few machines need a second one.

Costs one pass over the arrival times and work for what is late, new, gone or remembered; nothing is opened here.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, Dict, List, Mapping, Optional, Set

from ..settings import Settings
from ..state import OFFLINE, ONLINE, UNKNOWN, Memory, State
from .ages import FUTURE_TOLERANCE, RANK, LimitsOf, age_start, needs_anchor, same_arrival, status_by_age
from .planned import Calendar

MAX_WITNESSES = 64
NO_WINDOWS = Calendar()


@dataclass
class Survey:
    """What a look at the arrival times alone says."""

    suspects: List[str] = field(default_factory=list)
    """Machines whose status may be about to change: to be opened before anything is said of them."""
    witnesses: List[str] = field(default_factory=list)
    """Some of the machines heard since the suspects fell silent: their beats tell whether the store was away."""
    joined: Set[str] = field(default_factory=set)
    missing: Set[str] = field(default_factory=set)


def survey(
    now: int, received: Mapping[str, int], state: State, settings: Settings, calendar: Calendar = NO_WINDOWS
) -> Survey:
    """Compare all arrival times with what is recorded.

    :param now: the store's time.
    :param received: machine id -> arrival of its last beat, for every record in the store.
    """
    oldest, newest = now - settings.shortest_warning_ns(), now + FUTURE_TOLERANCE
    interesting = {machine for machine, at in received.items() if not oldest < at <= newest}
    result = Survey()
    # Comparing two sets of keys is cheap, subtracting them copies one; nearly always they are equal.
    if received.keys() != state.roster.keys():
        result.joined = set(received.keys() - state.roster.keys())
        result.missing = set(state.roster.keys() - received.keys())
    interesting |= result.joined | result.missing | state.machines.keys()
    limits = LimitsOf(settings)
    worse = False
    for machine in interesting:
        if _may_change(machine, now, received.get(machine), state, limits, calendar):
            result.suspects.append(machine)
            worse = worse or machine not in result.joined
    result.suspects.sort()
    if worse:
        result.witnesses = _witnesses(result.suspects, received, state, oldest)
    return result


def _may_change(
    machine: str, now: int, received_at: Optional[int], state: State, limits: LimitsOf, calendar: Calendar
) -> bool:
    memory = state.machines.get(machine)
    believed = state.status_of(machine)
    if received_at is None and believed == UNKNOWN:
        return False
    if needs_anchor(now, received_at, memory):
        return believed != OFFLINE
    mine = limits(machine)
    seen = status_by_age(now - age_start(now, received_at, memory, state.windows, mine.offline), mine)
    if memory is not None and (memory.confirming is not None or memory.anchor_at is not None):
        return True
    if believed == UNKNOWN:
        return True
    if overdue(now, memory, calendar, mine.offline):
        return True
    if RANK[seen] < RANK[believed]:
        another = memory is not None and not same_arrival(received_at, memory.received_at)
        return another and (believed != OFFLINE or seen == ONLINE)
    return seen != believed


def overdue(now: int, memory: Optional[Memory], calendar: Calendar, offline_after: int) -> bool:
    """Whether a machine that is away as planned should long be back, or its window is not what it was."""
    if memory is None or memory.status != OFFLINE or memory.planned_until is None:
        return False
    return now - memory.planned_until >= offline_after or calendar.changed(memory.planned_by)


def _witnesses(suspects: List[str], received: Mapping[str, int], state: State, oldest: int) -> List[str]:
    """Machines that beat on time, spread evenly over the fleet where there are too many to open."""
    doubted = set(suspects)
    heard = [m for m in state.roster if received.get(m, oldest) > oldest and m not in doubted]
    step = max(1, len(heard) // MAX_WITNESSES)
    return heard[::step][:MAX_WITNESSES]


Sightings = Dict[str, "Sighting"]


@dataclass(frozen=True)
class Sighting:
    """What one machine's record says when it is opened; ``received_at`` is None when there is no record."""

    received_at: Optional[int]
    boot_id: str = ""
    sequence: int = 0
    leaving: Optional[str] = None
    missed_began: Optional[int] = None
    """Store time at which the machine's writes began to fail, if its beat reports failed writes."""
    missed_ended: Optional[int] = None
    metadata_json: Optional[str] = None
    """None when the record cannot be read."""
    fingerprint: str = ""
    previous_boot_id: str = ""
    took_over: Optional[str] = None

    @property
    def metadata(self) -> Optional[Dict[str, Any]]:
        """The machine's metadata, or None when it is not known."""
        if self.metadata_json is None:
            return None
        found: Dict[str, Any] = json.loads(self.metadata_json)
        return found
