# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Several workers at once over many entries, some of them killed: real processes, real signals."""

from __future__ import annotations

import os
import random
import signal
import time
from collections import Counter
from pathlib import Path
from typing import Callable, Dict, List, Tuple

import pytest

from ansible_collections.roosync.heartbeat.plugins.module_utils._engine import documents, journal
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.clock import NS
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.errors import LockTimeout
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.settings import Settings
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.state import (
    DONE,
    FAILED,
    ONLINE,
    PENDING,
    RUNNING,
    Commit,
    SyncEntry,
)
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.stores.file import FileStore
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.sync import entries
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.sync.claim import Claim
from ansible_collections.roosync.heartbeat.tests.unit.checker.real import RealFleet

PATIENCE = 240.0
LEASE = NS // 2
WORKERS, MACHINES, KILLS = 4, 25, 12


def opened(store: FileStore, machines: int, each: int = 1) -> List[str]:
    ledger = journal.load(store)
    now = store.now()
    made = [
        SyncEntry("e%d-%02d" % (turn, number), "m%02d" % number, ONLINE, PENDING, now + turn)
        for turn in range(each)
        for number in range(machines)
    ]
    assert journal.append(
        store, ledger, Commit(ledger.next_number, now, "test", syncs={e.event_id: e for e in made}), now
    )
    return [e.event_id for e in made]


def forked(work: Callable[[], None]) -> int:
    """A process that does the work and ends."""
    pid = os.fork()
    if pid:
        return pid
    try:
        work()
        os._exit(0)
    except BaseException as exc:
        os.write(2, ("a worker failed: %r\n" % exc).encode())
    finally:
        os._exit(1)


def ended(pid: int) -> int:
    """How a process ended, within a bound."""
    deadline = time.monotonic() + PATIENCE
    while True:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > deadline:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            pytest.fail("a worker did not end")
        time.sleep(0.005)


def work_through(fleet: RealFleet, log: Path, seed: int) -> None:
    """What a worker does until nothing is open any more; some of its work fails."""
    chance = random.Random(seed)
    told = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    deadline = time.monotonic() + PATIENCE
    with fleet.open() as store:
        while time.monotonic() < deadline:
            claimed = entries.take(store, Settings(), entries.Wanted(), lease=LEASE)
            if claimed is None:
                if not journal.load(store).state.syncs:
                    return
                time.sleep(0.02)
                continue
            os.write(told, ("begin %s %s\n" % (claimed.event_id, claimed.claimed_by)).encode())
            time.sleep(chance.uniform(0, 0.02))
            if chance.random() < 0.2:
                entries.finish(store, claimed, FAILED, "it happens")
            else:
                os.write(told, ("end %s %s\n" % (claimed.event_id, claimed.claimed_by)).encode())
                entries.finish(store, claimed, DONE)
    raise TimeoutError("entries are left: %s" % journal.load(store).state.syncs)


def all_commits(store: FileStore) -> List[Commit]:
    found = []
    for number in range(1, journal.load(store).state.number + 1):
        data = store.read_commit(number)
        assert data is not None
        found.append(documents.load_commit(data.data, number))
    return found


def never_two_at_once(commits: List[Commit]) -> int:
    """No claim was made of a machine while another one of it held; how many claims there were."""
    held: Dict[str, Tuple[str, str, int]] = {}
    claims = 0
    for commit in commits:
        for entry in commit.syncs.values():
            holder = held.get(entry.machine_id)
            if entry.state != RUNNING:
                if holder is not None and holder[0] == entry.event_id:
                    del held[entry.machine_id]
                continue
            claims += 1
            assert entry.claimed_by is not None
            assert entry.lease_until is not None
            mine = (entry.event_id, entry.claimed_by)
            assert holder is None or holder[:2] == mine or holder[2] <= commit.at, (commit, holder)
            held[entry.machine_id] = (*mine, entry.lease_until)
    return claims


