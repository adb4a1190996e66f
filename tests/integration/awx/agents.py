# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts that are folders of this machine, with real agents in them, which the test starts as a scheduler would."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

EVERY = 0.5


def inventory(root: Path, hosts: Mapping[str, Any]) -> dict[str, Any]:
    """The inventory of the hosts, each with variables of its own, and with the store in the same folder."""
    return {
        "all": {
            "hosts": dict(hosts),
            "vars": {
                "heartbeat_store": str(root / "store"),
                "ansible_connection": "local",
                "ansible_python_interpreter": sys.executable,
                "heartbeat_agent_scope": "user",  # so that it does not matter who runs the tests
                **{f"heartbeat_agent_{name}": str(path) for name, path in _paths(root, "{{ inventory_hostname }}")},
            },
        }
    }


def machine() -> dict[str, Any]:
    """What keeps the role off the schedulers of this machine: none for the agents, and another name to stop."""
    return {
        "heartbeat_agent_scheduler": "none",
        "heartbeat_agent__name": "roosync-heartbeat-test-of-awx",
        "heartbeat_agent__job": "test of roosync heartbeat by awx",
    }


def _paths(root: Path, host: str) -> list[tuple[str, Path]]:
    folder = root / "hosts" / host
    return [("prefix", folder / "agent"), ("config", folder / "agent.conf"), ("state_dir", folder / "state")]


@contextmanager
def beating(root: Path, *hosts: str) -> Iterator[None]:
    """Let the agents of these hosts beat, from when they are deployed until the end of the block."""
    over = threading.Event()
    threads = [threading.Thread(target=_beat, args=(dict(_paths(root, host)), over)) for host in hosts]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join()


def _beat(paths: dict[str, Path], over: threading.Event) -> None:
    program = paths["prefix"] / "current" / "_engine" / "agent" / "quick.py"
    while not over.wait(EVERY):
        if program.exists() and paths["config"].exists():
            subprocess.run([sys.executable, "-I", "-S", str(program), str(paths["config"])], check=False)
