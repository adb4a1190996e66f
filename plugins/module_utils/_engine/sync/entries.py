# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who works on which sync entry: claims are commits of the journal, with a lease in the store's time.

A worker that dies leaves its claim behind, and the entry is taken again when the lease has run out. So an entry is
worked on at least once, and never by two workers at once within a lease; nor are two entries of one machine.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import AbstractSet, Callable, Iterator, List, Optional

from .. import journal
from ..clock import NS, iso
from ..detect.syncs import what_holds
from ..errors import HeartbeatError, LockTimeout
from ..settings import Settings
from ..state import FAILED, PENDING, RUNNING, Commit, State, SyncEntry
from ..stores.base import Store

LEASE = 300 * NS
LOCK_PATIENCE = 5.0
MAX_RACES = 100
ASKED = "asked-"
"""What the id of an entry begins with that no transition opened: somebody asked for a sync."""
OWN = ASKED + "own-"
"""What it begins with where that was asked for with options, which nobody else knows."""


@dataclass(frozen=True)
class Wanted:
    """Which of the open entries a worker would take.

    :param machine_id: of this machine only; None for any.
    :param event: ``offline`` or ``online``; None for either.
    :param passed: entries that this worker had already.
    """

    machine_id: Optional[str] = None
    event: Optional[str] = None
    passed: AbstractSet[str] = frozenset()

    def includes(self, entry: SyncEntry) -> bool:
        return (
            self.machine_id in (None, entry.machine_id)
            and self.event in (None, entry.event)
            and entry.event_id not in self.passed
        )


def worker_name() -> str:
    """A name that no other worker has, nor this process in its next attempt."""
    return "%s:%s" % (journal.writer_name(), os.urandom(4).hex())


def in_turn(state: State) -> List[SyncEntry]:
    """Every open entry, the oldest first."""
    return sorted(state.syncs.values(), key=lambda entry: (entry.opened_at, entry.event_id))


def is_free(entry: SyncEntry, now: int) -> bool:
    """Whether nobody works on an entry, and somebody should."""
    if entry.state == RUNNING:
        return entry.lease_until is None or entry.lease_until <= now
    return entry.state in (PENDING, FAILED)


def worker_on(state: State, machine_id: str, now: int) -> Optional[SyncEntry]:
    """The entry of a machine that somebody is working on."""
    for entry in state.syncs.values():
        if entry.machine_id == machine_id and entry.state == RUNNING and not is_free(entry, now):
            return entry
    return None


def obstacle(state: State, machine_id: str) -> Optional[str]:
    """Why nothing may be synced on a machine just now, whoever asks; None when it may."""
    for window in state.windows:
        if window.until is None:
            return "the store has been away, and the incident %s is still open" % window.incident_id
    held_by = what_holds(state.machines.get, state.incidents)(machine_id)
    return None if held_by is None else "held by %s" % held_by


def candidates(state: State, settings: Settings, wanted: Wanted, now: int) -> Iterator[SyncEntry]:
    """The entries that may be taken now, in turn. Pure."""
    if not settings.auto_sync:
        return
    for entry in in_turn(state):
        if (
            wanted.includes(entry)
            and is_free(entry, now)
            and worker_on(state, entry.machine_id, now) is None
            and obstacle(state, entry.machine_id) is None
        ):
            yield entry


def take(
    store: Store,
    settings: Settings,
    wanted: Wanted,
    worker: Optional[str] = None,
    lease: int = LEASE,
    can_be_done: Callable[[SyncEntry], bool] = lambda _entry: True,
) -> Optional[SyncEntry]:
    """Claim the next entry there is for a worker; None when there is none.

    :param worker: see :func:`worker_name`.
    :param can_be_done: whether this worker can do what an entry asks for.
    :raises StoreUnavailable: the store is away, so nothing is taken.
    """

    def choose(state: State, now: int) -> Optional[SyncEntry]:
        return next(filter(can_be_done, candidates(state, settings, wanted, now)), None)

    return _claim(store, choose, worker or worker_name(), lease)


