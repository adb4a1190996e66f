# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A checker is killed at a random moment, again and again: no transition is lost, none is recorded twice.

This process has imported everything, and each checker is a fork of it, so that the kills land in the check itself.
"""

from __future__ import annotations

import itertools
import os
import random
import signal
import statistics
import time
from collections import Counter, deque
from functools import partial
from pathlib import Path
from typing import Any, Callable, Deque, Optional

from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.check import run_check
from ansible_collections.roosync.heartbeat.tests.proofs.terrain import Terrain, changes, fail

MEASURED = 15
BEFORE, AFTER, TOO_LATE = "before its commit", "after its commit", "after its end"
MAX_STEPS = 200
SEVERAL = 0.3
"""How often the next checker is killed too, before one comes to its end."""


def prove(root: Path, kills: int, seed: int, machines: int = 30) -> str:
    """Kill so many checkers in their checks.

    :returns: the figures, in one line.
    :raises ProofFailed: a transition is missing, doubled or wrong.
    """
    chance = random.Random(seed)
    terrain = Terrain(root, chance, machines)
    began = time.monotonic()
    recent = _measure(terrain)
    events = terrain.verify().event
    landed: Counter[str] = Counter()
    while landed[BEFORE] + landed[AFTER] < kills:
        expected = terrain.change_for_sure()
        while True:
            landed[_kill_one(terrain, chance.uniform(0, 1.05 * statistics.median(recent)))] += 1
            if chance.random() > SEVERAL:
                break
        recent.append(_check_to_the_end(terrain))
        recorded = terrain.recorded_since(events)
        if changes(recorded) != expected:
            fail("after %s: recorded %s, expected %s", dict(landed), changes(recorded), expected)
        events += len(recorded)
        if sum(landed.values()) > 20 * kills:
            fail("the kills do not land: %s", dict(landed))
    terrain.verify()
    if not landed[BEFORE] or not landed[AFTER]:
        fail("the kills fell on one side of the commit only: %s", dict(landed))
    return "%d checkers killed in a check of %.1f ms (%s); %d transitions, none lost, none twice; %.1f s" % (
        landed[BEFORE] + landed[AFTER],
        statistics.median(recent) * 1000,
        ", ".join("%d %s" % (landed[where], where) for where in (BEFORE, AFTER, TOO_LATE)),
        events,
        time.monotonic() - began,
    )


def prove_steps(root: Path, seed: int, machines: int = 10) -> str:
    """Kill a checker before and after each of its calls that change something in the store, one after the other.

    :returns: the figures, in one line.
    :raises ProofFailed: a transition is missing, doubled or wrong.
    """
    terrain = Terrain(root, random.Random(seed), machines)
    began = time.monotonic()
    events = killed = 0
    for when in ("before", "after"):
        for step in range(1, MAX_STEPS):
            expected = terrain.change_for_sure()
            fallen = _end_of(_fork_checker(terrain, partial(_die_at, step, when))) is not None
            killed += fallen
            _check_to_the_end(terrain)
            recorded = terrain.recorded_since(events)
            if changes(recorded) != expected:
                fail("%s step %d: recorded %s, expected %s", when, step, changes(recorded), expected)
            events += len(recorded)
            if not fallen:
                break
        else:
            fail("a check of more than %d steps", MAX_STEPS)
    terrain.verify()
    return "a checker killed before and after each of its %d steps; %d transitions, none lost, none twice; %.1f s" % (
        killed // 2,
        events,
        time.monotonic() - began,
    )


def _die_at(step: int, when: str) -> None:
    """Let this process be killed at its n-th call of those that change a file system."""
    calls = itertools.count(1)

    def guarded(call: Callable[..., Any]) -> Callable[..., Any]:
        def run(*args: Any, **kwargs: Any) -> Any:
            fatal = next(calls) == step
            if fatal and when == "before":
                os.kill(os.getpid(), signal.SIGKILL)
            try:
                return call(*args, **kwargs)
            finally:
                if fatal:
                    os.kill(os.getpid(), signal.SIGKILL)

        return run

    for name in ("write", "fsync", "link", "rename", "unlink", "mkdir"):
        setattr(os, name, guarded(getattr(os, name)))
    os.open = _guard_creating(os.open, guarded(os.open))


def _guard_creating(plain: Callable[..., int], guarded: Callable[..., int]) -> Callable[..., int]:
    """To open a file changes something only if it may be created."""

    def run(path: Any, flags: int, *args: Any, **kwargs: Any) -> int:
        return (guarded if flags & os.O_CREAT else plain)(path, flags, *args, **kwargs)

    return run


def _fork_checker(terrain: Terrain, prepare: Callable[[], None] = lambda: None) -> int:
    """A checker in a process of its own; its exit status tells whether it came to its end."""
    pid = os.fork()
    if pid:
        return pid
    try:
        prepare()
        with terrain.open() as store:
            run_check(store, force=True)
        os._exit(0)
    except BaseException as exc:
        os.write(2, ("a checker failed: %r\n" % exc).encode())
    finally:
        os._exit(1)


def _end_of(pid: int) -> Optional[int]:
    """The signal that ended a checker, or None if it came to its end."""
    _pid, status = os.waitpid(pid, 0)
    if os.WIFSIGNALED(status):
        return os.WTERMSIG(status)
    if os.WEXITSTATUS(status):
        fail("a checker failed by itself")
    return None


def _check_to_the_end(terrain: Terrain) -> float:
    began = time.monotonic()
    if _end_of(_fork_checker(terrain)) is not None:
        fail("somebody else killed a checker")
    return time.monotonic() - began


def _measure(terrain: Terrain) -> Deque[float]:
    """How long a checker takes that has something to record, its process included; only the last ones count."""
    times: Deque[float] = deque(maxlen=MEASURED)
    for _time in range(MEASURED):
        terrain.change_for_sure()
        times.append(_check_to_the_end(terrain))
    return times


def _kill_one(terrain: Terrain, delay: float) -> str:
    """Kill a checker so many seconds after its start; in which part of its life that was."""
    journal = terrain.root / "default" / "journal"
    before = len(os.listdir(journal / "archive")) + sum(1 for n in os.listdir(journal) if n.endswith(".json"))
    pid = _fork_checker(terrain)
    time.sleep(delay)
    os.kill(pid, signal.SIGKILL)
    if _end_of(pid) is None:
        return TOO_LATE
    after = len(os.listdir(journal / "archive")) + sum(1 for n in os.listdir(journal) if n.endswith(".json"))
    return AFTER if after > before else BEFORE
