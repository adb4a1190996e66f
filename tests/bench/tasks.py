# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``heartbeat_register`` as a task, against ``ansible.builtin.ping``: in turn, in one run, on the local connection."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fleets import Fleet
from measure import Figure, Pace, Pairs, summary

HERE = Path(__file__).resolve().parent
AIM = 1.15
REST = "compiling the engine's files, which travel as source with every task; the fsync of the record"
PING = "ping"
REGISTER = "register"


def playbook(store: str, pairs: int) -> list[dict[str, Any]]:
    """Both tasks in turn, so many times and once to warm up."""
    register = {"store": store, "machine_id": "task-01", "metadata": {"role": "web"}}
    tasks = [
        {"name": REGISTER, "roosync.heartbeat.heartbeat_register": register},
        {"name": PING, "ansible.builtin.ping": {}},
    ]
    return [{"hosts": "all", "gather_facts": False, "tasks": tasks * (pairs + 1)}]


def run(folder: Path, content: list[dict[str, Any]]) -> list[tuple[str, float]]:
    """Run a playbook; every task's name and seconds."""
    path, times = folder / "playbook.json", folder / "times.json"
    path.write_text(json.dumps(content))
    env = dict(
        os.environ,
        ANSIBLE_CALLBACK_PLUGINS=str(HERE / "callback_plugins"),
        ANSIBLE_CALLBACKS_ENABLED="task_times",
        ANSIBLE_CONFIG=str(HERE.parent / "ansible.cfg"),
        ANSIBLE_HOME=str(folder / "ansible"),
        ANSIBLE_REMOTE_TEMP=str(folder / "remote-tmp"),
        LC_ALL="C.UTF-8",
        TASK_TIMES_PATH=str(times),
    )
    program = Path(sys.executable).with_name("ansible-playbook")
    host = ["-i", "localhost,", "-c", "local", "-e", json.dumps({"ansible_python_interpreter": sys.executable})]
    done = subprocess.run([program, *host, path], env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError("the playbook failed:\n" + done.stdout + done.stderr)
    return [tuple(pair) for pair in json.loads(times.read_text())]


def measure(folder: Path, pairs: int, pace: Pace) -> Iterator[Figure]:
    """:param pairs: of tasks in one run; runs are added until the pace is kept."""
    folder.mkdir()
    fleet = Fleet(folder / "store", 0)
    taken: Pairs = []
    while pace.wants_more(taken):
        times = run(folder, playbook(fleet.address, pairs))
        names = [name for name, _other in times]
        if names != [REGISTER, PING] * (pairs + 1):
            raise RuntimeError("the tasks ran in another order: %s" % names)
        seconds = [took for _other, took in times[2:]]
        taken.extend(zip(seconds[::2], seconds[1::2], strict=True))
    yield Figure("task", "heartbeat_register as a task", "ansible.builtin.ping", aim=AIM, rest=REST, **summary(taken))
