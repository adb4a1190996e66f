# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run ansible-playbook as a user would, and read what came of it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).resolve().parent
CHECKOUT = HERE.parents[1]
PLAYBOOKS = HERE / "playbooks"
BIN = Path(sys.executable).parent
NAMESPACE = "roosync.heartbeat."
TIMEOUT = 600
"""Many times what any playbook takes on a machine that has little else to do."""
NO_RESET = "[WARNING]: Reset is not implemented for this connection"
"""Said by ansible-core 2.16 of connections that have nothing to be reset, such as that to this machine."""
_COMPLAINT = re.compile(r"^\[(?:DEPRECATION )?WARNING\].*$", re.MULTILINE)
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


@dataclass
class Task:
    """One task of a playbook and what became of it."""

    name: str
    action: str
    status: str
    result: dict[str, Any]

    @property
    def changed(self) -> bool:
        return bool(self.result.get("changed", False))


@dataclass
class Run:
    """One run of ansible-playbook."""

    rc: int
    output: str
    tasks: list[Task] = field(default_factory=list)

    def task(self, name: str) -> Task:
        """The only task of this name."""
        (found,) = [task for task in self.tasks if task.name == name]
        return found

    def result(self, name: str) -> dict[str, Any]:
        return self.task(name).result

    @property
    def ours(self) -> list[Task]:
        """The tasks that called a module of this collection."""
        return [task for task in self.tasks if task.action.startswith(NAMESPACE)]

    @property
    def complaints(self) -> list[str]:
        """Every warning and deprecation, whether it was displayed or only returned."""
        shown = _COMPLAINT.findall(_COLOUR.sub("", self.output))
        returned = [
            f"{task.name}: {entry}"
            for task in self.tasks
            for key in ("warnings", "deprecations")
            for entry in task.result.get(key, [])
        ]
        return shown + returned


class Ansible:
    """ansible-playbook of the environment that runs the tests, with settings that depend on nothing else here.

    :param home: a folder for everything that Ansible writes on its own account.
    """

    def __init__(self, home: Path) -> None:
        self.home = home
        self._runs = 0

    def environment(self, **more: str) -> dict[str, str]:
        """The environment for an Ansible program: this machine's own Ansible settings are left out."""
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("ANSIBLE_", "ROOSYNC_")) and name != "PYTHONDONTWRITEBYTECODE"
        }
        return {
            **kept,
            "ANSIBLE_CALLBACKS_ENABLED": "record",
            "ANSIBLE_CALLBACK_PLUGINS": str(HERE / "callback_plugins"),
            # Empty: the collection is found where it is installed, beside ansible-core itself.
            "ANSIBLE_COLLECTIONS_PATH": str(self.home / "collections"),
            "ANSIBLE_CONFIG": str(CHECKOUT / "tests" / "ansible.cfg"),
            "ANSIBLE_DEPRECATION_WARNINGS": "1",
            "ANSIBLE_HOME": str(self.home / "ansible"),
            "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_REMOTE_TEMP": str(self.home / "remote-tmp"),
            "ANSIBLE_SYSTEM_WARNINGS": "1",
            "LC_ALL": "C.UTF-8",
            "XDG_CACHE_HOME": str(self.home / "cache"),
            **more,
        }

    def documentation(self) -> dict[str, Any]:
        """What ansible-doc says of each module of the collection, by its full name."""
        modules = [NAMESPACE + path.stem for path in (CHECKOUT / "plugins" / "modules").glob("*.py")]
        done = subprocess.run(
            [str(BIN / "ansible-doc"), "--json", "--type", "module", *modules],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            env=self.environment(),
            timeout=TIMEOUT,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, ""), done.stderr
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    def start(
        self,
        playbook: Path,
        *arguments: str,
        variables: Mapping[str, Any] | None = None,
        interpreter: str = sys.executable,
        **environment: str,
    ) -> Running:
        """Start a playbook on this host.

        :param variables: extra variables.
        :param interpreter: the Python that modules run on.
        """
        self._runs += 1
        record = self.home / f"record-{self._runs}.jsonl"
        record.touch()
        host = {"ansible_connection": "local", "ansible_python_interpreter": interpreter}
        inventory = self.home / f"inventory-{self._runs}.json"
        inventory.write_text(json.dumps({"all": {"hosts": {"localhost": host}}}), encoding="utf-8")
        command = [str(BIN / "ansible-playbook"), "-i", str(inventory), str(playbook), *arguments]
        process = subprocess.Popen(
            [*command, "--extra-vars", json.dumps(dict(variables or {}))],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=self.environment(ROOSYNC_TEST_RECORD=str(record), **environment),
        )
        return Running(process, record)

    def play(self, playbook: Path, *arguments: str, **options: Any) -> Run:
        """Run a playbook to its end; see :meth:`start`."""
        return self.start(playbook, *arguments, **options).finish()

    def start_tasks(self, tasks: Sequence[Mapping[str, Any]], *arguments: str, **options: Any) -> Running:
        """Start a playbook of these tasks; see :meth:`start`."""
        playbook = self.home / f"playbook-{self._runs}.yml"
        play = {"name": "Test", "hosts": "localhost", "gather_facts": False, "tasks": list(tasks)}
        playbook.write_text(yaml.safe_dump([play], sort_keys=False), encoding="utf-8")
        return self.start(playbook, *arguments, **options)

    def call(self, module: str, *arguments: str, **options: Any) -> Run:
        """Run one task, with the name of its module as its name.

        :param options: of the module.
        """
        return self.start_tasks([task_of(module, **options)], *arguments).finish()


def task_of(module: str, **options: Any) -> dict[str, Any]:
    """A task that calls a module of this collection."""
    return {"name": module, NAMESPACE + module: options}


@dataclass
class Running:
    """A playbook that is running."""

    process: subprocess.Popen[str]
    record: Path

    def entries(self) -> list[dict[str, Any]]:
        """What has been recorded so far; a line that is still being written is left out."""
        lines = self.record.read_text(encoding="utf-8").split("\n")[:-1]
        return [json.loads(line) for line in lines]

    def finish(self) -> Run:
        """Wait for the end."""
        try:
            output, _none = self.process.communicate(timeout=TIMEOUT)
        except subprocess.TimeoutExpired:
            self.process.kill()
            output, _none = self.process.communicate()
            raise AssertionError(f"the playbook did not end within {TIMEOUT} s:\n{output}") from None
        tasks = [
            Task(entry["name"], entry["action"], entry["event"], entry["result"])
            for entry in self.entries()
            if "result" in entry
        ]
        return Run(self.process.returncode, output, tasks)
