# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two plain policies for comparison, as good as their kind can be."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .score import OFFLINE, ONLINE, Score
from .weather import START, Times
from .world import OFFLINE_AFTER, SENT, World

ZONE_COUNT, ZONE_RATIO = 2, 0.55


@dataclass
class View:
    """What a checker has before it."""

    at: int
    arrival: Times
    checker_clock: int
    """How wrong the checker's own clock is."""
    reachable: bool
    killed: bool
    checkers: int


class HostClocks:
    """A fixed timeout on the hosts' clocks, with one shared state: the earlier system.

    An age is the checker's clock minus the host's. Every checker remembers by itself who was offline; what it cannot
    read it takes as it was when last read. That the shared file loses updates is left out: this is its best case.
    """

    name = "host clocks, shared state"

    def __init__(self, world: World, score: Score) -> None:
        self.world, self.score = world, score
        self._sent: Times = np.full(world.size, START)
        self._offline = [np.zeros(world.size, dtype=bool) for _round in range(2)]

    def check(self, view: View) -> None:
        if view.reachable:
            self._sent = np.where(self.world.arrival >= 0, self.world.beat[SENT], START)
        off = view.at + view.checker_clock - self._sent >= OFFLINE_AFTER
        for memory in self._offline[: view.checkers]:
            fell, rose = np.flatnonzero(off & ~memory), np.flatnonzero(~off & memory)
            memory[:] = off
            if view.killed:  # between what it remembers and what it says
                self.score.lost += int(fell.size + rose.size)
                continue
            self._say(fell, OFFLINE, view.at)
            self._say(rose, ONLINE, view.at)
            self.score.act(fell, view.at)

    def _say(self, who: Times, status: int, at: int) -> None:
        again = self.score.status[who] == status
        self.score.doubled += int(again.sum())
        self.score.say(who[~again], status, at)


class ObserverTime:
    """A fixed timeout on the observer's own time, with the zone rule: the Kubernetes node lifecycle controller.

    The observer notes when it saw each beat change. While more than two machines and at least 55 % are not ready it
    acts on none, and when that is over everybody's clock starts anew. Statuses are durable; what was seen is not.
    """

    name = "observer time, zone rule"

    def __init__(self, world: World, score: Score) -> None:
        self.world, self.score = world, score
        self._seen: Times = world.arrival.copy()
        self._since: Times = np.full(world.size, world.now)
        self._acted = np.zeros(world.size, dtype=bool)
        self._disrupted = False

    def check(self, view: View) -> None:
        if view.killed:
            self._since[:] = view.at
            self._seen = view.arrival.copy()
            return
        if not view.reachable:
            return
        changed = view.arrival != self._seen
        self._seen = view.arrival.copy()
        self._since[changed] = view.at
        off = view.at - self._since >= OFFLINE_AFTER
        self.score.say(np.flatnonzero(off & (self.score.status != OFFLINE)), OFFLINE, view.at)
        self.score.say(np.flatnonzero(~off & (self.score.status != ONLINE) & changed), ONLINE, view.at)
        down = int((self.score.status == OFFLINE).sum())
        disrupted = down > ZONE_COUNT and down >= ZONE_RATIO * self.world.size
        if self._disrupted and not disrupted:
            self._since[:] = view.at
        self._disrupted = disrupted
        self._acted &= self.score.status == OFFLINE
        if not disrupted:
            due = (view.at - self._since >= OFFLINE_AFTER) & (self.score.status == OFFLINE) & ~self._acted
            self._acted |= due
            self.score.act(np.flatnonzero(due), view.at)
