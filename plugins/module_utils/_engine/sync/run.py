# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One machine's sync, from the claim to the result; its trees are reached through a :class:`.session.Site`."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any, Callable, Dict, List, Optional

from .. import journal
from ..documents import Fleet
from ..errors import (
    HeartbeatError,
    MachineNotOffline,
    MachineNotOnline,
    MachineUnknown,
    SyncOfflineFailed,
    SyncOnlineFailed,
)
from ..identity import normalise_machine_id
from ..look import view
from ..observe import load_fleet
from ..state import OFFLINE, ONLINE, PENDING, UNKNOWN, WARNING
from ..stores.base import Store
from . import capturing, decisions, doing, entries, restoring, rolling
from .claim import Claim
from .manifest import Manifest
from .planning import TreePlan, plan_tree, plan_trees
from .refs import Refs
from .session import Request, Session, Site
from .spec import TreeSpec
from .telling import Outcome, result

CAPTURE = "capture"
EVENTS = (OFFLINE, ONLINE, CAPTURE, rolling.EVENT)


def run(store: Store, request: Request, site: Optional[Site], open_store: Callable[[], Store]) -> Dict[str, Any]:
    """Do what somebody asks for one machine.

    :param site: the machine's trees; None where they cannot be reached, which only ``offline`` does without.
    :param open_store: opens the same store once more.
    :returns: what ``heartbeat_sync`` returns.
    :raises MachineNotOffline: and the like; nothing was changed.
    """
    request = replace(request, machine_id=normalise_machine_id(request.machine_id))
    fleet = load_fleet(store)
    check_status(store, request.machine_id, request.event)
    if request.event == rolling.EVENT and request.sync_id is None:
        with Refs(os.path.join(store.location, "vault")) as refs:
            request = replace(request, sync_id=rolling.last_sync(refs, request.machine_id))
    if request.dry_run or request.event == CAPTURE:
        return _done(Session(store, fleet, request), site)
    claimed = entries.ask(store, request.machine_id, request.event, key=rolling.key(request), own=request.has_options)
    with Claim(store, claimed, open_store) as claim:
        return work(store, fleet, request, site, claim)


def work(store: Store, fleet: Fleet, request: Request, site: Optional[Site], claim: Claim) -> Dict[str, Any]:
    """Do it for a machine that is claimed. What a return asks for stays pending if the machine is left as it is."""
    entry = claim.entry
    done = _done(Session(store, fleet, request, entry.event_id, claim), site)
    if entry.event == ONLINE and not request.sync_from_baseline and not entry.event_id.startswith(entries.ASKED):
        claim.close(PENDING, "the baseline has what %s has changed, but it is not up to date" % entry.machine_id)
    return done


def preview(store: Store, fleet: Fleet, request: Request, site: Optional[Site]) -> Dict[str, Any]:
    """What would be done, for a machine that nobody has to claim for that."""
    return _done(Session(store, fleet, replace(request, dry_run=True)), site)


def failure(request: Request, why: str, cause: Optional[BaseException] = None) -> HeartbeatError:
    """A sync that failed for a reason that has no code of its own."""
    kind = SyncOfflineFailed if request.event == OFFLINE else SyncOnlineFailed
    return kind(
        "the %s sync of %s failed: %s; what was done until then is kept, and the next sync goes on from there"
        % (request.event, request.machine_id, why),
        cause,
        machine_id=request.machine_id,
    )


def check_status(store: Store, machine_id: str, event: str) -> None:
    """Whether an event fits a machine as it is now.

    :raises MachineUnknown: it was never seen.
    :raises MachineNotOffline: or :class:`MachineNotOnline`.
    """
    lists = view(store, {machine_id}.__contains__).lists
    status = next((status for status, names in lists.items() if machine_id in names), UNKNOWN)
    if status == UNKNOWN:
        raise MachineUnknown(
            "no machine %s has ever beaten in this fleet; heartbeat_info lists those there are" % machine_id,
            machine_id=machine_id,
        )
    if status == WARNING and event in (OFFLINE, ONLINE):
        kind = MachineNotOffline if event == OFFLINE else MachineNotOnline
        raise kind(
            "%s is late and not yet known to be lost; wait with heartbeat_wait until it is online, or for a check to "
            "find it offline" % machine_id,
            machine_id=machine_id,
            status=status,
        )
    if event == OFFLINE and status != OFFLINE:
        raise MachineNotOffline(
            "%s is %s: an offline sync would work on an old snapshot of it; use event: online" % (machine_id, status),
            machine_id=machine_id,
            status=status,
        )
    if event == ONLINE and status != ONLINE:
        raise MachineNotOnline(
            "%s is %s; wait for it with heartbeat_wait, or use event: offline" % (machine_id, status),
            machine_id=machine_id,
            status=status,
        )


def _done(session: Session, site: Optional[Site]) -> Dict[str, Any]:
    request = session.request
    try:
        return result(_work(session, site))
    except OSError as exc:  # of the machine's trees: those of the store are told by whoever met them
        raise failure(request, "%s: %s" % (exc.filename or request.machine_id, exc.strerror or exc), exc) from exc


