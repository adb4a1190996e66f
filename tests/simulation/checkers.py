# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The checkers: the engine's own ``run_check``, undisturbed, killed, in twos, or with a clock that jumps."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import numpy as np

from ansible_collections.roosync.heartbeat.plugins.module_utils._engine import check, documents
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.errors import StoreUnavailable
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.settings import Settings
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.stores.base import Received

from .scenarios import NS
from .store import Backing, Hook, SimStore
from .world import World


class Killed(BaseException):
    """The checker's process ended at this very step, as by SIGKILL: no handler of the engine may catch this."""


def found_fleet(world: World) -> Backing:
    """An empty store with the default settings."""
    backing = Backing()
    fleet = documents.Fleet("0" * 32, "2026-01-01T00:00:00.000000Z", Settings(), [])
    backing.documents["fleet.json"] = Received(fleet.dump(), world.now)
    return backing


def look(store: SimStore) -> dict[str, Any] | None:
    """One check; None when the store is away."""
    try:
        return check.run_check(store, force=True)
    except StoreUnavailable:
        return None


def kill_at(step: int, after: bool) -> Hook:
    """A hook that kills the checker at its n-th step, before or after the step takes effect."""
    count = 0

    def hook(name: str, done: bool) -> None:
        nonlocal count
        if done == after:
            if count == step:
                raise Killed(name)
            count += 1

    return hook


def goes_away_at(step: int) -> Hook:
    """A hook that takes the store away from the n-th step on."""
    count = 0

    def hook(name: str, done: bool) -> None:
        nonlocal count
        if not done:
            count += 1
            if count > step:
                raise StoreUnavailable("the simulated store went away", errno="EIO", path="memory:/simulation")

    return hook


