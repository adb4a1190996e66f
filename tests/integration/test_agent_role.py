# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role ``heartbeat_agent`` for one user, in a home of the test. Its schedulers are tested on real hosts."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.roosync.heartbeat.tests.integration.fleets import prepare
from ansible_collections.roosync.heartbeat.tests.integration.runner import PLAYBOOKS, Ansible, Run
from ansible_collections.roosync.heartbeat.tests.unit.stdlib.support import wait_until

ROLE = PLAYBOOKS / "roles" / "agent.yml"
PUT = ["Put the agent on the host"]
HOLE = 1 << 36
"""A file without a single block on the disk, at which a capture is at work for as long as a test may need."""


class Home:
    """The home of a user, as tests of this file share it, with a fleet beside it."""

    def __init__(self, ansible: Ansible, folder: Path) -> None:
        self._ansible = ansible
        self.path = folder / "home"
        self.path.mkdir()
        self.store = folder / "store"
        self.state = self.path / ".local" / "state" / "roosync-heartbeat"
        prepare(self.store, {})

    def play(self, *arguments: str, interpreter: str = sys.executable, **variables: Any) -> Run:
        given = {"store": str(self.store), "heartbeat_agent_scope": "user", "heartbeat_agent_scheduler": "none"}
        run = self._ansible.play(
            ROLE, *arguments, variables={**given, **variables}, interpreter=interpreter, HOME=str(self.path)
        )
        assert run.complaints == []
        return run

    def changes(self, *arguments: str, **variables: Any) -> list[str]:
        run = self.play(*arguments, **variables)
        assert run.rc == 0, run.output
        return [task.name.rsplit(" : ", 1)[-1] for task in run.tasks if task.changed]

    def refused(self, **variables: Any) -> dict[str, Any]:
        """The result of the task at which the role gave up, before it put anything here."""
        run = self.play(**variables)
        assert run.rc != 0
        assert self.files() == []
        return [task for task in run.tasks if task.status == "failed"][-1].result

    def files(self) -> list[str]:
        return sorted(
            str(path.relative_to(self.path)) for path in self.path.rglob("*roosync*") if ".ansible" not in str(path)
        )

    def beat(self) -> None:
        """One beat, as a scheduler starts it."""
        quick = self.path / ".local/lib/roosync-heartbeat/current/_engine/agent/quick.py"
        config = self.path / ".config/roosync-heartbeat/agent.conf"
        subprocess.run([sys.executable, "-I", "-S", str(quick), str(config)], check=True, timeout=60)

    def start(self, command: str) -> subprocess.Popen[bytes]:
        """A command of the agent, as a scheduler starts it."""
        quick = self.path / ".local/lib/roosync-heartbeat/current/_engine/agent/quick.py"
        config = self.path / ".config/roosync-heartbeat/agent.conf"
        words = [sys.executable, "-I", "-S", str(quick), str(config), command]
        return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def record(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.store / "default" / "heartbeats" / "web-01.json").read_text())
        return found


@pytest.fixture
def home(ansible: Ansible, tmp_path: Path) -> Home:
    return Home(ansible, tmp_path)


def test_from_nothing_to_nothing(home: Home) -> None:
    """In check mode, for real, again, and away: below the user's home, and nowhere else."""
    assert home.changes("--check", "--diff") == PUT
    assert home.files() == []
    assert home.changes() == PUT
    assert home.changes() == []
    home.beat()
    assert home.record()["sequence"] == 1
    assert sorted(path.name for path in home.state.iterdir()) == ["agent.lock", "prepared"]
    assert home.state.stat().st_mode & 0o777 == 0o700
    assert home.state.stat().st_uid == os.geteuid()
    assert home.changes(heartbeat_agent_state="absent") == ["Remove the agent's files"]
    assert home.record()["leaving"] == "stop"
    assert home.files() == []
    assert home.changes(heartbeat_agent_state="absent") == []


def test_what_it_remembers_outlives_a_stop(home: Home) -> None:
    """The number of the last beat, and what was missed; unless it is told to forget that, and that alone."""
    home.changes()
    home.beat()
    assert home.changes(heartbeat_agent_state="stopped") == []
    assert (home.record()["sequence"], home.record()["leaving"]) == (2, "stop")
    assert (home.state / "prepared").exists()
    home.beat()
    assert (home.record()["sequence"], home.record()["leaving"]) == (3, None)
    (home.state / "notes").write_text("somebody else's")
    assert home.changes(heartbeat_agent_state="stopped", heartbeat_agent_save_state=False) == [
        "Forget what the agent remembered"
    ]
    assert [path.name for path in home.state.iterdir()] == ["notes"]
    assert home.changes() == []


