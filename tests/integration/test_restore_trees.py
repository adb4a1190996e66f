# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Trees that were lost come back by the playbook ``restore``, on their host and on the one that replaces it.

The machines are hosts of the inventory on this host, each with a folder of its own in the place of ``/``. With the
vault ``mounted``, the module runs on them; ``carried``, the action plugin brings everything over the connection.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.roosync.heartbeat.tests.integration.fleets import prepare, snapshot
from ansible_collections.roosync.heartbeat.tests.integration.runner import CHECKOUT, Ansible, Run

MACHINES = ("web-01", "web-02", "web-03")
# Nobody beats any more, and all of them are to be there until the last playbook has ended.
SLOW = {"heartbeat_interval": 300, "warning_after": 900, "offline_after": 1200}
START = {"settings": {**SLOW, "sync_paths": {"site": {"path": "/www"}}}, "history": [dict.fromkeys(MACHINES, 1)]}


class Hosts:
    """Three hosts, of which the first has a tree."""

    def __init__(self, ansible: Ansible, folder: Path, vault: str) -> None:
        self.ansible = ansible
        self.folder = folder
        prepare(folder / "store", START)
        hosts: dict[str, dict[str, str]] = {"localhost": {}}
        for machine in MACHINES:
            self.www(machine).mkdir(parents=True)
            root = folder / machine
            hosts[machine] = {"heartbeat_sync_root": str(root), "heartbeat_sync_state_dir": str(root / "state")}
        for variables in hosts.values():
            variables.update(ansible_connection="local", ansible_python_interpreter=sys.executable)
        self.inventory = folder / "inventory.json"
        shared = {"heartbeat_store": str(folder / "store"), "heartbeat_vault": vault}
        self.inventory.write_text(json.dumps({"all": {"hosts": hosts, "vars": shared}}))
        first = self.www("web-01")
        (first / "index.html").write_text("the site")
        (first / "private").write_text("secret")
        (first / "private").chmod(0o600)
        (first / "empty").mkdir(mode=0o750)
        (first / "link").symlink_to("index.html")
        os.utime(first / "index.html", (1_600_000_000, 1_600_000_000))
        if os.geteuid() == 0:
            os.chown(first / "private", 1234, 4321)

    def www(self, machine: str) -> Path:
        return self.folder / machine / "www"

    def looks(self, machine: str) -> dict[str, Any]:
        """Every entry of a tree with its kind, mode, owner, content, and time of its content."""
        found: dict[str, Any] = {}
        for path in sorted(self.www(machine).rglob("*")):
            state = path.lstat()
            whose = (state.st_mode, state.st_uid, state.st_gid)
            content: Any = None if path.is_dir() else (path.read_bytes(), state.st_mtime_ns)
            found[str(path.relative_to(self.www(machine)))] = (
                whose,
                os.readlink(path) if path.is_symlink() else content,
            )
        return found

    def play(self, playbook: Path, *arguments: str, **variables: Any) -> Run:
        return self.ansible.play(playbook, "-i", str(self.inventory), *arguments, variables=variables)

    def restore(self, *arguments: str, **variables: Any) -> Run:
        return self.play(CHECKOUT / "playbooks" / "restore.yml", *arguments, **variables)

    def capture(self, machine: str) -> None:
        task = {
            "name": "Capture",
            "roosync.heartbeat.heartbeat_sync": {
                "store": "{{ heartbeat_store }}",
                "event": "capture",
                "machine_id": machine,
                "root": "{{ heartbeat_sync_root }}",
                "state_dir": "{{ heartbeat_sync_state_dir }}",
                "vault": "{{ heartbeat_vault }}",
            },
        }
        playbook = self.folder / "capture.yml"
        playbook.write_text(json.dumps([{"name": "T", "hosts": machine, "gather_facts": False, "tasks": [task]}]))
        assert self.play(playbook).rc == 0


def well(run: Run) -> Run:
    assert (run.rc, run.complaints) == (0, []), run.output
    return run


@pytest.fixture(params=["mounted", "carried"])
def hosts(ansible: Ansible, tmp_path: Path, request: pytest.FixtureRequest) -> Hosts:
    return Hosts(ansible, tmp_path, request.param)


def test_a_lost_tree_on_its_host_and_on_another(hosts: Hosts) -> None:
    hosts.capture("web-01")
    before = hosts.looks("web-01")
    shutil.rmtree(hosts.www("web-01"))
    refused = hosts.restore(heartbeat_hosts="web-01")
    assert refused.rc != 0
    assert "heartbeat_confirm=true" in refused.output
    ruins = snapshot(hosts.folder)
    predicted = well(hosts.restore("--check", "--diff", heartbeat_hosts="web-01"))
    assert snapshot(hosts.folder) == ruins
    assert "0600 " in predicted.output
    assert "private 6 " in predicted.output

    done = well(hosts.restore(heartbeat_hosts="web-01", heartbeat_confirm=True))
    first, second = (run.result("Bring the trees back") for run in (predicted, done))
    assert {key: first[key] for key in ("changed", "files", "plan")} == {
        key: second[key] for key in ("changed", "files", "plan")
    }
    assert second["changed"]
    assert hosts.looks("web-01") == before
    assert Path(second["report"]).exists()
    again = well(hosts.restore(heartbeat_hosts="web-01", heartbeat_confirm=True))
    assert not again.task("Bring the trees back").changed

    well(hosts.restore(heartbeat_hosts="web-03", heartbeat_restore_from="web-01", heartbeat_confirm=True))
    assert hosts.looks("web-03") == before
    well(hosts.play(CHECKOUT / "playbooks" / "rollback.yml", heartbeat_hosts="web-03"))
    assert hosts.looks("web-03") == {}
    assert not list(Path(hosts.ansible.home, "remote-tmp").glob("**/sent-*")), "nothing is left behind"


def test_what_is_not_there(hosts: Hosts) -> None:
    missing = hosts.restore(heartbeat_hosts="web-02", heartbeat_confirm=True)
    assert missing.rc != 0
    assert missing.result("Bring the trees back")["error_code"] == "BACKUP_NOT_FOUND"
    assert hosts.looks("web-02") == {}
