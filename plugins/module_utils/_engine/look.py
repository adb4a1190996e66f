# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Looking without recording: what ``heartbeat_info`` shows and ``heartbeat_wait`` waits for."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from typing import Any, Callable, Dict, Iterable, List, Mapping, Optional

from . import documents, incidents, journal, maintenance
from .clock import iso
from .conflicts import live_conflicts
from .detect.planned import Calendar
from .detect.verdict import decide
from .errors import DiskSpaceLow, InvalidSettings, StoreUnavailable, WaitTimeout
from .identity import normalise_machine_id
from .observe import Observation, by_status, load_fleet, look, nobody, observe
from .patterns import matches
from .report import incident_dict, machine_dict, pending, record_problems, shorten, sync_dict, transition_dict
from .state import STATUSES, State, fold
from .stores.base import Store

MAX_EVENTS = 1000


@dataclass
class View:
    """The fleet as it is at this moment, recorded or not."""

    now: int
    state: State
    ledger: journal.Ledger
    fleet: documents.Fleet
    seen: Observation
    lists: Dict[str, List[str]]
    live: bool
    """False when the store cannot be asked for its time (read-only): the statuses are the recorded ones."""
    calendar: Calendar


def view(store: Store, asked: Callable[[str], bool] = nobody) -> View:
    """Derive every status without recording anything.

    :param asked: whose records to open, so that a goodbye counts at once; of the others a check learns it in its turn.
    """
    fleet = load_fleet(store)
    ledger = journal.load(store)
    state, live = ledger.state, True
    calendar, bad_windows = maintenance.load(store)
    try:
        seen = observe(store, ledger.state, fleet, asked=asked, calendar=calendar)
    except (StoreUnavailable, DiskSpaceLow):
        scan = store.scan()
        seen, live = Observation(max(scan.received.values(), default=0), scan.received), False
    seen.problems.extend(bad_windows)
    if live:
        decision = decide(seen.now, seen.received, seen.seen, seen.suspects, ledger.state, seen.settings, calendar)
        if not decision.empty:
            state = fold(ledger.state.copy(), decision.commit(ledger.next_number, seen.now, "look"))
    lists = by_status(state, fleet.expected)
    return View(seen.now, state, ledger, fleet, seen, lists, live, calendar)


@dataclass
class Question:
    """What somebody wants to see; empty filters mean everything."""

    machines: Iterable[str] = ()
    """Machine ids or patterns."""
    statuses: Iterable[str] = ()
    include_heartbeats: bool = False
    include_details: bool = True
    include_incidents: bool = False
    events_since: Optional[int] = None

    def __post_init__(self) -> None:
        self.machines = [str(name).strip().lower() for name in self.machines]

    def asks_for(self, machine: str) -> bool:
        """Whether a machine is among those that were named, if any were."""
        return not self.machines or any(machine == p or matches(machine, p) for p in self.machines)

    def opens(self, machine: str) -> bool:
        """Whether a machine's record is read before its status is derived: where it would be read anyway."""
        return self.include_details and (bool(self.machines) or not self.statuses) and self.asks_for(machine)


def info(store: Store, question: Question) -> Dict[str, Any]:
    """The fleet, or a part of it, as data.

    :raises StoreUnavailable: there is no store to look at.
    """
    found = view(store, question.opens)
    wanted = set(question.statuses) or set(STATUSES)
    chosen = {
        status: [m for m in found.lists[status] if question.asks_for(m)] if status in wanted else []
        for status in STATUSES
    }
    result: Dict[str, Any] = dict(chosen)
    if question.include_details:
        names = [m for status in STATUSES for m in chosen[status]]
        look(store, found.seen, [m for m in names if m in found.seen.received])
        result["machines"] = [
            _describe(m, status, found, question.include_heartbeats) for status in STATUSES for m in chosen[status]
        ]
    known = {m for names in found.lists.values() for m in names}
    result.update(
        unknown_machines=sorted(p for p in question.machines if not _is_pattern(p) and p not in known),
        settings=asdict(found.fleet.settings),
        expected=found.fleet.expected,
        statistics=dict({s: len(found.lists[s]) for s in STATUSES}, total=len(known)),
        pending_syncs=[sync_dict(s) for s in pending(found.state)],
        incidents=[incident_dict(i) for i in found.state.incidents.values()],
        maintenance=maintenance.current(found.calendar, found.now),
        identity_conflicts=live_conflicts(store, found.now, found.fleet.settings),
        problems=found.ledger.problems + found.seen.problems + record_problems({"torn": found.seen.torn}),
        last_event=found.ledger.state.event,
        live=found.live,
        as_of=iso(found.now),
    )
    if question.include_incidents:
        result["incident_history"] = incidents.history(store)
    if question.events_since is not None:
        since = journal.transitions_since(
            store, found.ledger, question.events_since, MAX_EVENTS, lambda t: question.asks_for(t.machine_id)
        )
        result["events"] = [transition_dict(t) for t in since]
    return result


