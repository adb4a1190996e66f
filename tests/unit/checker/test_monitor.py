# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The check that a scheduler starts: a real process, as the role installs it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Dict, List

import pytest

from ansible_collections.roosync.heartbeat.plugins.module_utils._engine import releases
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.agent.local import Lock
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.check import run_check
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.clock import to_ns
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.errors import InvalidSettings
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.fleet import Request, manage
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.monitor import cli, deploy, news
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.monitor.config import KEYS, Config, as_text
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.monitor.results import LATEST, host_name
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.record import Beat, encode, sent_now
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.register import register
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.stores.file import FileStore
from ansible_collections.roosync.heartbeat.tests.unit.stdlib.support import ENGINE, open_files, wait_until

PATIENCE = 60.0
MACHINES = ("web-01", "web-02", "web-03", "web-04")
# A loss of several is several losses here; and a beat that was made older has a clock that is wrong. Nobody is late by
# the time that a test itself takes.
SETTINGS = {"mass_failure_count": 100, "clock_skew_warning": 100_000, "warning_after": 1200, "offline_after": 1800}
HOOK = """#!/bin/sh
'''exec' "%s" "$0" "$@"
' '''
import json, os, sys
told = json.load(sys.stdin)
told["environment"] = os.environ["ROOSYNC_NEWLY_OFFLINE"]
with open(%r, "a") as stream:
    stream.write(json.dumps(told) + "\\n")
sys.exit(int(open(%r).read()))
"""
# Holds the lock as a check does that hangs.
HOLDER = """
import sys, time
sys.path.insert(0, %r)
from _engine.agent import quick
fd = quick.lock(sys.argv[1])
print("held", flush=True)
time.sleep(60)
""" % str(ENGINE.parent)


