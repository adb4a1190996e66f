# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A file system without hard links. A real one (vfat) needs a privileged mount, so ``os.link`` is made to answer as
one does, in real processes of their own; everything else is real, the kills too."""

from __future__ import annotations

import json
import os
import signal
import time

import pytest

from ansible_collections.roosync.heartbeat.plugins.module_utils._engine import journal
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.clock import NS
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.errors import StoreUnavailable
from ansible_collections.roosync.heartbeat.tests.unit.checker.children import NO_LINKS, run, run_together
from ansible_collections.roosync.heartbeat.tests.unit.checker.real import RealFleet, kinds

CHECK = "print(json.dumps(check.run_check(store, force=True)))"
# The first half of the commit reaches the disk, and the writer is no more.
DIE_HALFWAY = """
write_all = atomic.write_all
def half(fd, data):
    if data[:1] == atomic.IN_THE_MAKING:
        write_all(fd, data[: int(sys.argv[2])])
        os.kill(os.getpid(), signal.SIGKILL)
    write_all(fd, data)
atomic.write_all = half
"""
# Every fsync takes longer than a commit may take.
SLOW = """
import time
elapsed = 0.0
fsync = os.fsync
def slow(fd):
    global elapsed
    fsync(fd)
    elapsed += atomic.MAKING_LIMIT + 1
os.fsync = slow
time.monotonic = lambda: elapsed
try:
    check.run_check(store, force=True)
except errors.StoreUnavailable as exc:
    print(exc.details["errno"])
"""


def test_checks_work_without_links(fleet: RealFleet) -> None:
    fleet.beat("web", "db", "mail")
    _status, printed = run(NO_LINKS + CHECK, fleet.root)
    assert json.loads(printed)["newly_online"] == ["db", "mail", "web"]
    assert fleet.commit_path(1).read_bytes()[:1] == b"\n", "written in place, and marked so"
    fleet.age("web", 130)
    _status, printed = run(NO_LINKS + CHECK, fleet.root)
    assert json.loads(printed)["newly_offline"] == ["web"]
    assert fleet.check()["transitions"] == []
    assert fleet.rebuilt().state == fleet.ledger().state


def test_checkers_at_once_without_links_record_each_change_once(fleet: RealFleet) -> None:
    names = ["m%02d" % n for n in range(30)]
    fleet.beat(*names)
    fleet.check()
    code = NO_LINKS + "print(json.dumps([check.run_check(store, force=True)['transitions'] for _round in range(8)]))"
    for machine in names[:5]:
        fleet.age(machine, 130)
    found = [t for out in run_together(3, code, fleet.root) for check in json.loads(out) for t in check]
    assert sorted(t["machine_id"] for t in found) == names[:5]
    assert sorted(t["event"] for t in found) == list(range(31, 36))
    assert fleet.rebuilt().state.event == 35


@pytest.mark.parametrize("length", [0, 1, 50, 400])
def test_a_writer_that_died_in_its_commit_is_waited_for_and_then_passed_over(fleet: RealFleet, length: int) -> None:
    fleet.beat("web", "db", "mail", "dns")
    fleet.check()
    fleet.age("web", 130)
    status, _printed = run(NO_LINKS + DIE_HALFWAY + CHECK, fleet.root, length)
    assert status == -signal.SIGKILL
    torn = fleet.commit_path(2)
    assert len(torn.read_bytes()) == length

    with pytest.raises(StoreUnavailable, match="commit 2 is torn") as refused:
        fleet.check()
    assert "web" in refused.value.details["last_known"]["statuses"]["online"]
    assert not fleet.commit_path(3).exists()

    long_ago = time.time_ns() - journal.TORN_GRACE - NS
    os.utime(torn, ns=(long_ago, long_ago))
    found = fleet.check()
    assert found["newly_offline"] == ["web"]
    assert kinds(found) == ["journal_torn"]
    assert fleet.commit(3).voids == [2]
    assert fleet.check()["transitions"] == []
    assert fleet.rebuilt().state == fleet.ledger().state


def test_a_commit_torn_before_the_clock_was_set_back_is_not_waited_for(fleet: RealFleet) -> None:
    fleet.beat("web", "db", "mail", "dns")
    fleet.check()
    fleet.age("web", 130)
    run(NO_LINKS + DIE_HALFWAY + CHECK, fleet.root, 50)
    tomorrow = time.time_ns() + 86_400 * NS
    os.utime(fleet.commit_path(2), ns=(tomorrow, tomorrow))
    assert fleet.changes() == [("web", "online", "offline")]


def test_a_writer_that_took_too_long_takes_its_commit_back(fleet: RealFleet) -> None:
    """Others may have passed it over already."""
    fleet.beat("web")
    _status, printed = run(NO_LINKS + SLOW, fleet.root)
    assert printed.strip() == "ETIMEDOUT"
    assert not fleet.commit_path(1).exists()
    assert fleet.changes() == [("web", "unknown", "online")]


def test_a_commit_that_was_passed_over_stays_so_when_it_is_finished_late(fleet: RealFleet) -> None:
    fleet.beat("web", "db", "mail", "dns")
    fleet.check()
    whole = fleet.commit_path(1).read_bytes()
    fleet.commit_path(1).write_bytes(b"\n" + whole[:60])
    os.utime(fleet.commit_path(1), (1, 1))
    assert len(fleet.check()["transitions"]) == 4
    state = fleet.ledger().state
    fleet.commit_path(1).write_bytes(b"\n" + whole)
    assert fleet.rebuilt().state == state == fleet.ledger().state
    with fleet.open() as store:
        events = [t.event for t in journal.transitions_since(store, journal.load(store), 0)]
    assert events == [1, 2, 3, 4]
