# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A fleet to be drilled: real agents that are stopped and started by commands, and real trees.

The machines are hosts of the inventory on this host, each with a folder of its own in the place of ``/``.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import stat
import sys
import time
from pathlib import Path
from typing import Any

from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.check import run_check
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.fleet import Request, manage
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.stores import open_store
from ansible_collections.roosync.heartbeat.tests.integration.runner import CHECKOUT, Ansible, Run, Running

MACHINES = ("web-01", "web-02", "web-03")
# On a machine that is busy with other tests, an agent gets its turn every second only most of the time.
OFFLINE_AFTER = 10
SETTINGS = {
    "heartbeat_interval": 1,
    "warning_after": 6,
    "offline_after": OFFLINE_AFTER,
    "sync_paths": {"site": {"path": "/www", "machines": ["web-*"]}},
}
ENGINE = CHECKOUT / "plugins" / "module_utils"
PATIENCE = 300.0
# How the agent of a machine is started: once, for all beats, or anew for each of them.
RUN = "exec {python} -m _engine.agent run --config {config}"
LOOP = "while :; do {python} -m _engine.agent beat --config {config}; sleep 0.5; done"
START = """\
#!/bin/sh
cd '{engine}' || exit 1
setsid sh -c '{agent}' </dev/null >>'{folder}/agent.log' 2>&1 &
echo $! >'{folder}/agent.pid'
"""
STOP = """\
#!/bin/sh
kill -s KILL -- "-$(cat '{folder}/agent.pid')" && rm '{folder}/agent.pid'
"""