class Monitor:
    """A monitor on a host of its own, of a fleet of four machines that are online."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.root = folder / "store"
        self.logs = self.root / "default" / "logs"
        self.prefix = folder / "prefix"
        self.conf = folder / "monitor.conf"
        self.hook = folder / "hook"
        self.status = folder / "status"
        self.told_file = folder / "told"
        self.store = FileStore(str(self.root), "default")
        manage(self.store, Request(settings=SETTINGS))
        for name in MACHINES:
            register(self.store, name)
        self.status.write_text("0")
        self.hook.write_text(HOOK % (sys.executable, str(self.told_file), str(self.status)))
        self.hook.chmod(0o755)
        self.configure()
        releases.install(str(self.prefix), deploy.sources())

    def configure(self, **values: Any) -> None:
        given = {"store": str(self.root), "state_dir": str(self.folder / "state"), **values}
        text = releases.config_text(KEYS, as_text(given))
        Config(str(self.conf), text)
        self.conf.write_text(text)

    def start(self) -> subprocess.Popen[str]:
        command = deploy.command(sys.executable, str(self.prefix), str(self.conf))
        return subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True, cwd="/"
        )

    def run(self, status: int = 0) -> str:
        """One check, to its end; what it said, on both channels."""
        process = self.start()
        said, trouble = process.communicate(timeout=PATIENCE)
        assert process.returncode == status, trouble
        assert "Traceback" not in trouble
        return said + trouble

    def lose(self, name: str) -> None:
        """A machine falls silent: its last beat was an hour ago."""
        path = self.root / "default" / "heartbeats" / ("%s.json" % name)
        then = path.stat().st_mtime_ns - to_ns(3600)
        os.utime(str(path), ns=(then, then))

    def results(self, folder: Path) -> List[Path]:
        return sorted(folder.glob("check-*.json"))

    def told(self) -> List[Dict[str, Any]]:
        if not self.told_file.exists():
            return []
        return [json.loads(line) for line in self.told_file.read_text().splitlines()]


@pytest.fixture
def monitor(tmp_path: Path) -> Monitor:
    return Monitor(tmp_path)


def test_a_check_waits_for_the_one_before_it(monitor: Monitor) -> None:
    """Whoever started that, a scheduler or a deployment: both get their result."""
    monitor.run()
    with Lock(str(monitor.folder / "state")):
        process = monitor.start()
        lock = str(monitor.folder / "state" / "agent.lock")
        wait_until(lambda: lock in open_files(process.pid), "a check that waits", PATIENCE)
        assert process.poll() is None
    assert process.communicate(timeout=PATIENCE)[1] == ""
    assert process.returncode == 0
    assert len(monitor.results(monitor.logs)) == 2


def test_a_check_that_waited_in_vain_says_for_whom(
    monitor: Monitor, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monitor.run()
    monkeypatch.setattr(cli, "PATIENCE", 0.1)
    held = subprocess.Popen([sys.executable, "-c", HOLDER, str(monitor.folder / "state")], stdout=subprocess.PIPE)
    try:
        assert held.stdout is not None
        held.stdout.readline()
        assert cli.main([str(monitor.conf)]) == 1
    finally:
        held.kill()
        held.communicate()
    said = capsys.readouterr().err
    assert said.startswith("SERVICE_ALREADY_RUNNING: another check is still at work here (pid %d); wait" % held.pid)


def test_a_check_and_its_result(monitor: Monitor) -> None:
    assert monitor.run() == "4 machines: 4 online; newly online: web-01, web-02, web-03, web-04\n"
    (path,) = monitor.results(monitor.logs)
    result = json.loads(path.read_text())
    assert result["online"] == list(MACHINES)
    assert (result["host"], result["store"], result["fleet"]) == (host_name(), str(monitor.root), "default")
    assert path.name == "check-%s-%s.json" % (result["checked_at"].replace("-", "").replace(":", ""), host_name())
    assert (monitor.logs / LATEST).read_bytes() == path.read_bytes()
    assert path.stat().st_mode & 0o777 == 0o664
    monitor.lose("web-02")
    assert monitor.run() == "4 machines: 3 online, 1 offline; newly offline: web-02\n"
    assert len(monitor.results(monitor.logs)) == 2
    assert json.loads((monitor.logs / LATEST).read_text())["newly_offline"] == ["web-02"]
    assert sorted(path.name for path in (monitor.folder / "state").iterdir()) == ["agent.lock", "roosync-heartbeat"]


def test_a_folder_of_its_own(monitor: Monitor) -> None:
    """With the store away there is a result there, with what was last known."""
    folder = monitor.folder / "results"
    monitor.configure(results=str(folder))
    assert "STORE_UNAVAILABLE" in monitor.run(1)  # nobody has made it
    folder.mkdir()
    monitor.run()
    assert monitor.results(monitor.logs) == []
    monitor.root.rename(monitor.folder / "away")
    assert monitor.run(1).startswith("STORE_UNAVAILABLE: there is no fleet at ")
    latest = json.loads((folder / LATEST).read_text())
    assert (latest["error_code"], latest["failed"]) == ("STORE_UNAVAILABLE", True)
    assert latest["last_known"]["statuses"]["online"] == list(MACHINES)
    assert len(monitor.results(folder)) == 2


def name_of(days: float, host: str = "") -> str:
    stamp = time.strftime("%Y%m%dT%H%M%S", time.gmtime(time.time() - days * 86_400))
    return "check-%s.000000Z-%s.json" % (stamp, host or host_name())


def test_results_are_cleared_away_by_number(monitor: Monitor) -> None:
    monitor.configure(keep=3)
    for _check in range(5):
        monitor.run()
    names = [path.name for path in monitor.results(monitor.logs)]
    monitor.run()
    assert [path.name for path in monitor.results(monitor.logs)][:2] == names[1:]
    assert len(names) == 3


def test_results_are_cleared_away_by_age(monitor: Monitor) -> None:
    """This host's, and nothing else, whatever lies there."""
    monitor.configure(keep_days=2)
    young, old, link, folder = (name_of(days) for days in (1, 3, 4, 5))
    others = {name_of(9, "other"), "check-me.json", "check-x-%s.json" % host_name(), "notes.txt", old + ".bak"}
    before = {path.name for path in monitor.logs.iterdir()}
    for name in (young, old, *others):
        (monitor.logs / name).write_text("{}")
    (monitor.logs / link).symlink_to(monitor.conf)
    (monitor.logs / folder).mkdir()
    monitor.run()
    new = json.loads((monitor.logs / LATEST).read_text())["checked_at"].replace("-", "").replace(":", "")
    left = {path.name for path in monitor.logs.iterdir()} - before
    assert left == {young, folder, LATEST, "check-%s-%s.json" % (new, host_name()), *others}
    assert monitor.conf.exists()


