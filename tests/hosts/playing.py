# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run playbooks against the test hosts as a user would, over ssh, and read what came of it, host by host."""

from __future__ import annotations

import json
import re
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from ansible_collections.roosync.heartbeat.tests.hosts.lab import CHECKOUT, Lab
from ansible_collections.roosync.heartbeat.tests.integration.runner import BIN, Ansible, Task

TIMEOUT = 600
_RECAP = re.compile(r"^(\S+)\s+: (ok=.*)$", re.MULTILINE)


@dataclass
class HostTask(Task):
    """One task on one host."""

    host: str = ""
    ignored: bool = False
    at: float = 0.0
    """When it was done, in seconds since the epoch."""


@dataclass
class Played:
    """One run of ansible-playbook."""

    rc: int
    output: str
    tasks: list[HostTask] = field(default_factory=list)

    @property
    def recap(self) -> dict[str, dict[str, int]]:
        """The numbers of ``PLAY RECAP``, by host."""
        _before, _line, recap = self.output.rpartition("PLAY RECAP")
        return {
            host: {key: int(value) for key, value in (pair.split("=") for pair in numbers.split())}
            for host, numbers in _RECAP.findall(recap)
        }

    @property
    def changed(self) -> list[tuple[str, str]]:
        """What changed: host and task."""
        return [(task.host, task.name) for task in self.tasks if task.changed]

    @property
    def unreachable(self) -> set[str]:
        return {task.host for task in self.tasks if task.status == "unreachable"}

    def failed(self, host: str) -> HostTask:
        """The task at which a host failed; what failed before was rescued, in order to say it better."""
        found = [t for t in self.tasks if t.host == host and t.status == "failed" and not t.ignored]
        return found[-1]

    def started(self, host: str, unit: str) -> float:
        """When a unit of systemd was started on a host."""
        (found,) = [t for t in self.tasks if t.host == host and t.changed and t.result.get("name") == unit]
        return found.at

    def ok(self) -> Played:
        """This run, which has to be a success."""
        assert self.rc == 0, self.output[-6000:]
        return self


@contextmanager
def sockets() -> Iterator[Path]:
    """A folder for the sockets of one program's connections: none of them outlives the boot of a host that it led to.

    Their paths must not be longer than about a hundred characters, wherever the checkout is.
    """
    with tempfile.TemporaryDirectory(prefix="ssh-", dir="/tmp", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


class Player:
    """ansible-playbook of the environment that runs the tests.

    :param home: a folder for everything that Ansible writes on its own account.
    """

    def __init__(self, lab: Lab, home: Path) -> None:
        self._lab = lab
        self._ansible = Ansible(home)
        self._home = home
        self.collections = home / "collections"
        self._runs = 0

    def play(self, what: str | Sequence[dict[str, Any]], *arguments: str, **variables: Any) -> Played:
        """Run a playbook to its end.

        :param what: the name of a playbook of the collection (``deploy``), or plays.
        :param arguments: for ansible-playbook, such as ``--limit hb-1``.
        :param variables: extra variables.
        """
        self._runs += 1
        record = self._home / f"record-{self._runs}.jsonl"
        record.touch()
        if isinstance(what, str):
            playbook = f"roosync.heartbeat.{what}"
        else:
            playbook = str(self._home / f"playbook-{self._runs}.yml")
            Path(playbook).write_text(yaml.safe_dump(list(what), sort_keys=False), encoding="utf-8")
        command = [str(BIN / "ansible-playbook"), "-i", str(self._lab.inventory), playbook, *arguments]
        with sockets() as folder:
            done = subprocess.run(
                [*command, "--extra-vars", json.dumps(variables)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=TIMEOUT,
                check=False,
                env=self.environment(folder, ROOSYNC_TEST_RECORD=str(record)),
            )
        return Played(done.returncode, done.stdout, _read(record))

    def environment(self, folder: Path, **more: str) -> dict[str, str]:
        """The environment for an Ansible program that connects to hosts, with the sockets for that in a folder."""
        return self._ansible.environment(
            ANSIBLE_FORKS="6",
            ANSIBLE_SSH_ARGS="-o ControlMaster=auto -o ControlPersist=5s",
            ANSIBLE_SSH_CONTROL_PATH_DIR=str(folder),
            **more,
        )


def install_collection(home: Path) -> None:
    """Build the collection and install it where :class:`Player` looks first: what runs stays the same to the end."""
    environment = Ansible(home).environment()
    galaxy = [str(BIN / "ansible-galaxy"), "collection"]
    build = [*galaxy, "build", "--output-path", str(home), str(CHECKOUT)]
    subprocess.run(build, env=environment, check=True, capture_output=True, timeout=TIMEOUT)
    (archive,) = home.glob("roosync-heartbeat-*.tar.gz")
    # By force, because the copy in the environment of the tests passes for this one.
    install = [*galaxy, "install", "--force", "--offline", "--no-deps", "--collections-path", str(home / "collections")]
    subprocess.run([*install, str(archive)], env=environment, check=True, capture_output=True, timeout=TIMEOUT)


def _read(record: Path) -> list[HostTask]:
    entries = [json.loads(line) for line in record.read_text(encoding="utf-8").splitlines()]
    return [
        HostTask(e["name"], e["action"], e["event"], e["result"], e["host"], e.get("ignored", False), e["at"])
        for e in entries
        if "result" in e
    ]
