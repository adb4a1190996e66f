# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One beat of the agent, as a whole process, against an interpreter that does nothing."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from fleets import Fleet
from measure import Figure, Pace, compare, process, system_python

from ansible_collections.roosync.heartbeat.plugins.module_utils import _engine

AIM = 1.25
REST = {
    "source": "compiling the script; creating, syncing and renaming the record; less what ending at once saves",
    "precompiled": "creating, syncing and renaming the record; less what ending at once saves",
}


class Agent:
    """An agent on this machine, that has beaten twice: from now on nothing changes."""

    def __init__(self, folder: Path, fleet: Fleet, script: Path) -> None:
        self.python = system_python()
        self.script = script
        self.state = folder / "state"
        self.state.mkdir(parents=True, mode=0o700)
        host = folder / "machine-id"
        host.write_text("%032x\n" % 1)
        self.config = folder / "agent.conf"
        self.config.write_text(
            "store = %s\nmachine_id = agent-01\nstate_dir = %s\nhost_id = %s\n" % (fleet.address, self.state, host)
        )
        self.record = fleet.heartbeats / "agent-01.json"
        self.beats = 0
        self.beat()
        self.prepared = (self.state / "prepared").stat().st_ino

    def beat(self) -> float:
        self.beats += 1
        return process([self.python, "-I", "-S", str(self.script), str(self.config)])

    def verify(self) -> None:
        """Every beat must have arrived, and none may have been the careful sort, which prepares anew."""
        found = json.loads(self.record.read_text())["sequence"]
        if found != self.beats or (self.state / "prepared").stat().st_ino != self.prepared:
            raise RuntimeError("of %d beats %d were written the quick way" % (self.beats, found))


def deploy(folder: Path) -> dict[str, Path]:
    """Copies of the engine, as it is put onto a machine: once from source, once as one precompiled file."""
    source = Path(next(iter(_engine.__path__)))
    engine = folder / "_engine"
    shutil.copytree(source, engine, ignore=shutil.ignore_patterns("__pycache__"))
    script = engine / "agent" / "quick.py"
    compiled = script.with_suffix(".pyc")
    code = "import py_compile, sys; py_compile.compile(sys.argv[1], sys.argv[2], doraise=True)"
    subprocess.run([system_python(), "-I", "-c", code, str(script), str(compiled)], check=True)
    return {"source": script, "precompiled": compiled}


def measure(folder: Path, sizes: list[int], pace: Pace) -> Iterator[Figure]:
    """:param sizes: of the fleets in whose stores the agent beats, itself included."""
    nothing = [system_python(), "-I", "-S", "-c", "pass"]
    scripts = deploy(folder)
    agents = {}
    for size in sizes:
        for form, script in scripts.items():
            place = folder / ("%s-%d" % (form, size))
            agents[form, size] = Agent(place, Fleet(place / "store", size - 1), script)
    subjects = {"%s, fleet of %d" % key: agent.beat for key, agent in agents.items()}
    found = compare(subjects, partial(process, nothing), pace)
    for (form, size), agent in agents.items():
        agent.verify()
        name = "%s, fleet of %d" % (form, size)
        yield Figure("beat", "one beat, " + name, "python3 -I -S -c pass", aim=AIM, rest=REST[form], **found[name])


def version() -> str:
    """Which Python the beats were measured with."""
    code = "import sys; print(sys.version.split()[0])"
    path = system_python()
    found = subprocess.run([path, "-I", "-S", "-c", code], check=True, capture_output=True, text=True).stdout.strip()
    real = os.path.realpath(path)
    return "%s (%s)" % (path if real == path else "%s -> %s" % (path, real), found)