def test_what_a_killed_monitor_left_is_swept(monitor: Monitor) -> None:
    folder = monitor.folder / "results"
    folder.mkdir()
    monitor.configure(results=str(folder))
    for name, age in ((".tmp-1-0123456789ab", 7200), (".tmp-2-ba9876543210", 60)):
        (folder / name).write_text("{")
        os.utime(str(folder / name), (time.time() - age, time.time() - age))
    monitor.run()
    assert [path.name for path in folder.glob(".tmp-*")] == [".tmp-2-ba9876543210"]


def test_what_others_have_in_the_folder_stays(monitor: Monitor) -> None:
    """Also what begins as the temporary files of the monitor do."""
    results = monitor.folder / "results"
    results.mkdir()
    monitor.configure(results=str(results))
    others = [results / name for name in (".tmp-report", ".tmp-1-draft.json", "check-notes.json")]
    for path in others:
        path.write_text("kept")
        os.utime(str(path), (1, 1))
    monitor.run()
    assert [path.read_text() for path in others if path.exists()] == ["kept"] * len(others)


def test_a_link_in_the_place_of_the_stores_folder_is_not_followed(monitor: Monitor) -> None:
    """Everybody of the group could put one there, and have the monitor write where they may not."""
    elsewhere = monitor.folder / "elsewhere"
    elsewhere.mkdir()
    monitor.logs.rename(monitor.folder / "logs")
    monitor.logs.symlink_to(elsewhere)
    assert "STORE_UNAVAILABLE" in monitor.run(1)
    assert list(elsewhere.iterdir()) == []


def test_a_link_in_the_place_of_the_latest_is_not_followed(monitor: Monitor) -> None:
    precious = monitor.folder / "precious"
    precious.write_text("precious")
    (monitor.logs / LATEST).symlink_to(precious)
    monitor.run()
    assert precious.read_text() == "precious"
    assert not (monitor.logs / LATEST).is_symlink()


def test_the_hook_is_told_once(monitor: Monitor) -> None:
    monitor.lose("web-04")
    run_check(monitor.store, force=True)  # recorded before there was a monitor
    monitor.configure(hook=[str(monitor.hook)])
    monitor.run()
    assert monitor.told() == []
    monitor.lose("web-02")
    monitor.lose("web-03")
    monitor.run()
    (told,) = monitor.told()
    assert told["newly_offline"] == ["web-02", "web-03"]
    assert told["environment"] == "web-02 web-03"
    assert [event["to"] for event in told["transitions"]] == ["offline", "offline"]
    assert told["summary"].endswith("newly offline: web-02, web-03")
    monitor.run()
    assert len(monitor.told()) == 1


def test_what_another_checker_recorded_is_told_too(monitor: Monitor) -> None:
    monitor.configure(hook=[str(monitor.hook)])
    monitor.run()
    monitor.lose("web-02")
    run_check(monitor.store, force=True)
    monitor.run()
    assert [told["newly_offline"] for told in monitor.told()] == [["web-02"]]


def test_a_goodbye_is_no_news(monitor: Monitor) -> None:
    monitor.configure(hook=[str(monitor.hook)])
    monitor.run()
    goodbye = Beat("web-02", 2, sent_now(), fingerprint="", boot_id="boot", leaving="stop")
    monitor.store.write_beat("web-02", encode(goodbye))
    assert "1 offline" in monitor.run()
    assert monitor.told() == []