class DrilledFleet:
    """Three machines that beat.

    :param agent: ``RUN`` or ``LOOP``.
    """

    def __init__(self, ansible: Ansible, folder: Path, vault: str = "mounted", agent: str = RUN) -> None:
        self.ansible = ansible
        self.folder = folder
        self.store = folder / "store"
        with open_store(str(self.store)) as store:
            manage(store, Request(SETTINGS))
        host = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
        self.hosts = {machine: {**host, **self._variables(machine, agent)} for machine in MACHINES}
        variables = {"heartbeat_store": str(self.store), "heartbeat_vault": vault, "heartbeat_timeout": 300}
        self.inventory = folder / "inventory.json"
        self.inventory.write_text(
            json.dumps({"all": {"hosts": {**self.hosts, "localhost": host}, "vars": variables}}), encoding="utf-8"
        )
        try:
            for machine in MACHINES:
                self.start(machine)
            self.wait_for("online", *MACHINES)
        except BaseException:
            self.end()
            raise

    def _variables(self, machine: str, agent: str) -> dict[str, Any]:
        home = self.folder / machine
        self.www(machine).mkdir(parents=True)
        config = home / "agent.conf"
        config.write_text(f"store = {self.store}\nmachine_id = {machine}\nstate_dir = {home / 'beat'}\n")
        command = agent.format(python=sys.executable, config=config)
        for name, text in (("start", START), ("stop", STOP)):
            script = home / name
            script.write_text(text.format(engine=ENGINE, folder=home, agent=command))
            script.chmod(0o755)
        return {
            "heartbeat_sync_root": str(home),
            "heartbeat_sync_state_dir": str(home / "state"),
            "heartbeat_agent_scope": "user",  # nobody has to become root
            "heartbeat_drill_start_command": f"'{home / 'start'}'",
            "heartbeat_drill_stop_command": f"'{home / 'stop'}'",
        }

    # -- agents --------------------------------------------------------------------------------------------------

    def www(self, machine: str) -> Path:
        return self.folder / machine / "www"

    def start(self, machine: str) -> None:
        assert os.system(self.hosts[machine]["heartbeat_drill_start_command"]) == 0

    def runs(self, machine: str) -> bool:
        """Whether the agent of a machine is a process that lives; its number may have become somebody else's since."""
        try:
            pid = int((self.folder / machine / "agent.pid").read_text())
            return str(self.folder / machine) in Path("/proc", str(pid), "cmdline").read_text()
        except (OSError, ValueError):
            return False

    def end(self) -> None:
        for machine in filter(self.runs, MACHINES):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(int((self.folder / machine / "agent.pid").read_text()), signal.SIGKILL)

    def wait_for(self, status: str, *machines: str) -> None:
        """Check until machines have a status."""
        deadline = time.monotonic() + PATIENCE
        with open_store(str(self.store)) as store:
            while not set(machines) <= set(run_check(store, force=True)[status]):
                assert time.monotonic() < deadline, f"{machines} are not {status}"
                time.sleep(0.2)

    def wait_for_incident(self) -> None:
        """Check until something wider than one machine is recorded."""
        deadline = time.monotonic() + PATIENCE
        with open_store(str(self.store)) as store:
            while not run_check(store, force=True)["incidents"]:
                assert time.monotonic() < deadline, "there is no incident"
                time.sleep(0.2)

    # -- files ---------------------------------------------------------------------------------------------------

    def fill(self, machine: str) -> None:
        """Something of each kind that a tree can hold."""
        www = self.www(machine)
        (www / "index.html").write_text(f"of {machine}")
        (www / f"{machine}.html").write_text("its own")
        (www / "private").write_text("secret")
        (www / "private").chmod(0o600)
        (www / "empty").mkdir(mode=0o750, exist_ok=True)
        (www / "deep" / "er").mkdir(parents=True, exist_ok=True)
        (www / "deep" / "er" / "file").write_bytes(os.urandom(5000))
        (www / "link").symlink_to("index.html")
        if os.geteuid() == 0:
            os.chown(www / "private", 1234, 4321)

    def whole(self, machine: str) -> dict[str, tuple[Any, ...]]:
        """Every entry of a machine's tree, with all that counts."""
        found: dict[str, tuple[Any, ...]] = {}
        for path in sorted(self.www(machine).rglob("*")):
            state = path.lstat()
            content: Any = os.readlink(path) if path.is_symlink() else None
            time_of: Any = None
            if stat.S_ISREG(state.st_mode):
                content, time_of = path.read_bytes(), state.st_mtime_ns
            found[str(path.relative_to(self.www(machine)))] = (
                state.st_mode,
                state.st_uid,
                state.st_gid,
                content,
                time_of,
            )
        return found

    def left_behind(self) -> list[str]:
        """What a drill may have forgotten to take away, wherever it lies."""
        names = (path.relative_to(self.folder) for machine in MACHINES for path in (self.folder / machine).rglob("*"))
        found = [str(name) for name in names if "drill" in str(name)]
        vault = self.store / "default" / "vault"
        found += [str(path.relative_to(vault)) for path in vault.rglob("*drill*")]
        settings = json.loads((self.store / "default" / "fleet.json").read_text())["settings"]
        return found + [name for name in settings["sync_paths"] if name != "site"]

    # -- playbooks -----------------------------------------------------------------------------------------------

    def play(self, name: str, *arguments: str, **variables: Any) -> Run:
        playbook = CHECKOUT / "playbooks" / f"{name}.yml"
        return self.ansible.play(playbook, "-i", str(self.inventory), *arguments, variables=variables)

    def drill(self, *arguments: str, status: int = 0, hosts: str = "web-01", **variables: Any) -> Run:
        run = self.play("drill", *arguments, heartbeat_hosts=hosts, **variables)
        assert run.rc == status, run.output
        return run

    def start_drill(self, **variables: Any) -> Running:
        """A drill of the first machine that somebody else brings to its end."""
        arguments = (CHECKOUT / "playbooks" / "drill.yml", "-i", str(self.inventory))
        return self.ansible.start(*arguments, variables={"heartbeat_hosts": "web-01", **variables})

    def reports(self) -> list[dict[str, Any]]:
        """The documents of all drills, the oldest first."""
        return [json.loads(path.read_text()) for path in sorted((self.store / "default" / "drills").glob("*.json"))]
