# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The story of a loss and a return, told by the collection's own playbooks, with real agents and real trees.

The machines are hosts of the inventory on this host, each with a folder of its own in the place of ``/``. With the
vault ``mounted``, modules run on them; ``carried``, the action plugin brings everything over the connection.
"""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.fleet import Request, manage
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.stores import open_store
from ansible_collections.roosync.heartbeat.tests.integration.runner import CHECKOUT, NAMESPACE, Ansible, Run

MACHINES = ("web-01", "web-02", "web-03")
SETTINGS = {
    "heartbeat_interval": 0.5,
    # On a machine that is busy with other tests, an agent gets its turn every interval only most of the time.
    "warning_after": 6,
    "offline_after": 10,
    "sync_paths": {"site": {"path": "/www", "machines": ["web-*"]}},
}
ENGINE = CHECKOUT / "plugins" / "module_utils"
PATIENCE = 300.0


class Fleet:
    """Three machines with agents that beat."""

    def __init__(self, ansible: Ansible, folder: Path, vault: str) -> None:
        self.ansible = ansible
        self.folder = folder
        self.store = folder / "store"
        with open_store(str(self.store)) as store:
            manage(store, Request(SETTINGS))
        host = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
        hosts = {
            machine: {
                **host,
                "heartbeat_sync_root": str(folder / machine),
                "heartbeat_sync_state_dir": str(folder / machine / "state"),
            }
            for machine in MACHINES
        }
        variables = {"heartbeat_store": str(self.store), "heartbeat_vault": vault}
        self.inventory = folder / "inventory.json"
        self.inventory.write_text(
            json.dumps({"all": {"hosts": {**hosts, "localhost": host}, "vars": variables}}), encoding="utf-8"
        )
        self.agents: dict[str, subprocess.Popen[bytes]] = {}
        for machine in MACHINES:
            self.www(machine).mkdir(parents=True)
            self.start(machine)

    def www(self, machine: str) -> Path:
        return self.folder / machine / "www"

    def start(self, machine: str) -> None:
        """Let a machine beat."""
        config = self.folder / machine / "agent.conf"
        config.write_text(
            f"store = {self.store}\nmachine_id = {machine}\nstate_dir = {self.folder / machine / 'beat'}\n"
        )
        command = [sys.executable, "-m", "_engine.agent", "run", "--config", str(config)]
        self.agents[machine] = subprocess.Popen(command, cwd=ENGINE)

    def kill(self, machine: str) -> None:
        agent = self.agents.pop(machine)
        agent.send_signal(signal.SIGKILL)
        agent.wait(PATIENCE)

    def end(self) -> None:
        for machine in list(self.agents):
            self.kill(machine)

    def play(self, name: str, *arguments: str, **variables: Any) -> Run:
        run = self.ansible.play(
            CHECKOUT / "playbooks" / f"{name}.yml", "-i", str(self.inventory), *arguments, variables=variables
        )
        assert run.rc == 0, run.output
        assert [found for found in run.complaints if "incident" not in found] == [], run.output
        return run

    def sync(self, machine: str, **options: Any) -> dict[str, Any]:
        """One task on one machine."""
        playbook = self.folder / "one.yml"
        task = {
            "name": "Sync",
            NAMESPACE + "heartbeat_sync": {
                "store": str(self.store),
                "machine_id": machine,
                "root": "{{ heartbeat_sync_root }}",
                "state_dir": "{{ heartbeat_sync_state_dir }}",
                "vault": "{{ heartbeat_vault }}",
                **options,
            },
        }
        play = {"name": "Test", "hosts": machine, "gather_facts": False, "tasks": [task]}
        playbook.write_text(json.dumps([play]), encoding="utf-8")
        run = self.ansible.play(playbook, "-i", str(self.inventory))
        assert run.rc == 0, run.output
        return run.result("Sync")

    def wait_for(self, status: str, *machines: str) -> None:
        """Check until machines have a status."""
        deadline = time.monotonic() + PATIENCE
        while not set(machines) <= set(self.play("check").result("Check")[status]):
            assert time.monotonic() < deadline, f"{machines} are not {status}"

    def whole(self, machine: str) -> dict[str, tuple[Any, ...]]:
        """Every entry of a machine's tree, with all that counts."""
        found: dict[str, tuple[Any, ...]] = {}
        for path in sorted(self.www(machine).rglob("*")):
            state = path.lstat()
            content: Any = os.readlink(path) if path.is_symlink() else None
            if stat.S_ISREG(state.st_mode):
                content = path.read_bytes()
            found[str(path.relative_to(self.www(machine)))] = (state.st_mode, state.st_uid, state.st_gid, content)
        return found


