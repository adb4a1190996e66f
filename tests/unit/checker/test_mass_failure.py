# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""So many machines silent at once that nothing acts on it: what is held, what is said, and what ends it."""

from __future__ import annotations

from typing import List

import pytest

from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.settings import Settings
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.state import Incident
from ansible_collections.roosync.heartbeat.tests.unit.checker.scenes import (
    entries,
    fleet,
    go_on,
    numbered,
    states,
    told,
    window,
)
from ansible_collections.roosync.heartbeat.tests.unit.checker.sim import Sim, seconds

MANY = numbered(20)


@pytest.fixture
def sim() -> Sim:
    return fleet(*MANY)


def incident(sim: Sim) -> Incident:
    (found,) = sim.state.incidents.values()
    assert found.kind == "mass_failure"
    return found


def closed(sim: Sim) -> Incident:
    """The incident that the last commit closed."""
    (found,) = sim.commits[-1].incidents.values()
    assert found.closed_at == sim.now
    return found


def held(sim: Sim) -> List[str]:
    return sorted(e.machine_id for e in entries(sim) if e.state == "held")


# -- what it is --------------------------------------------------------------------------------------------------


def test_it_is_recorded_shown_and_held(sim: Sim) -> None:
    lost = go_on(sim, 130, *MANY[:12])
    found = incident(sim)
    assert [(t.machine_id, t.to_status, t.held_by) for t in lost] == [
        (m, "offline", found.incident_id) for m in MANY[:12]
    ]
    assert (found.machines, found.zone, found.since, found.opened_at) == (MANY[:12], None, sim.now, sim.now)
    assert found.reason == "12 of 20 machines went offline together"
    assert held(sim) == MANY[:12]
    assert {e.held_by for e in entries(sim)} == {found.incident_id}
    assert {sim.state.machines[m].held_by for m in MANY[:12]} == {found.incident_id}


@pytest.mark.parametrize(("count", "failing", "expected"), [(1, 2, True), (2, 2, False), (2, 3, True), (5, 5, False)])
def test_the_count_is_a_setting(count: int, failing: int, expected: bool) -> None:
    sim = fleet(*MANY[:6], settings=Settings(mass_failure_count=count, mass_failure_ratio=0.3))
    go_on(sim, 130, *MANY[:failing])
    assert bool(sim.state.incidents) is expected


@pytest.mark.parametrize(("ratio", "expected"), [(0.5, True), (0.51, False), (1.0, False), (0.1, True)])
def test_the_ratio_is_a_setting(ratio: float, expected: bool) -> None:
    sim = fleet(*MANY, settings=Settings(mass_failure_ratio=ratio))
    go_on(sim, 130, *MANY[:10])
    assert bool(sim.state.incidents) is expected


def test_machines_that_are_long_offline_do_not_dilute_it(sim: Sim) -> None:
    """Fourteen of twenty were lost one by one; of the six that are left four fall together."""
    for machine in range(14):
        go_on(sim, 130, *MANY[: machine + 1])
    assert sim.state.incidents == {}
    go_on(sim, 600, *MANY[:14])
    lost = go_on(sim, 130, *MANY[:18])
    assert len(lost) == 4
    assert incident(sim).reason == "4 of 6 machines went offline together"
    assert held(sim) == MANY[14:18]
    assert {e.state for e in entries(sim) if e.machine_id in MANY[:14]} == {"pending"}


def test_those_that_fell_shortly_before_are_part_of_it(sim: Sim) -> None:
    """A rack goes down in the time of two checks: the first part must not be acted on alone."""
    began = sim.now
    go_on(sim, 40, *MANY[:8])
    assert len(go_on(sim, 85, *MANY[:12])) == 8
    assert {e.state for e in entries(sim)} == {"pending"}
    assert len(go_on(sim, 40, *MANY[:12])) == 4
    found = incident(sim)
    assert (found.machines, found.since) == (MANY[:12], began + seconds(120))
    assert found.reason == "12 of 20 machines went offline together"
    assert held(sim) == MANY[:12]
    assert {sim.state.machines[m].held_by for m in MANY[:12]} == {found.incident_id}
    assert sim.decide().empty


def test_those_that_fell_long_before_are_not(sim: Sim) -> None:
    assert len(go_on(sim, 130, *MANY[:8])) == 8
    assert told(go_on(sim, 130, *MANY[:8])) == []
    assert len(go_on(sim, 130, *MANY[:12])) == 4
    assert sim.state.incidents == {}


def test_first_seen_late_is_no_failure() -> None:
    sim = Sim()
    sim.beat(*MANY, age=500)
    assert {t.cause for t in sim.check().transitions} == {"first_seen_late"}
    assert sim.state.incidents == {}


