# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Repairs after a crash: what can be put right without anybody's judgement. First a plan, then the doing."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from typing import Any, Dict, List, Optional

from . import journal
from .clock import iso
from .diagnosis.directory import dead_claims, dead_locks
from .diagnosis.history import lost_commits, number_of
from .diagnosis.restate import is_empty, restating
from .errors import LockTimeout, StoreCorrupt, StoreUnavailable, from_os_error
from .observe import load_fleet
from .state import PENDING, Commit, SyncEntry
from .stores.file import FOLDERS, FileStore

MAX_RACES = 20


@dataclass
class Plan:
    """What is to be done."""

    folders: List[str] = field(default_factory=list)
    locks: List[str] = field(default_factory=list)
    commit: Optional[Commit] = None
    ledger: Optional[journal.Ledger] = None
    """The state that the commit rests on, and that the checkpoint is made of."""
    checkpoint: str = ""
    """Why there has to be a new one; empty when the old one is fine."""
    problems: List[Dict[str, Any]] = field(default_factory=list)
    claims: List[SyncEntry] = field(default_factory=list)

    def repairs(self) -> List[Dict[str, str]]:
        """One entry for each thing: where it is, what is wrong with it, and what is done about it."""
        found = [_repair(folder, "it is missing", "made") for folder in self.folders]
        found += [_repair("locks/" + lock, "held by the dead", "removed") for lock in self.locks]
        found += [_repair(str(p["path"]), str(p["what"]), "passed over for good") for p in self.problems]
        for entry in self.claims:
            what = "the claim of %s on %s has run out" % (entry.claimed_by, entry.machine_id)
            found.append(_repair("journal", what, "pending again"))
        if self.checkpoint:
            found.append(_repair(journal.CHECKPOINT, self.checkpoint, "made anew"))
        return found


def _repair(path: str, what: str, done: str) -> Dict[str, str]:
    return {"path": path, "what": what, "done": done}


def run_repair(store: FileStore, clear_locks: bool = False, dry_run: bool = False) -> Dict[str, Any]:
    """Put right what is plainly wrong: folders, locks, claims, the journal and its checkpoint.

    :param clear_locks: remove lock files that no living process of this host holds.
    :param dry_run: say what would be done.
    :raises StoreUnavailable: there is no store, or it cannot be written.
    :raises StoreCorrupt: something that only a person can put right.
    """
    store.connect()
    folders = _missing(store)
    if not dry_run:
        for folder in folders:
            store.make_folder(folder)
    load_fleet(store)
    locks = dead_locks(store.location)
    # What lies beyond a folder that is missing is seen once it is there.
    done = Plan() if dry_run and folders else _journal(store, dry_run)
    done.folders = folders
    if clear_locks:
        done.locks = locks
        for lock in [] if dry_run else locks:
            store.delete("locks/" + lock)
    return _result(store, done, [] if clear_locks else locks)


def _result(store: FileStore, done: Plan, left: List[str]) -> Dict[str, Any]:
    repairs = done.repairs()
    state = done.ledger.state if done.ledger is not None else None
    return {
        "changed": bool(repairs),
        "repairs": repairs,
        "dead_locks": left,
        "commits": done.ledger.last_name if done.ledger is not None else None,
        "machines": len(state.roster) if state is not None else None,
        "last_event": state.event if state is not None else None,
        "repaired_at": None if done.ledger is None else iso(store.now()),
        "diff": {
            "before": {repair["path"]: repair["what"] for repair in repairs},
            "after": {repair["path"]: repair["done"] for repair in repairs},
        },
    }


# -- folders -------------------------------------------------------------------------------------------------------


def _missing(store: FileStore) -> List[str]:
    missing = []
    for folder in FOLDERS:
        path = os.path.join(store.location, folder)
        if not os.path.lexists(path):
            missing.append(folder)
        elif os.path.islink(path) or not os.path.isdir(path):
            raise StoreCorrupt(
                "%s is no folder of the store's; look what it is, move it away, and run this again" % path, path=path
            )
    return missing


# -- the journal and its checkpoint --------------------------------------------------------------------------------


def _journal(store: FileStore, dry_run: bool) -> Plan:
    for _race in range(MAX_RACES):
        plan = _plan(store)
        if dry_run or _apply(store, plan):
            return plan
    raise LockTimeout("checkers were always first in the journal, %d times; try again" % MAX_RACES)


def _plan(store: FileStore) -> Plan:
    rebuilt, ledger = journal.rebuild(store), journal.load(store)
    lost = lost_commits(rebuilt)
    now = store.now()
    why = _why_new(ledger, rebuilt, bool(lost))
    # A checkpoint that is sound knows more than commits that were damaged after it had been made.
    base = rebuilt if why else ledger
    commit = Commit(base.next_number, now, journal.writer_name(), voids=[number_of(p) for p in lost])
    claims = dead_claims(base.state, now)
    free = {entry.event_id: replace(entry, state=PENDING, claimed_by=None, lease_until=None) for entry in claims}
    commit = replace(commit, syncs=free)
    if lost and not why:
        commit = restating(commit, ledger.state, rebuilt.state)
    return Plan([], [], None if is_empty(commit) else commit, base, why, lost, claims)


def _why_new(ledger: journal.Ledger, rebuilt: journal.Ledger, lost: bool) -> str:
    """Why the checkpoint has to be made anew from the journal, or nothing."""
    damaged = [str(p["what"]) for p in ledger.problems if str(p["kind"]).startswith("checkpoint_")]
    if damaged:
        return damaged[0]
    if ledger.checkpoint_number == 0:
        return "it is missing" if ledger.state.number >= journal.CHECKPOINT_EVERY else ""
    same = ledger.state.number != rebuilt.state.number or ledger.state == rebuilt.state
    return "" if lost or same else "it is not what the journal adds up to"


def _apply(store: FileStore, plan: Plan) -> bool:
    """Do it; False when another writer was first."""
    ledger = plan.ledger
    if ledger is None:
        return True
    if plan.commit is not None:
        # Before the commit is appended, so that what is renewed then is already the right one.
        ledger.unusable_checkpoint = ledger.unusable_checkpoint or bool(plan.checkpoint)
        _clear_the_way(store, plan)
        if not journal.append(store, ledger, plan.commit, plan.commit.at):
            return False
    elif plan.checkpoint:
        ledger.unusable_checkpoint = True
        _clear_the_way(store, plan)
        journal.upkeep(store, ledger)
    if ledger.unusable_checkpoint:
        raise StoreUnavailable(
            "%s/%s cannot be replaced; look at its folder's permissions and free space"
            % (store.location, journal.CHECKPOINT),
            path=os.path.join(store.location, journal.CHECKPOINT),
        )
    return True


def _clear_the_way(store: FileStore, plan: Plan) -> None:
    """A folder in the checkpoint's place cannot be replaced by a file: it is moved aside."""
    path = os.path.join(store.location, journal.CHECKPOINT)
    if plan.checkpoint and os.path.isdir(path) and not os.path.islink(path):
        try:
            os.rename(path, "%s.damaged-%s" % (path, os.urandom(4).hex()))
        except OSError as exc:
            raise from_os_error(exc, "move aside", path) from exc
