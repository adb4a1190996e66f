# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The agent captures its machine's trees: what is kept, what is not, and that no beat minds."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, Iterator, List, Optional

import pytest

from ansible_collections.roosync.heartbeat.plugins.module_utils._engine import releases
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.agent import deploy
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.sync.manifest import Manifest
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.sync.refs import Refs, Snapshot
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.sync.vault import Vault
from ansible_collections.roosync.heartbeat.tests.unit.stdlib.agents import FAST, Agent, beaten, refused
from ansible_collections.roosync.heartbeat.tests.unit.stdlib.faults import python, root_only
from ansible_collections.roosync.heartbeat.tests.unit.stdlib.support import ENGINE, NOBODY, Fleet, wait_until

MANY = 200


class Trees:
    """What the machine ``web1`` has in common with its fleet, and what the vault knows of it."""

    def __init__(self, folder: Path, fleet: Fleet, agent: Agent) -> None:
        self.site = folder / "site"
        self.fleet = fleet
        self.agent = agent
        self.site.mkdir()
        for number in range(4):
            (self.site / ("file%d" % number)).write_text("content %d" % number)
        self.declare({"site": {"path": str(self.site)}})
        beaten(agent.quick())

    def declare(self, trees: Any, **settings: Any) -> None:
        self.fleet.configure(dict(FAST, sync_paths=trees, **settings))

    def snapshots(self, tree: str = "site") -> List[Snapshot]:
        with Refs(str(self.fleet.location / "vault")) as refs:
            return refs.strict_snapshots("web1", tree)

    def last(self, tree: str = "site") -> Manifest:
        """The tree as its newest snapshot has it; all of its contents are in the vault."""
        with Vault(str(self.fleet.location / "vault")) as vault:
            found = vault.manifest(self.snapshots(tree)[-1].manifest)
            assert vault.missing(entry.content for entry in found.entries.values() if entry.kind == "f") == set()
            return found

    def kept(self) -> List[str]:
        """Whatever lies in the vault."""
        return [str(path) for path in (self.fleet.location / "vault").rglob("*")]

    def capture(self) -> List[str]:
        """What the agent says of a capture that goes well, line by line."""
        done = self.agent.command("capture")
        assert (done.returncode, done.stdout) == (0, "")
        return done.stderr.splitlines()


@pytest.fixture
def trees(tmp_path: Path, fleet: Fleet, agent: Agent) -> Iterator[Trees]:
    yield Trees(tmp_path, fleet, agent)
    agent.close()  # and a capture of its that is still at work comes to its end: both write what is looked for here
    for path in (fleet.root / "default").rglob(".tmp-*"):
        path.unlink()  # of captures that a test has killed: upkeep takes them away


def test_it_says_what_is_new_and_otherwise_nothing(trees: Trees) -> None:
    assert trees.capture() == ["captured site: 4 entries, 36 bytes new to the vault"]
    assert trees.capture() == []
    (trees.site / "file0").write_text("another content")
    assert trees.capture() == ["captured site: 4 entries, 15 bytes new to the vault"]
    assert [one.number for one in trees.snapshots()] == [1, 2]
    assert sorted(trees.last().entries) == ["file0", "file1", "file2", "file3"]


@pytest.mark.parametrize("captures", [True, False])
def test_a_host_captures_with_the_files_for_that(trees: Trees, tmp_path: Path, captures: bool) -> None:
    """As a scheduler starts it. A host that only beats does without them, and beats."""
    releases.install(str(tmp_path / "prefix"), deploy.sources(captures))
    command = deploy.command(sys.executable, str(tmp_path / "prefix"), str(trees.agent.conf))
    beaten(_run(command))
    done = _run([*command, "capture"])
    if captures:
        assert (done.returncode, done.stderr) == (0, "captured site: 4 entries, 36 bytes new to the vault\n")
    else:
        assert "heartbeat_agent_capture_every" in refused(done, "INVALID_SETTINGS")


