# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Working on what the transitions left pending: oldest first, each under its own claim, no failure stopping others."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Callable, Dict, List, Optional, Set

from .. import journal
from ..clock import iso
from ..documents import Fleet
from ..errors import HeartbeatError, MachineNotOffline, MachineNotOnline, MachineUnknown
from ..observe import load_fleet
from ..report import sync_dict
from ..state import OFFLINE, ONLINE, SKIPPED, WARNING, SyncEntry
from ..stores.base import Store
from . import entries, restoring, rolling
from .claim import Claim
from .entries import Wanted
from .run import check_status, preview, work
from .session import Request, Site, nothing_to_sync, trees_of

SiteOf = Callable[[str], Optional[Site]]
"""The trees of a machine; None where they cannot be reached from here."""


def run_pending(
    store: Store, request: Request, site_of: SiteOf, open_store: Callable[[], Store], machine_id: Optional[str] = None
) -> Dict[str, Any]:
    """Work on every entry that can be worked on from here.

    :param request: how; its machine and its event are those of each entry.
    :param machine_id: of this machine only.
    :returns: ``syncs`` (a result each), ``failed`` (an error each), ``overtaken``, and ``left``: the entries that are
        still open, most of them because only their machine can do the work.
    """
    fleet = load_fleet(store)
    found: Dict[str, Any] = {"syncs": [], "failed": [], "overtaken": []}
    passed: Set[str] = set()
    while True:
        wanted = Wanted(machine_id, None, frozenset(passed))
        entry = _next(store, fleet, wanted, site_of, request.dry_run)
        if entry is None:
            break
        passed.add(entry.event_id)
        asked = _request(request, entry)
        try:
            _one(store, fleet, asked, entry, site_of(entry.machine_id), open_store, found)
        except HeartbeatError as exc:
            error = dict(exc.as_result(), machine_id=entry.machine_id, event=entry.event, msg=exc.message)
            found["failed"].append(error)
    state = journal.load(store).state
    shown = {one["event_id"] for one in found["syncs"]} if request.dry_run else set()
    left = [one for one in entries.in_turn(state) if machine_id in (None, one.machine_id)]
    found["left"] = [sync_dict(one) for one in left if one.event_id not in shown]
    return found


def _next(store: Store, fleet: Fleet, wanted: Wanted, site_of: SiteOf, dry_run: bool) -> Optional[SyncEntry]:
    """The next entry: claimed, or on a dry run only named."""

    def can_be_done(entry: SyncEntry) -> bool:
        return entry.event == OFFLINE or site_of(entry.machine_id) is not None or _asks_for_nothing(fleet, entry)

    if not dry_run:
        return entries.take(store, fleet.settings, wanted, can_be_done=can_be_done)
    state, now = journal.load(store).state, store.now()
    return next(filter(can_be_done, entries.candidates(state, fleet.settings, wanted, now)), None)


def _request(request: Request, entry: SyncEntry) -> Request:
    sync_id = rolling.sync_id_of(entry.event_id)
    return replace(request, machine_id=entry.machine_id, event=entry.event, sync_id=sync_id)


def _one(
    store: Store,
    fleet: Fleet,
    request: Request,
    entry: SyncEntry,
    site: Optional[Site],
    open_store: Callable[[], Store],
    found: Dict[str, Any],
) -> None:
    if request.dry_run:
        why = _overtaken(store, fleet, request, entry)
        if why is None:
            found["syncs"].append(dict(preview(store, fleet, request, site), event_id=entry.event_id))
        else:
            found["overtaken"].append(_not_done(entry, why))
        return
    with Claim(store, entry, open_store) as claim:
        why = _overtaken(store, fleet, request, entry)
        if why is None:
            found["syncs"].append(work(store, fleet, request, site, claim))
        else:
            claim.close(SKIPPED, why)
            found["overtaken"].append(_not_done(entry, why))


def _asks_for_nothing(fleet: Fleet, entry: SyncEntry) -> bool:
    """Whether the machine of a transition has no trees, wherever it is."""
    return entry.event in (OFFLINE, ONLINE) and not trees_of(fleet, entry.machine_id)


def _overtaken(store: Store, fleet: Fleet, request: Request, entry: SyncEntry) -> Optional[str]:
    """Why an entry asks for nothing any more: its machine has gone or come since, mostly.

    :raises MachineNotOnline: it may be about to go; that is not yet known.
    """
    if request.event == restoring.EVENT:
        return "cut off: whoever asked for the restore has to ask again"
    if entry.event_id.startswith(entries.OWN):
        return "cut off: it was asked for with options of its own, and whoever asked for it has to ask again"
    if _asks_for_nothing(fleet, entry):
        return nothing_to_sync(fleet, entry.machine_id)
    try:
        check_status(store, request.machine_id, request.event)
    except (MachineNotOffline, MachineNotOnline) as exc:
        if exc.details["status"] == WARNING and request.event == ONLINE:
            raise
        return "overtaken: the machine was %s when its turn came" % exc.details["status"]
    except MachineUnknown as exc:
        return "overtaken: %s" % exc.message
    return None


def _not_done(entry: SyncEntry, reason: str) -> Dict[str, Any]:
    return {
        "event_id": entry.event_id,
        "machine_id": entry.machine_id,
        "event": entry.event,
        "opened_at": iso(entry.opened_at),
        "reason": reason,
    }


def machines_to_visit(left: List[Dict[str, Any]]) -> List[str]:
    """The machines that must be reached for what is left, in turn."""
    wanted = [one["machine_id"] for one in left if one["event"] != OFFLINE and one["state"] != "held"]
    return list(dict.fromkeys(wanted))
