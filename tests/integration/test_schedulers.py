# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the role makes of its schedulers where things go wrong: whether the agent beats, and whether it says goodbye.

The schedulers are stand-ins. The role with the real ones is tested on real hosts.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.roosync.heartbeat.tests.integration.fleets import prepare
from ansible_collections.roosync.heartbeat.tests.integration.managers import Managers
from ansible_collections.roosync.heartbeat.tests.integration.runner import CHECKOUT, PLAYBOOKS, Ansible, Run
from ansible_collections.roosync.heartbeat.tests.unit.stdlib.support import wait_until

ROLE = PLAYBOOKS / "roles" / "agent.yml"
UNIT = "roosync-heartbeat"
MINUTES = {"heartbeat_interval": 60, "warning_after": 200, "offline_after": 300}
CRON_THERE = {"heartbeat_common__cron_lacks": ":"}


class Host:
    """A user's home with a fleet beside it, and schedulers."""

    def __init__(self, ansible: Ansible, folder: Path) -> None:
        self._ansible = ansible
        self.home = folder / "home"
        self.home.mkdir()
        self.units = self.home / ".config" / "systemd" / "user"
        self.store = folder / "store"
        self.managers = Managers(folder / "managers")
        self.managers.bring("systemctl", "journalctl", "crontab")
        prepare(self.store, {"settings": MINUTES})

    def play(self, *arguments: str, playbook: Path = ROLE, **variables: Any) -> Run:
        given = {
            "heartbeat_store": str(self.store),
            "store": str(self.store),
            "heartbeat_agent_machine_id": "web-01",
            "heartbeat_agent_scope": "user",
            "heartbeat_agent_linger": False,
            "heartbeat_agent_scheduler": "systemd",
            "heartbeat_timeout": 3,
            "heartbeat_common__units": str(self.units),  # Ansible knows better than to go by HOME
        }
        environment = {"HOME": str(self.home), "PATH": self.managers.path}
        run = self._ansible.play(playbook, *arguments, variables={**given, **variables}, **environment)
        assert run.complaints == []
        return run

    def deploy(self, **variables: Any) -> Run:
        """The playbook of the collection, which waits until the host is online."""
        return self.play(playbook=Path("roosync.heartbeat.deploy"), **variables)

    def record(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.store / "default" / "heartbeats" / "web-01.json").read_text())
        return found


@pytest.fixture
def host(ansible: Ansible, tmp_path: Path) -> Host:
    return Host(ansible, tmp_path)


def changed(run: Run) -> list[str]:
    assert run.rc == 0, run.output
    return [task.name.rsplit(" : ", 1)[-1] for task in run.tasks if task.changed]


def reason(run: Run) -> str:
    """Why the role gave up."""
    assert run.rc != 0, run.output
    return str([task for task in run.tasks if task.status == "failed"][-1].result["msg"])


def said(run: Run, name: str = "Say that it could not be said") -> list[str]:
    return [task.result["msg"] for task in run.tasks if task.name.endswith(name) and task.status == "ok"]


def test_a_deployment_is_a_beat(host: Host) -> None:
    """Of this host, and at every run; only the first one changes anything."""
    assert "Start the timer, now and at every boot" in changed(host.play())
    assert host.record()["sequence"] == 1
    assert changed(host.play()) == []
    assert host.record()["sequence"] == 2
    assert host.managers.marked("active") == {f"{UNIT}.timer", f"{UNIT}-goodbye.service"}


def test_a_host_that_cannot_beat_is_refused_whoever_else_is_online(host: Host) -> None:
    """Another host beats under the name, so the machine is online. At the second run as well."""
    prepare(host.store, {"foreign": ["web-01"]})
    for _run in range(2):
        assert "IDENTITY_CONFLICT: web-01 is in use by another host" in reason(host.play())
    assert host.record()["fingerprint"] == "0" * 32


def test_a_host_that_beats_elsewhere_is_not_online(host: Host, tmp_path: Path) -> None:
    """What is in the monitor's store is from before: the host writes into another one, which says nothing of it."""
    assert changed(host.deploy())
    before = host.record()["sequence"]
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(host.store, elsewhere)
    run = host.deploy(heartbeat_agent_store=str(elsewhere))
    assert "web-01 (online: no new heartbeat)" in reason(run)
    assert host.record()["sequence"] == before


def test_a_goodbye_that_could_not_be_said_is_told(host: Host) -> None:
    """By systemd, when it is stopped; and nothing of the units is left as failed."""
    host.play()
    away = host.store.with_name("away")
    host.store.rename(away)
    (told,) = said(host.play(heartbeat_agent_state="stopped"))
    assert told.startswith("The goodbye of web-01 could not be said, so its absence will be an alarm: STORE_UNAVAIL")
    assert host.managers.marked("failed") | host.managers.marked("active") == set()
    away.rename(host.store)
    host.play()
    assert said(host.play(heartbeat_agent_state="absent")) == []
    assert host.record()["leaving"] == "stop"


