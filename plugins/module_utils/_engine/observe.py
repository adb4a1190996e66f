# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Look at the store and say what is there: the reading half of a check, shared with everything that only reads."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Callable, Dict, Iterable, List, Optional

from . import documents
from .clock import MS
from .detect.planned import Calendar
from .detect.survey import NO_WINDOWS, Sighting, Sightings, survey
from .errors import HeartbeatError, StoreUnavailable
from .identity import is_machine_id
from .record import Beat, decode, skew_ms
from .settings import Settings
from .state import OFFLINE, ONLINE, UNKNOWN, State
from .stores.base import Store, printable

AUDIT_ALL = 50
LEAST_AUDIT = 20
AUDIT_SHARE = 200
"""Each check also reads records that nothing is wrong with, in turn: one in AUDIT_SHARE, at least LEAST_AUDIT, and all
of a fleet of at most AUDIT_ALL. A record that is opened costs as much as twenty that are only listed."""


@dataclass
class Observation:
    """Everything that one look found."""

    now: int
    received: Dict[str, int]
    settings: Settings = field(default_factory=Settings)
    """By which machines are to be judged at this moment."""
    seen: Sightings = field(default_factory=dict)
    beats: Dict[str, Beat] = field(default_factory=dict)
    suspects: List[str] = field(default_factory=list)
    problems: List[Dict[str, object]] = field(default_factory=list)
    torn: Dict[str, str] = field(default_factory=dict)
    audited: List[str] = field(default_factory=list)


def load_fleet(store: Store) -> documents.Fleet:
    """The fleet's settings.

    :raises StoreUnavailable: there is no fleet.
    :raises StoreCorrupt: ``fleet.json`` is damaged.
    :raises InvalidSettings: it was edited into nonsense.
    """
    store.connect()
    data = store.read("fleet.json")
    if data is None:
        raise StoreUnavailable("there is no fleet at %s; create it with heartbeat_fleet" % store.location)
    return documents.load_fleet(data, store.location + "/fleet.json")


def observe(
    store: Store,
    state: State,
    fleet: documents.Fleet,
    cursor: str = "",
    asked: Optional[Callable[[str], bool]] = None,
    calendar: Calendar = NO_WINDOWS,
) -> Observation:
    """One look at the fleet: all arrival times, and the records of whoever may need a verdict.

    Only its record tells that a machine said goodbye while it was on time.

    :param cursor: the machine id after which the audit goes on; see :data:`AUDIT_SHARE`.
    :param asked: whose records to open as well, instead of the audit.
    :param calendar: the maintenance windows that can still matter.
    """
    scan = store.scan()
    now = store.now()  # afterwards: a scan may take long, and beats that come meanwhile are not from the future
    settings = fleet.settings_at(now)
    result = Observation(now, scan.received, settings)
    for name, what in scan.oddities:
        result.problems.append(_no_record(name, "%s in the place of a record" % what))
    first = survey(now, scan.received, state, settings, calendar)
    _drop_impossible(result, first.joined)
    chosen = [m for m in first.suspects if m in result.received or m in state.roster]
    look(store, result, chosen)
    look(store, result, first.witnesses)
    if asked is None:
        # The roster comes sorted from the checkpoint, and sorting it again is quick; a scan has no order.
        result.audited = _next_in_turn(sorted(state.roster), cursor)
        look(store, result, result.audited)
    else:
        # They are judged like suspects, and stand for nobody else: they are no sample of the fleet.
        chosen.extend(machine for machine in list(result.received) if asked(machine))
        look(store, result, chosen)
    said_goodbye = [m for m, s in result.seen.items() if s.leaving is not None and state.status_of(m) != OFFLINE]
    result.suspects = sorted(set(chosen).union(said_goodbye))
    return result


def nobody(machine: str) -> bool:
    """Asks for no machine: those that the statuses need are enough."""
    return False


def _no_record(name: str, what: str) -> Dict[str, object]:
    return {"kind": "not_a_record", "path": "heartbeats/" + printable(name), "what": what}


def _drop_impossible(result: Observation, joined: Iterable[str]) -> None:
    """Files under names that no machine can have are reported and left alone."""
    for name in [n for n in joined if not is_machine_id(n)]:
        del result.received[name]
        result.problems.append(_no_record(name + ".json", "no machine id"))


def _next_in_turn(order: List[str], cursor: str) -> List[str]:
    from bisect import bisect_right

    count = max(LEAST_AUDIT, len(order) // AUDIT_SHARE)
    if len(order) <= max(count, AUDIT_ALL):
        return order
    start = bisect_right(order, cursor)
    return (order[start:] + order[:start])[:count] if start + count > len(order) else order[start : start + count]


def look(store: Store, result: Observation, machines: Iterable[str]) -> None:
    """Open records; that revalidates their arrival on a network file system. What cannot be read is reported."""
    for machine in machines:
        if machine in result.seen:
            continue
        result.seen[machine] = _open_one(store, result, machine)


def _open_one(store: Store, result: Observation, machine: str) -> Sighting:
    try:
        found = store.read_beat(machine)
    except HeartbeatError as exc:
        if exc.details.get("errno") not in ("EISDIR", "ELOOP", "EACCES"):
            raise
        result.torn[machine] = "it cannot be read (%s)" % exc.details.get("errno")
        return Sighting(result.received.get(machine))
    if found is None:
        result.received.pop(machine, None)
        return Sighting(None)
    result.received[machine] = found.received_at
    try:
        beat = decode(found.data, machine)
    except HeartbeatError as exc:
        result.torn[machine] = str(exc.details["reason"])
        return Sighting(found.received_at)
    result.beats[machine] = beat
    began: Optional[int] = None
    ended: Optional[int] = None
    if beat.missed is not None and beat.missed.count > 0:
        began = max(0, found.received_at - beat.missed.began_ms * MS)
        ended = max(0, found.received_at - beat.missed.ended_ms * MS)
    return Sighting(
        received_at=found.received_at,
        boot_id=beat.boot_id,
        sequence=beat.sequence,
        leaving=beat.leaving,
        missed_began=began,
        missed_ended=ended,
        metadata_json=beat.metadata_json,
        fingerprint=beat.fingerprint,
        previous_boot_id=beat.previous_boot_id,
        took_over=beat.took_over,
    )


def skewed(result: Observation, limit_seconds: float) -> Dict[str, float]:
    """Machines among those opened whose clock is further from the store's than the limit, in milliseconds."""
    found = {}
    for machine, beat in result.beats.items():
        at = result.received.get(machine)
        skew = skew_ms(beat, at) if at is not None else None
        if skew is not None and abs(skew) > limit_seconds * 1000:
            found[machine] = skew
    return found


def by_status(state: State, expected: Iterable[str]) -> Dict[str, List[str]]:
    """Every machine under its recorded status, sorted; expected ones that were never seen are ``unknown``."""
    lists: Dict[str, List[str]] = {status: [] for status in (ONLINE, "warning", OFFLINE, UNKNOWN)}
    abnormal = {m: memory.status for m, memory in state.machines.items() if memory.status != ONLINE}
    for machine, status in abnormal.items():
        lists[status].append(machine)
    lists[ONLINE] = [m for m in state.roster if m not in abnormal] if abnormal else list(state.roster)
    lists[UNKNOWN].extend(m for m in expected if m not in state.roster)
    for names in lists.values():
        names.sort()
    return lists
