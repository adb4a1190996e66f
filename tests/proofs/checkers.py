# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Several checkers at once, after each round of random change: each transition is recorded and reported once."""

from __future__ import annotations

import multiprocessing
import random
import time
from contextlib import contextmanager
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Iterator, List, Tuple, Type

from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.check import run_check
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.stores.file import FileStore
from ansible_collections.roosync.heartbeat.tests.proofs.terrain import Changed, Terrain, changes, fail

PATIENCE = 120.0


class Unlocked(FileStore):
    """A store on a file system whose locks exclude nobody, as some network file systems are."""

    @contextmanager
    def lock(self, name: str, timeout: float, needed: bool = False) -> Iterator[bool]:
        yield True


def prove(root: Path, checkers: int, rounds: int, seed: int, machines: int = 40) -> str:
    """Let the fleet change and all the checkers look at once, round after round.

    :returns: the figures, in one line.
    :raises ProofFailed: a transition is missing, doubled or wrong.
    """
    terrain = Terrain(root, random.Random(seed), machines)
    context = multiprocessing.get_context("fork")
    start = context.Barrier(checkers)
    pipes = [context.Pipe() for _number in range(checkers)]
    kinds = [FileStore if number == 0 else Unlocked for number in range(checkers)]
    processes = [
        context.Process(target=_check_on_demand, args=(kind, root, far, start))
        for kind, (_near, far) in zip(kinds, pipes)
    ]
    for process in processes:
        process.start()
    began = time.monotonic()
    events = races = 0
    try:
        for number in range(rounds):
            expected = terrain.change()
            reported, lost_races = _round([near for near, _far in pipes])
            if sorted(c for checker in reported for c in checker) != expected:
                fail("round %d: reported %s, expected %s", number, reported, expected)
            recorded = terrain.recorded_since(events)
            if changes(recorded) != expected:
                fail("round %d: recorded %s, expected %s", number, changes(recorded), expected)
            events += len(recorded)
            races += lost_races
        terrain.verify()
        if not races:
            fail("no checker ever lost a race in %d rounds: that proves nothing", rounds)
    finally:
        for process in processes:
            process.kill()
            process.join()
    return "%d checkers at once in %d rounds of change: %d transitions, each recorded once; %d races lost; %.1f s" % (
        checkers,
        rounds,
        events,
        races,
        time.monotonic() - began,
    )


def _round(pipes: List[Connection]) -> Tuple[List[List[Changed]], int]:
    """One look of every checker: what each reports, and how often one had to look again because another was first."""
    for pipe in pipes:
        pipe.send("look")
    if not all(pipe.poll(PATIENCE) for pipe in pipes):
        fail("a checker does not answer")
    answers = [pipe.recv() for pipe in pipes]
    for answer in answers:
        if isinstance(answer, str):
            fail("a checker failed: %s", answer)
    return [found for found, _races in answers], sum(lost for _found, lost in answers)


def _check_on_demand(kind: Type[FileStore], root: Path, pipe: Connection, start: Barrier) -> None:
    while pipe.recv() == "look":
        try:
            start.wait(PATIENCE)
            with kind(str(root), "default") as store:
                found = run_check(store, force=True)
            seen = [(t["machine_id"], t["from"], t["to"]) for t in found["transitions"]]
            pipe.send((seen, found["statistics"]["races"]))
        except Exception as exc:  # whatever it is, it is for the parent to report
            pipe.send(repr(exc))
