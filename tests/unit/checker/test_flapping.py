# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Machines that go and come: the weighted rule, the holding of what they ask for, and the one action at the end."""

from __future__ import annotations

from typing import List

import pytest

from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.detect.flapping import is_flapping, percentage
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.settings import Settings
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.state import Memory
from ansible_collections.roosync.heartbeat.tests.unit.checker.scenes import (
    OTHERS,
    entries,
    fleet,
    go_on,
    states,
    told,
    window,
)
from ansible_collections.roosync.heartbeat.tests.unit.checker.sim import Sim

# Nagios' weights, newest first: 1.25 down to 0.75 in 19 equal steps.
WEIGHTS = [1.25 - n * 0.5 / 19 for n in range(20)]


@pytest.fixture
def sim() -> Sim:
    return fleet("web", *OTHERS)


def memory(sim: Sim) -> Memory:
    return sim.state.machines["web"]


def cycle(sim: Sim) -> List[str]:
    """``web`` falls silent until it is offline, and returns: two changes."""
    return told(go_on(sim, 130, "web")) + told(go_on(sim, 10))


def begin_to_flap(sim: Sim) -> int:
    """``web`` goes and comes until it flaps; how often it went."""
    for count in range(1, 20):
        assert len(cycle(sim)) == 2
        if memory(sim).flapping:
            return count
    raise AssertionError("it never flaps")


# -- the share ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("slots", "expected"),
    [
        ([], 0.0),
        ([0], 6.25),
        ([19], 3.75),
        ([20], 0.0),
        (range(20), 100.0),
        (range(5), 29.934),
        (range(6), 35.526),
        ([15, 16, 17, 18, 19], 20.066),
        ([16, 17, 18, 19], 15.789),
        ([0, 1, 2, 17, 18, 19], 30.0),
        ([0, 1, 18, 19], 20.0),
    ],
)
def test_the_share_is_that_of_nagios(slots: List[int], expected: float) -> None:
    assert percentage(2000, [2000 - 10 * slot for slot in slots], 10) == pytest.approx(expected, abs=0.001)
    by_hand = sum(WEIGHTS[slot] for slot in slots if slot < 20) * 100 / 20
    assert expected == pytest.approx(by_hand, abs=0.001)


def test_several_changes_in_one_slot_are_one() -> None:
    assert percentage(1000, [995, 992, 991], 10) == 6.25
    assert percentage(1000, [995, 990], 10) == pytest.approx(6.25 + WEIGHTS[1] * 5)


def test_changes_in_the_future_do_not_count() -> None:
    """The store's clock was set back."""
    assert percentage(1000, [1001, 5000], 10) == 0.0


@pytest.mark.parametrize(
    ("slots", "was", "expected"),
    [
        (range(6), False, True),
        (range(5), False, False),
        ([0, 1, 2, 17, 18, 19], False, True),  # 30 % exactly
        (range(5), True, True),
        ([15, 16, 17, 18, 19], True, True),
        ([16, 17, 18, 19], True, False),
        ([0, 1, 18, 19], True, False),  # 20 % exactly
    ],
)
def test_it_starts_at_30_and_ends_at_20(slots: List[int], was: bool, expected: bool) -> None:
    assert is_flapping(2000, was, [2000 - 10 * slot for slot in slots], 10) is expected


# -- while it lasts ----------------------------------------------------------------------------------------------


def test_six_slots_with_changes_start_it_and_sixteen_without_end_it(sim: Sim) -> None:
    """A cycle takes 140 s, little more than a slot of 120 s: its two changes are mostly in one."""
    assert begin_to_flap(sim) in (5, 6)
    quiet = 0
    while memory(sim).flapping:
        assert told(go_on(sim, 60)) == []
        quiet += 60
    assert 10 * 120 <= quiet <= 17 * 120


