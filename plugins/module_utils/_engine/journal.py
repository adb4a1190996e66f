# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The journal: a numbered log with put-if-absent, folded into a checkpoint that can be rebuilt at any time.

Source of the idea: the transaction log of Delta Lake. Of two checkers that commit at once one gets the number; the
other reads on and decides anew. A commit that cannot be read is reported and passed over, never fatal.
"""

from __future__ import annotations

import itertools
import os
from bisect import bisect_left
from dataclasses import dataclass, field, replace
from typing import Callable, Dict, Iterator, List, Optional, Tuple

from . import documents, sealed
from .clock import NS
from .errors import HeartbeatError, StoreUnavailable
from .state import OFFLINE, Commit, State, Transition, fold
from .stores.atomic import IN_THE_MAKING, MAKING_LIMIT
from .stores.base import NOT_A_FILE, Received, Store

CHECKPOINT = "checkpoint.json"
CHECKPOINT_EVERY = 16
KEEP_LISTED = 200
MAX_LOOK_BACK = 1000
MAX_GAP = 1000
"""If more commits than this are missing in a row, a file beyond them counts only if it is one, and they are not looked
for one by one: anybody can leave a file under a number that the journal never comes to."""
MAX_NUMBER = 1 << 62
Wanted = Callable[[Transition], bool]
TORN_GRACE = int(2 * MAKING_LIMIT) * NS
"""How long a torn commit may still be in the making, on a file system without hard links."""


@dataclass
class Ledger:
    """The folded state, and what was wrong on the way to it."""

    state: State
    problems: List[Dict[str, object]] = field(default_factory=list)
    checkpoint_number: int = 0
    bytes_folded: int = 0
    checkpoint_bytes: int = 0
    torn: Dict[int, int] = field(default_factory=dict)
    """Unreadable commits: number -> when the file was written."""
    in_the_making: Optional[int] = None
    """The last commit, when it is torn in a way that says that its writer may still be at it."""
    last_name: int = 0
    """The highest number taken, by whatever is there."""
    unusable_checkpoint: bool = False
    """What lies there as the checkpoint is wrong: :func:`upkeep` replaces it."""

    @property
    def next_number(self) -> int:
        return max(self.state.number, self.last_name) + 1


def load(store: Store) -> Ledger:
    """The journal as it stands: the checkpoint if it is sound, and every commit after it."""
    ledger = _from_checkpoint(store)
    listed = store.commit_numbers()
    if ledger.checkpoint_number > max(listed, default=0) and read_commit(store, ledger.checkpoint_number) is None:
        ledger = Ledger(State(), problems=ledger.problems, unusable_checkpoint=True)
        _problem(ledger, "checkpoint_newer", CHECKPOINT, "it is newer than the journal; rebuilt from the journal")
    first = ledger.checkpoint_number + 1
    if first == 1 or min((n for n in listed if n >= first), default=first) > first:
        listed += _archived(store)
    _fold_after(store, ledger, listed)
    return ledger


def _from_checkpoint(store: Store) -> Ledger:
    try:
        data = store.read(CHECKPOINT)
        if data is None:
            return Ledger(State())
        state = documents.load_state(data)
    except (ValueError, StoreUnavailable) as exc:
        if isinstance(exc, StoreUnavailable) and exc.details.get("errno") not in NOT_A_FILE:
            raise
        ledger = Ledger(State(), unusable_checkpoint=True)
        _problem(ledger, "checkpoint_corrupt", CHECKPOINT, "%s; rebuilt from the journal" % exc)
        return ledger
    return Ledger(state, checkpoint_number=state.number, checkpoint_bytes=len(data), last_name=state.number)


def _archived(store: Store) -> List[int]:
    names = [name[:-5] for name in store.names("journal/archive") if name.isascii() and name.endswith(".json")]
    return [int(name) for name in names if len(name) == 20 and name.isdigit()]


def _fold_after(store: Store, ledger: Ledger, listed: List[int]) -> None:
    """Fold every commit after the checkpoint, by name: a listing may be stale, an open is not."""
    commits: List[Commit] = []
    gaps: Dict[int, int] = {}
    last = ledger.state.number
    for number in sorted({n for n in listed if n > last}):
        missing = number - last - 1
        if missing > MAX_GAP:
            if not _is_commit(store, number):
                _problem(ledger, "not_a_record", _path(number), "far beyond the last commit, and none; passed over")
                continue
            gaps[last + 1] = missing
            last = number - 1
        gaps.update({n: 1 for n in range(last + 1, number + 1) if not _take(store, ledger, n, commits)})
        last = number
    while _take(store, ledger, last + 1, commits):
        last += 1
    voided = {void for commit in commits for void in commit.voids}
    for commit in commits:
        if commit.number not in voided:
            fold(ledger.state, commit)
    ledger.torn = {n: at for n, at in ledger.torn.items() if n not in voided}
    for gap, count in gaps.items():
        if gap not in voided:
            what = "the commit is" if count == 1 else "%d commits from here on are" % count
            _problem(ledger, "journal_gap", _path(gap), what + " missing; passed over")


def _take(store: Store, ledger: Ledger, number: int, commits: List[Commit]) -> bool:
    """Open what is under a number, if there is anything; a commit that cannot be read is noted."""
    found = read_commit(store, number)
    if found is None:
        return False
    ledger.last_name = max(ledger.last_name, number)
    ledger.bytes_folded += len(found.data)
    try:
        commits.append(documents.load_commit(found.data, number))
    except ValueError as exc:
        ledger.torn[number] = found.received_at
        if not found.data or found.data[:1] == IN_THE_MAKING:
            ledger.in_the_making = number
        _problem(ledger, "journal_torn", _path(number), "%s; passed over" % exc)
    return True


def _is_commit(store: Store, number: int) -> bool:
    """Whether a number that the journal has not nearly come to is one all the same: what was before it may be lost."""
    if number >= MAX_NUMBER:
        return False
    try:
        found = read_commit(store, number)
        return found is not None and documents.load_commit(found.data, number) is not None
    except ValueError:
        return False
    except StoreUnavailable as exc:
        if exc.details.get("errno") != "EACCES":
            raise
        return False


def _path(number: int) -> str:
    return "journal/%020d.json" % number


def read_commit(store: Store, number: int) -> Optional[Received]:
    """A commit; where something else than a file lies under its name, an empty one that was torn long ago."""
    try:
        return store.read_commit(number)
    except StoreUnavailable as exc:
        if exc.details.get("errno") not in NOT_A_FILE:
            raise
        return Received(b"", 0)


def _problem(ledger: Ledger, kind: str, path: str, what: str) -> None:
    ledger.problems.append({"kind": kind, "path": path, "what": what})


def append(store: Store, ledger: Ledger, commit: Commit, now: int) -> bool:
    """Commit; False when another writer had the number first (load again, decide again).

    On success the ledger's state includes the commit, and the checkpoint is renewed when that pays.
    """
    if commit.number == 0 or commit.number != ledger.next_number:
        raise ValueError("a commit must have the ledger's next number")
    making = ledger.in_the_making
    if making == ledger.last_name and making in ledger.torn and abs(now - ledger.torn[making]) < TORN_GRACE:
        raise StoreUnavailable(
            "commit %d is torn: another writer is in the middle of it, or died there; it is passed over %d s after it "
            "began, so try again then" % (making, TORN_GRACE // NS)
        )
    commit = replace(commit, voids=sorted({*commit.voids, *ledger.torn}))
    data = sealed.seal(documents.dump(commit))
    if not store.append_commit(commit.number, data):
        return False
    fold(ledger.state, commit)
    ledger.torn.clear()
    ledger.last_name = commit.number
    ledger.bytes_folded += len(data)
    upkeep(store, ledger)
    return True


def upkeep(store: Store, ledger: Ledger) -> None:
    """Renew the checkpoint and archive old commits, if that pays, whether or not there is anything to commit.

    A failure here loses nothing: the journal is the truth.
    """
    behind = ledger.state.number - ledger.checkpoint_number
    pays = behind >= CHECKPOINT_EVERY or ledger.bytes_folded > max(65_536, ledger.checkpoint_bytes)
    if not pays and not ledger.unusable_checkpoint:
        return
    try:
        data = sealed.seal(documents.dump_state(ledger.state))
        store.write(CHECKPOINT, data)
        ledger.checkpoint_number, ledger.checkpoint_bytes, ledger.bytes_folded = ledger.state.number, len(data), 0
        ledger.unusable_checkpoint = False
        old = [n for n in store.commit_numbers() if n <= ledger.state.number - KEEP_LISTED]
        if len(old) >= KEEP_LISTED:
            store.archive_commits(old)
        store.sweep(store.now())
    except HeartbeatError:
        return


def rebuild(store: Store) -> Ledger:
    """The state from the first commit on, whatever the checkpoint says."""
    ledger = Ledger(State())
    _fold_after(store, ledger, store.commit_numbers() + _archived(store))
    return ledger


def transitions_since(
    store: Store, ledger: Ledger, event: int, limit: Optional[int] = None, wanted: Optional[Wanted] = None
) -> List[Transition]:
    """The transitions with an event number above ``event``, oldest first.

    :param limit: at most so many, the newest.
    :param wanted: whether one is of the kind that is asked for; None for all.
    """
    found: List[Transition] = []
    for transitions in _commits_since(store, ledger, event):
        found.extend(transitions if wanted is None else filter(wanted, transitions))
        if limit is not None and len(found) >= limit:
            break
    found.sort(key=lambda t: t.event)
    return found if limit is None else found[-limit:] if limit else []


def first_since(store: Store, ledger: Ledger, event: int, limit: int, wanted: Wanted) -> List[Transition]:
    """The first transitions of some kind with an event number above ``event``, oldest first.

    :param limit: at most so many, the oldest.
    :param wanted: whether one is of that kind.
    """
    found: List[Transition] = []
    for transitions in _commits_since(store, ledger, event):
        found = sorted(filter(wanted, [*transitions, *found]), key=lambda t: t.event)[:limit]
    return found


def _commits_since(store: Store, ledger: Ledger, event: int) -> Iterator[List[Transition]]:
    """Of each commit, the newest first, the transitions with an event number above ``event``."""
    for commit in _backwards(store, ledger):
        yield [t for t in commit.transitions if t.event > event]
        if any(t.event <= event for t in commit.transitions):
            return


def last_absence(store: Store, ledger: Ledger, machine_id: str) -> Optional[Tuple[int, Optional[int]]]:
    """When a machine last went offline, and when it was back; None for the latter while it is away.

    None for both if that was longer ago than anybody asks for, or before the machine was forgotten.
    """
    back: Optional[int] = None
    for commit in itertools.islice(_backwards(store, ledger), MAX_LOOK_BACK):
        if machine_id in commit.forgotten:
            return None
        for transition in reversed(commit.transitions):
            if transition.machine_id != machine_id or transition.from_status == transition.to_status:
                continue
            if transition.to_status == OFFLINE:
                return transition.effective_at, back
            if transition.from_status == OFFLINE:
                back = transition.effective_at
    return None


def _backwards(store: Store, ledger: Ledger) -> Iterator[Commit]:
    voided = set()
    listed: List[int] = []
    number = ledger.last_name
    while number > 0:
        data = read_commit(store, number)
        if data is None:
            listed = listed or sorted(store.commit_numbers() + _archived(store))
            number = listed[bisect_left(listed, number) - 1] if listed and listed[0] < number else 0
            continue
        try:
            commit = documents.load_commit(data.data, number)
        except ValueError:
            commit = None
        if commit is not None:
            voided.update(commit.voids)
            if number not in voided:
                yield commit
        number -= 1


def writer_name() -> str:
    """Who commits, for a person who reads the journal."""
    return "%s:%d" % (os.uname().nodename, os.getpid())
