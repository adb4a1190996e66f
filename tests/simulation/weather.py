# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What happens to a simulated fleet: outages, crashes, reboots, delays. All of it is drawn from one seed."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .scenarios import DAY, HOUR, MINUTE, NS, Scenario

Times = NDArray[np.int64]
START = 1_774_000_000 * NS
"""The simulated store's clock at the beginning."""
UNHEARD = 30 * NS
"""How long after an outage it takes until whoever is well has beaten again: one interval."""
NEVER = 2**62


class Outage(NamedTuple):
    """The store is away for the agents from ``begin`` to ``end``."""

    begin: int
    end: int
    hangs: bool
    """Writes hang and succeed afterwards, instead of failing."""
    checker: bool
    """The checker cannot reach the store either."""


class Partition(NamedTuple):
    """Some machines cannot reach the store; everybody else can."""

    begin: int
    end: int
    machines: Times


class Event(NamedTuple):
    """Something that befalls hosts."""

    at: int
    order: int
    kind: str
    """``crash``, ``stop`` (with a goodbye), ``start``."""
    machines: Times


@dataclass
class Hold:
    """A time in which nobody may act on these machines going offline, whatever is recorded of them."""

    begin: int
    end: int
    machines: Times


@dataclass
class Weather:
    """Everything that is drawn in advance."""

    outages: list[Outage] = field(default_factory=list)
    partitions: list[Partition] = field(default_factory=list)
    absences: list[tuple[int, int]] = field(default_factory=list)
    """No checker runs."""
    events: list[Event] = field(default_factory=list)
    holds: list[Hold] = field(default_factory=list)

    def outage_at(self, at: int) -> Outage | None:
        return next(iter(self.outages_between(at, at)), None)

    def outages_between(self, first: int, last: int) -> list[Outage]:
        """The outages that touch a time; they are sorted, and no two overlap."""
        low = bisect_right(self.outages, first, key=lambda o: o.end)
        return self.outages[low : bisect_right(self.outages, last, key=lambda o: o.begin)]

    def away_between(self, first: Times, last: int) -> Times:
        """For how long agents could not be heard from each of these moments until ``last``.

        That is as long as the outages in that time, and one interval after each until the next beat is due.
        """
        begins = np.array([o.begin for o in self.outages if o.begin < last], dtype=np.int64)
        ends = np.array([min(o.end + UNHEARD, last) for o in self.outages if o.begin < last], dtype=np.int64)
        lengths = np.concatenate([[0], np.cumsum(ends - begins)])
        over = np.searchsorted(ends, first, side="right")
        within = np.append(begins, NEVER)[over] < first
        return lengths[-1] - lengths[over] - np.where(within, first - np.append(begins, 0)[over], 0)

    def add(self, at: int, kind: str, machines: Times) -> None:
        self.events.append(Event(at, len(self.events), kind, np.asarray(machines, dtype=np.int64)))


def forecast(scenario: Scenario, machines: int, end: int, rng: np.random.Generator) -> Weather:
    """Draw what will happen between the start and ``end``."""
    weather = Weather()
    _outages(scenario, weather, end, rng)
    if scenario.checker_absent:
        for at in _every(scenario.checker_absent_every, end, rng):
            weather.absences.append((at, at + scenario.checker_absent))
    if scenario.rack:
        _racks(scenario, weather, machines, end, rng)
    if scenario.rolling_reboot:
        _rolling_reboots(weather, machines, end, rng)
    if scenario.flapper:
        _flapper(scenario, weather, machines, end, rng)
    _crashes(scenario, weather, machines, end, rng)
    weather.events.sort()
    return weather