@pytest.fixture(params=["mounted", "carried"])
def fleet(ansible: Ansible, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Fleet]:
    made = Fleet(ansible, tmp_path, request.param)
    try:
        yield made
    finally:
        made.end()


def test_a_loss_and_a_return(fleet: Fleet) -> None:
    lost, other = fleet.www("web-01"), fleet.www("web-02")
    (lost / "index.html").write_text("v1")
    (lost / "private").write_text("secret")
    (lost / "private").chmod(0o600)
    (lost / "empty").mkdir(mode=0o750)
    (lost / "link").symlink_to("index.html")
    if os.geteuid() == 0:
        os.chown(lost / "private", 1234, 4321)
    (lost / "gone.html").write_text("to be deleted")
    fleet.wait_for("online", *MACHINES)
    for machine in MACHINES:
        fleet.sync(machine, event="online")
    assert fleet.whole("web-01") == fleet.whole("web-02") == fleet.whole("web-03")

    (lost / "index.html").write_text("v2, edited just before the loss")
    (lost / "gone.html").unlink()
    captured = fleet.sync("web-01", event="capture")
    assert captured["snapshots"] == 1
    fleet.kill("web-01")
    fleet.wait_for("offline", "web-01")
    saved = fleet.play("sync")
    assert saved.result("Save what the lost machines had")["files_synced"] == 2
    assert saved.result("Save what the lost machines had")["syncs"][0]["machine_id"] == "web-01"

    fleet.sync("web-02", event="online")
    assert (other / "index.html").read_text() == "v2, edited just before the loss"
    assert not (other / "gone.html").exists()
    (other / "news.html").write_text("written while the other one was away")
    (other / "private").chmod(0o640)
    fleet.sync("web-02", event="online")

    before = fleet.whole("web-01")
    fleet.start("web-01")
    fleet.wait_for("online", "web-01")
    planned = fleet.play("sync", "--check", "--diff")
    assert fleet.whole("web-01") == before
    returned = fleet.play("sync")
    (one,) = [
        task.result
        for task in returned.ours
        if task.name == "Bring a returned machine up to date" and "syncs" in task.result
    ]
    (dry,) = [
        task.result
        for task in planned.ours
        if task.name == "Bring a returned machine up to date" and "syncs" in task.result
    ]
    assert dry["plan"] == one["plan"]
    assert [(c["path"], c["action"], c["side"]) for c in one["plan"]] == [
        ("news.html", "create", "machine"),
        ("private", "attributes", "machine"),
    ]
    assert one["offline_duration"] > 0
    assert one["backup_created"]
    assert fleet.whole("web-01") == fleet.whole("web-02")
    again = fleet.play("sync")
    assert not any(task.changed for task in again.ours)

    rolled = fleet.play("rollback", heartbeat_hosts="web-01")
    assert rolled.task("Bring the trees back to what they were before").changed
    assert fleet.whole("web-01") == before, "every byte, mode and owner"
    assert not list(Path(fleet.ansible.home, "remote-tmp").glob("**/bundle*")), "nothing is left behind"


def test_a_rollback_of_nobody_says_what_to_do(ansible: Ansible) -> None:
    for variables in ({}, {"heartbeat_hosts": ""}, {"heartbeat_hosts": []}):
        run = ansible.play(CHECKOUT / "playbooks" / "rollback.yml", variables=variables)
        assert run.rc != 0
        (failed,) = [task for task in run.tasks if task.status == "failed"]
        assert "-e heartbeat_hosts=web-01" in failed.result["msg"]
        assert run.ours == []
