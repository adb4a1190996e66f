# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Was it the machines, or was it the store? Evidence that a silence counts against no machine.

Two proofs are accepted (a fleet of at least three is needed for either; see :mod:`.witnesses`):

* nobody in the whole fleet has beaten: no store is reached by anyone;
* machines that come back say that their writes failed, and they are most of those heard since (at least three of
  them; see :mod:`.reports`). One machine among many that do well is that machine's own trouble.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import Callable, Container, Dict, List, Mapping, Optional

from ..state import OFFLINE, Incident, State, Window
from . import reports
from .ages import FUTURE_TOLERANCE, LimitsOf, age_start, same_arrival
from .survey import Sightings
from .witnesses import LEAST_FLEET, LEAST_WITNESSES, enough, quiet

KIND = "store_outage"


@dataclass
class Outage:
    """The windows that hold from now on, and the incidents that this look opened or closed."""

    windows: List[Window]
    incidents: Dict[str, Incident]
    changed: bool


def assess(
    now: int,
    received: Mapping[str, int],
    seen: Sightings,
    state: State,
    limits: LimitsOf,
    excused: Callable[[str], bool] = lambda machine: False,
    suspects: Container[str] = (),
) -> Outage:
    """Judge the silence. That machines which are offline are silent proves nothing; that they beat does.

    :param excused: whether a machine's silence is no surprise, because it is in a maintenance window.
    :param suspects: those of ``seen`` that were opened because something may be wrong with them.
    """
    windows = [_present(now, w) for w in state.windows]
    result = Outage(windows, {}, windows != state.windows)
    offline = {machine for machine, memory in state.machines.items() if memory.status == OFFLINE}
    alive = [machine for machine in state.roster if machine not in offline]
    open_window = next((w for w in windows if w.until is None), None)
    if len(state.roster) < LEAST_FLEET and open_window is None:
        return result
    arrivals = {machine: received.get(machine) for machine in alive}
    arrivals.update((machine, seen[machine].received_at) for machine in seen if machine in arrivals)
    if open_window is not None:
        _close_if_heard(now, open_window, _everybody(received, seen), result, state)
        if any(w.until is None for w in result.windows):
            return result
    if len(state.roster) >= LEAST_FLEET:
        state = replace(state, windows=result.windows)
        _find_proof(now, arrivals, received, seen, suspects, state, limits, excused, result)
    return result


def _everybody(received: Mapping[str, int], seen: Sightings) -> Dict[str, int]:
    """The last beat of every machine, whatever its status: from the scan, or later where its record was opened."""
    return dict(received, **{m: s.received_at for m, s in seen.items() if s.received_at is not None})


def _find_proof(
    now: int,
    arrivals: Mapping[str, Optional[int]],
    received: Mapping[str, int],
    seen: Sightings,
    suspects: Container[str],
    state: State,
    limits: LimitsOf,
    excused: Callable[[str], bool],
    result: Outage,
) -> None:
    """No outage is known to be going on: is there one, or was there one?"""
    all_late = len(arrivals) >= LEAST_WITNESSES and _all_late(now, arrivals, state, limits)
    everybody = _everybody(received, seen) if all_late else {}
    if not all_late or not _all_late(now, _goodbyes(everybody, state), state, limits):
        _from_reports(now, arrivals, seen, suspects, state, limits, result)
        return
    newest = max((min(at, now) for at in arrivals.values() if at is not None), default=now)
    silent = _witnesses(newest, arrivals, seen, state, limits, excused)
    if any(is_dismissed(w) and w.since >= newest for w in state.windows) or not silent:
        return
    # One that was offline or is new may be the first to beat: then the store is back since that beat.
    soonest = min(quiet(limits(machine)) for machine in arrivals)
    back = max((at for at in everybody.values() if now - soonest < at <= now), default=None)
    if back is None:
        newest = max([newest, *(min(at, now) for at in everybody.values())])
    since = max([newest] + [w.until for w in state.windows if w.until is not None])
    _open(now, since, back, silent, "no machine of the fleet has beaten", result)