def _every(period: int, end: int, rng: np.random.Generator) -> list[int]:
    """Moments about ``period`` apart, none of them near the beginning or the end."""
    first = START + min(period // 2, HOUR)
    return [at + int(rng.integers(0, period // 8)) for at in range(first, end - period // 2, period)]


def _outages(scenario: Scenario, weather: Weather, end: int, rng: np.random.Generator) -> None:
    for index, (length, period, variant) in enumerate(scenario.outages):
        for at in _every(period, end, rng):
            begin = at + index * 20 * MINUTE
            outage = Outage(begin, begin + length, variant == "hang", variant in ("both", "hang"))
            apart = min(10 * MINUTE, period // 4)
            if not any(o.begin < outage.end + apart and outage.begin < o.end + apart for o in weather.outages):
                weather.outages.append(outage)
    weather.outages.sort()


def _racks(scenario: Scenario, weather: Weather, machines: int, end: int, rng: np.random.Generator) -> None:
    """Six racks of ten lose their power, or in turn their network, for half an hour."""
    rack = np.arange(machines * 6 // 10)
    for turn, begin in enumerate(_every(scenario.rack_every, end, rng)):
        back = begin + 30 * MINUTE
        weather.holds.append(Hold(begin, back, rack))
        if turn % 2:
            weather.partitions.append(Partition(begin, back, rack))
            continue
        weather.add(begin, "crash", rack)
        for part in np.array_split(rng.permutation(rack), 60):
            weather.add(back + int(rng.integers(0, 2 * MINUTE)), "start", part)


def _rolling_reboots(weather: Weather, machines: int, end: int, rng: np.random.Generator) -> None:
    """Every host reboots within two hours, in batches, each with a goodbye."""
    for begin in _every(12 * HOUR, end, rng):
        for batch in np.array_split(rng.permutation(machines), max(1, min(machines, 240))):
            at = begin + int(rng.integers(0, 2 * HOUR))
            weather.add(at, "stop", batch)
            weather.add(at + int(rng.integers(MINUTE, 4 * MINUTE)), "start", batch)


FLAPS_BEFORE_HOLD = 8


def _flapper(scenario: Scenario, weather: Weather, machines: int, end: int, rng: np.random.Generator) -> None:
    """One host that crashes and boots for hours; after eight changes anybody must see that it flaps."""
    flapper = np.array([int(rng.integers(0, machines))])
    for begin in _every(8 * HOUR, end, rng):
        at, ups = begin, 0
        hold = 0
        while at < begin + 3 * HOUR:
            weather.add(at, "crash", flapper)
            at += int(rng.integers(240, 330)) * NS
            weather.add(at, "start", flapper)
            at += int(rng.integers(120, 240)) * NS
            ups += 1
            if 2 * ups == FLAPS_BEFORE_HOLD:
                hold = at
        if not (scenario.outages or scenario.checker_absent):  # nobody sees it flap while nobody sees anything
            weather.holds.append(Hold(hold, at, flapper))


def _crashes(scenario: Scenario, weather: Weather, machines: int, end: int, rng: np.random.Generator) -> None:
    """Real crashes, each followed by a boot within the hour, of hosts that have nothing else to suffer."""
    count = rng.poisson(scenario.crashes_per_day * machines * (end - START) / DAY)
    spared = (
        {int(m) for hold in weather.holds for m in hold.machines} if scenario.flapper and not scenario.rack else set()
    )
    for _round in range(count):
        machine = int(rng.integers(0, machines))
        if machine in spared:
            continue
        at = START + int(rng.integers(10 * MINUTE, max(end - START - HOUR, 11 * MINUTE)))
        weather.add(at, "crash", np.array([machine]))
        weather.add(at + int(rng.integers(10 * MINUTE, HOUR)), "start", np.array([machine]))


def delays(model: str, count: int, rng: np.random.Generator) -> Times:
    """How long each of ``count`` beats takes from the agent to the store."""
    if model == "lognormal":
        seconds = np.exp(rng.normal(0.0, 1.5, count))
    elif model == "pareto":
        seconds = 0.2 * (1.0 + rng.pareto(1.5, count))
    elif model == "slow":
        seconds = 3.0 * np.exp(rng.normal(0.0, 0.8, count))
    else:
        seconds = rng.uniform(0.0, ORDINARY_DELAY, count)
    return (np.minimum(seconds, 3600.0) * NS).astype(np.int64)


ORDINARY_DELAY = 0.2
