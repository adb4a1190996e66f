# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Outages of the store that the simulator found being counted against machines."""

from __future__ import annotations

from typing import Dict, List

from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.detect import outage
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.detect.survey import survey
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.state import Memory, State, Window
from ansible_collections.roosync.heartbeat.tests.unit.checker.sim import Look, Sim, seconds

NAMES = ["host-%02d" % number for number in range(20)]


def at_their_own_phases(sim: Sim, oldest: float) -> None:
    """Everybody beat within one interval, the first one ``oldest`` seconds ago."""
    for number, name in enumerate(NAMES):
        sim.beat(name, age=oldest - 30 * number / len(NAMES))


def fleet() -> Sim:
    """Twenty machines that are known and do well."""
    sim = Sim()
    at_their_own_phases(sim, 29)
    sim.check()
    return sim


def kinds(sim: Sim) -> List[str]:
    return [i.kind for c in sim.commits for i in c.incidents.values() if i.closed_at is None or i.kind == outage.KIND]


def offline(sim: Sim) -> Dict[str, str]:
    return {m: s for m, s in sim.statuses().items() if s == "offline"}


def test_a_beat_lost_before_the_store_went_makes_nobody_offline() -> None:
    """The others are not late yet when this one is over the limit; that none of them has beaten is proof enough."""
    sim = fleet()
    sim.wait(60)
    at_their_own_phases(sim, 29)
    sim.beat(NAMES[0], age=59)  # it lost one, and was the first of them to beat; then the store went away
    sim.wait(61)
    sim.check()
    assert not offline(sim)
    assert kinds(sim) == [outage.KIND]
    sim.wait(1)
    sim.beat(*NAMES)
    sim.check()
    assert set(sim.statuses().values()) == {"online"}


def test_a_quiet_moment_of_less_than_a_beat_and_a_half_is_no_outage() -> None:
    """With one machine gone, the others may all have beaten nearly one interval ago."""
    sim = fleet()
    sim.wait(91)
    for name in NAMES[1:]:
        sim.beat(name, age=29.9)
    sim.wait(10)
    sim.check()
    assert kinds(sim) == []


def test_survivors_that_beat_at_all_moments_prove_no_outage() -> None:
    """Most of the fleet lost its power; the others go on, each at its own phase."""
    sim = fleet()
    for _beat in range(5):
        sim.wait(30)
        for number, name in enumerate(NAMES[:8]):
            sim.beat(name, age=29 - 30 * number / 8)
        sim.check()
    assert len(offline(sim)) == 12
    assert outage.KIND not in kinds(sim)


def large_fleet(in_trouble: int) -> Sim:
    """Two hundred machines; some beat again and report failed writes, the last one is silent, the others do well."""
    names = ["host-%03d" % number for number in range(200)]
    sim = Sim()
    sim.state = State(roster=dict.fromkeys(names))
    sim.beat(*names[:-1], age=130)
    sim.beat(names[-1], age=125)
    for name in names[:in_trouble]:
        sim.beat(name, age=5, missed_began=sim.now - seconds(125), missed_ended=sim.now - seconds(10))
        sim.state.machines[name] = warned(sim.now - seconds(30), sim.now - seconds(130))
    sim.beat(*names[in_trouble:-1], age=5)
    return sim


def warned(since: int, received_at: int) -> Memory:
    return Memory("warning", since, 0, received_at, warning_since=since)


def as_a_store_shows_it(sim: Sim) -> Look:
    """Only suspects and witnesses are opened, as in a large fleet."""
    received = {m: r.received_at for m, r in sim.records.items() if r.received_at is not None}
    first = survey(sim.now, received, sim.state, sim.settings)
    opened = [*first.suspects, *first.witnesses]
    return Look(sim.now, received, {m: sim.records[m] for m in opened}, first.suspects)


def test_a_rack_in_trouble_is_not_most_of_the_fleet_because_all_of_it_is_opened() -> None:
    """Seventy that come back are opened all; of the others, who do well, only a sample is."""
    sim = large_fleet(70)
    look = as_a_store_shows_it(sim)
    assert len(look.seen) < 150, "not everybody is opened"
    assert not sim.decide(look).incidents
    assert [t.to_status for t in sim.decide(look).transitions if t.machine_id == "host-199"] == ["offline"]


def test_most_of_a_large_fleet_in_trouble_is_an_outage() -> None:
    sim = large_fleet(120)
    decision = sim.decide(as_a_store_shows_it(sim))
    assert [i.kind for i in decision.incidents.values()] == [outage.KIND]
    assert "host-199" not in [t.machine_id for t in decision.transitions]


def test_one_machine_whose_trouble_goes_on_does_not_stretch_an_outage() -> None:
    """The store was back 100 s ago; one machine's last failure is of its own, and who is silent since is offline."""
    sim = fleet()
    sim.wait(300)
    back = sim.now - seconds(100)
    for name in NAMES[1:]:
        sim.beat(name, age=5, missed_began=sim.now - seconds(280), missed_ended=back - seconds(30))
    sim.beat(NAMES[1], age=5, missed_began=sim.now - seconds(280), missed_ended=sim.now - seconds(20))
    sim.check()
    assert [w for c in sim.commits for w in c.windows or []] == [
        Window(sim.now - seconds(280), back, sim.state.windows[0].incident_id)
    ]
    sim.wait(21)
    sim.beat(*NAMES[1:])
    sim.check()
    assert list(offline(sim)) == [NAMES[0]]
