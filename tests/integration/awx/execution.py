# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One job, run by ansible-runner as AWX does: a folder with a project, an inventory and extra variables."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from ansible_collections.roosync.heartbeat.tests.integration.awx.project import PROJECT
from ansible_collections.roosync.heartbeat.tests.integration.runner import BIN, TIMEOUT, Ansible, Run, Task

IDENT = "job"
# The events that carry the result of a task, and what tests/integration/runner.py calls them.
RESULTS = {
    "runner_on_ok": "ok",
    "runner_on_failed": "failed",
    "runner_on_skipped": "skipped",
    "runner_on_unreachable": "unreachable",
}


class _Unsafe(yaml.SafeDumper):
    """AWX marks every string as no template, keys and lists included, unless a job template's own variables have it."""

    def represent_data(self, data: Any) -> yaml.Node:
        if isinstance(data, str):
            return self.represent_scalar("!unsafe", data)
        return super().represent_data(data)


def extra_vars_file(variables: Mapping[str, Any], trusted: Mapping[str, Any]) -> str:
    """Extra variables as AWX hands them to ansible-runner."""
    return "".join(
        yaml.dump({name: value}, Dumper=yaml.SafeDumper if trusted.get(name) == value else _Unsafe)
        for name, value in variables.items()
    )


@dataclass
class Job:
    """A job that has come to its end."""

    playbook: str
    status: str
    rc: int
    output: str
    events: list[dict[str, Any]] = field(repr=False, default_factory=list)

    @property
    def succeeded(self) -> bool:
        return self.status == "successful"

    @property
    def artifacts(self) -> dict[str, Any]:
        """What the job told by set_stats; AWX takes it from the last event of a play."""
        (stats,) = [event["event_data"] for event in self.events if event["event"] == "playbook_on_stats"]
        return dict(stats["artifact_data"])

    @cached_property
    def run(self) -> Run:
        """The same as a run of ansible-playbook, one entry for each task and host."""
        tasks = [
            Task(data["task"], data["resolved_action"], RESULTS[event["event"]], data.get("res", {}))
            for event in self.events
            if (data := event["event_data"]) and event["event"] in RESULTS
        ]
        return Run(self.rc, self.output, tasks)

    def hosts(self, kind: str) -> set[str]:
        """The hosts that the recap counts under ``changed``, ``ok``, ``failures`` or ``dark``."""
        (stats,) = [event["event_data"] for event in self.events if event["event"] == "playbook_on_stats"]
        return set(stats[kind])


class Execution:
    """What AWX has execute its jobs.

    :param home: a folder for the jobs.
    :param inventory: of all jobs, as Ansible's YAML has it.
    :param machine: variables that keep a job off the machine that runs the tests.
    """

    def __init__(self, ansible: Ansible, home: Path, inventory: Mapping[str, Any], machine: Mapping[str, Any]) -> None:
        self._ansible = ansible
        self._home = home
        self._inventory = inventory
        self._machine = machine
        self._jobs = 0

    def run(
        self, playbook: str, *arguments: str, variables: Mapping[str, Any], trusted: Mapping[str, Any] | None = None
    ) -> Job:
        """Run a playbook of the project.

        :param arguments: for ansible-playbook.
        :param variables: extra variables.
        :param trusted: those of them that may be templates.
        """
        self._jobs += 1
        folder = self._home / f"job-{self._jobs}"
        shutil.copytree(PROJECT, folder / "project")
        (folder / "inventory").mkdir()
        (folder / "inventory" / "hosts.json").write_text(json.dumps(self._inventory), encoding="utf-8")
        (folder / "env").mkdir()
        # AWX adds variables of its own, of which the job's number is one.
        text = extra_vars_file({**self._machine, **variables, "awx_job_id": self._jobs}, trusted or {})
        (folder / "env" / "extravars").write_text(text, encoding="utf-8")
        environment = self._ansible.environment(PATH=f"{BIN}:{os.environ['PATH']}")
        # ansible-runner brings a callback plugin of its own.
        for name in ("ANSIBLE_CALLBACKS_ENABLED", "ANSIBLE_CALLBACK_PLUGINS"):
            del environment[name]
        command = [str(BIN / "ansible-runner"), "run", str(folder), "--quiet", "--ident", IDENT, "--playbook", playbook]
        if arguments:
            command.append("--cmdline=" + " ".join(arguments))
        subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, timeout=TIMEOUT, check=False)
        return _read(playbook, folder / "artifacts" / IDENT)


def _read(playbook: str, folder: Path) -> Job:
    # An event's file is moved to its name when it is complete; the number in front is its place.
    events = sorted((folder / "job_events").glob("[0-9]*.json"), key=lambda path: int(path.name.split("-")[0]))
    return Job(
        playbook,
        (folder / "status").read_text(encoding="utf-8"),
        int((folder / "rc").read_text(encoding="utf-8")),
        (folder / "stdout").read_text(encoding="utf-8"),
        [json.loads(path.read_text(encoding="utf-8")) for path in events],
    )
