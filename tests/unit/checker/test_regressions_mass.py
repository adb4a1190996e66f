# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Mass failures that the simulator found being acted on before they were seen to be one."""

from __future__ import annotations

from typing import List

from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.state import HELD, PENDING, Incident
from ansible_collections.roosync.heartbeat.tests.unit.checker.sim import Sim

RACK = ["rack-%02d" % number for number in range(12)]
REST = ["rest-%02d" % number for number in range(8)]


def power_lost(since: float) -> Sim:
    """Twelve of twenty machines went dark at one moment, ``since`` seconds ago, each at its own phase."""
    sim = Sim()
    sim.beat(*RACK, *REST)
    sim.check()
    sim.wait(since)
    for number, name in enumerate(RACK):
        sim.beat(name, age=since + 30 * number / len(RACK))
    sim.beat(*REST)
    return sim


def entries(sim: Sim) -> List[str]:
    return [entry.state for entry in sim.state.syncs.values()]


def incident(sim: Sim) -> Incident:
    (found,) = sim.state.incidents.values()
    return found


def test_the_first_of_a_rack_to_be_offline_are_held_with_the_late_ones() -> None:
    """Of machines that fail at one moment a few are over the limit first; the others are late by then."""
    sim = power_lost(100)
    sim.check()
    assert 3 < len(entries(sim)) < 11
    assert set(entries(sim)) == {HELD}
    assert incident(sim).machines == RACK


def test_the_hold_lasts_while_the_others_follow() -> None:
    """Late is not back."""
    sim = power_lost(100)
    sim.check()
    for _look in range(3):
        sim.wait(10)
        sim.beat(*REST)
        sim.check()
        assert set(entries(sim)) == {HELD}
    assert len(entries(sim)) == 12


def test_the_hold_ends_when_the_late_ones_are_back() -> None:
    """It was a moment of trouble for most, and the end for a few: those are acted on."""
    sim = power_lost(100)
    sim.check()
    fallen = {entry.machine_id for entry in sim.state.syncs.values()}
    sim.wait(10)
    sim.beat(*REST, *(name for name in RACK if name not in fallen))
    sim.check()
    assert not sim.state.incidents
    assert entries(sim) == [PENDING] * len(fallen)


def test_late_ones_alone_are_no_incident() -> None:
    """Nobody is offline yet, and nothing is to be held."""
    sim = power_lost(91)
    sim.records = {m: r for m, r in sim.records.items() if m in REST or sim.now - (r.received_at or 0) < 119 * 10**9}
    sim.check()
    assert not sim.state.incidents


def test_a_few_late_ones_hold_nothing_up() -> None:
    """One machine is offline and some are late: far from most of the fleet."""
    sim = Sim()
    sim.beat(*RACK, *REST)
    sim.check()
    sim.wait(121)
    sim.beat(*REST, *RACK[4:])
    sim.beat(*RACK[1:4], age=95)
    sim.check()
    assert entries(sim) == [PENDING]