def test_two_mass_failures_one_after_the_other(sim: Sim) -> None:
    """Those that are held already are no part of the fleet that the second one is measured by."""
    sim.settings = Settings(hold_timeout=1000)
    go_on(sim, 130, *MANY[:12])
    first = incident(sim)
    go_on(sim, 1000, *MANY[:12])
    assert sim.state.incidents == {}
    go_on(sim, 130, *MANY[:17])
    second = incident(sim)
    assert (second.machines, second.reason) == (MANY[12:17], "5 of 8 machines went offline together")
    assert second.incident_id != first.incident_id
    assert {e.state for e in entries(sim) if e.machine_id in MANY[:12]} == {"pending"}


# -- while it lasts ----------------------------------------------------------------------------------------------


def test_nothing_of_a_held_machine_is_pending(sim: Sim) -> None:
    """It was away not long ago, and nobody has worked on that yet."""
    go_on(sim, 130, "m00")
    go_on(sim, 10)
    assert states(sim, "m00") == ["offline pending", "online pending"]
    go_on(sim, 300)
    go_on(sim, 130, *MANY[:12])
    assert states(sim, "m00") == ["offline held", "online held", "offline held"]
    assert {e.state for e in entries(sim)} == {"held"}


def test_one_that_returns_is_held_with_the_others(sim: Sim) -> None:
    go_on(sim, 130, *MANY[:12])
    (back,) = go_on(sim, 10, *MANY[1:12])
    assert (back.machine_id, back.to_status, back.held_by) == ("m00", "online", incident(sim).incident_id)
    assert states(sim, "m00") == ["offline held", "online held"]


def test_one_that_returns_by_a_goodbye_and_comes_again_is_held(sim: Sim) -> None:
    go_on(sim, 130, *MANY[:12])
    go_on(sim, 10, *MANY[1:12])
    sim.beat("m00", leaving="stop")
    assert told(go_on(sim, 10, *MANY[1:12])) == ["m00 online>offline goodbye+"]
    sim.beat("m00")
    assert told(go_on(sim, 10, *MANY[1:12])) == ["m00 offline>online beat"]
    assert "pending" not in " ".join(states(sim, "m00"))


def test_one_that_has_long_been_back_stays_held(sim: Sim) -> None:
    """Nothing is remembered of a machine that has long been well; that it is held must be."""
    sim.settings = Settings(hold_timeout=86_400)
    go_on(sim, 130, *MANY[:12])
    go_on(sim, 10, *MANY[1:12])
    for _hour in range(3):
        go_on(sim, 3600, *MANY[1:12])
        sim.beat("new")  # something to commit
    assert sim.state.machines["m00"].held_by == incident(sim).incident_id
    go_on(sim, 130, "m00", *MANY[1:12])
    assert "pending" not in " ".join(states(sim, "m00"))


def test_others_that_fall_meanwhile_belong_to_it(sim: Sim) -> None:
    go_on(sim, 130, *MANY[:12])
    first = incident(sim)
    go_on(sim, 1000, *MANY[:13])
    assert incident(sim).incident_id == first.incident_id
    assert incident(sim).machines == MANY[:13]
    assert states(sim, "m12") == ["offline held"]


# -- what ends it ------------------------------------------------------------------------------------------------


def test_the_return_of_nearly_half_ends_it(sim: Sim) -> None:
    """Twelve fell; it is over when less than 55 % of them, that is six, are away."""
    go_on(sim, 130, *MANY[:12])
    go_on(sim, 10, *MANY[5:12])
    assert held(sim) == sorted([*MANY[:12], *MANY[:5]])
    go_on(sim, 10, *MANY[6:12])
    assert sim.state.incidents == {}
    assert closed(sim).closed_by == "return"
    assert [states(sim, m) for m in MANY[:12]] == [["online pending"]] * 6 + [["offline pending"]] * 6
    assert {m.held_by for m in sim.state.machines.values()} == {None}
    assert sim.decide().empty


def test_as_few_as_are_no_mass_failure_end_it() -> None:
    """Three of four fell; two of the three are still most of them, but two are no mass."""
    sim = fleet(*MANY[:4])
    go_on(sim, 130, *MANY[:3])
    assert held(sim) == MANY[:3]
    go_on(sim, 10, *MANY[1:3])
    assert closed(sim).closed_by == "return"


def test_time_ends_it(sim: Sim) -> None:
    sim.settings = Settings(hold_timeout=600)
    go_on(sim, 130, *MANY[:12])
    go_on(sim, 599, *MANY[1:12])
    assert held(sim) == sorted([*MANY[:12], "m00"])
    go_on(sim, 1, *MANY[1:12])
    assert closed(sim).closed_by == "time"
    assert states(sim, "m00") == ["online pending"]
    assert [states(sim, m) for m in MANY[1:12]] == [["offline pending"]] * 11


def test_what_time_has_let_go_is_not_held_again_when_the_next_ones_fall(sim: Sim) -> None:
    """Some fell shortly before the time was over, others follow."""
    sim.settings = Settings(hold_timeout=600)
    go_on(sim, 130, *MANY[:12])
    go_on(sim, 480, *MANY[:12])
    go_on(sim, 60, *MANY[:16])
    assert len(go_on(sim, 60, *MANY[:18])) == 4
    assert (sim.state.incidents, held(sim)) == ({}, [])
    assert len(go_on(sim, 60, *MANY[:18])) == 2
    assert (sim.state.incidents, held(sim)) == ({}, [])