def _describe(machine: str, status: str, found: View, include_heartbeat: bool) -> Dict[str, Any]:
    return machine_dict(
        machine,
        status,
        found.now,
        found.state,
        found.fleet,
        found.seen.received.get(machine),
        found.seen.beats.get(machine),
        include_heartbeat,
    )


def _is_pattern(text: str) -> bool:
    return any(c in text for c in "*?[")


@dataclass(frozen=True)
class Expected:
    """Whose heartbeat is waited for."""

    fingerprint: str
    """Of the host that sends it."""
    since: int
    """Heartbeats that arrived before do not count."""

    def lacks(self, found: View, machine: str) -> str:
        """Why the machine's last heartbeat is not such a one; nothing if it is."""
        beat = found.seen.beats.get(machine)
        if beat is None or found.seen.received[machine] < self.since:
            return "no new heartbeat"
        return "" if beat.fingerprint == self.fingerprint else "the heartbeat is another host's"


def wait(
    store: Store,
    machines: Iterable[str],
    status: str,
    timeout: float,
    delay: float,
    beats: Optional[Mapping[str, Expected]] = None,
) -> Dict[str, Any]:
    """Look again and again until all the machines have the status.

    :param timeout: seconds, on this process's monotonic clock.
    :param delay: seconds between two looks.
    :param beats: of these machines, such a heartbeat has to be there as well.
    :raises WaitTimeout: names the machines that are not there yet, with the status they have.
    """
    names = sorted({normalise_machine_id(m, "machines") for m in machines})
    if not names:
        raise InvalidSettings("machines is empty; name the machines to wait for")
    started = time.monotonic()
    trouble: Optional[Exception] = None
    have: Mapping[str, str] = {}
    looks = 0
    while True:
        looks += 1
        try:
            have, trouble = _standing(store, names, beats or {}), None
        except (StoreUnavailable, DiskSpaceLow) as exc:
            trouble = exc
            store.close()
        missing = {m: have.get(m, "unknown") for m in names if have.get(m, "unknown") != status}
        elapsed = time.monotonic() - started
        if not missing and trouble is None:
            return {"machines": names, "status": status, "elapsed": round(elapsed, 3), "looks": looks}
        if elapsed >= timeout:
            raise _gave_up(status, timeout, missing, trouble)
        time.sleep(min(delay, timeout - elapsed))  # the last look is when the time is up, not before


def _standing(store: Store, names: Iterable[str], beats: Mapping[str, Expected]) -> Dict[str, str]:
    """The machines' statuses; with what is lacking, where another heartbeat than the last one is waited for."""
    wanted = set(names)
    found = view(store, wanted.__contains__)
    lacks = {m: expected.lacks(found, m) for m, expected in beats.items()}
    return {
        m: "%s: %s" % (status, lacks[m]) if lacks.get(m) else status
        for status, members in found.lists.items()
        for m in members
        if m in wanted
    }


def _gave_up(status: str, timeout: float, missing: Mapping[str, str], trouble: Optional[Exception]) -> WaitTimeout:
    if trouble is not None:
        return WaitTimeout(
            "not %s within %g s: the store cannot be asked: %s" % (status, timeout, trouble),
            trouble,
            missing=dict(missing),
        )
    shown = shorten(["%s (%s)" % (m, s) for m, s in sorted(missing.items())])
    return WaitTimeout(
        "not %s within %g s: %s; heartbeat_info shows what is known of them, and a longer timeout waits longer"
        % (status, timeout, shown),
        missing=dict(missing),
    )