def _run(command: List[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


RESTRICTED = """
import errno
from _engine.agent import capture, config
def restricted(call):
    def checked(path, mode=0o777, *args, **kwargs):
        if mode & 0o6000:
            raise PermissionError(errno.EPERM, "Operation not permitted", path)
        return call(path, mode, *args, **kwargs)
    return checked
os.umask(0o002)
os.mkdir, os.chmod = restricted(os.mkdir), restricted(os.chmod)
capture.say = lambda _text: None
print(json.dumps(outcome(capture.run, config.load(sys.argv[1]))))
"""


@pytest.mark.parametrize("there", [True, False])
def test_a_service_that_may_set_no_setgid_bit(trees: Trees, there: bool) -> None:
    """As with RestrictSUIDSGID, which is injected here: folders take that bit over from the one they are in."""
    trees.fleet.location.chmod(0o2770)
    if not there:
        shutil.rmtree(str(trees.fleet.location / "vault"))
    assert python(RESTRICTED, str(trees.agent.conf)) == {"result": None}
    assert len(trees.snapshots()) == 1
    for folder in (trees.fleet.location / "vault").rglob("*"):
        assert folder.is_file() or folder.stat().st_mode & 0o7070 == 0o2070


def test_a_fleet_without_trees_for_this_machine(trees: Trees) -> None:
    for declared in ({}, {"other": {"path": "/srv", "machines": ["db*"]}}):
        trees.declare(declared)
        assert trees.capture() == []
    assert trees.kept() == []


def test_what_was_emptied_is_not_taken_for_deleted(trees: Trees) -> None:
    """As by a disk that is not mounted: the last snapshot stays the last."""
    trees.capture()
    for path in trees.site.iterdir():
        path.unlink()
    said = refused(trees.agent.command("capture"), "SYNC_MASS_DELETE")
    assert "site has lost 4 files" in said
    assert "heartbeat_sync, event: capture" in said
    trees.site.rmdir()
    assert trees.capture() == ["site was not captured: its directory is not there"]
    assert [one.number for one in trees.snapshots()] == [1]
    assert len(trees.last().entries) == 4


def test_what_is_excluded_from_now_on_is_not_lost(trees: Trees) -> None:
    trees.capture()
    trees.declare({"site": {"path": str(trees.site), "exclude": ["file*"]}})
    (trees.site / "new").write_text("new")
    assert trees.capture() == ["captured site: 1 entries, 3 bytes new to the vault"]


def test_one_tree_that_cannot_be_captured_stops_no_other(trees: Trees, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(trees.site)
    trees.declare({"a": {"path": str(tmp_path / "link")}, "b": {"path": str(trees.site)}})
    done = trees.agent.command("capture")
    first, second = done.stderr.splitlines()
    assert (done.returncode, first) == (1, "captured b: 4 entries, 36 bytes new to the vault")
    assert second.startswith("SYNC_ONLINE_FAILED: cannot open the tree %s" % (tmp_path / "link"))


@pytest.mark.parametrize(
    "declared",
    [
        {"site": {"path": "/etc/../root"}},
        {"site": {"path": "relative"}},
        {"../site": {"path": "/srv"}},
        {"site": "nonsense"},
        ["site"],
    ],
)
def test_settings_that_make_no_sense_capture_nothing(trees: Trees, declared: Any) -> None:
    trees.declare(declared)
    refused(trees.agent.command("capture"), "INVALID_SETTINGS")
    assert trees.kept() == []
    beaten(trees.agent.quick())


@pytest.mark.parametrize("text", ["", "[]", "{", '{"settings": []}', "\0"])
def test_a_damaged_fleet_json_captures_nothing(trees: Trees, text: str) -> None:
    (trees.fleet.location / "fleet.json").write_text(text)
    done = trees.agent.command("capture")
    assert done.returncode == 1
    assert done.stderr.split(": ")[0] in ("STORE_CORRUPT", "INVALID_SETTINGS")
    assert trees.kept() == []


def test_only_the_host_that_beats_as_the_machine_captures_it(trees: Trees, tmp_path: Path) -> None:
    twin = Agent(tmp_path / "twin", trees.fleet)
    twin.host_id.write_text("another host\n")
    refused(twin.command("capture"), "IDENTITY_CONFLICT")
    stranger = Agent(tmp_path / "stranger", trees.fleet, machine_id="web2")
    refused(stranger.command("capture"), "MACHINE_UNKNOWN")
    assert trees.kept() == []


def test_a_tree_between_two_states_is_left_for_the_next_time(trees: Trees) -> None:
    trees.capture()
    (trees.site / ".roosync-sync").mkdir()
    (trees.site / "file0").write_text("half of a sync")
    (said,) = trees.capture()
    assert said.startswith("site was not captured: a sync is changing it")
    assert len(trees.snapshots()) == 1


RACE = """
from _engine.agent import capture, config
from _engine.sync.refs import Refs
real = capture.capture
def later(spec, vault, *args):
    done = real(spec, vault, *args)
    with Refs(sys.argv[2]) as refs:  # a sync, which has changed the tree meanwhile
        refs.add_snapshot("web1", "site", 1, "ab" * 32)
    return done
said = []
capture.capture, capture.say = later, said.append
print(json.dumps([outcome(capture.run, config.load(sys.argv[1])), said]))
"""


def test_what_was_seen_before_a_sync_is_not_put_after_it(trees: Trees) -> None:
    """The snapshot that the sync leaves is real; only that it comes just after the look is arranged."""
    found = python(RACE, str(trees.agent.conf), str(trees.fleet.location / "vault"))
    assert found == [{"result": None}, ["site was captured by somebody else meanwhile"]]
    assert [one.manifest for one in trees.snapshots()] == ["ab" * 32]


def test_what_this_user_may_not_read_is_unknown(trees: Trees, shared: Fleet, tmp_path: Path) -> None:
    root_only()
    place = shared.root.parent
    site = place / "site"
    site.mkdir()
    (site / "open").write_text("open")
    (site / "secret").write_text("secret")
    (site / "secret").chmod(0o600)
    (site / "closed").mkdir(mode=0o700)
    shared.configure({"sync_paths": {"site": {"path": str(site)}}})
    agent = Agent(place / "host", shared)
    agent.state_dir.mkdir()
    for path in (place, *place.rglob("*")):
        if site not in (path, *path.parents):
            os.chown(str(path), NOBODY, NOBODY)
    copy = place / "engine"
    subprocess.run(["cp", "-r", str(ENGINE), str(copy)], check=True)
    nobody = ["setpriv", "--reuid=%d" % NOBODY, "--regid=%d" % NOBODY, "--clear-groups"]
    command = [*nobody, "/usr/bin/python3", "-I", "-S", "-B", str(copy / "agent/quick.py"), str(agent.conf)]
    for extra in ([], ["capture"]):
        done = subprocess.run([*command, *extra], capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stderr
    unknown = "2 unknown (closed: unreadable (EACCES); secret: unreadable (EACCES))"
    assert done.stderr == "captured site: 1 entries, 4 bytes new to the vault, %s\n" % unknown
    with Refs(str(shared.location / "vault")) as refs, Vault(str(shared.location / "vault")) as vault:
        found = vault.manifest(refs.strict_snapshots("web1", "site")[-1].manifest)
    assert (list(found.entries), sorted(found.unknown)) == (["open"], ["closed", "secret"])


def test_a_store_that_is_away_harms_nothing(trees: Trees) -> None:
    """The capture fails; beats fail and are counted, as ever."""
    trees.capture()
    away = trees.fleet.root.with_name("away")
    trees.fleet.root.rename(away)
    refused(trees.agent.command("capture"), "STORE_UNAVAILABLE")
    refused(trees.agent.quick(), "STORE_UNAVAILABLE")
    assert not trees.fleet.root.exists()
    away.rename(trees.fleet.root)
    beaten(trees.agent.quick())
    missed = trees.fleet.beat("web1").missed
    assert missed is not None
    assert missed.count == 1
    assert trees.capture() == []


def test_one_at_a_time(trees: Trees) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-I", "-c", HOLD, str(ENGINE.parent), str(trees.agent.state_dir)], stdout=subprocess.PIPE
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        said = refused(trees.agent.command("capture"), "SERVICE_ALREADY_RUNNING")
        assert "(pid %d)" % holder.pid in said
        beaten(trees.agent.quick())
    finally:
        holder.kill()
        holder.communicate()
    assert len(trees.capture()) == 1


HOLD = """
import sys, time
sys.path.insert(0, sys.argv[1])
from _engine.agent.local import CAPTURE_LOCK, Lock
with Lock(sys.argv[2], CAPTURE_LOCK, "%s"):
    print("held", flush=True)
    time.sleep(60)
"""

# The time is up when the work has begun, and on no machine sooner.
SLOW = """
import signal, time
from _engine.agent import capture, config
def slow(*args):
    signal.setitimer(signal.ITIMER_REAL, 0.1)
    %s
capture.capture = slow
print(json.dumps(outcome(capture.run, config.load(sys.argv[1]))))
"""


STUBBORN = """
import subprocess, time
prelude = "import json, sys; sys.path.insert(0, %r)\\ndef outcome(work, *args): work(*args)\\n" % sys.path[0]
stuck = "def stuck():\\n  try:\\n    time.sleep(60)\\n  except Exception:\\n    pass\\ncapture.GRACE = 0.2\\n"
body = sys.argv[2].replace("def slow", stuck + "def slow")
print(subprocess.run([sys.argv[1], "-c", prelude + body, sys.argv[3]]).returncode)
"""


def test_it_does_not_last_for_ever(trees: Trees) -> None:
    """Injected: no disk that hangs can be had here."""
    found = python(SLOW % "time.sleep(60)", str(trees.agent.conf))
    assert found["error_code"] == "SYNC_ONLINE_FAILED"
    assert "took longer than 21600 s" in found["msg"]
    stuck = python(STUBBORN, sys.executable, SLOW % "[stuck() for _turn in range(1000)]", str(trees.agent.conf))
    assert stuck == -signal.SIGALRM
    assert trees.snapshots() == []
    assert len(trees.capture()) == 1


def test_when_the_time_is_up_no_other_tree_is_begun(trees: Trees) -> None:
    """The time is that of all of them; whoever went on would be killed, and nobody told why."""
    trees.declare({name: {"path": str(trees.site)} for name in ("a", "b")})
    found = python(SLOW % "time.sleep(60)", str(trees.agent.conf))
    assert "took longer than 21600 s" in found["msg"]


def sequences(trees: Trees, count: int) -> Iterator[int]:
    """The running agent's beats as they come."""
    last = 0
    for _beat in range(count):
        last = wait_until(lambda last=last: _newer(trees, last), "another beat")
        yield last


def _newer(trees: Trees, last: int) -> int:
    now = trees.fleet.beat("web1").sequence
    return now if now > last else 0


def test_the_running_agent_captures_after_every_so_many_beats(trees: Trees) -> None:
    """Each change shows in a snapshot, not sooner than a capture is due; none is taken of what has not changed."""
    trees.agent.configure(capture_every="5")
    process = trees.agent.start()
    for number in (1, 2, 3):
        (trees.site / "counter").write_text(str(number))
        wait_until(lambda number=number: _has(trees, str(number)), "a snapshot with the change")
    wait_until(lambda: _holder(trees) is None, "the end of the last capture, which says so then")
    taken = len(trees.snapshots())
    list(sequences(trees, 12))
    assert len(trees.snapshots()) == taken
    trees.agent.command("stop")
    said = trees.agent.ended(process).splitlines()
    assert len(said) == taken
    assert all(line.startswith("captured site: ") for line in said)
    assert trees.fleet.beat("web1").leaving == "stop"


def test_an_agent_of_a_parent_that_wants_to_hear_of_no_child(trees: Trees) -> None:
    """What a parent ignores its children ignore, and of an end that is ignored nobody is told."""
    trees.agent.configure(capture_every="1")
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        process = trees.agent.start()
    finally:
        signal.signal(signal.SIGCHLD, before)
    for number in (1, 2):
        (trees.site / "counter").write_text(str(number))
        wait_until(lambda number=number: _has(trees, str(number)), "a snapshot with the change")
    assert process.poll() is None


def _has(trees: Trees, content: str) -> bool:
    found = trees.snapshots()
    if not found:
        return False
    entry = trees.last().entries.get("counter")
    with Vault(str(trees.fleet.location / "vault")) as vault:
        return entry is not None and vault.read(entry.content, 100) == content.encode()


def test_beats_do_not_wait_for_a_capture(trees: Trees) -> None:
    """There is always something to capture, and each capture is held up for longer than a beat takes."""
    for number in range(MANY):
        (trees.site / ("large%d" % number)).write_bytes(os.urandom(64 << 10))
    trees.agent.configure(capture_every="1")
    trees.agent.start()
    while len(trees.snapshots()) < 4:
        taken = len(trees.snapshots())
        pid = wait_until(lambda: _stopped(trees), "a capture at work")
        try:
            list(sequences(trees, 3))
            assert _holder(trees) == pid
        finally:
            os.kill(pid, signal.SIGCONT)
        wait_until(lambda taken=taken: len(trees.snapshots()) > taken, "a snapshot")


def test_a_capture_ends_with_its_agent(trees: Trees) -> None:
    """One that hangs (it is stopped) delays no beat and no goodbye, and is not left behind."""
    for number in range(MANY):
        (trees.site / ("large%d" % number)).write_bytes(os.urandom(64 << 10))
    trees.agent.configure(capture_every="2")
    process = trees.agent.start()
    pid = wait_until(lambda: _stopped(trees), "a capture at work")
    list(sequences(trees, 8))
    assert _holder(trees) == pid
    assert trees.agent.command("stop").returncode == 0
    trees.agent.ended(process)
    wait_until(lambda: _holder(trees) is None, "the end of the capture")
    assert trees.fleet.beat("web1").leaving == "stop"


def _stopped(trees: Trees) -> Optional[int]:
    """A capture that was met at work, and stands still there."""
    (trees.site / "large0").write_bytes(os.urandom(64 << 10))
    pid = _holder(trees)
    if pid is None:
        return None
    try:
        os.kill(pid, signal.SIGSTOP)
    except ProcessLookupError:
        return None
    # It may have been at its very end, and it takes a moment until it stands still.
    wait_until(lambda: _holder(trees) != pid or _state(pid) == "T", "the capture to stand still")
    return pid if _holder(trees) == pid else None


def _holder(trees: Trees) -> Optional[int]:
    """The process that captures, or did last, if it is alive."""
    try:
        pid = int((trees.agent.state_dir / "capture.lock").read_text())
    except (OSError, ValueError):
        return None
    return None if _state(pid) in "ZX" else pid


def _state(pid: int) -> str:
    try:
        return Path("/proc/%d/stat" % pid).read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "X"
