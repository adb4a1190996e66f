# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Registering many machines in one call, against bare write, fsync and rename of the same bytes."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from fleets import Fleet, machine
from measure import Figure, Pace, Pairs, summary
from spy import shares

from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.register import register_many

AIM = 1.5
YARDSTICK = "write, fsync, rename of the same bytes"
CHUNK = 50
"""Machines whose times make one pair."""
REST_NEW = "link and unlink instead of rename, so that nobody's record is overwritten; otherwise as below"


class Bare:
    """The same bytes with nothing but what makes a file durable and whole, one file at a time.

    :param folder: another one, empty, on the same file system.
    """

    def __init__(self, folder: Path, records: dict[str, bytes]) -> None:
        folder.mkdir(parents=True)
        self.folder = os.open(folder, os.O_RDONLY)
        self.records = records

    def write(self, name: str) -> None:
        temporary = ".tmp-" + name
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o664, dir_fd=self.folder)
        os.write(fd, self.records[name])
        os.fsync(fd)
        os.close(fd)
        os.rename(temporary, name, src_dir_fd=self.folder, dst_dir_fd=self.folder)

    def close(self) -> None:
        os.close(self.folder)


class Turns:
    """The machines of one call; between two of them, while the call waits for the next, one bare write is made.

    A disk that others use as well may take ten times as long a second later: turns this short meet the same disk.
    """

    def __init__(self, machines: int, bare: Bare | None = None) -> None:
        self.machines = machines
        self.bare = bare
        self.times: Pairs = []

    def __iter__(self) -> Iterator[dict[str, Any]]:
        began = time.perf_counter()
        for number in range(self.machines):
            yield {"machine_id": machine(number), "metadata": {"role": "web", "rack": "r12", "slot": number}}
            done = time.perf_counter()
            if self.bare is not None:
                self.bare.write(machine(number) + ".json")
            now = time.perf_counter()
            self.times.append((done - began, now - done))
            began = now

    def pairs(self) -> Pairs:
        chunks = [self.times[at : at + CHUNK] for at in range(0, len(self.times), CHUNK)]
        return [(sum(a for a, _other in chunk), sum(b for _other, b in chunk)) for chunk in chunks]


def register(fleet: Fleet, turns: Turns, new: int) -> Pairs:
    """One call for all machines; so many of them must be new."""
    with fleet.open() as store:
        registered = register_many(store, turns)["registered"]
    found = sum(entry["is_new_machine"] for entry in registered)
    if len(registered) != turns.machines or found != new:
        raise RuntimeError("%d registered, %d of them new" % (len(registered), found))
    return turns.pairs()


def measure(folder: Path, machines: int, pace: Callable[[], Pace]) -> Iterator[Figure]:
    fleet = Fleet(folder / "fleet", 0)
    register(fleet, Turns(machines), new=machines)
    records = {path.name: path.read_bytes() for path in fleet.heartbeats.iterdir()}
    taken: Pairs = []
    wanted = pace()
    while wanted.wants_more(taken):
        number = len(taken)
        bare = Bare(folder / ("new-%d-bare" % number), records)
        taken += register(Fleet(folder / ("new-%d" % number), 0), Turns(machines, bare), new=machines)
        bare.close()
    yield _figure("%d new machines in one call" % machines, REST_NEW, taken)

    bare = Bare(folder / "known-bare", records)
    register(fleet, Turns(machines, bare), new=0)
    taken = []
    wanted = pace()
    while wanted.wants_more(taken):
        taken += register(fleet, Turns(machines, bare), new=0)
    bare.close()
    rest = shares(fleet, partial(register_many, machines=Turns(machines)), 3)
    yield _figure("%d known machines in one call" % machines, rest, taken)


def _figure(name: str, rest: str, taken: Pairs) -> Figure:
    found = summary(taken)
    return Figure("batch", name, YARDSTICK, aim=AIM, rest=rest, **found)
