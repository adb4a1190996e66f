# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Mass failure: when so much of a fleet falls silent at once that acting on it would be the second disaster.

Source of the rule: the partial disruption mode of the Kubernetes node lifecycle controller (more than two nodes not
ready, and at least 55 % of the zone). It holds over the whole fleet, and in each zone where a metadata key divides the
fleet. Transitions are recorded and shown; nothing acts on them until a person, time or the machines' return lets go.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from typing import AbstractSet, Callable, Dict, Iterable, List, Mapping, Optional

from ..clock import to_ns
from ..settings import Settings
from ..state import OFFLINE, ONLINE, WARNING, Incident, Memory, State
from .common import in_common, still_in_common
from .survey import Sightings

KIND = "mass_failure"


@dataclass
class Holds:
    """The incidents that this look opened or widened, and which machine is held by which."""

    incidents: Dict[str, Incident] = field(default_factory=dict)
    held_by: Dict[str, str] = field(default_factory=dict)


def going_on(state: State) -> List[Incident]:
    """The mass failures that are going on, that of the whole fleet first."""
    return sorted((i for i in state.incidents.values() if i.kind == KIND), key=lambda i: (i.zone or "", i.incident_id))


def assess(
    now: int, newly_offline: List[str], late: AbstractSet[str], seen: Sightings, state: State, settings: Settings
) -> Holds:
    """Whether these newly offline machines, with those that fell shortly before, are a mass failure.

    :param newly_offline: machines whose absence nobody planned, and that no mass failure let go since they were back.
    :param late: machines that are in warning. What fails at one moment is late at different moments, by up to one
        interval; without them the first to be offline would be few, and acted on, while the others follow.
    """
    holds = Holds()
    rest = _widen(newly_offline, seen, state, holds)
    if rest:
        rest = _judge(now, None, rest, late, seen, state, settings, holds)
    if rest and settings.zone_key is not None:
        for zone in sorted({state.zones[m] for m in rest if m in state.zones}):
            mine = [m for m in rest if state.zones.get(m) == zone]
            _judge(now, zone, mine, late, seen, state, settings, holds)
    return holds


def _widen(newly_offline: List[str], seen: Sightings, state: State, holds: Holds) -> List[str]:
    """Machines that fall while a mass failure of theirs is going on belong to it; the others are given back."""
    rest = list(newly_offline)
    for incident in going_on(state):
        mine = [m for m in rest if incident.zone is None or state.zones.get(m) == incident.zone]
        if mine:
            widened = replace(
                incident,
                machines=sorted(set(incident.machines).union(mine)),
                common=still_in_common(incident.common, mine, seen),
            )
            holds.incidents[incident.incident_id] = widened
            holds.held_by.update(dict.fromkeys(mine, incident.incident_id))
            rest = [m for m in rest if m not in holds.held_by]
    return rest


def _judge(
    now: int,
    zone: Optional[str],
    newly: List[str],
    late: AbstractSet[str],
    seen: Sightings,
    state: State,
    settings: Settings,
    holds: Holds,
) -> List[str]:
    """Judge one zone, or the whole fleet (``zone`` is None); the machines that stay free are given back."""
    horizon = now - to_ns(settings.offline_after)
    members = [m for m in state.roster if zone is None or state.zones.get(m) == zone]
    known = {m: state.machines[m] for m in members if m in state.machines}
    gone = {m: memory for m, memory in known.items() if memory.status == OFFLINE or memory.released}
    recent = [m for m, memory in gone.items() if _fell(memory) and memory.since >= horizon]
    fallen = sorted(set(newly).union(recent, (m for m in members if m in late)))
    fleet = len(members) - sum(1 for m in gone if m not in fallen)
    if len(fallen) <= settings.mass_failure_count or len(fallen) < settings.mass_failure_ratio * fleet:
        return newly
    key = hashlib.sha256(("%s|%s|%d|%s" % (KIND, zone, now, ",".join(fallen))).encode()).hexdigest()[:16]
    where = "" if zone is None else " of zone %s" % zone
    how = "went offline" if late.isdisjoint(fallen) else "fell silent"
    incident = Incident(
        incident_id="mass-" + key,
        kind=KIND,
        opened_at=now,
        since=min([now] + [gone[m].since for m in recent]),
        reason="%d of %d machines%s %s together" % (len(fallen), fleet, where, how),
        machines=fallen,
        zone=zone,
        common=in_common(fallen, members, seen),
    )
    holds.incidents[incident.incident_id] = incident
    holds.held_by.update(dict.fromkeys(fallen, incident.incident_id))
    return []


def _fell(memory: Memory) -> bool:
    return not (memory.planned or memory.released) and memory.held_by is None


def held_machines(incidents: Mapping[str, Incident]) -> Dict[str, str]:
    """Machine -> the mass failure that holds it, of those that are going on. One that is back is held as well."""
    return {
        machine: incident.incident_id
        for incident in incidents.values()
        if incident.kind == KIND and incident.closed_at is None
        for machine in incident.machines
    }


def over(
    now: int, incidents: Iterable[Incident], status_of: Callable[[str], str], settings: Settings
) -> List[Incident]:
    """The incidents that are over, closed: the machines are back, or they have been held for long enough.

    One that is late is not back: it may be about to fall.
    """
    closed = []
    for incident in incidents:
        if incident.kind != KIND:
            continue
        away = sum(1 for machine in incident.machines if status_of(machine) in (OFFLINE, WARNING))
        if away <= settings.mass_failure_count or away < settings.mass_failure_ratio * len(incident.machines):
            closed.append(close(incident, now, "return"))
        elif now - incident.opened_at >= to_ns(settings.hold_timeout):
            closed.append(close(incident, now, "time"))
    return closed


def close(incident: Incident, now: int, by: str) -> Incident:
    """The incident, closed.

    :param by: ``return``, ``time``, or who released it.
    """
    return replace(incident, closed_at=now, until=now, closed_by=by)


def released(incident: Incident, memory_of: Callable[[str], Optional[Memory]]) -> Dict[str, Optional[Memory]]:
    """The memories of a closed incident's machines, which it holds no more.

    Of those that are not back it is remembered: else the next ones to fall would make it a mass failure again, and hold
    what was let go. That a machine is late says that it is about to fall.
    """
    result: Dict[str, Optional[Memory]] = {}
    for machine in incident.machines:
        memory = memory_of(machine)
        if memory is not None and memory.held_by == incident.incident_id:
            result[machine] = replace(memory, held_by=None, released=memory.status != ONLINE)
    return result