def test_every_change_is_recorded_and_none_is_acted_on(sim: Sim) -> None:
    begin_to_flap(sim)
    for _time in range(5):
        assert cycle(sim) == ["web online>offline silence", "web offline>online beat"]
        assert {t.held_by for t in sim.commits[-1].transitions} == {"flapping:web"}
        assert {e.state for e in entries(sim, "web")} == {"held"}


def test_what_was_pending_before_is_held_as_well(sim: Sim) -> None:
    cycle(sim)
    assert states(sim, "web") == ["offline pending", "online pending"]
    begin_to_flap(sim)
    assert {(e.state, e.held_by) for e in entries(sim, "web")} == {("held", "flapping:web")}


def test_other_machines_are_not_held(sim: Sim) -> None:
    begin_to_flap(sim)
    assert told(go_on(sim, 130, "a")) == ["a online>offline silence"]
    assert states(sim, "a") == ["offline pending"]


def test_late_is_no_change(sim: Sim) -> None:
    """Only those to offline and back are counted."""
    for _time in range(40):
        assert told(go_on(sim, 100, "web")) == ["web online>warning silence"]
        assert told(go_on(sim, 1)) == ["web warning>online beat"]
    assert not memory(sim).flapping


def test_goodbyes_are_no_flapping(sim: Sim) -> None:
    for _time in range(20):
        sim.wait(60)
        sim.beat("web", leaving="stop")
        assert told(go_on(sim, 0, "web")) == ["web online>offline goodbye+"]
        sim.wait(60)
        sim.beat("web")
        assert told(go_on(sim, 0)) == ["web offline>online beat"]
    assert not memory(sim).flapping


def test_planned_absences_are_no_flapping(sim: Sim) -> None:
    window(sim, 0, 86_400, "web")
    for _time in range(20):
        cycle(sim)
    assert not memory(sim).flapping


def test_a_slot_is_as_long_as_the_machine_takes_to_be_offline() -> None:
    """Changes that are rare for a machine that beats once an hour are many for one that beats each half minute."""
    slow = {"web": {"heartbeat_interval": 3600, "warning_after": 7200, "offline_after": 10_800}}
    sim = fleet("web", *OTHERS, settings=Settings(overrides=slow))
    for _time in range(10):
        for part in range(5):
            assert part < 4 or not told(go_on(sim, 1, "web"))
            go_on(sim, 2200, "web")
        assert told(go_on(sim, 10)) == ["web offline>online beat"]
    assert memory(sim).flapping


# -- settled -----------------------------------------------------------------------------------------------------


def settle(sim: Sim, *silent: str) -> int:
    """Time passes without a change of ``web`` until it flaps no more; the number of checks."""
    for check in range(100):
        go_on(sim, 60, *silent)
        if not memory(sim).flapping:
            return check
    raise AssertionError("it never settles")


def test_settled_online_is_acted_on_once(sim: Sim) -> None:
    begin_to_flap(sim)
    held = len(entries(sim, "web"))
    settle(sim)
    assert states(sim, "web") == ["online pending"]
    let_go = sim.commits[-1].syncs
    assert sorted(e.state for e in let_go.values()) == ["pending"] + ["skipped"] * (held - 1)
    assert {e.reason for e in let_go.values()} == {None, "overtaken while it was held"}
    assert sim.decide().empty


def test_settled_offline_is_acted_on_once(sim: Sim) -> None:
    begin_to_flap(sim)
    cycle(sim)
    assert told(go_on(sim, 130, "web")) == ["web online>offline silence"]
    settle(sim, "web")
    assert states(sim, "web") == ["offline pending"]
    newest = [t for commit in sim.commits for t in commit.transitions if t.machine_id == "web"][-1]
    assert [e.event_id for e in entries(sim, "web")] == [newest.event_id]
    assert told(go_on(sim, 60, "web")) == []


