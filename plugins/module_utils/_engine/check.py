# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The check: look, decide, record, report. Everything it says was committed before it is said."""

from __future__ import annotations

import time
from contextlib import nullcontext
from typing import Any, Dict, List, Optional

from . import documents, incidents, journal, lastknown, maintenance
from .clock import iso, to_ns
from .detect.verdict import Decision, decide
from .errors import DiskSpaceLow, HeartbeatError, LockTimeout, StoreUnavailable
from .observe import LEAST_AUDIT, Observation, by_status, load_fleet, look, observe, skewed
from .report import Outcome, check_result
from .state import fold
from .stores.base import Store

LAST_CHECK = "last_check.json"
LOCK_PATIENCE = 5.0
MAX_RACES = 100


def run_check(
    store: Store,
    force: bool = False,
    cache_ttl: float = 10.0,
    dry_run: bool = False,
    include_details: bool = False,
) -> Dict[str, Any]:
    """Derive who is online, and record every change of status exactly once.

    :param force: look even if a fresh enough result is there.
    :param cache_ttl: how old, in seconds of store time, a result may be to be returned again.
    :param dry_run: decide and report, record nothing.
    :param include_details: one entry for each machine in ``details``; always looks.
    :raises StoreUnavailable: the store is away: no verdict; ``last_known`` is in the details where it is known.
    :raises StoreCorrupt: ``fleet.json`` is damaged.
    """
    started = time.monotonic()
    try:
        fleet = load_fleet(store)
        # The last result tells no arrival times, so details are never made from it.
        outcome = None if force or include_details or cache_ttl <= 0 else _cached(store, to_ns(cache_ttl))
        if outcome is None:
            outcome = _check(store, fleet, dry_run)
    except (StoreUnavailable, DiskSpaceLow) as exc:
        exc.details.setdefault("last_known", _last_known(store))
        raise
    result = check_result(store, outcome, fleet, include_details)
    if not (dry_run or outcome.cached):
        lastknown.remember(store.location, fleet.store_id, outcome.state.number, outcome.checked_at, result)
    result["statistics"]["duration_ms"] = round((time.monotonic() - started) * 1000, 1)
    return result


def _check(store: Store, fleet: documents.Fleet, dry_run: bool) -> Outcome:
    # Check mode leaves nothing behind, not even a lock file.
    with nullcontext(True) if dry_run else store.lock("check", LOCK_PATIENCE):
        previous = _read_last(store)
        for races in range(MAX_RACES):
            ledger = journal.load(store)
            calendar, bad_windows = maintenance.load(store)
            cursor = previous.cursor if previous else ""
            seen = observe(store, ledger.state, fleet, cursor, calendar=calendar)
            seen.problems.extend(bad_windows)
            decision = decide(seen.now, seen.received, seen.seen, seen.suspects, ledger.state, seen.settings, calendar)
            look(store, seen, _noted(previous, seen))  # nothing was decided by these: only what is said of them
            outcome = _outcome(ledger, seen, decision, previous, fleet, races)
            outcome.calendar = calendar
            if dry_run:
                if not decision.empty:
                    outcome.state = fold(
                        ledger.state.copy(), decision.commit(ledger.next_number, seen.now, "check mode")
                    )
                return outcome
            if decision.empty:
                journal.upkeep(store, ledger)
            if decision.empty or _commit(store, ledger, decision, seen.now):
                outcome.state = ledger.state
                documented = previous.result.get("documented", 0) if previous else 0
                outcome.notes["documented"] = incidents.write_documents(store, documented, ledger.state.number)
                _write_last(store, outcome, seen)
                return outcome
    raise LockTimeout("other checkers were always first, %d times; run fewer checks at once" % MAX_RACES)


def _commit(store: Store, ledger: journal.Ledger, decision: Decision, now: int) -> bool:
    commit = decision.commit(ledger.next_number, now, journal.writer_name())
    return journal.append(store, ledger, commit, now)