class Checkers:
    """Whoever checks the fleet in one scenario."""

    def __init__(self, world: World, backing: Backing, rng: np.random.Generator) -> None:
        self.world, self.backing, self.rng = world, backing, rng
        self.checks = 0
        self.kills = 0
        self.differences = 0
        self.races = 0
        self.others: list[dict[str, Any]] = []
        """What the checkers beside the main one said at this moment."""
        self._next_kill = 0
        self._takes = self._slowness if world.scenario.slow else None

    def _slowness(self, name: str) -> int:
        mean = {"scan": 2.0, "now": 0.2, "append_commit": 0.5}.get(name, 0.02)
        return int(self.rng.exponential(mean) * NS)

    def store(self, hook: Hook | None = None, backing: Backing | None = None) -> SimStore:
        return SimStore(self.world, self.backing if backing is None else backing, hook, self._takes)

    def check(self) -> dict[str, Any] | None:
        """One check as the scenario has it, with all that befalls it; None when the store is away."""
        scenario, self.others = self.world.scenario, []
        with self._jumping_clock() if scenario.checker_clock else _nothing():
            if scenario.kills:
                self._killed_check()
            if scenario.exhaustive:
                return self._check_killed_everywhere()
            if scenario.second == "baton":
                return self._take_turns()
            result = self._one(self._second_inside() if scenario.second else None)
        if scenario.checker_clock and result is not None and not scenario.kills:
            self._compare()
        return result

    def check_cut_short(self) -> dict[str, Any] | None:
        """A check during which the store goes away."""
        self.others = []
        return self._one(goes_away_at(int(self.rng.integers(0, 300))))

    def _one(self, hook: Hook | None) -> dict[str, Any] | None:
        self.checks += 1
        self._before = self.backing.clone() if self.world.scenario.checker_clock else None
        result = look(self.store(hook))
        if result is not None:
            self.races += result["statistics"].get("races", 0)
        return result

    # -- killed ------------------------------------------------------------------------------------------------------

    def _killed_check(self) -> None:
        """A check that is killed one half-step later than the one before it; afterwards it begins anew."""
        step, after = divmod(self._next_kill, 2)
        self._next_kill += 1
        try:
            self.checks += 1
            self._heard(look(self.store(kill_at(step, bool(after)))))
        except Killed:
            self.kills += 1
        else:
            self._next_kill = 0

    def _check_killed_everywhere(self) -> dict[str, Any] | None:
        """A check with news is first killed at every step, each time on a copy where a fresh checker then goes on."""
        trial = self.backing.clone()
        steps = 0

        def counting(name: str, done: bool) -> None:
            nonlocal steps
            steps += not done

        result = look(self.store(counting, trial))
        if result is not None and result["transitions"]:
            for step in range(steps):
                for after in (False, True):
                    self.differences += self._killed_and_resumed(step, after, trial)
        return self._one(None)

    def _killed_and_resumed(self, step: int, after: bool, undisturbed: Backing) -> int:
        """Whether the journal differs from that of a check which nobody killed."""
        copy = self.backing.clone()
        try:
            look(self.store(kill_at(step, after), copy))
        except Killed:
            self.kills += 1
        look(self.store(None, copy))
        self.checks += 2
        return int(_journal(copy) != _journal(undisturbed))

    # -- two at once -------------------------------------------------------------------------------------------------

    def _second_inside(self) -> Hook:
        """A hook in which a second checker runs from beginning to end, at a random step of the first."""
        step = int(self.rng.integers(0, 320)) if self.rng.random() < 0.5 else int(self.rng.integers(0, 40))
        count = 0

        def hook(name: str, done: bool) -> None:
            nonlocal count
            count += 1
            if count == step:
                self.checks += 1
                self._heard(look(self.store()))

        return hook

    def _take_turns(self) -> dict[str, Any] | None:
        """Two checkers, each in a thread of its own, of which one runs at a time: a seeded draw says which."""
        baton = Baton(self.rng, 2)
        results: dict[int, Any] = {}

        def run(me: int) -> None:
            try:
                baton.wait(me)
                results[me] = look(self.store(lambda name, done: baton.step(me)))
            except BaseException as exc:  # shown by the main thread
                results[me] = exc
            finally:
                baton.leave(me)

        threads = [threading.Thread(target=run, args=(me,)) for me in (0, 1)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.checks += 2
        for result in results.values():
            if isinstance(result, BaseException):
                raise result
            if result is not None:
                self.races += result["statistics"].get("races", 0)
        self._heard(results[1 - baton.last])
        return results[baton.last]

    def _heard(self, result: dict[str, Any] | None) -> None:
        """Keep what one of the other checkers said."""
        if result is not None:
            self.others.append(result)

    # -- a clock that jumps ------------------------------------------------------------------------------------------

    @contextmanager
    def _jumping_clock(self) -> Iterator[None]:
        """The checker's host: NTP steps its clock by up to a day, and its time zone goes between summer and winter."""
        offset = float(self.rng.uniform(-86_400.0, 86_400.0))
        real, real_ns, zone = time.time, time.time_ns, os.environ.get("TZ")

        def jumped() -> float:
            return real() + offset

        def jumped_ns() -> int:
            return real_ns() + int(offset * NS)

        os.environ["TZ"] = ("CET-1", "CEST-2", "NZDT-13", "UTC0")[int(self.rng.integers(0, 4))]
        time.tzset()
        try:
            with (
                mock.patch.object(time, "time", jumped),
                mock.patch.object(time, "time_ns", jumped_ns),
            ):
                yield
        finally:
            if zone is None:
                del os.environ["TZ"]
            else:
                os.environ["TZ"] = zone
            time.tzset()

    def _compare(self) -> None:
        """The same check with an honest clock must write the same journal, byte for byte."""
        if self._before is None or self.world.scenario.slow or self.world.scenario.stale:
            return
        honest = self._before
        look(self.store(None, honest))
        self.differences += int(honest.journal != self.backing.journal)


class Baton:
    """Lets one of several threads run at a time."""

    def __init__(self, rng: np.random.Generator, parties: int) -> None:
        self._rng, self._running = rng, list(range(parties))
        self._condition = threading.Condition()
        self._turn = int(rng.integers(0, parties))
        self.last = self._turn

    def wait(self, me: int) -> None:
        """Wait for one's turn."""
        with self._condition:
            self._condition.wait_for(lambda: self._turn == me)

    def step(self, me: int) -> None:
        """Give the turn to whom the draw says, and wait until it comes back."""
        with self._condition:
            self._turn = self._running[int(self._rng.integers(0, len(self._running)))]
            self._condition.notify_all()
            self._condition.wait_for(lambda: self._turn == me)

    def leave(self, me: int) -> None:
        """Done: somebody else's turn."""
        with self._condition:
            self._running.remove(me)
            self.last = me
            if self._running:
                self._turn = self._running[0]
            self._condition.notify_all()


def _journal(backing: Backing) -> dict[int, bytes]:
    return {number: found.data for number, found in backing.journal.items()}


@contextmanager
def _nothing() -> Iterator[None]:
    yield
