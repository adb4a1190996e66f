# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the agent keeps on its host, where a fault has to be put between two steps or time has to pass at once."""

from __future__ import annotations

import errno
import os
import posix
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.roosync.heartbeat.plugins.module_utils._engine import identity
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.agent import beater, local, quick, service
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.agent.config import load
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.errors import (
    IdentityConflict,
    ServiceAlreadyRunning,
    StoreUnavailable,
)
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.record import Beat, encode, skew_ms
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.stores import atomic
from ansible_collections.roosync.heartbeat.tests.unit.stdlib.agents import Agent, beaten
from ansible_collections.roosync.heartbeat.tests.unit.stdlib.support import ENGINE, Fleet, open_descriptors, tree

SECOND = 1_000_000_000
# Holds the lock as a beat does.
SHORT_BEAT = """
import sys, time
sys.path.insert(0, sys.argv[1])
from _engine.agent import quick
fd = quick.lock(sys.argv[2])
print("held", flush=True)
time.sleep(0.5)
"""


class Clock:
    """Time since boot that passes when it is told to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1_000 * SECOND
        for module in (local, beater):
            monkeypatch.setattr(module, "boot_time", lambda: self.now)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def test_a_spool_is_one_window_counted_back_from_now(clock: Clock, tmp_path: Path) -> None:
    spool = local.Spool(str(tmp_path), "boot")
    assert spool.missed() is None
    assert spool.away_ns() == 0
    for _attempt in range(3):
        began = clock.now
        clock.now += SECOND
        spool.failed("STORE_UNAVAILABLE", began)
        clock.now += 9 * SECOND
    missed = spool.missed()
    assert missed is not None
    assert (missed.count, missed.began_ms, missed.ended_ms, missed.why) == (3, 30_000, 9_000, "STORE_UNAVAILABLE")
    assert spool.away_ns() == 30 * SECOND
    again = local.Spool(str(tmp_path), "boot")
    assert again.missed() == missed
    assert local.Spool(str(tmp_path), "another boot").missed() is None


def test_an_outage_is_told_for_a_quarter_of_an_hour_and_then_forgotten(clock: Clock, tmp_path: Path) -> None:
    spool = local.Spool(str(tmp_path), "boot")
    spool.failed("STORE_UNAVAILABLE", clock.now)
    spool.succeeded()
    assert spool.away_ns() == 0
    clock.now += 900 * SECOND
    spool.succeeded()
    assert spool.missed() is not None
    assert local.Spool(str(tmp_path), "boot").missed() is not None
    clock.now += 1
    spool.succeeded()
    assert spool.missed() is None
    assert os.listdir(tmp_path) == []


def test_a_new_outage_begins_a_new_window(clock: Clock, tmp_path: Path) -> None:
    spool = local.Spool(str(tmp_path), "boot")
    for _outage in range(2):
        for _attempt in range(2):
            spool.failed("STORE_UNAVAILABLE", clock.now)
            clock.now += SECOND
        missed = spool.missed()
        assert missed is not None
        assert (missed.count, missed.began_ms) == (2, 2_000)
        spool.succeeded()


# A file system that hangs cannot be had here: the clock is moved on in the middle of a beat instead.
@pytest.mark.parametrize("where", ["place", "read_settings"])
def test_a_store_that_hung_was_away_and_the_first_beat_afterwards_says_so(
    agent: Agent, fleet: Fleet, clock: Clock, monkeypatch: Any, where: str
) -> None:
    """Whoever checks at the moment of the return has nothing but these beats to go by."""
    local.prepare_state_dir(str(agent.state_dir))
    ours, real, hangs = beater.Beater(load(str(agent.conf))), getattr(beater, where), [60 * SECOND]

    def slow(*args: Any, **kwargs: Any) -> Any:
        clock.now += hangs.pop() if hangs else 0
        return real(*args, **kwargs)

    monkeypatch.setattr(beater, where, slow)
    ours.beat()
    missed = fleet.beat("web1").missed
    assert missed is not None
    assert (missed.count, missed.why, missed.began_ms) == (1, "STORE_SLOW", 60_000)
    assert not ours.spool.away_ns()


def test_a_store_that_hung_while_the_agent_slept_was_away_too(
    agent: Agent, fleet: Fleet, clock: Clock, monkeypatch: Any
) -> None:
    """It looks for new settings then, and the beat after that would know of no trouble."""
    local.prepare_state_dir(str(agent.state_dir))
    ours, real = beater.Beater(load(str(agent.conf))), os.open
    ours.beat()
    assert not ours.is_told()

    def slow(path: Any, *args: Any, **kwargs: Any) -> int:
        clock.now += 60 * SECOND
        return real(path, *args, **kwargs)

    with monkeypatch.context() as hanging:
        hanging.setattr(os, "open", slow)
        assert ours.is_told()
    ours.beat()
    missed = fleet.beat("web1").missed
    assert missed is not None
    assert (missed.count, missed.why, missed.began_ms) == (1, "STORE_SLOW", 60_000)
    assert not ours.is_told()
    fleet.configure({})
    assert ours.is_told()


def test_a_quick_beat_that_hung_is_followed_by_one_that_says_so(agent: Agent, fleet: Fleet) -> None:
    """The quick way leaves its note in the form of the spool, and a careful beat reports it."""
    local.prepare_state_dir(str(agent.state_dir))
    quick.note_hang(str(agent.state_dir), identity.boot_id(), 7 * SECOND)
    beater.Beater(load(str(agent.conf))).beat()
    missed = fleet.beat("web1").missed
    assert missed is not None
    assert (missed.count, missed.why) == (1, "STORE_SLOW")
    assert 7_000 <= missed.began_ms - missed.ended_ms <= 7_001


def test_a_quick_beat_that_hangs_is_taken_back(agent: Agent, fleet: Fleet, monkeypatch: Any) -> None:
    """What it would say is of a time long gone: the record stays as it is until a beat can say what was missed."""
    beaten(agent.quick())
    before = tree(fleet.root)
    monkeypatch.setattr(quick, "HANGS_NS", -1)
    with pytest.raises(quick.Changed):
        quick.beat(str(agent.conf))
    assert tree(fleet.root) == before
    monkeypatch.undo()
    beaten(agent.quick())
    missed = fleet.beat("web1").missed
    assert missed is not None
    assert missed.why == "STORE_SLOW"


def test_a_write_that_took_too_long_is_taken_back_and_made_again(agent: Agent, fleet: Fleet, monkeypatch: Any) -> None:
    local.prepare_state_dir(str(agent.state_dir))
    ours, real, limits = beater.Beater(load(str(agent.conf))), atomic.write_temporary, [-1.0]

    def hang_once(*args: Any, **kwargs: Any) -> Any:
        monkeypatch.setattr(atomic, "MAKING_LIMIT", limits.pop() if limits else 30.0)
        return real(*args, **kwargs)

    monkeypatch.setattr(atomic, "write_temporary", hang_once)
    ours.beat()
    missed = fleet.beat("web1").missed
    assert missed is not None
    assert (missed.count, missed.why) == (1, "STORE_UNAVAILABLE")
    assert [name for name in os.listdir(fleet.root / "default" / "heartbeats") if name.startswith(".tmp")] == []


def test_time_in_which_this_host_could_not_reach_the_store_proves_nothing_about_another(
    agent: Agent, fleet: Fleet, clock: Clock, tmp_path: Path
) -> None:
    """Both were cut off from the store; whoever is back first must not take the other for dead."""
    local.prepare_state_dir(str(agent.state_dir))
    ours = beater.Beater(load(str(agent.conf)))
    fleet.record("web1").write_bytes(encode(Beat("web1", 1, "", fingerprint="another host")))
    fleet.root.rename(tmp_path / "away")
    with pytest.raises(StoreUnavailable):
        ours.beat()
    (tmp_path / "away").rename(fleet.root)
    clock.now += 30 * SECOND
    fleet.age("web1", 30)  # longer than offline_after, and just as long as the store was away
    with pytest.raises(IdentityConflict):
        ours.beat()
    assert fleet.beat("web1").fingerprint == "another host"


@pytest.mark.parametrize("same_tick", [False, True])
def test_nothing_is_prepared_from_the_record_of_another_host(
    agent: Agent, fleet: Fleet, monkeypatch: pytest.MonkeyPatch, same_tick: bool
) -> None:
    """It was written in the moment after ours; the next quick beat would have replaced it without a word.

    The clock of file times moves in steps, so that of the two records both may be of one time.
    """
    local.prepare_state_dir(str(agent.state_dir))
    ours, real = beater.Beater(load(str(agent.conf))), beater.place

    def overtaken(store: Any, *args: Any, **kwargs: Any) -> Any:
        placed = real(store, *args, **kwargs)
        store.write_beat("web1", encode(Beat("web1", 9, "", fingerprint="another host")))
        if same_tick:
            os.utime(str(fleet.record("web1")), ns=(placed.received_at, placed.received_at))
        return placed

    monkeypatch.setattr(beater, "place", overtaken)
    ours.beat()
    with pytest.raises((quick.Changed, OSError, ValueError)):
        quick.beat(str(agent.conf))
    with pytest.raises(IdentityConflict):
        ours.beat()
    assert fleet.beat("web1").fingerprint == "another host"


@pytest.mark.parametrize("call", ["write", "fsync", "rename", "urandom", "lockf", "pwrite"])
def test_a_quick_beat_that_fails_leaves_nothing_behind(
    agent: Agent, fleet: Fleet, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    """Injected: each of its system calls fails once, as on a full or a broken disk."""
    beaten(agent.quick())
    before, descriptors = tree(fleet.root), open_descriptors()

    def fail(*args: Any, **kwargs: Any) -> Any:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(posix, call, fail)
    with pytest.raises((quick.Changed, OSError)):
        quick.beat(str(agent.conf))
    monkeypatch.undo()
    if call != "pwrite":
        assert tree(fleet.root) == before
    assert fleet.leftovers() == []
    assert open_descriptors() == descriptors
    beaten(agent.quick())
    assert fleet.beat("web1").sequence == (3 if call == "pwrite" else 2)


def test_a_short_write_is_no_quick_beat(agent: Agent, fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    beaten(agent.quick())
    real, before = posix.write, tree(fleet.root)
    monkeypatch.setattr(posix, "write", lambda fd, data: real(fd, data[:9]))
    with pytest.raises(quick.Changed):
        quick.beat(str(agent.conf))
    monkeypatch.undo()
    assert tree(fleet.root) == before


def test_quick_beats_keep_no_descriptors(agent: Agent, fleet: Fleet) -> None:
    beaten(agent.quick())
    descriptors = open_descriptors()
    for number in range(2, 12):
        assert quick.beat(str(agent.conf)) == number
        assert fleet.beat("web1").sequence == number
    assert open_descriptors() == descriptors


@pytest.mark.parametrize("ahead", [600, -600, 86_400, -86_400])
def test_a_wrong_clock_shows_in_quick_beats_and_decides_nothing(
    agent: Agent, fleet: Fleet, monkeypatch: pytest.MonkeyPatch, ahead: int
) -> None:
    beaten(agent.quick())
    real = time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: real() + ahead * SECOND)
    assert quick.beat(str(agent.conf)) == 2
    monkeypatch.undo()
    received_at = fleet.record("web1").stat().st_mtime_ns
    assert abs(received_at - real()) < 60 * SECOND
    skew = skew_ms(fleet.beat("web1"), received_at)
    assert skew is not None
    assert abs(skew - ahead * 1_000) < 60_000


def test_the_lock_names_its_holder_whatever_was_in_the_file(tmp_path: Path) -> None:
    for old in (b"", b"4194304\n", b"1\n" + b"x" * 100, b"\xff" * 40):
        (tmp_path / local.LOCK).write_bytes(old)
        with local.Lock(str(tmp_path)):
            fd = os.open(str(tmp_path / local.LOCK), os.O_RDONLY)
            try:
                assert local.read_pid(fd) == os.getpid()
            finally:
                os.close(fd)


def test_nobody_holds_a_lock_that_is_not_there(tmp_path: Path) -> None:
    assert local.running_pid(str(tmp_path)) is None
    (tmp_path / local.LOCK).write_text("1\n")
    assert local.running_pid(str(tmp_path)) is None


HOLDER = """
import os, sys
fd = os.open(sys.argv[1], os.O_RDWR)
os.lockf(fd, os.F_TLOCK, 0)
for word in "held", "written":
    print(word, flush=True)
    sys.stdin.readline()
    os.pwrite(fd, (b"%d" % os.getpid()).ljust(16, bytes([10])), 0)
