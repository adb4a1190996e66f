# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The scenarios, and how much of the simulated time each of them gets."""

from __future__ import annotations

from dataclasses import dataclass, replace

NS = 1_000_000_000
MINUTE = 60 * NS
HOUR = 60 * MINUTE
DAY = 24 * HOUR


@dataclass(frozen=True)
class Scenario:
    """One kind of trouble, or several at once. Durations are nanoseconds."""

    name: str
    what: str
    share: float = 1.0
    """Its part of the simulated time, relative to the others."""
    least_days: float = 0.5
    machines: int = 10_000
    period: int = MINUTE
    """The time from one check to the next."""
    crashes_per_day: float = 0.02
    loss: float = 0.0
    bursts: bool = False
    delay: str = "ordinary"
    outages: tuple[tuple[int, int, str], ...] = ()
    """(length, how often, variant) with variant ``both``, ``agents`` or ``hang``."""
    slow: bool = False
    stale: bool = False
    checker_absent: int = 0
    checker_absent_every: int = 4 * HOUR
    kills: bool = False
    exhaustive: bool = False
    second: str = ""
    """Another checker at the same time: ``nested`` or ``baton``."""
    clocks: str = ""
    checker_clock: bool = False
    rack: bool = False
    rack_every: int = 6 * HOUR
    rolling_reboot: bool = False
    flapper: bool = False

    @property
    def exact(self) -> bool:
        """Whether every check sees the store as it is, so that each status is known in advance to the nanosecond."""
        blind = self.outages or self.slow or self.stale or self.checker_absent or self.rack or self.loss >= 0.1
        return not (blind or self.bursts or self.delay != "ordinary")


def _away(name: str, length: int, period: int) -> list[Scenario]:
    variants = (
        ("both", "the agents' writes and the checker's reads fail"),
        ("agents", "the agents' writes fail, the checker reads on"),
        ("hang", "writes and checks hang, and go through afterwards"),
    )
    return [
        Scenario(
            "away-%s-%s" % (name, variant), "store away for %s: %s" % (name, what), outages=((length, period, variant),)
        )
        for variant, what in variants
    ]


SCENARIOS: list[Scenario] = [
    Scenario("crashes", "2 % of the machines crash each day"),
    Scenario("loss-1", "each beat is lost with 1 %", share=3.0, loss=0.01),
    Scenario("loss-10", "each beat is lost with 10 %", loss=0.10),
    Scenario("bursts", "beats are lost in bursts of single machines and of racks", bursts=True),
    Scenario("delay-lognormal", "log-normal delay, median 1 s, sigma 1.5", delay="lognormal"),
    Scenario("delay-pareto", "Pareto delay from 0.2 s, alpha 1.5", delay="pareto"),
    Scenario(
        "blips-25s",
        "store away for 25 s every 2 min, each beat is lost with 1 %",
        machines=1_000,
        share=0.05,
        loss=0.01,
        outages=((25 * NS, 2 * MINUTE, "agents"),),
    ),
    Scenario(
        "blips-40s",
        "store away for 40 s every 2 min, for the checker too",
        machines=1_000,
        share=0.05,
        outages=((40 * NS, 2 * MINUTE, "both"),),
    ),
    *_away("10s", 10 * NS, HOUR),
    *_away("5min", 5 * MINUTE, 4 * HOUR),
    *_away("2h", 2 * HOUR, 12 * HOUR),
    Scenario("slow", "every call to the store takes its time", machines=2_000, share=0.25, slow=True, delay="slow"),
    Scenario(
        "stale",
        "arrival times and listings up to 60 s old, each beat is lost with 5 %",
        share=0.5,
        stale=True,
        loss=0.05,
    ),
    Scenario("checker-absent", "no checker for 10 min, every 4 h", checker_absent=10 * MINUTE),
    Scenario(
        "killed", "each check is killed one step later than the one before", machines=2_000, share=0.25, kills=True
    ),
    Scenario(
        "killed-everywhere",
        "checks with news, killed at every step",
        machines=200,
        share=0.001,
        least_days=0.2,
        exhaustive=True,
        crashes_per_day=1.0,
    ),
    Scenario("two-nested", "a second check inside a random step of the first", share=0.5, second="nested"),
    Scenario("two-baton", "two checkers take turns step by step", machines=1_000, share=0.05, second="baton"),
    Scenario("clocks-wrong", "host clocks wrong by up to a day", share=3.0, period=5 * MINUTE, clocks="wrong"),
    Scenario(
        "clocks-stepped",
        "host clocks stepped back and forth by up to an hour",
        share=3.0,
        period=5 * MINUTE,
        clocks="stepped",
    ),
    Scenario(
        "clocks-drifting", "host clocks drifting by up to 10 min a day", share=3.0, period=5 * MINUTE, clocks="drifting"
    ),
    Scenario(
        "checker-clock", "NTP steps and summer time on the checker", machines=2_000, share=0.25, checker_clock=True
    ),
    Scenario("rack", "six racks of ten lose power, or network, for 30 min", rack=True, rack_every=2 * HOUR),
    Scenario("rolling-reboot", "every host reboots within two hours, twice a day", rolling_reboot=True),
    Scenario("flapper", "one host crashes and boots for three hours", flapper=True),
]

SCENARIOS.append(
    Scenario(
        "all-at-once",
        "everything above at once",
        machines=2_000,
        share=0.25,
        loss=0.01,
        bursts=True,
        delay="pareto",
        outages=(
            (10 * NS, 2 * HOUR, "both"),
            (5 * MINUTE, 5 * HOUR, "agents"),
            (5 * MINUTE, 7 * HOUR, "hang"),
            (2 * HOUR, 15 * HOUR, "both"),
        ),
        slow=True,
        stale=True,
        checker_absent=10 * MINUTE,
        checker_absent_every=9 * HOUR,
        kills=True,
        second="nested",
        clocks="wrong",
        checker_clock=True,
        rack=True,
        rolling_reboot=True,
        flapper=True,
    )
)


def named(name: str) -> Scenario:
    """A scenario by its name.

    :raises KeyError: there is none.
    """
    return {s.name: s for s in SCENARIOS}[name]


def smaller(scenario: Scenario, machines: int) -> Scenario:
    """The same with fewer machines, for a quick look."""
    return replace(scenario, machines=min(machines, scenario.machines))