def test_a_hook_that_fails_is_told_again(monitor: Monitor) -> None:
    monitor.configure(hook=[str(monitor.hook)])
    monitor.run()
    monitor.lose("web-02")
    monitor.status.write_text("3")
    assert "HOOK_FAILED: the hook %s ended with status 3" % monitor.hook in monitor.run(1)
    monitor.lose("web-03")
    monitor.status.write_text("0")
    monitor.run()
    monitor.run()
    assert [told["newly_offline"] for told in monitor.told()] == [["web-02"], ["web-02", "web-03"]]
    assert len(monitor.results(monitor.logs)) == 4


def test_more_than_can_be_told_at_once(monitor: Monitor) -> None:
    """The oldest first, the others at the next runs, each once; what is no news takes nobody's place."""
    source = monitor.prefix / "current" / "_engine" / "monitor" / "news.py"
    assert source.read_text().count("MAX_EVENTS = 500\n") == 1
    source.write_text(source.read_text().replace("MAX_EVENTS = 500\n", "MAX_EVENTS = 2\n"))
    monitor.configure(hook=[str(monitor.hook)])
    monitor.run()
    for name in ("web-03", "web-01"):  # and back again, which is an event of its own
        monitor.lose(name)
        run_check(monitor.store, force=True)
        register(monitor.store, name)
        run_check(monitor.store, force=True)
    for name in ("web-04", "web-02", "web-01"):
        monitor.lose(name)
    monitor.status.write_text("1")
    monitor.run(1)
    monitor.status.write_text("0")
    for _run in range(4):
        monitor.run()
    told = [[event["machine_id"] for event in one["transitions"]] for one in monitor.told()]
    assert told[:2] == [["web-03", "web-01"]] * 2
    assert [len(one) for one in told[2:]] == [2, 1]
    assert sorted(told[2] + told[3]) == ["web-01", "web-02", "web-04"]


def test_the_longest_names_fit(monitor: Monitor) -> None:
    monitor.configure(hook=[str(monitor.hook)])
    names = ["%0253d" % number for number in range(news.MAX_EVENTS)]
    news.tell(Config(str(monitor.conf), monitor.conf.read_text()), [{"machine_id": name} for name in names], {})
    (told,) = monitor.told()
    assert told["environment"].split() == told["newly_offline"] == names


def test_a_hook_that_is_not_there(monitor: Monitor) -> None:
    monitor.configure(hook=[str(monitor.hook)])
    monitor.run()
    monitor.hook.unlink()
    monitor.lose("web-02")
    assert "HOOK_FAILED: the hook %s cannot be run: No such file" % monitor.hook in monitor.run(1)


def test_a_hook_that_hangs_is_ended_with_all_that_it_started(monitor: Monitor) -> None:
    monitor.hook.write_text("#!/bin/sh\nsleep 600 &\necho $! >%s\nwait\n" % monitor.told_file)
    monitor.configure(hook=[str(monitor.hook)], hook_timeout=1)
    monitor.run()
    monitor.lose("web-02")

    def started() -> str:
        """The hook may be ended before it has come to that; then it is told again, and has another second."""
        assert "took longer than 1 s" in monitor.run(1)
        return monitor.told_file.read_text().strip() if monitor.told_file.exists() else ""

    child = Path("/proc/%d" % int(wait_until(started, "what the hook starts", PATIENCE)))
    wait_until(lambda: not child.exists(), "its end", PATIENCE)