STALE = "Starting x.service - X...\nSTORE_UNAVAILABLE: of yesterday\nFailed to start x.service - X.\n"
NOW = "Starting x.service - X...\n%s\nx.service: Failed with result 'exit-code'.\nFailed to start x.service - X.\n"


@pytest.mark.parametrize(
    ("journal", "said"),
    [
        (STALE + NOW % "IDENTITY_CONFLICT: of today", "IDENTITY_CONFLICT: of today"),
        (
            STALE + NOW % "x.service: Failed at step NAMESPACE",
            "x.service: Failed at step NAMESPACE | x.service: Failed with result 'exit-code'. | "
            "Failed to start x.service - X.",
        ),
        # The timer has started it again meanwhile.
        (NOW % "IDENTITY_CONFLICT: of today" + "Starting x.service - X...\n", "IDENTITY_CONFLICT: of today"),
        ("", 'the journal does not say why; see "systemctl --user status x.service" there'),
        ("STORE_UNAVAILABLE: where systemd says nothing\nand more\n", "STORE_UNAVAILABLE: where systemd says nothing"),
    ],
)
def test_why_it_failed_is_why_it_failed_now(ansible: Ansible, tmp_path: Path, journal: str, said: str) -> None:
    """Not what had been wrong before, and has been put right since."""
    managers = Managers(tmp_path)
    managers.bring("journalctl")
    (tmp_path / "x.service.journal").write_text(journal)
    given = {
        "heartbeat_common_scope": "user",
        "heartbeat_common__unit": "x.service",
        "heartbeat_common__environment": {},
    }
    role = {"name": "roosync.heartbeat.heartbeat_common", "tasks_from": "reason"}
    tasks = [
        {"ansible.builtin.include_role": role, "name": "Why", "vars": given},
        {"ansible.builtin.debug": {"var": "heartbeat_common__reason"}, "name": "Tell"},
    ]
    run = ansible.start_tasks(tasks, PATH=managers.path).finish()
    assert run.result("Tell")["heartbeat_common__reason"] == said, run.output


def test_another_scheduler_that_is_not_there(host: Host) -> None:
    """The host is refused, and what it had goes on."""
    host.play()
    lacking = {"heartbeat_common__cron_lacks": "echo there is no program crontab"}
    message = reason(host.play(heartbeat_agent_scheduler="cron", **lacking))
    assert "but there is no program crontab. Install cron" in message
    assert host.managers.marked("active") == {f"{UNIT}.timer", f"{UNIT}-goodbye.service"}
    assert host.record()["leaving"] is None
    assert "Schedule it every so many minutes" in changed(host.play(heartbeat_agent_scheduler="cron", **CRON_THERE))
    assert "quick.py" in host.managers.table
    assert (host.managers.marked("active"), list(host.units.iterdir())) == (set(), [])
    assert host.record()["leaving"] is None
    assert changed(host.play(heartbeat_agent_scheduler="cron", **CRON_THERE)) == []


def test_values_that_came_as_text(host: Host) -> None:
    """As key=value on the command line gives them."""
    text = {"heartbeat_agent_linger": "false", "heartbeat_agent_capture_every": "10"}
    assert changed(host.play(**text))
    assert host.managers.marked("active") >= {f"{UNIT}.timer", f"{UNIT}-capture.timer"}
    assert "OnUnitInactiveSec=540000ms" in (host.units / f"{UNIT}-capture.timer").read_text()
    changes = changed(host.play(heartbeat_agent_state="stopped", heartbeat_agent_save_state="false", **text))
    assert "Forget what the agent remembered" in changes


def test_whether_cron_is_there(host: Host, tmp_path: Path) -> None:
    """Its program for tables, and one that runs."""
    variables = yaml.safe_load((CHECKOUT / "roles/heartbeat_common/vars/main.yml").read_text(encoding="utf-8"))
    script = variables["heartbeat_common__cron_lacks"]

    def lacks(path: str) -> str:
        command = ["/bin/sh", "-c", script]
        done = subprocess.run(command, env={"PATH": path}, capture_output=True, text=True, timeout=60, check=True)
        assert done.stderr == ""
        return done.stdout

    assert lacks(str(tmp_path)) == "there is no program crontab\n"
    daemon = tmp_path / "crond"
    sleep = shutil.which("sleep")
    assert sleep is not None
    shutil.copy(sleep, daemon)
    with subprocess.Popen([str(daemon), "600"]) as running:
        try:
            wait_until(lambda: lacks(host.managers.path) == "", "a program of cron that runs")
        finally:
            running.kill()