def _work(session: Session, site: Optional[Site]) -> Outcome:
    with session:
        if session.request.event == OFFLINE:
            return _offline(session)
        if session.request.event == rolling.EVENT:
            return rolling.roll_back(session, site)
        if site is None:
            raise failure(session.request, "its trees cannot be reached from here")
        if session.request.event == restoring.EVENT:
            return restoring.restore(session, site)
        return _capture(session, site) if session.request.event == CAPTURE else _online(session, site)


def _capture(session: Session, site: Site) -> Outcome:
    outcome = Outcome(session.machine_id, CAPTURE, dry_run=session.request.dry_run)
    for name, manifest in capturing.capture(session, site, session.trees(), outcome).items():
        if manifest is None:
            outcome.notes.append("the directory of %s is not there" % name)
    outcome.changed = outcome.snapshots > 0 or outcome.captured > 0
    return outcome


def _offline(session: Session) -> Outcome:
    """The last snapshots stand for the machine, which is not touched."""
    trees: List[TreeSpec] = []
    found: Dict[str, Optional[Manifest]] = {}
    hosts: Dict[str, str] = {}
    outcome = _outcome(session)
    for spec in session.trees():
        last = session.refs.snapshot(session.machine_id, spec.name, session.began)
        if last is None:
            outcome.notes.append("there is no snapshot of %s, so that nothing of it could be saved" % spec.name)
            continue
        trees.append(spec)
        found[spec.name], hosts[spec.name] = session.manifest(last.manifest, spec), last.host
    return _carry_out(session, outcome, plan_trees(session, found, trees, touch_machine=False, hosts=hosts), None)


def _online(session: Session, site: Site) -> Outcome:
    trees = session.trees()
    outcome = _outcome(session)
    found = capturing.capture(session, site, trees, outcome)
    plans = plan_trees(session, found, trees, session.request.sync_from_baseline, {})
    return _carry_out(session, outcome, plans, site)


def _outcome(session: Session) -> Outcome:
    outcome = Outcome(session.machine_id, session.request.event, session.event_id, dry_run=session.request.dry_run)
    ledger = journal.load(session.store)
    away = journal.last_absence(session.store, ledger, session.machine_id)
    if away is not None:
        outcome.offline_ns = (session.began if away[1] is None else away[1]) - away[0]
    return outcome


def _carry_out(session: Session, outcome: Outcome, plans: List[TreePlan], site: Optional[Site]) -> Outcome:
    """Do what is planned, or on a dry run only say so."""
    outcome.plans = plans
    outcome.notes.extend(_strangers(session, plans))
    outcome.versions = {plan.spec.name: plan.next_version for plan in plans}
    if session.request.dry_run:
        outcome.decisions = doing.count_news(session.store, doing.open_decisions(session, plans))
    else:
        if any(plan.merged.changes for plan in plans):
            _change(session, outcome, site)
        doing.move_bases(session, plans, outcome.versions)
        found = doing.open_decisions(session, plans)
        trees = [plan.spec.name for plan in plans]
        session.check()
        outcome.decisions = decisions.record(
            session.store, session.machine_id, trees, found, doing.waiting(session, plans), session.began
        )
    outcome.changed = outcome.changed or outcome.decisions > 0 or any(plan.does_something for plan in plans)
    return outcome


def _change(session: Session, outcome: Outcome, site: Optional[Site]) -> None:
    """Record, publish, and change the machine. What has changed nothing in the end leaves no record."""
    plans = outcome.plans
    needed = session.request.create_backup or any(plan.resolved for plan in plans)
    path = doing.write_record(session, plans, outcome.versions) if needed else None
    outcome.versions = doing.publish(session, plans, lambda plan: _again(session, plan, site))
    if path is not None or any(plan.resolved for plan in plans):  # what was merged anew may be a conflict now
        path = doing.write_record(session, plans, outcome.versions)
    if site is not None:
        doing.apply(session, plans, site)
    if any(plan.made for plan in plans):
        outcome.sync_id, outcome.backup_path = session.sync_id, path
    else:
        session.refs.drop_record(session.sync_id)


def _strangers(session: Session, plans: List[TreePlan]) -> List[str]:
    """A word on the trees whose base is of a host that had the name before."""
    names = ", ".join(plan.spec.name for plan in plans if session.is_of_another_host(plan.base_ref, plan.host))
    note = "another host has this name since the last sync of %s: what it does not have is not taken for deleted"
    return [note % names] if names else []


def _again(session: Session, plan: TreePlan, site: Optional[Site]) -> TreePlan:
    """The merge of one tree, with the baseline as it is now."""
    known = [one for one in decisions.load_all(session.store) if one.machine_id == session.machine_id]
    touch = site is not None and session.request.sync_from_baseline
    session.began = session.store.now()
    return plan_tree(session, plan.spec, plan.mine, touch, known, plan.host)
