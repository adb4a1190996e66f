# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A short, seeded part of what ``make simulate`` does: every scenario on a small fleet, with the same aims."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import Any, Dict, List, Optional

import numpy as np
import pytest

from ansible_collections.roosync.heartbeat.tests.simulation.run import Run, simulate, violations
from ansible_collections.roosync.heartbeat.tests.simulation.scenarios import HOUR, MINUTE, NS, SCENARIOS, named
from ansible_collections.roosync.heartbeat.tests.simulation.score import OFFLINE
from ansible_collections.roosync.heartbeat.tests.simulation.theory import rate
from ansible_collections.roosync.heartbeat.tests.simulation.weather import START, Hold

SEED = 20261
QUICK = {
    "all-at-once": (60, 0.4),
    "killed-everywhere": (20, 0.1),
    "blips-25s": (100, 0.35),
    "blips-40s": (60, 0.35),
    "slow": (60, 0.3),
}
"""(machines, days), where it takes less to see what there is to see."""


@lru_cache(maxsize=None)
def run(name: str) -> Dict[str, Any]:
    """A scenario's figures; computed once, as they are the same each time."""
    machines, days = QUICK.get(name, (100, 0.5))
    # In a fleet so small crashes must be frequent, or there is nothing to detect.
    return simulate(replace(named(name), machines=machines, crashes_per_day=0.5), days, SEED)


@pytest.mark.parametrize("name", [s.name for s in SCENARIOS])
def test_the_aims_are_met(name: str) -> None:
    result = run(name)
    assert violations(result) == [], result["examples"]
    engine = result["policies"]["engine"]
    assert engine["crashes_detected"] + engine["crashes_detected_near_outages"] > 0


def test_a_run_is_repeatable() -> None:
    first, second = run("bursts"), run.__wrapped__("bursts")
    assert dict(first, seconds=0) == dict(second, seconds=0)


def test_every_kind_of_trouble_leaves_its_mark() -> None:
    """A scenario in which nothing happens would meet every aim."""
    assert run("two-nested")["races"] > 0
    assert run("two-baton")["races"] > 0
    assert run("killed")["kills"] > 100
    assert run("killed-everywhere")["kills"] > 100
    assert run("rack")["incidents"]["mass_failure"] > 0
    assert run("away-5min-agents")["incidents"]["store_outage"] > 0
    assert run("blips-25s")["policies"]["engine"]["crashes_detected_near_outages"] > 5
    assert run("blips-40s")["incidents"]["store_outage"] > 20
    assert run("away-5min-both")["checks_without_store"] > 0
    assert run("rolling-reboot")["transitions"]["goodbye"] > 0


def test_what_the_engine_must_not_do_is_seen_when_the_plain_policies_do_it() -> None:
    """The same score that finds nothing wrong with the engine finds the faults that these policies are known for."""
    clocks = run("clocks-wrong")["policies"]["host clocks, shared state"]
    assert clocks["false_offlines_other"] > 0
    away = run("away-5min-agents")["policies"]
    assert away["host clocks, shared state"]["false_offlines_other"] >= 100
    assert away["observer time, zone rule"]["false_offlines_other"] >= 100
    assert run("two-nested")["policies"]["host clocks, shared state"]["transitions_doubled"] > 0
    assert run("killed")["policies"]["host clocks, shared state"]["transitions_lost"] > 0
    assert run("rack")["policies"]["host clocks, shared state"]["actions_under_hold"] > 0


@pytest.mark.parametrize(
    ("beats", "lost"),
    [
        ([0], 0),  # at the very end
        ([0, 60], 0),
        ([0, 60, 120, 180], 10),
        ([0, None, None, None], 0),  # a single one that came late
        ([0, 60, 120, 180, None, None, None, None, None], 10),
    ],
)
def test_a_return_is_owed_when_a_check_had_to_see_it(beats: List[Optional[int]], lost: int) -> None:
    """What a check sees may be a minute old."""
    under_way = Run(replace(named("stale"), machines=10), 0.05, SEED)
    world, score = under_way.world, under_way.score
    score.status[:] = OFFLINE
    world.up_since[:] = START
    for minute, beat in enumerate(beats):
        world.now = START + HOUR + minute * MINUTE
        if beat is not None:
            world.arrival[:] = START + HOUR + beat * NS - NS
        score.settle(world.now, world.arrival.copy())
    score.finish(world.now)
    assert score.lost == lost


def test_a_hold_covers_who_did_well_until_it_began() -> None:
    """One that owed a beat by then is not covered by one that was on its way and comes in the middle."""
    under_way = Run(replace(named("stale"), machines=10), 0.05, SEED)
    world, score = under_way.world, under_way.score
    hold = Hold(START + HOUR, START + 2 * HOUR, np.arange(10))
    world.weather.holds.append(hold)
    world.arrival[:] = hold.begin + 10 * NS
    world._earlier[0][:] = hold.begin - 10 * NS
    world._earlier[0][7:] = hold.begin - 2 * MINUTE
    score.act(np.arange(10), hold.begin + MINUTE)
    assert score.held_actions == 7


def test_independent_loss_by_hand() -> None:
    """Four losses in a row between two beats that arrive, seen by every second check; five, seen by all."""
    by_hand = 2880 * (0.9 * 0.1**4 * 0.9 * 0.5 + sum(0.9 * 0.1**k * 0.9 for k in range(5, 20)))
    exactly_at_the_limit = 2880 * 0.9 * 0.1**3 * 0.9 * (0.2 / 6) / 60
    assert rate(0.1, 120 * 10**9, float(MINUTE)) == pytest.approx(by_hand + exactly_at_the_limit)