def test_a_goodbye_that_a_running_agent_could_not_say_is_told(home: Home) -> None:
    """The agent runs by itself, and its store has gone."""
    home.changes()
    agent = home.start("run")
    wait_until((home.store / "default" / "heartbeats" / "web-01.json").exists, "the first beat", 60)
    home.store.rename(home.store.with_name("away"))
    run = home.play(heartbeat_agent_state="stopped")
    assert run.rc == 0, run.output
    (told,) = [task.result for task in run.tasks if task.name.endswith("Say that it could not be said")]
    assert "will be an alarm: could not say goodbye: STORE_UNAVAILABLE" in told["msg"]
    agent.communicate(timeout=60)
    assert agent.returncode == 0


def test_what_was_missed_outlives_an_upgrade(home: Home) -> None:
    home.changes()
    home.beat()
    away = home.store.with_name("away")
    home.store.rename(away)
    with pytest.raises(subprocess.CalledProcessError):
        home.beat()
    away.rename(home.store)
    spool = (home.state / "missed.json").read_bytes()
    release = home.path / ".local/lib/roosync-heartbeat/current"
    (release / "_engine" / "clock.py").write_text("# damaged: the next run has to bring it again\n")
    assert home.changes() == PUT
    assert (home.state / "missed.json").read_bytes() == spool
    home.beat()
    assert (home.record()["sequence"], home.record()["missed"]["count"]) == (2, 1)


def test_captures_from_nothing_to_nothing(home: Home) -> None:
    """Switched on, once more, and off again; and away, while one is at work."""
    site = home.path / "site"
    site.mkdir()
    for number in range(1000):
        (site / str(number)).write_bytes(os.urandom(10_000))
    prepare(home.store, {"settings": {"sync_paths": {"site": {"path": str(site)}}}})
    for changes in (PUT, []):
        assert home.changes(heartbeat_agent_capture_every=10) == changes
    home.beat()
    assert home.start("capture").communicate(timeout=60) == (
        b"",
        b"captured site: 1000 entries, 10000000 bytes new to the vault\n",
    )
    assert home.changes() == PUT
    assert b"INVALID_SETTINGS: captures are not installed here" in home.start("capture").communicate(timeout=60)[1]
    assert home.changes(heartbeat_agent_capture_every=10) == PUT
    with (site / "hole").open("wb") as file:
        file.truncate(HOLE)
    at_work = home.start("capture")
    held = home.state / "capture.lock"
    wait_until(lambda: held.read_text().strip() == str(at_work.pid), "a capture at work", 60)
    at_work.send_signal(signal.SIGSTOP)
    assert home.changes("--check", heartbeat_agent_state="absent") == ["Remove the agent's files"]
    assert at_work.poll() is None
    assert home.changes(heartbeat_agent_state="absent") == ["Remove the agent's files"]
    at_work.communicate(timeout=60)
    assert at_work.returncode == -signal.SIGKILL
    assert home.files() == []


@pytest.mark.parametrize(
    ("variables", "error_code", "reason"),
    [
        ({"heartbeat_agent_scheduler": "at"}, None, "must be one of: auto, systemd, cron, none"),
        ({"heartbeat_agent_scope": "world"}, None, "must be one of: system, user"),
        ({"heartbeat_agent_scheduler": "cron"}, "INVALID_SETTINGS", "cron knows whole minutes"),
        ({"heartbeat_agent_capture_every": -1}, "INVALID_SETTINGS", "capture_every must be a number of beats from 0"),
        ({"heartbeat_agent_store": "/mnt/nothing"}, "STORE_UNAVAILABLE", "mount the share that holds it"),
        ({"heartbeat_agent_store": ""}, "INVALID_SETTINGS", "store is missing"),
        ({"heartbeat_agent_machine_id": "../web"}, "INVALID_MACHINE_ID", "characters that are not allowed"),
    ],
)
def test_refusals(home: Home, variables: dict[str, Any], error_code: str | None, reason: str) -> None:
    """What cannot work is refused at deployment, with the reason."""
    result = home.refused(**variables)
    assert result.get("error_code") == error_code
    assert reason in str(result)


def test_a_host_without_python(home: Home) -> None:
    message = home.refused(interpreter="/usr/bin/python-not-there")["msg"]
    assert "They need Python 3.8 or newer there. Install it" in message
    assert "ansible_python_interpreter" in message
    assert "/usr/bin/python-not-there" in message