def test_a_monitor_that_was_killed_loses_nothing(monitor: Monitor) -> None:
    """Killed while its hook runs: recorded, and not told to the end. The next run tells it."""
    monitor.configure(hook=[str(monitor.hook)])
    monitor.run()
    good = monitor.hook.read_text()
    monitor.hook.write_text("#!/bin/sh\ntouch %s\nexec sleep 600\n" % (monitor.folder / "begun"))
    monitor.lose("web-02")
    process = monitor.start()
    wait_until((monitor.folder / "begun").exists, "the hook", PATIENCE)
    (hook,) = Path("/proc/%d/task/%d/children" % (process.pid, process.pid)).read_text().split()
    process.send_signal(signal.SIGKILL)
    os.kill(int(hook), signal.SIGKILL)
    process.communicate(timeout=PATIENCE)
    monitor.hook.unlink()  # while it ran it could not be written to
    monitor.hook.write_text(good)
    monitor.hook.chmod(0o755)
    monitor.run()
    assert [told["newly_offline"] for told in monitor.told()] == [["web-02"]]


def test_another_store_in_the_place_of_the_first(monitor: Monitor) -> None:
    """Its events are numbered anew: what it knew before is no news, what happens then is."""
    monitor.configure(hook=[str(monitor.hook)])
    for name in MACHINES:
        monitor.lose(name)
    monitor.run()
    assert len(monitor.told()) == 1
    monitor.store.close()
    monitor.root.rename(monitor.folder / "old")
    other = FileStore(str(monitor.root), "default")
    manage(other, Request(settings=SETTINGS))
    register(other, "db-01")
    monitor.run()
    monitor.lose("db-01")
    monitor.run()
    assert monitor.told()[1:] != []
    assert monitor.told()[-1]["newly_offline"] == ["db-01"]


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"store": ""}, "store is missing"),
        ({"store": "srv"}, "absolute path"),
        ({"results": "logs"}, "results must be an absolute path"),
        ({"keep": 0}, "keep must be a number"),
        ({"keep": 1.5}, "keep must be a number"),
        ({"keep_days": -1}, "keep_days must be a number"),
        ({"keep_days": "nan"}, "keep_days must be a number"),
        ({"hook_timeout": "soon"}, "hook_timeout must be a number"),
        ({"hook_timeout": 0}, "hook_timeout must be a number from 1 to"),
        ({"hook": "true"}, "hook must be a list of words"),
        ({"hook": ["tell"]}, "hook must name its program by an absolute path"),
        ({"hook": ["/bin/a\0b"]}, "hook"),
    ],
)
def test_a_configuration_that_makes_no_sense(values: Dict[str, Any], reason: str) -> None:
    with pytest.raises(InvalidSettings, match=reason):
        Config("monitor.conf", releases.config_text(KEYS, as_text({"store": "/srv", **values})))


def test_wrong_calls(monitor: Monitor) -> None:
    command = deploy.command(sys.executable, str(monitor.prefix), str(monitor.folder / "none.conf"))
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("INVALID_SETTINGS: cannot read the configuration")
    done = subprocess.run([*command, "more"], capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert (done.returncode, done.stderr[:6]) == (2, "usage:")


def test_its_files_are_all_that_it_needs(monitor: Monitor) -> None:
    """Nothing of the engine is imported from elsewhere, and nothing that only beats or syncs is taken along."""
    body = """
import json, runpy, sys
sys.argv = sys.argv[1:]
try:
    runpy.run_path(sys.argv[0], run_name="__main__")
except SystemExit as done:
    assert not done.code
print(json.dumps([m.__file__ for name, m in list(sys.modules.items()) if name.startswith("_engine")]))
"""
    command = deploy.command(sys.executable, str(monitor.prefix), str(monitor.conf))
    done = subprocess.run(
        [command[0], "-I", "-c", body, *command[2:]], capture_output=True, text=True, timeout=PATIENCE, check=True
    )
    imported = [Path(path) for path in json.loads(done.stdout.splitlines()[-1])]
    assert len(imported) > 20
    release = (monitor.prefix / "current").resolve()
    assert all(release in path.parents for path in imported)
    names = set(deploy.sources())
    assert {"check.py", "agent/local.py", "detect/verdict.py", "monitor/start.py"} <= names
    assert not {"fleet.py", "agent/service.py", "agent/deploy.py", "releases.py"} & names
    assert all(not name.startswith("/") for name in names)