def test_without_any_time_to_hold_it_is_released_by_the_next_check() -> None:
    sim = fleet(*MANY, settings=Settings(hold_timeout=0))
    go_on(sim, 130, *MANY[:12])
    assert held(sim) == MANY[:12]
    go_on(sim, 1, *MANY[:12])
    assert {e.state for e in entries(sim)} == {"pending"}


def test_what_is_true_no_more_is_skipped(sim: Sim) -> None:
    go_on(sim, 130, *MANY[:12])
    go_on(sim, 10)
    assert {(e.event, e.state) for e in entries(sim)} == {("online", "pending")}
    skipped = [e for e in sim.commits[-1].syncs.values() if e.state == "skipped"]
    assert sorted(e.machine_id for e in skipped) == MANY[:12]
    assert {(e.event, e.reason) for e in skipped} == {("offline", "overtaken while it was held")}


def test_one_that_fell_twice_gets_one_entry(sim: Sim) -> None:
    sim.settings = Settings(hold_timeout=1000)
    go_on(sim, 130, *MANY[:12])
    go_on(sim, 10, *MANY[1:12])
    go_on(sim, 130, *MANY[:12])
    assert states(sim, "m00") == ["offline held", "online held", "offline held"]
    go_on(sim, 1000, *MANY[:12])
    assert closed(sim).closed_by == "time"
    assert states(sim, "m00") == ["offline pending"]


def test_one_that_left_on_purpose_meanwhile_is_not_acted_on(sim: Sim) -> None:
    sim.settings = Settings(hold_timeout=1000)
    go_on(sim, 130, *MANY[:12])
    go_on(sim, 10, *MANY[1:12])
    sim.beat("m00", leaving="stop")
    go_on(sim, 10, *MANY[1:12])
    go_on(sim, 1000, *MANY[1:12])
    assert sim.state.incidents == {}
    assert states(sim, "m00") == []


def test_one_that_is_late_at_the_end_keeps_its_return(sim: Sim) -> None:
    sim.settings = Settings(hold_timeout=1000)
    go_on(sim, 130, *MANY[:12])
    go_on(sim, 905, *MANY[1:12])
    assert told(go_on(sim, 95, *MANY[:12])) == ["m00 online>warning silence"]
    assert closed(sim).closed_by == "time"
    assert states(sim, "m00") == ["online pending"]


def test_those_that_did_not_return_are_offline_as_ever(sim: Sim) -> None:
    go_on(sim, 130, *MANY[:12])
    go_on(sim, 10, "m00", "m01")
    assert sim.state.incidents == {}
    assert [m for m, status in sim.statuses().items() if status == "offline"] == ["m00", "m01"]
    assert told(go_on(sim, 1000, "m00", "m01")) == []
    assert told(go_on(sim, 10, "m01")) == ["m00 offline>online beat"]
    assert states(sim, "m00") == ["offline pending", "online pending"]


# -- together with planned absence -----------------------------------------------------------------------------------


def test_machines_that_are_late_as_planned_are_no_part_of_it(sim: Sim) -> None:
    """Twelve are rebooted inside a window, and late; meanwhile one fails."""
    window(sim, 0, 3600, *MANY[:12])
    go_on(sim, 30, "m19")
    assert len(go_on(sim, 90, *MANY[:12], "m19")) == 13
    assert [m for m in sim.state.machines if sim.state.machines[m].status == "offline"] == ["m19"]
    assert sim.state.incidents == {}
    assert states(sim, "m19") == ["offline pending"]


def test_machines_that_are_away_as_planned_are_no_part_of_the_fleet(sim: Sim) -> None:
    window(sim, 0, 3600, *MANY[:15])
    go_on(sim, 130, *MANY[:15])
    assert sim.state.incidents == {}
    go_on(sim, 130, *MANY[:18])
    assert incident(sim).reason == "3 of 5 machines went offline together"


def test_machines_that_another_incident_holds_are_no_part_of_it() -> None:
    """They are back, held, and late for a moment while others fail."""
    east, west = numbered(5, "east-"), numbered(5, "west-")
    place = {m: {"metadata_json": '{"site": "%s"}' % m[:4]} for m in east + west}
    sim = fleet(*east, *west, settings=Settings(zone_key="site", hold_timeout=86_400), **place)
    go_on(sim, 130, *east)
    go_on(sim, 10, *east[2:])
    assert [i.zone for i in sim.state.incidents.values()] == ["east"]
    go_on(sim, 35, *east[2:], *west[:2])
    assert sorted(told(go_on(sim, 95, *east, *west[:2]))) == [
        *("%s online>warning silence" % m for m in east[:2]),
        *("%s online>offline silence" % m for m in west[:2]),
    ]
    assert [i.zone for i in sim.state.incidents.values()] == ["east"]
    assert [states(sim, m) for m in west[:2]] == [["offline pending"]] * 2
