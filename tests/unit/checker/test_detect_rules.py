# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rules of status one by one: ages, beats, goodbyes, confirmations, missing and impossible records."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.clock import NS
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.detect.survey import Sighting
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.detect.verdict import decide
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.settings import Settings
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.state import State
from ansible_collections.roosync.heartbeat.tests.unit.checker.sim import START, Sim, seconds


@pytest.fixture
def sim() -> Sim:
    """Five machines that are online; ``web`` and ``db`` are there to be tried, the others keep beating."""
    fleet = Sim()
    fleet.beat("web", "db", "a", "b", "c")
    fleet.check()
    return fleet


def pass_time(sim: Sim, amount: float) -> None:
    """Time passes, and the others beat on."""
    sim.wait(amount)
    sim.beat("a", "b", "c")


@pytest.mark.parametrize(
    ("age", "status"), [(0, "online"), (89.999, "online"), (90, "warning"), (119.999, "warning"), (120, "offline")]
)
def test_age_makes_the_status(sim: Sim, age: float, status: str) -> None:
    pass_time(sim, age)
    sim.beat("db")
    sim.check()
    assert sim.statuses()["web"] == status


def test_transitions_name_the_deadline_that_passed(sim: Sim) -> None:
    beat_at = sim.now
    pass_time(sim, 100)
    sim.beat("db")
    (warned,) = sim.check().transitions
    assert (warned.cause, warned.effective_at, warned.detected_at) == ("silence", beat_at + seconds(90), sim.now)
    pass_time(sim, 100)
    sim.beat("db")
    (lost,) = sim.check().transitions
    assert (lost.cause, lost.effective_at, lost.detected_at) == ("silence", beat_at + seconds(120), sim.now)
    sim.beat("web", age=5)
    (back,) = sim.check().transitions
    assert (back.cause, back.effective_at) == ("beat", sim.now - seconds(5))


def test_a_checker_that_learns_whole_seconds_only_starts_no_quarrel(sim: Sim) -> None:
    """Two checkers by turns, and one of them sees the times without their fraction: one beat, one warning."""
    sim.wait(0.6)
    sim.beat("web")
    coarse, exact = START // NS * NS, sim.now
    pass_time(sim, 89.6)
    sim.beat("db")
    found = []
    for at in (coarse, exact, coarse, exact):
        sim.records["web"] = replace(sim.records["web"], received_at=at)
        found += sim.changes()
    assert found == [("web", "online", "warning")]
    sim.beat("web")
    assert sim.changes() == [("web", "warning", "online")]


def test_a_machine_joins_with_the_status_its_beat_gives(sim: Sim) -> None:
    sim.beat("late", age=100)
    sim.beat("gone", age=500)
    sim.beat("left", leaving="stop")
    sim.beat("new")
    joined = {t.machine_id: (t.from_status, t.to_status, t.cause) for t in sim.check().transitions}
    assert joined == {
        "new": ("unknown", "online", "first_beat"),
        "late": ("unknown", "warning", "first_seen_late"),
        "gone": ("unknown", "offline", "first_seen_late"),
        "left": ("unknown", "offline", "goodbye"),
    }


def test_a_record_that_vanishes_before_it_is_opened_makes_no_machine() -> None:
    """Scanned, and forgotten by somebody before it could be read."""
    decision = decide(START, {"ghost": START}, {"ghost": Sighting(None)}, ["ghost"], State(), Settings())
    assert decision.empty


def test_longer_limits_bring_nobody_back(sim: Sim) -> None:
    pass_time(sim, 130)
    sim.beat("db")
    assert sim.changes() == [("web", "online", "offline")]
    sim.settings = Settings(warning_after=1000, offline_after=2000)
    assert sim.changes() == []
    sim.beat("web")
    assert sim.changes() == [("web", "offline", "online")]


def test_a_beat_that_is_late_already_does_not_bring_back_from_offline(sim: Sim) -> None:
    pass_time(sim, 130)
    sim.beat("db")
    sim.check()
    sim.beat("web", age=100)
    assert sim.changes() == []
    sim.beat("web", age=89)
    assert sim.changes() == [("web", "offline", "online")]


# -- goodbye -----------------------------------------------------------------------------------------------------


def test_a_goodbye_is_planned_and_its_sync_is_skipped(sim: Sim) -> None:
    sim.wait(5)
    sim.beat("web", leaving="stop")
    (goodbye,) = sim.check().transitions
    assert (goodbye.to_status, goodbye.cause, goodbye.planned) == ("offline", "goodbye", True)
    assert goodbye.effective_at == sim.now
    assert sim.state.syncs == {}
    pass_time(sim, 500)
    sim.beat("db")
    assert sim.changes() == []
    sim.beat("web")
    (back,) = sim.check().transitions
    assert (back.to_status, back.planned) == ("online", False)
    assert [s.event for s in sim.state.syncs.values()] == ["online"]


def test_a_goodbye_of_an_offline_machine_brings_it_not_back(sim: Sim) -> None:
    """The network returns, and the agent is stopped before it could beat: it was never back."""
    pass_time(sim, 130)
    sim.beat("db")
    assert sim.changes() == [("web", "online", "offline")]
    sim.beat("web", leaving="stop")
    assert sim.changes() == []
    assert sim.state.machines["web"].planned
    assert sim.decide().empty
    sim.wait(1)
    sim.beat("web")
    assert sim.changes() == [("web", "offline", "online")]


