# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One scenario from beginning to end, under the engine and under the two plain policies."""

from __future__ import annotations

import os
import tempfile
import time
import zlib
from typing import Any
from unittest import mock

import numpy as np

from .audit import Audit
from .checkers import Checkers, found_fleet
from .policies import HostClocks, ObserverTime, View
from .scenarios import DAY, HOUR, MINUTE, NS, Scenario
from .score import ONLINE, Score
from .theory import independent_loss
from .weather import START, Weather, delays, forecast
from .world import INTERVAL, OFFLINE_AFTER, World

CHECK_JITTER = 5 * NS
FIRST_CHECK = START + MINUTE
CALM = 20 * MINUTE
"""At the end nothing new begins for so long."""


class Run:
    """A scenario under way.

    :param days: how many days of store time it lasts.
    """

    def __init__(self, scenario: Scenario, days: float, seed: int) -> None:
        self.scenario, self.seed = scenario, seed
        self.rng = np.random.default_rng([seed, zlib.crc32(scenario.name.encode())])
        self.end = START + int(days * DAY)
        self.weather: Weather = forecast(scenario, scenario.machines, self.end - CALM, self.rng)
        self.world = World(scenario, self.weather, self.rng)
        self.backing = found_fleet(self.world)
        self.checkers = Checkers(self.world, self.backing, self.rng)
        slack = scenario.period + CHECK_JITTER + 2 * INTERVAL
        self.score = Score(self.world, slack, exact=scenario.exact)
        self.audit = Audit(self.world, self.backing, self.score)
        self.others = [
            HostClocks(self.world, Score(self.world, slack, first_status=ONLINE)),
            ObserverTime(self.world, Score(self.world, slack + scenario.period, first_status=ONLINE)),
        ]
        self.away = 0
        self.longest_gap = 0
        self._last_check = FIRST_CHECK

    def moments(self) -> list[tuple[int, bool]]:
        """When checks are due, and whether the store goes away in the middle of it."""
        regular = np.arange(FIRST_CHECK, self.end, self.scenario.period)
        due = [(int(at), False) for at in regular + self.rng.integers(0, CHECK_JITTER, regular.size)]
        for outage in self.weather.outages:
            due = [d for d in due if not (outage.hangs and outage.begin <= d[0] < outage.end)]
            if outage.checker and not outage.hangs:
                due.append((outage.begin - 1, True))
            due.append((outage.end + int(self.rng.integers(0, 2 * NS)), False))
        due = [d for d in due if not any(begin <= d[0] < end for begin, end in self.weather.absences)]
        return sorted(due)

    def go(self) -> Run:
        """Run it."""
        for at, cut_short in self.moments():
            self.world.advance(max(at, self.world.now))
            self._check(cut_short)
        for score in (self.score, *(other.score for other in self.others)):
            score.finish(self.world.now)
        return self

    def _check(self, cut_short: bool) -> None:
        world, began = self.world, self.world.now
        arrival = world.arrival.copy()
        self._compare(began, arrival)
        result = self.checkers.check_cut_short() if cut_short else self.checkers.check()
        self.audit.read()
        if result is None:
            self.away += 1
            return
        for announced in [*self.checkers.others, result]:
            self.audit.announced(announced)
        self.audit.compare(result)
        if self.weather.outage_at(world.now) is None:
            self.audit.act(self.checkers.store(), result)
            self.audit.read()
        self.score.settle(began, arrival)
        if not any(begin <= self._last_check < end + HOUR for begin, end in self._blind()):
            self.longest_gap = max(self.longest_gap, world.now - self._last_check)
        self._last_check = began

    def _blind(self) -> list[tuple[int, int]]:
        return [(o.begin - HOUR, o.end) for o in self.weather.outages] + [
            (begin - HOUR, end) for begin, end in self.weather.absences
        ]

    def _compare(self, at: int, arrival: Any) -> None:
        """The same moment under the plain policies."""
        outage = self.weather.outage_at(at)
        view = View(
            at=at,
            arrival=arrival,
            checker_clock=self._checker_clock(at),
            reachable=outage is None or not outage.checker,
            killed=self.scenario.kills and (at // MINUTE) % 10 == 0,
            checkers=2 if self.scenario.second else 1,
        )
        for other in self.others:
            other.check(view)
            if view.reachable:
                other.score.settle(at, arrival)

    def _checker_clock(self, at: int) -> int:
        """How wrong the checker's clock is for the policy that believes it: an hour ahead, two hours out of twelve."""
        return HOUR if self.scenario.checker_clock and (at // (2 * HOUR)) % 6 == 3 else 0


def simulate(scenario: Scenario, days: float, seed: int) -> dict[str, Any]:
    """Run a scenario and return its figures."""
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as cache, mock.patch.dict(os.environ, XDG_CACHE_HOME=cache):
        run = Run(scenario, days, seed).go()
    machine_days = scenario.machines * days
    delivery = int(np.percentile(delays(scenario.delay, 100_000, np.random.default_rng(seed)), 99))
    bound = OFFLINE_AFTER + max(run.longest_gap, scenario.period) + delivery
    late_bound = 2 * OFFLINE_AFTER + max(run.longest_gap, scenario.period + CHECK_JITTER) + delivery
    return {
        "scenario": scenario.name,
        "what": scenario.what,
        "seed": seed,
        "machines": scenario.machines,
        "days": days,
        "machine_days": machine_days,
        "check_period": scenario.period / NS,
        "checks": run.checkers.checks,
        "checks_without_store": run.away,
        "kills": run.checkers.kills,
        "races": run.checkers.races,
        "differences": run.checkers.differences,
        "commits": run.audit.commits,
        "transitions": dict(run.audit.transitions),
        "warnings": run.score.warnings,
        "incidents": dict(run.audit.incidents),
        "t_d_bound": round(bound / NS, 1),
        "t_d_near_outages_bound": round(late_bound / NS, 1),
        "theory": independent_loss(scenario, machine_days) if _calculable(scenario) else None,
        "policies": {
            "engine": run.score.figures(machine_days),
            **{other.name: other.score.figures(machine_days) for other in run.others},
        },
        "examples": run.score.examples,
        "seconds": round(time.monotonic() - started, 1),
    }


def _calculable(scenario: Scenario) -> bool:
    """Whether nothing but independent loss keeps beats from being seen, so that its effect can be worked out."""
    return bool(scenario.loss) and not (scenario.bursts or scenario.stale or scenario.outages)


def violations(result: dict[str, Any]) -> list[str]:
    """Which aims a scenario misses."""
    engine, wrong = result["policies"]["engine"], []
    for key in (
        "false_offlines_other",
        "missed_crashes",
        "transitions_lost",
        "transitions_doubled",
        "actions_under_hold",
        "goodbyes_alarmed",
    ):
        if engine[key]:
            wrong.append("%s: %d, not 0" % (key, engine[key]))
    if result["differences"]:
        wrong.append("%d checks differ from the undisturbed ones" % result["differences"])
    for key, bound in (("t_d_p99", "t_d_bound"), ("t_d_near_outages_p99", "t_d_near_outages_bound")):
        if engine[key] is not None and engine[key] > result[bound]:
            wrong.append("%s: %.1f s, more than %.1f s" % (key, engine[key], result[bound]))
    return wrong