def _witnesses(
    newest: int,
    arrivals: Mapping[str, Optional[int]],
    seen: Sightings,
    state: State,
    limits: LimitsOf,
    excused: Callable[[str], bool],
) -> List[str]:
    """The machines whose silence, since ``newest``, proves that the store is away; empty where it proves nothing.

    Nobody is called offline whose absence is planned, so it takes one that is not. But of those in a maintenance window
    some are still beating, and are cut off with the others.
    """
    staying = [m for m in arrivals if m not in seen or seen[m].leaving is None]
    unplanned = {machine for machine in staying if not excused(machine)}
    found = [m for m in staying if m in unplanned or newest - (arrivals[m] or 0) < quiet(limits(m))]
    known = sum(machine in seen for machine in found)  # the others may have said goodbye, for all we know
    proven = bool(unplanned) and enough(known, state, leaving=len(arrivals) - len(staying))
    return sorted(found) if proven else []


def _goodbyes(everybody: Mapping[str, int], state: State) -> Dict[str, int]:
    """The beats with which machines said goodbye: until then they reached the store, like those that stay."""
    return {
        machine: everybody[machine]
        for machine, memory in state.machines.items()
        if memory.status == OFFLINE
        and memory.planned
        and machine in everybody
        and same_arrival(everybody[machine], memory.received_at)
    }


def unsettled(now: int, windows: List[Window]) -> bool:
    """Whether the windows need a look even if nobody is late: one is open, or is not of this time."""
    return any(w.until is None or _present(now, w) is not w for w in windows)


def _present(now: int, window: Window) -> Window:
    """The window; where the store's clock was set back since, what it says counts from now."""
    if max(window.since, window.until or 0) <= now + FUTURE_TOLERANCE:
        return window
    return replace(window, since=min(window.since, now), until=None if window.until is None else min(window.until, now))


def prune(
    now: int, windows: List[Window], longest_offline: int, received: Mapping[str, int], state: State
) -> List[Window]:
    """Windows that can still matter: one that ended long ago, and before every beat that counts, changes no verdict."""
    if not windows:
        return []
    offline = {machine for machine, memory in state.machines.items() if memory.status == OFFLINE}
    oldest = min((at for machine, at in received.items() if machine not in offline), default=now)
    ended = min(oldest, now - 2 * longest_offline)
    return [w for w in windows if w.until is None or is_dismissed(w) or w.until >= ended]


def dismissed(window: Window) -> Window:
    """The window of an outage that was none: a person says that the machines are gone. It has no length."""
    return replace(window, until=window.since)


def is_dismissed(window: Window) -> bool:
    """Whether a person dismissed the window; it keeps the same silence from being taken for an outage again."""
    return window.until == window.since


def _all_late(now: int, arrivals: Mapping[str, Optional[int]], state: State, limits: LimitsOf) -> bool:
    for machine, at in arrivals.items():
        mine = limits(machine)
        start = age_start(now, at, state.machines.get(machine), state.windows, mine.offline)
        if now - start < quiet(mine):
            return False
    return True


def _close_if_heard(now: int, window: Window, everybody: Mapping[str, int], result: Outage, state: State) -> None:
    """The store is back with the first beat that it took."""
    heard = [at for at in everybody.values() if window.since < at <= now]
    if not heard:
        return
    end = min(heard)
    kept = [w for w in result.windows if not is_dismissed(w)]
    result.windows = [replace(w, until=end) if w is window else w for w in kept]
    incident = state.incidents.get(window.incident_id)
    if incident is not None:
        result.incidents[incident.incident_id] = replace(incident, until=end, closed_at=now, closed_by="return")
    result.changed = True


def _from_reports(
    now: int,
    arrivals: Mapping[str, Optional[int]],
    seen: Sightings,
    suspects: Container[str],
    state: State,
    limits: LimitsOf,
    result: Outage,
) -> None:
    """The second proof; see :mod:`.reports`."""
    found = reports.agreed(now, arrivals, seen, suspects, state, limits)
    if found is None or any(w.until is not None and w.until >= found.ended for w in state.windows):
        return
    _open(now, found.began, found.ended, found.machines, "machines report that their writes failed", result, "reports")


def _open(
    now: int,
    since: int,
    until: Optional[int],
    machines: List[str],
    reason: str,
    result: Outage,
    closed_by: str = "return",
) -> None:
    key = hashlib.sha256(("%s|%d|%d" % (KIND, since, now)).encode()).hexdigest()[:16]
    incident = Incident(
        incident_id="outage-" + key,
        kind=KIND,
        opened_at=now,
        since=since,
        until=until,
        closed_at=None if until is None else now,
        closed_by=None if until is None else closed_by,
        reason=reason,
        machines=sorted(machines),
    )
    result.windows.append(Window(since, until, incident.incident_id))
    result.incidents[incident.incident_id] = incident
    result.changed = True