def test_settled_while_late_is_as_good_as_online(sim: Sim) -> None:
    """The return must not be lost because the machine happens to be late at the moment when it is let go."""
    begin_to_flap(sim)
    for _step in range(100):
        go_on(sim, 100, "web")
        late = [(memory(sim).status, memory(sim).flapping)]
        if late == [("warning", False)]:
            break
        go_on(sim, 1)
    assert late == [("warning", False)]
    assert states(sim, "web") == ["online pending"]


def test_settled_by_a_goodbye_asks_for_nothing(sim: Sim) -> None:
    begin_to_flap(sim)
    sim.wait(5)
    sim.beat("web", leaving="stop")
    assert told(go_on(sim, 0, "web")) == ["web online>offline goodbye+"]
    settle(sim, "web")
    assert states(sim, "web") == []


def test_a_long_pause_of_the_checks_ends_with_one_action(sim: Sim) -> None:
    """It settled while nobody looked, and the first look finds the next change as well."""
    begin_to_flap(sim)
    assert told(go_on(sim, 130, "web")) == ["web online>offline silence"]
    sim.wait(100_000)
    assert told(go_on(sim, 0)) == ["web offline>online beat"]
    assert not memory(sim).flapping
    assert states(sim, "web") == ["online pending"]


def test_it_may_begin_again(sim: Sim) -> None:
    begin_to_flap(sim)
    settle(sim)
    begin_to_flap(sim)
    assert {e.state for e in entries(sim, "web")} == {"held"}
    settle(sim)
    assert states(sim, "web") == ["online pending"]


def test_without_auto_sync_it_settles_as_well() -> None:
    sim = fleet("web", *OTHERS, settings=Settings(auto_sync=False))
    for _time in range(8):
        cycle(sim)
    assert memory(sim).flapping
    settle(sim)
    assert entries(sim) == []


def test_a_clock_set_back_holds_nobody_for_ever(sim: Sim) -> None:
    begin_to_flap(sim)
    sim.wait(-86_400 * 365)
    sim.beat(*OTHERS, "web")
    settle(sim)
    assert states(sim, "web") == ["online pending"]


# -- together with a mass failure --------------------------------------------------------------------------------


def test_flapping_outlasts_the_mass_failure_that_it_is_part_of(sim: Sim) -> None:
    begin_to_flap(sim)
    lost = go_on(sim, 130, "web", "a", "b", "c")
    assert len(lost) == 4
    assert [i.kind for i in sim.state.incidents.values()] == ["mass_failure"]
    go_on(sim, 1)
    assert sim.state.incidents == {}
    assert memory(sim).flapping
    assert {(e.state, e.held_by) for e in entries(sim, "web")} == {("held", "flapping:web")}
    settle(sim)
    assert states(sim, "web") == ["online pending"]


def test_a_mass_failure_outlasts_the_flapping_of_one_of_its_machines(sim: Sim) -> None:
    sim.settings = Settings(hold_timeout=86_400)
    begin_to_flap(sim)
    go_on(sim, 130, "web", "a", "b", "c")
    (incident,) = sim.state.incidents
    settle(sim, "web", "a", "b", "c")
    assert [(e.event, e.state, e.held_by) for e in entries(sim, "web")] == [("offline", "held", incident)]
    go_on(sim, 1)
    assert states(sim, "web") == ["online pending"]


def test_a_mass_failure_takes_a_machine_that_begins_to_flap_in_it(sim: Sim) -> None:
    sim.settings = Settings(hold_timeout=86_400, mass_failure_ratio=0.3)
    assert len(go_on(sim, 130, "a", "b", "c")) == 3
    for _time in range(12):
        sim.wait(125)
        sim.beat("d")
        sim.check()
        sim.wait(10)
        sim.beat("web", "d")
        sim.check()
        assert "pending" not in {e.state for e in entries(sim, "web")}
    assert memory(sim).flapping
    go_on(sim, 10, "a", "b", "c")
    assert {e.state for e in entries(sim, "web")} == {"held"}
