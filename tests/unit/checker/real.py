# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real fleet in a real directory store. Machines age by ``utime``: a record's arrival is its file's mtime."""

from __future__ import annotations

import hashlib
import os
import random
import stat
import time
from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple

from ansible_collections.roosync.heartbeat.plugins.module_utils._engine import documents, journal
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.check import run_check
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.clock import NS
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.fleet import Request, manage
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.record import Beat, encode, file_name, sent_now
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.state import Commit, State, fold
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.stores.file import FileStore
from ansible_collections.roosync.heartbeat.tests.unit.checker.sim import Sim


class RealFleet:
    """A fleet below ``root``, made as a user makes it."""

    def __init__(self, root: Path, **settings: Any) -> None:
        self.root = root
        self.path = root / "default"
        self.sequence = 0
        with self.open() as store:
            manage(store, Request(settings=settings))

    def open(self) -> FileStore:
        return FileStore(str(self.root), "default")

    # -- machines ------------------------------------------------------------------------------------------------

    def record(self, machine: str) -> Path:
        return self.path / "heartbeats" / file_name(machine)

    def beat(self, *machines: str, age: float = 0.0, **fields: Any) -> None:
        """Each machine has beaten, ``age`` seconds ago."""
        with self.open() as store:
            for machine in machines:
                self.sequence += 1
                values = {"sequence": self.sequence, "sent_at": sent_now(), "boot_id": "boot", **fields}
                at = store.write_beat(machine, encode(Beat(machine_id=machine, **values)))
                assert at is not None
                if age:
                    os.utime(self.record(machine), ns=(at, at - round(age * NS)))

    def age(self, machine: str, age: float) -> None:
        """The last beat of a machine is this old now."""
        at = time.time_ns() - round(age * NS)
        os.utime(self.record(machine), ns=(at, at))

    # -- the checker ---------------------------------------------------------------------------------------------

    def check(self, **options: Any) -> Dict[str, Any]:
        with self.open() as store:
            return run_check(store, **{"force": True, **options})

    def changes(self, **options: Any) -> List[Tuple[str, str, str]]:
        return [(t["machine_id"], t["from"], t["to"]) for t in self.check(**options)["transitions"]]

    def ledger(self) -> journal.Ledger:
        with self.open() as store:
            return journal.load(store)

    def rebuilt(self) -> journal.Ledger:
        with self.open() as store:
            return journal.rebuild(store)

    def commit_path(self, number: int) -> Path:
        return self.path / "journal" / ("%020d.json" % number)

    def commit(self, number: int) -> Commit:
        return documents.load_commit(self.commit_path(number).read_bytes(), number)

    def tree(self) -> Dict[str, Tuple[Any, ...]]:
        """Everything there is, to be compared: kind, mode, content and times of files, names of directories."""
        found: Dict[str, Tuple[Any, ...]] = {}
        for path in sorted(self.root.rglob("*")):
            state = path.lstat()
            detail: Optional[Tuple[Any, ...]] = None
            if stat.S_ISREG(state.st_mode):
                detail = (state.st_mtime_ns, state.st_ino, hashlib.sha256(path.read_bytes()).hexdigest())
            found[str(path.relative_to(self.root))] = (stat.S_IFMT(state.st_mode), detail)
        return found


def kinds(result: Dict[str, Any]) -> List[str]:
    """What is wrong in the store, by kind."""
    return [str(p["kind"]) for p in result["problems"]]


def history(count: int, seed: int = 1, machines: int = 12) -> List[Commit]:
    """At least ``count`` commits of a fleet that comes and goes at random."""
    chance = random.Random(seed)
    sim = Sim()
    names = ["m%02d" % n for n in range(machines)]
    while len(sim.commits) < count:
        sim.wait(chance.choice([1, 20, 50, 100]))
        sim.beat(*chance.sample(names, chance.randint(1, machines)))
        if chance.random() < 0.1:
            sim.beat(chance.choice(names), leaving="stop")
        sim.check()
    return sim.commits[:count]


def folded(commits: List[Commit]) -> State:
    state = State()
    for commit in commits:
        fold(state, commit)
    return state


def write_history(store: FileStore, commits: List[Commit]) -> None:
    """Append commits one by one, as a checker does."""
    ledger = journal.load(store)
    for commit in commits:
        assert journal.append(store, ledger, commit, commit.at)