def test_a_second_goodbye_changes_nothing(sim: Sim) -> None:
    sim.beat("web", leaving="stop")
    assert sim.changes() == [("web", "online", "offline")]
    sim.wait(1)
    sim.beat("web", leaving="stop")
    assert sim.changes() == []


# -- confirmations -----------------------------------------------------------------------------------------------


def test_confirm_offline_asks_for_so_many_checks_in_a_row(sim: Sim) -> None:
    sim.settings = Settings(confirm_offline=3)
    pass_time(sim, 100)
    sim.beat("db")
    assert sim.changes() == [("web", "online", "warning")]
    pass_time(sim, 50)
    assert sim.changes() == []
    assert sim.changes() == []
    sim.beat("web")
    assert sim.changes() == [("web", "warning", "online")]
    pass_time(sim, 100)
    sim.beat("db")
    assert sim.changes() == [("web", "online", "warning")]
    pass_time(sim, 50)
    sim.beat("db")
    assert [sim.changes() for _check in range(3)] == [[], [], [("web", "warning", "offline")]]


def test_an_unconfirmed_offline_machine_is_not_online_meanwhile(sim: Sim) -> None:
    """Checks that are far apart skip the warning by age, yet nobody may be told that the machine is well."""
    sim.settings = Settings(confirm_offline=2)
    pass_time(sim, 300)
    sim.beat("db")
    assert sim.changes() == [("web", "online", "warning")]
    assert sim.changes() == [("web", "warning", "offline")]


def test_confirm_online_asks_for_so_many_checks_in_a_row(sim: Sim) -> None:
    sim.settings = Settings(confirm_online=3)
    pass_time(sim, 130)
    sim.beat("db")
    assert sim.changes() == [("web", "online", "offline")]
    sim.beat("web")
    assert [sim.changes() for _check in range(2)] == [[], []]
    pass_time(sim, 100)
    sim.beat("db")
    assert sim.changes() == []
    sim.beat("web")
    assert [sim.changes() for _check in range(3)] == [[], [], [("web", "offline", "online")]]


# -- missing and impossible records ------------------------------------------------------------------------------


def test_a_missing_record_counts_from_when_it_was_missed(sim: Sim) -> None:
    pass_time(sim, 60)
    sim.lose("web")
    sim.beat("db")
    assert sim.changes() == []
    pass_time(sim, 89)
    sim.beat("db")
    assert sim.changes() == []
    pass_time(sim, 1)
    assert sim.changes() == [("web", "online", "warning")]
    pass_time(sim, 30)
    sim.beat("db")
    assert sim.changes() == [("web", "warning", "offline")]


def test_a_record_that_is_missing_again_counts_anew(sim: Sim) -> None:
    sim.lose("web")
    sim.check()
    for _minute in range(10):
        pass_time(sim, 60)
        sim.beat("web", "db")
        assert sim.changes() == []
    sim.lose("web")
    assert sim.changes() == []
    assert sim.statuses()["web"] == "online"
    pass_time(sim, 60)
    sim.beat("db")
    assert sim.changes() == []


def test_a_machine_that_was_lost_with_its_record_gets_a_full_time_when_it_is_missing_again(sim: Sim) -> None:
    sim.lose("web")
    sim.check()
    pass_time(sim, 130)
    sim.beat("db")
    assert sim.changes() == [("web", "online", "offline")]
    sim.beat("web")
    assert sim.changes() == [("web", "offline", "online")]
    pass_time(sim, 10)
    sim.beat("web", "db")
    sim.check()
    sim.lose("web")
    assert sim.changes() == []
    pass_time(sim, 80)
    sim.beat("db")
    assert sim.changes() == []


def test_a_clock_set_back_makes_nobody_late(sim: Sim) -> None:
    """The store's clock loses a day: all records are stamped in the future, and count from now."""
    sim.wait(-86_400)
    assert sim.changes() == []
    sim.wait(80)
    sim.beat("a", "b", "c", "db")
    assert sim.changes() == []
    pass_time(sim, 10)
    assert sim.changes() == [("web", "online", "warning")]
    pass_time(sim, 30)
    sim.beat("db")
    assert sim.changes() == [("web", "warning", "offline")]
    sim.beat("web")
    assert sim.changes() == [("web", "offline", "online")]


def test_a_clock_set_back_does_not_stop_the_clock_of_a_missing_record(sim: Sim) -> None:
    sim.lose("web")
    sim.check()
    sim.wait(-86_400)
    sim.beat("a", "b", "c", "db")
    sim.check()
    pass_time(sim, 125)
    sim.beat("db")
    assert sim.changes() == [("web", "online", "offline")]


def test_a_stamp_slightly_ahead_of_now_is_a_beat_that_came_during_the_look(sim: Sim) -> None:
    sim.wait(10)
    sim.beat("web", age=-1.5)
    assert sim.decide().empty


def test_one_fact_has_one_name_and_two_facts_have_two(sim: Sim) -> None:
    """A record that is copied back with its old content and a new time is another beat."""
    sim.wait(130)
    sim.beat("a", "b", "c", "db")
    first = sim.check().transitions
    assert sim.decide().empty
    old = sim.records["web"]
    sim.records["web"] = Sighting(sim.now, old.boot_id, old.sequence)
    sim.check()
    pass_time(sim, 130)
    sim.beat("db")
    second = sim.check().transitions
    assert [t.to_status for t in first] == [t.to_status for t in second] == ["offline"]
    assert first[0].event_id != second[0].event_id