def ask(
    store: Store,
    machine_id: str,
    event: str,
    worker: Optional[str] = None,
    lease: int = LEASE,
    key: Optional[str] = None,
    own: bool = False,
) -> SyncEntry:
    """Claim a machine for a sync that somebody asked for: its open entry of this event, or else a new one.

    :param key: the id of a new entry.
    :param own: whether the sync has options of its own, so that nobody else can finish it.
    :raises LockTimeout: the machine is being synced, or something holds it.
    """
    asked = key or (OWN if own else ASKED) + os.urandom(8).hex()

    def choose(state: State, now: int) -> SyncEntry:
        busy = worker_on(state, machine_id, now)
        if busy is not None:
            raise LockTimeout(
                "%s is being synced by %s, whose claim ends at %s unless it is renewed; try again later"
                % (machine_id, busy.claimed_by, iso(busy.lease_until or now)),
                machine_id=machine_id,
            )
        reason = obstacle(state, machine_id)
        if reason is not None:
            raise LockTimeout(
                "%s is not synced now: %s; a person can release an incident with heartbeat_incident"
                % (machine_id, reason),
                machine_id=machine_id,
            )
        mine = Wanted(machine_id, event)
        found = [entry for entry in in_turn(state) if mine.includes(entry) and is_free(entry, now)]
        found = [entry for entry in found if key in (None, entry.event_id)]
        return found[-1] if found else SyncEntry(asked, machine_id, event, PENDING, opened_at=now)

    claimed = _claim(store, choose, worker or worker_name(), lease)
    if claimed is None:
        raise AssertionError("claimed is None")
    return claimed


def _claim(
    store: Store, choose: Callable[[State, int], Optional[SyncEntry]], worker: str, lease: int
) -> Optional[SyncEntry]:
    with store.lock("syncs", LOCK_PATIENCE):  # it only spares lost races
        for _race in range(MAX_RACES):
            ledger = journal.load(store)
            now = store.now()
            entry = choose(ledger.state, now)
            if entry is None:
                return None
            claimed = replace(
                entry,
                state=RUNNING,
                claimed_by=worker,
                lease_until=now + lease,
                attempts=entry.attempts + 1,
                held_by=None,
            )
            if _commit(store, ledger, claimed, now):
                return claimed
    raise _races()


def renew(store: Store, claimed: SyncEntry, lease: int = LEASE) -> bool:
    """Put the end of a claim off; False when it is no longer this worker's."""
    return _change(store, claimed, lambda now: replace(claimed, lease_until=now + lease))


def finish(store: Store, claimed: SyncEntry, outcome: str, reason: Optional[str] = None) -> bool:
    """Give a claim back.

    :param outcome: ``done``, ``skipped`` or ``failed``; a failed one will be taken again.
    :returns: False when it was no longer this worker's: somebody else has taken it, or the machine was forgotten.
    """
    closed = replace(claimed, state=outcome, reason=reason, claimed_by=None, lease_until=None)
    return _change(store, claimed, lambda now: closed)


def _change(store: Store, claimed: SyncEntry, change: Callable[[int], SyncEntry]) -> bool:
    for _race in range(MAX_RACES):
        ledger = journal.load(store)
        current = ledger.state.syncs.get(claimed.event_id)
        if current is None or current.state != RUNNING or current.claimed_by != claimed.claimed_by:
            return False
        now = store.now()
        if _commit(store, ledger, change(now), now):
            return True
    raise _races()


def _commit(store: Store, ledger: journal.Ledger, entry: SyncEntry, now: int) -> bool:
    commit = Commit(ledger.next_number, now, journal.writer_name(), syncs={entry.event_id: entry})
    return journal.append(store, ledger, commit, now)


def _races() -> HeartbeatError:
    return LockTimeout("others were always first in the journal, %d times; try again" % MAX_RACES)
