# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Goodbyes, and why silence that was planned proves no outage of the store."""

from __future__ import annotations

from typing import List

import pytest

from ansible_collections.roosync.heartbeat.tests.unit.checker.scenes import (
    OTHERS,
    entries,
    fleet,
    go_on,
    states,
    told,
    window,
)
from ansible_collections.roosync.heartbeat.tests.unit.checker.sim import Look, Sim, seconds


@pytest.fixture
def sim() -> Sim:
    """``web`` and ``db`` are there to be tried, the others keep beating."""
    return fleet("web", "db", *OTHERS)


# -- goodbyes ----------------------------------------------------------------------------------------------------


def goodbye(sim: Sim, amount: float, *silent: str) -> List[str]:
    sim.wait(amount)
    sim.beat(*silent, leaving="stop")
    return told(go_on(sim, 0, *silent))


def test_a_goodbye_outside_any_window_has_no_end(sim: Sim) -> None:
    assert goodbye(sim, 5, "web") == ["web online>offline goodbye+"]
    assert [told(go_on(sim, 100_000, "web")) for _day in range(3)] == [[]] * 3


def test_a_goodbye_inside_a_window_is_expected_to_end_with_it(sim: Sim) -> None:
    """The reboot of a maintenance window from which a machine does not come back must not go unseen."""
    window(sim, 0, 600, "web")
    assert goodbye(sim, 5, "web") == ["web online>offline goodbye+"]
    assert told(go_on(sim, 714, "web")) == []
    assert told(go_on(sim, 1, "web")) == ["web offline>offline maintenance_over"]
    assert states(sim, "web") == ["offline pending"]
    assert [told(go_on(sim, 500, "web")) for _check in range(3)] == [[]] * 3
    assert not sim.state.machines["web"].planned


def test_a_goodbye_before_a_window_is_told_no_second_time(sim: Sim) -> None:
    goodbye(sim, 5, "web")
    window(sim, 5, 600, "web")
    assert [told(go_on(sim, 400, "web")) for _check in range(4)] == [[]] * 4


def test_a_goodbye_of_a_machine_that_is_away_already_changes_nothing(sim: Sim) -> None:
    window(sim, 0, 600, "web")
    go_on(sim, 130, "web")
    assert goodbye(sim, 100, "web") == []
    assert sim.decide().empty
    assert told(go_on(sim, 489, "web")) == []
    assert told(go_on(sim, 1, "web")) == ["web offline>offline maintenance_over"]


def test_a_reboot_is_two_changes_and_one_entry(sim: Sim) -> None:
    assert goodbye(sim, 5, "web") == ["web online>offline goodbye+"]
    sim.wait(40)
    sim.beat("web", boot_id="second", previous_boot_id="boot")
    assert told(go_on(sim, 0)) == ["web offline>online beat", "web online>online reboot"]
    assert states(sim, "web") == ["online pending"]
    assert told(go_on(sim, 30)) == []


# -- planned silence and the proofs of an outage -----------------------------------------------------------------


def test_a_whole_fleet_in_maintenance_proves_no_outage(sim: Sim) -> None:
    window(sim, 0, 3600, "*")
    everybody = ("web", "db", *OTHERS)
    assert len(go_on(sim, 100, *everybody)) == 6
    assert all(t.planned and t.to_status == "offline" for t in go_on(sim, 30, *everybody))
    assert sim.state.incidents == {}


def test_a_whole_fleet_that_just_came_out_of_maintenance_proves_no_outage(sim: Sim) -> None:
    window(sim, 0, 80, "*")
    assert told(go_on(sim, 130, "web", "db", *OTHERS)) == []
    assert sim.state.incidents == {}


def test_a_whole_fleet_that_said_goodbye_proves_no_outage(sim: Sim) -> None:
    everybody = ("web", "db", *OTHERS)
    sim.beat(*everybody, leaving="stop")
    sim.wait(300)
    assert told(go_on(sim, 0, *everybody)) == ["%s online>offline goodbye+" % m for m in sorted(everybody)]
    assert sim.state.incidents == {}


@pytest.mark.parametrize("planned", [2, 3, 4])
@pytest.mark.parametrize("flexible", [False, True])
def test_whoever_beats_until_the_others_fall_silent_is_a_witness(sim: Sim, planned: int, flexible: bool) -> None:
    """Within a maintenance window, too: the laptops of a window that spans months are at work all day."""
    window(sim, 0, 86_400, *OTHERS[:planned], duration=seconds(3600) if flexible else None)
    go_on(sim, 30)
    go_on(sim, 130, "web", "db", *OTHERS)
    (incident,) = sim.state.incidents.values()
    assert (incident.kind, incident.machines) == ("store_outage", sorted(["web", "db", *OTHERS]))
    assert sim.statuses() == dict.fromkeys(sim.statuses(), "online")


def test_whoever_fell_silent_before_the_others_as_planned_is_no_witness(sim: Sim) -> None:
    window(sim, 0, 3600, "web", "db", "a", "b")
    go_on(sim, 60, "web", "db", "a", "b")
    go_on(sim, 130, "web", "db", *OTHERS)
    assert {m: s for m, s in sim.statuses().items() if s == "offline"} == dict.fromkeys(sim.statuses(), "offline")


def test_a_machine_in_maintenance_that_beats_shows_that_the_store_is_there(sim: Sim) -> None:
    window(sim, 0, 3600, "a")
    changes = go_on(sim, 130, "web", "db", "b", "c", "d")
    assert {t.to_status for t in changes} == {"offline"}
    assert [i.kind for i in sim.state.incidents.values()] == ["mass_failure"]


def test_a_rack_that_does_not_return_from_maintenance_is_a_mass_failure(sim: Sim) -> None:
    window(sim, 0, 600, "web", "db", "a", "b")
    go_on(sim, 130, "web", "db", "a", "b")
    assert sim.state.incidents == {}
    changes = go_on(sim, 600, "web", "db", "a", "b")
    assert {t.cause for t in changes} == {"maintenance_over"}
    assert [i.kind for i in sim.state.incidents.values()] == ["mass_failure"]
    assert {e.state for e in entries(sim)} == {"held"}


@pytest.mark.parametrize("how", ["a window", "a goodbye"])
def test_a_fleet_that_is_quiet_as_planned_proves_no_outage_by_the_first_that_is_late(how: str) -> None:
    """The others are silent for more than a beat, not yet late: nobody but the first is a suspect."""
    names = ["m%02d" % n for n in range(10)]
    sim = fleet(*names)
    window(sim, 0, 3600, *(["m*"] if how == "a window" else ["m00"]))
    sim.wait(30)
    sim.beat(*names[1:], leaving=None if how == "a window" else "stop")
    sim.wait(65)
    assert "m00 online>warning maintenance+" in told(sim.check().transitions)
    assert sim.state.incidents == {}


def test_whoever_was_not_looked_at_may_have_said_goodbye() -> None:
    """In a large fleet the records of most are not read: their silence alone is no proof."""
    names = ["m%03d" % n for n in range(300)]
    sim = fleet(*names)
    sim.wait(60)
    sim.beat(*names[1:], leaving="stop")
    sim.wait(61)
    look = sim.look()
    opened = {"m000", *names[1::5]}
    seen = {m: s for m, s in look.seen.items() if m in opened}
    decision = sim.decide(Look(look.now, look.received, seen, [m for m in look.suspects if m in opened]))
    assert [i.kind for i in decision.incidents.values()] == []
    assert told([t for t in decision.transitions if t.cause != "goodbye"]) == ["m000 online>offline silence"]