def test_every_entry_is_done_whoever_dies(fleet: RealFleet, store: FileStore, tmp_path: Path) -> None:
    expected = opened(store, MACHINES, each=2)
    log = tmp_path / "log"
    chance = random.Random(5)
    seeds = iter(range(1000))
    running = [forked(lambda: work_through(fleet, log, next(seeds))) for _worker in range(WORKERS)]
    killed = 0
    deadline = time.monotonic() + PATIENCE
    try:
        while killed < KILLS:
            assert time.monotonic() < deadline
            time.sleep(chance.uniform(0.01, 0.05))
            victim = chance.choice(running)
            os.kill(victim, signal.SIGKILL)
            running.remove(victim)
            killed += ended(victim) == -signal.SIGKILL
            seed = next(seeds)
            running.append(forked(lambda seed=seed: work_through(fleet, log, seed)))  # type: ignore[misc]
        assert [ended(pid) for pid in list(running)] == [0] * WORKERS
        running.clear()
    finally:
        for pid in running:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
    lines = [line.split() for line in log.read_text().splitlines()]
    finished = Counter(event_id for what, event_id, _worker in lines if what == "end")
    assert set(finished) == set(expected), "each was done by at least one"
    ledger = fleet.ledger()
    assert ledger.state.syncs == {}
    assert ledger.problems == []
    assert fleet.rebuilt().state == ledger.state
    assert never_two_at_once(all_commits(store)) >= len(expected)


def test_a_claim_is_renewed_for_as_long_as_the_work_takes(fleet: RealFleet, store: FileStore) -> None:
    opened(store, 1)
    lease = 4 * NS  # a thread that is not let run for two thirds of it loses the claim
    claimed = entries.take(store, Settings(), entries.Wanted(), lease=lease)
    assert claimed is not None
    with Claim(store, claimed, fleet.open, lease=lease) as claim:
        until = time.monotonic() + 1.5 * lease / NS
        while time.monotonic() < until:
            assert entries.take(store, Settings(), entries.Wanted()) is None
            time.sleep(0.05)
        claim.check()
    assert journal.load(store).state.syncs == {}
    assert never_two_at_once(all_commits(store)) >= 3


def test_an_error_leaves_the_entry_failed_with_its_reason(fleet: RealFleet, store: FileStore) -> None:
    opened(store, 1)
    claimed = entries.take(store, Settings(), entries.Wanted())
    assert claimed is not None
    with pytest.raises(LockTimeout), Claim(store, claimed, fleet.open):
        raise LockTimeout("somebody was faster")
    left = next(iter(journal.load(store).state.syncs.values()))
    assert (left.state, left.reason) == (FAILED, "LOCK_TIMEOUT: somebody was faster")


def hold(fleet: RealFleet, claimed: SyncEntry, ready: int, go_on: int) -> None:
    """Work on a claim until told to go on; the claim must be lost by then."""
    with fleet.open() as store, Claim(store, claimed, fleet.open, lease=LEASE) as claim:
        os.write(ready, b".")
        os.read(go_on, 1)
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            try:
                claim.check()
            except LockTimeout:
                return
            time.sleep(0.02)
    raise AssertionError("it never noticed")


def test_a_worker_that_stood_still_notices(fleet: RealFleet, store: FileStore) -> None:
    opened(store, 1)
    claimed = entries.take(store, Settings(), entries.Wanted(), lease=LEASE)
    assert claimed is not None
    ready, ready_in = os.pipe()
    go_on, go_on_in = os.pipe()
    pid = forked(lambda: hold(fleet, claimed, ready_in, go_on))
    try:
        assert os.read(ready, 1) == b"."
        os.kill(pid, signal.SIGSTOP)
        heir = None
        deadline = time.monotonic() + PATIENCE
        while heir is None:
            assert time.monotonic() < deadline
            heir = entries.take(store, Settings(), entries.Wanted())
            time.sleep(0.02)
        os.kill(pid, signal.SIGCONT)
        os.write(go_on_in, b".")
        assert ended(pid) == 0
    finally:
        for fd in (ready, ready_in, go_on, go_on_in):
            os.close(fd)
    assert journal.load(store).state.syncs == {heir.event_id: heir}, "the late one has changed nothing"