"""


def test_a_holder_that_has_not_said_its_pid_yet_is_not_taken_for_the_one_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That number may be anybody's by now, and what is asked for is whom to send a signal."""
    path = tmp_path / local.LOCK
    path.touch()
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdin is not None
        assert holder.stdout is not None
        try:
            assert holder.stdout.readline() == "held\n"
            monkeypatch.setattr(local, "UNSAID", 0.1)
            for before in (os.getpid(), os.getppid(), 4_194_304):
                path.write_bytes((b"%d" % before).ljust(16, b"\n"))
                assert local.running_pid(str(tmp_path)) is None

            def said(_seconds: float) -> None:
                holder.stdin.write("\n")
                holder.stdin.flush()
                assert holder.stdout.readline() == "written\n"

            monkeypatch.setattr(local, "UNSAID", 60.0)
            monkeypatch.setattr(time, "sleep", said)
            assert local.running_pid(str(tmp_path)) == holder.pid
        finally:
            holder.kill()


def test_a_running_agent_of_another_user_is_not_stopped_silently(agent: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
    """Injected: the kernel refuses root no signal."""

    def forbidden(pid: int, number: int) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(service, "running_pid", lambda state_dir: 4_000_000)
    monkeypatch.setattr(os, "kill", forbidden)
    with pytest.raises(ServiceAlreadyRunning, match=r"the agent \(pid 4000000\) belongs to another user") as caught:
        service.stop(load(str(agent.conf)))
    assert caught.value.error_code == "SERVICE_ALREADY_RUNNING"


def test_a_goodbye_waits_for_a_beat_that_has_just_begun(
    agent: Agent, fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Injected: when it was looked for, it was not there yet."""
    beaten(agent.quick())
    command = [sys.executable, "-I", "-c", SHORT_BEAT, str(ENGINE.parent), str(agent.state_dir)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as beat:
        assert beat.stdout is not None
        assert beat.stdout.readline() == "held\n"
        monkeypatch.setattr(service, "running_pid", lambda state_dir: None)
        assert service.stop(load(str(agent.conf)))["stopped_pid"] is None
    assert fleet.beat("web1").leaving == "stop"


def test_the_state_dir_is_for_its_owner_alone(agent: Agent) -> None:
    beaten(agent.quick())
    assert agent.state_dir.stat().st_mode & 0o777 == 0o700
    for path in agent.state_dir.iterdir():
        assert path.stat().st_mode & 0o777 == 0o600


def beating(agent: Agent, monkeypatch: pytest.MonkeyPatch, boot: str) -> Any:
    """A careful beat as from this boot, and what lies in the store afterwards; None when it was refused."""
    monkeypatch.setattr(identity, "boot_id", lambda: boot)
    try:
        service.beat(load(str(agent.conf)))
    except IdentityConflict:
        return None
    return agent.fleet.beat("web1")


def test_a_cloned_host_is_refused_when_both_have_beaten_twice(
    agent: Agent, tmp_path: Path, fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A virtual machine that was copied with its disk, so with the agent's state as well."""
    beaten(agent.quick())
    clone = Agent(tmp_path / "clone", fleet)
    shutil.copytree(str(agent.state_dir), str(clone.state_dir))
    boot = identity.boot_id()
    assert beating(clone, monkeypatch, "the clone's").boot_id == "the clone's"
    beaten(agent.quick())
    assert beating(clone, monkeypatch, "the clone's") is None
    for _time in range(2):
        inode = agent.prepared.stat().st_ino
        beaten(agent.quick())
        assert agent.prepared.stat().st_ino == inode, "the first goes on, and the quick way"
    assert fleet.beat("web1").boot_id == boot
    clone.close()


def test_hosts_without_a_machine_id_are_known_by_their_state_directories(
    agent: Agent, tmp_path: Path, fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(identity, "MACHINE_ID_FILES", (str(tmp_path / "none"),))
    other = Agent(tmp_path / "other", fleet)
    for one in (agent, other):
        one.configure(host_id=None)
    first = beating(agent, monkeypatch, "boot")
    assert (first.fingerprint, len(first.instance)) == ("", 16)
    second = beating(other, monkeypatch, "boot")
    assert second.instance not in ("", first.instance)
    assert beating(agent, monkeypatch, "boot").instance == first.instance
    assert beating(other, monkeypatch, "boot") is None
    other.close()


def test_a_host_with_a_machine_id_is_known_by_that_alone(
    agent: Agent, tmp_path: Path, fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever becomes of its state directory: wiped, restored, or one more beside it."""
    other = Agent(tmp_path / "other", fleet)
    for _time in range(3):
        for one in (agent, other):
            assert beating(one, monkeypatch, "boot").instance == ""
    assert not (agent.state_dir / "instance").exists()
    other.close()


def test_a_state_directory_that_cannot_be_written_names_nobody(tmp_path: Path) -> None:
    assert local.instance(str(tmp_path / "missing")) == ""
    name = local.instance(str(tmp_path))
    assert local.instance(str(tmp_path)) == name != ""