def _outcome(
    ledger: journal.Ledger,
    seen: Observation,
    decision: Decision,
    previous: Optional[documents.LastCheck],
    fleet: documents.Fleet,
    races: int,
) -> Outcome:
    notes = _notes(seen, previous.result if previous else {}, fleet.settings.clock_skew_warning)
    return Outcome(
        state=ledger.state,
        checked_at=seen.now,
        transitions=decision.transitions,
        notes=notes,
        problems=ledger.problems + seen.problems,
        changed=bool(decision.transitions or decision.incidents or decision.syncs),
        observation=seen,
        opened=len(seen.seen),
        races=races,
    )


def _noted(previous: Optional[documents.LastCheck], seen: Observation) -> List[str]:
    """Machines of which something is noted, to be read again: it may be put right long before the audit is there."""
    noted = previous.result if previous else {}
    known = [m for key in ("torn", "skewed") for m in sorted(noted.get(key, {})) if m in seen.received]
    return known[:LEAST_AUDIT]


def _notes(seen: Observation, before: Dict[str, Any], skew_limit: float) -> Dict[str, Any]:
    """What the audit knows of records and clocks: what was read now, and what earlier turns found."""
    skew = skewed(seen, skew_limit)
    known_skew = {m: s for m, s in before.get("skewed", {}).items() if m not in seen.seen and m in seen.received}
    known_torn = {m: s for m, s in before.get("torn", {}).items() if m not in seen.seen and m in seen.received}
    return {"skewed": dict(known_skew, **skew), "torn": dict(known_torn, **seen.torn)}


# -- the cached result -------------------------------------------------------------------------------------------


def _read_last(store: Store) -> Optional[documents.LastCheck]:
    """The last result, or None where it is of no use, whyever that is: it is a cache."""
    try:
        return documents.load_last_check(store.read(LAST_CHECK) or b"")
    except (ValueError, HeartbeatError):
        return None


def _write_last(store: Store, outcome: Outcome, seen: Observation) -> None:
    """Keep what a later call may return again. It is a cache: a failure to keep it is no failure of the check."""
    events = [t.event for t in outcome.transitions]
    last = documents.LastCheck(
        checked_at=outcome.checked_at,
        number=outcome.state.number,
        cursor=seen.audited[-1] if seen.audited else "",
        result=dict(
            outcome.notes,
            problems=outcome.problems,
            first_event=min(events) if events else 0,
            opened=outcome.opened,
        ),
    )
    try:
        store.write(LAST_CHECK, documents.dump(last), durable=False)
    except HeartbeatError:
        return


def _cached(store: Store, ttl: int) -> Optional[Outcome]:
    """The last result again, if it is fresh enough and nothing was committed since."""
    last = _read_last(store)
    if last is None:
        return None
    now = store.now()
    if not 0 <= now - last.checked_at <= ttl:
        return None
    if journal.read_commit(store, last.number + 1) is not None:
        return None
    ledger = journal.load(store)
    if ledger.state.number != last.number:
        return None
    first = last.result.get("first_event", 0)
    return Outcome(
        state=ledger.state,
        checked_at=last.checked_at,
        transitions=journal.transitions_since(store, ledger, first - 1) if first else [],
        notes={"skewed": last.result.get("skewed", {}), "torn": last.result.get("torn", {})},
        problems=list(last.result.get("problems", [])),
        cached=True,
        asked_at=now,
        calendar=maintenance.load(store)[0],
    )


def _last_known(store: Store) -> Optional[Dict[str, Any]]:
    """The statuses as last recorded, from the journal where it can still be read, else from this host's own memory."""
    try:
        ledger = journal.load(store)
        fleet = load_fleet(store)
        last = _read_last(store)
    except HeartbeatError:
        return lastknown.recall(store.location)
    lists = by_status(ledger.state, fleet.expected)
    return {"as_of": iso(last.checked_at) if last else None, "statuses": lists}
