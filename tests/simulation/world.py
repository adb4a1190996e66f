# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The machines: every host's agent, all of them computed at once.

An agent here does what ``agent/service.py`` and ``agent/local.py`` do: it beats at its own pace, one beat at a time;
what it could not write it reports in its beats for 15 minutes. The checker is not modelled: that is the real code.
"""

from __future__ import annotations

import heapq

import numpy as np
from numpy.typing import NDArray

from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.agent.local import REPORT_FOR

from .scenarios import DAY, MINUTE, NS, Scenario
from .weather import NEVER, START, Times, Weather, delays

INTERVAL = 30 * NS
WARNING_AFTER = 90 * NS
OFFLINE_AFTER = 120 * NS

# What a beat says, one row each: of the beat in flight, and of the one that lies in the store.
BOOT, SENT, MISSED, BEGAN, ENDED, SLOW, LEAVING = range(7)
FIELDS = 7
Mask = NDArray[np.bool_]
UNKNOWABLE = INTERVAL * 3 // 2
"""How long an outage lasts before anybody can know of it: until beats are missing that should be there."""


class World:
    """A fleet of hosts and their agents, and the beats that lie in the store."""

    def __init__(self, scenario: Scenario, weather: Weather, rng: np.random.Generator) -> None:
        n = scenario.machines
        self.scenario, self.weather, self.rng, self.size = scenario, weather, rng, n
        self.ids = ["rack%d-host%05d" % (index * 10 // n, index) for index in range(n)]
        self.index = {machine: index for index, machine in enumerate(self.ids)}
        self.now = START - INTERVAL
        self._events = list(weather.events)
        heapq.heapify(self._events)
        self._everyone = np.arange(n)
        self.clock_offset, self.clock_drift = self._clocks()
        # agents
        self.due: Times = self.now + rng.integers(0, INTERVAL, n)
        self.send: Times = self.due.copy()
        self.flight: Times = np.full(n, NEVER)
        self.attempted: Times = np.zeros(n, dtype=np.int64)
        self.boot: Times = np.ones(n, dtype=np.int64)
        self.bad_until: Times = np.zeros(n, dtype=np.int64)
        # the spool of each agent: one window of failed writes
        self.spool_began: Times = np.zeros(n, dtype=np.int64)
        self.spool_ended: Times = np.zeros(n, dtype=np.int64)
        self.spool_count: Times = np.zeros(n, dtype=np.int64)
        self.spool_slow: Times = np.zeros(n, dtype=np.int64)
        self.spool_recovered = np.zeros(n, dtype=bool)
        # the store
        self.arrival: Times = np.full(n, -1)
        remembers = scenario.stale or scenario.slow
        self._earlier: list[Times] = [np.full(n, -1) for _round in range(6)] if remembers else []
        self.sequence: Times = np.zeros(n, dtype=np.int64)
        self.previous_boot: Times = np.zeros(n, dtype=np.int64)
        self.beat: Times = np.zeros((FIELDS, n), dtype=np.int64)
        self._flying: Times = np.zeros((FIELDS, n), dtype=np.int64)
        # the truth
        self.down_since: Times = np.full(n, -1)
        self.up_since: Times = np.full(n, NEVER)
        """When the first beat since its boot arrived."""
        self.deserved: Times = np.full(n, -1)
        """When the last beat would have arrived that only an outage of the store kept from arriving."""
        self.struck: Times = np.zeros(n, dtype=np.int64)
        self.struck_briefly: Times = np.zeros(n, dtype=np.int64)
        """How many beats any outage, or one that nobody could know of, has taken since the last one arrived."""
        self.struck_from: Times = np.full(n, NEVER)
        """When the first of them would have arrived."""

    # -- time --------------------------------------------------------------------------------------------------------

    def advance(self, until: int) -> None:
        """Let everything happen up to a moment."""
        while self._events and self._events[0].at <= until:
            event = heapq.heappop(self._events)
            self._run(event.at)
            getattr(self, "_" + event.kind)(event.machines, event.at)
        self._run(until)

    def _run(self, until: int) -> None:
        while True:
            landing = np.flatnonzero(self.flight <= until)
            if landing.size:
                self._land(landing)
            sending = np.flatnonzero(self.send <= until)
            if sending.size:
                self._attempt(sending)
            elif not landing.size:
                break
        self.now = max(self.now, until)

    def _clocks(self) -> tuple[Times, NDArray[np.float64]]:
        n, rng = self.size, self.rng
        offset, drift = np.zeros(n, dtype=np.int64), np.zeros(n)
        if self.scenario.clocks == "wrong":
            offset = rng.integers(-DAY, DAY, n)
        elif self.scenario.clocks == "drifting":
            drift = rng.uniform(-600.0, 600.0, n) / 86_400.0
        return offset, drift

    def host_time(self, machines: Times, at: Times) -> Times:
        """What the hosts' own clocks say."""
        said = at + self.clock_offset[machines]
        if self.scenario.clocks == "drifting":
            said = said + ((at - START) * self.clock_drift[machines]).astype(np.int64)
        if self.scenario.clocks == "stepped":
            stepped = (at // (20 * MINUTE) + machines * 7919) % 12
            said = said + (stepped - 6) * 10 * MINUTE * (machines % 3 == 0)
        return said

    def arrivals_at(self, at: int | Times) -> Times:
        """The arrivals as they were at a moment, the same or a different one for each machine."""
        result = self.arrival.copy()
        for older in self._earlier:
            result = np.where((result > at) & (older >= 0), older, result)
        return result

    # -- agents ------------------------------------------------------------------------------------------------------

    def _attempt(self, who: Times, leaving: bool = False) -> None:
        """A beat of each of these agents, each at its own moment."""
        at = np.minimum(self.send[who], NEVER)
        took = delays(self.scenario.delay, who.size, self.rng)
        lands = at + took
        failed, skipped = self._losses(who, at)
        deserving = ~(failed | skipped) & (took < INTERVAL)
        for outage in self.weather.outages_between(int(at.min()), int(lands.max())) if who.size else ():
            struck = (lands >= outage.begin) & (at < outage.end)
            if not struck.any():
                continue
            if outage.hangs:
                lands = np.where(struck, np.maximum(lands, outage.end) + self.rng.integers(0, 10 * NS, who.size), lands)
            else:
                failed |= struck
            kept = struck & deserving
            first = kept & (self.struck[who] == 0)
            self.struck_from[who[first]] = (at + took)[first]
            self.struck[who[kept]] += 1
            if outage.end - outage.begin < UNKNOWABLE:
                self.struck_briefly[who[kept]] += 1
            else:
                self.deserved[who[kept]] = np.maximum(at + took, outage.end if outage.hangs else 0)[kept]
        for partition in self.weather.partitions:
            if partition.begin <= self.now + DAY and partition.end + DAY >= self.now:
                failed |= (at >= partition.begin) & (at < partition.end) & np.isin(who, partition.machines)
        failed &= ~skipped
        flies = ~(failed | skipped)
        self._take_off(who[flies], at[flies], lands[flies], leaving)
        given_up = at + self.rng.integers(NS // 100, NS, who.size)
        self._note_failure(who[failed], at[failed], given_up[failed], 0)
        if leaving:
            self.send[who] = NEVER
            return
        self._next(who[failed], given_up[failed])
        self._next(who[skipped], at[skipped])

    def _losses(self, who: Times, at: Times) -> tuple[Mask, Mask]:
        """Beats lost on the way: half of them are writes that fail, half were never made."""
        lost = np.zeros(who.size, dtype=bool)
        if self.scenario.loss:
            lost |= self.rng.random(who.size) < self.scenario.loss
        if self.scenario.bursts:
            begins = self.rng.random(who.size) < 2e-4
            if begins.any():
                lasting = self.rng.exponential(45.0, int(begins.sum())) * NS
                self.bad_until[who[begins]] = at[begins] + lasting.astype(np.int64)
            if self.rng.random() < 1e-3:
                rack = np.flatnonzero(self._everyone * 10 // self.size == self.rng.integers(0, 10))
                self.bad_until[rack] = self.now + int(self.rng.exponential(45.0) * NS)
            lost |= (at < self.bad_until[who]) & (self.rng.random(who.size) < 0.9)
        if not lost.any():
            return lost, lost.copy()
        known = self.rng.random(who.size) < 0.5
        return lost & known, lost & ~known

    def _take_off(self, who: Times, at: Times, lands: Times, leaving: bool) -> None:
        said = self._flying
        said[BOOT, who] = self.boot[who]
        said[SENT, who] = self.host_time(who, at)
        count = self.spool_count[who]
        said[MISSED, who] = count
        if count.any():
            said[BEGAN, who] = at - self.spool_began[who]
            said[ENDED, who] = at - self.spool_ended[who]
            said[SLOW, who] = self.spool_slow[who]
        # A write that hung is taken back, and the beat that takes its place says so: see ``Beater.beat``.
        hung = lands - at > WARNING_AFTER
        if hung.any():
            said[SENT, who[hung]] = self.host_time(who[hung], lands[hung])
            said[MISSED, who[hung]] = count[hung] + 1
            said[BEGAN, who[hung]] = (lands - at)[hung]
            said[ENDED, who[hung]] = 0
            said[SLOW, who[hung]] = 1
        said[LEAVING, who] = int(leaving)
        self.attempted[who] = at
        self.flight[who] = lands
        self.send[who] = NEVER

    def _land(self, who: Times) -> None:
        """These beats are in the store now."""
        at = self.flight[who]
        self.flight[who] = NEVER
        for newer, older in zip(self._earlier[-2::-1], self._earlier[:0:-1], strict=True):
            older[who] = newer[who]
        if self._earlier:
            self._earlier[0][who] = self.arrival[who]
        self.arrival[who] = at
        self.struck[who] = self.struck_briefly[who] = 0
        self.sequence[who] += 1
        booted = (self._flying[BOOT, who] != self.beat[BOOT, who]) & (self.beat[BOOT, who] > 0)
        self.previous_boot[who[booted]] = self.beat[BOOT, who[booted]]
        self.beat[:, who] = self._flying[:, who]
        up = (self.down_since[who] < 0) & (self._flying[BOOT, who] == self.boot[who])
        who, at = who[up], at[up]
        self.up_since[who] = np.minimum(self.up_since[who], at)
        hung = at - self.attempted[who] > WARNING_AFTER
        self._note_failure(who[hung], self.attempted[who[hung]], at[hung], 1)
        self._note_success(who, at)
        self._next(who, at)

    def _next(self, who: Times, done: Times) -> None:
        """When these agents beat again; see ``Service.run``."""
        self.due[who] = np.maximum(self.due[who] + INTERVAL, done - INTERVAL)
        self.send[who] = np.maximum(self.due[who], done)

    def _note_failure(self, who: Times, began: Times, ended: Times, slow: int) -> None:
        """See ``Spool.failed``."""
        if not who.size:
            return
        anew = (self.spool_count[who] == 0) | self.spool_recovered[who]
        self.spool_began[who] = np.where(anew, began, self.spool_began[who])
        self.spool_count[who] = np.where(anew, 0, self.spool_count[who]) + 1
        self.spool_ended[who] = ended
        self.spool_slow[who] = slow
        self.spool_recovered[who] = False

    def _note_success(self, who: Times, at: Times) -> None:
        """See ``Spool.succeeded``."""
        having = self.spool_count[who] > 0
        if not having.any():
            return
        who, at = who[having], at[having]
        old = at - self.spool_ended[who] > REPORT_FOR
        self.spool_count[who[old]] = 0
        self.spool_recovered[who] = True

    # -- hosts -------------------------------------------------------------------------------------------------------

    def _crash(self, who: Times, at: int) -> None:
        who = who[self.down_since[who] < 0]
        self.down_since[who] = at
        self.up_since[who] = NEVER
        self.send[who] = NEVER
        gone = who[self.rng.random(who.size) < 0.5]  # half of the beats in flight still arrive
        self.flight[gone] = NEVER

    def _stop(self, who: Times, at: int) -> None:
        who = who[self.down_since[who] < 0]
        self.down_since[who] = at
        self.up_since[who] = NEVER
        idle = who[self.flight[who] == NEVER]  # an agent that hangs in a write has no time for a goodbye
        self.send[who] = NEVER
        self.send[idle] = at
        if idle.size:
            self._attempt(idle, leaving=True)

    def _start(self, who: Times, at: int) -> None:
        who = who[self.down_since[who] >= 0]
        self.down_since[who] = -1
        self.boot[who] += 1
        self.spool_count[who] = 0
        self.spool_recovered[who] = False
        self.bad_until[who] = 0
        self.flight[who] = NEVER
        self.due[who] = at + self.rng.integers(0, 10 * NS, who.size)
        self.send[who] = self.due[who]
