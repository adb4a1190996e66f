# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Planned absences whose windows are changed meanwhile, and flexible windows, which begin with the absence."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.detect.planned import Calendar, Maintenance
from ansible_collections.roosync.heartbeat.tests.unit.checker.scenes import OTHERS, fleet, go_on, told, window
from ansible_collections.roosync.heartbeat.tests.unit.checker.sim import Sim, seconds


@pytest.fixture
def sim() -> Sim:
    """``web`` and ``db`` are there to be tried, the others keep beating."""
    return fleet("web", "db", *OTHERS)


# -- windows that are changed --------------------------------------------------------------------------------------


@pytest.fixture
def away(sim: Sim) -> Sim:
    """``web`` and ``db`` went offline in the window ``work``, which has 3470 s to go."""
    window(sim, 0, 3600, "web", "db")
    assert told(go_on(sim, 130, "web", "db")) == [
        "db online>offline maintenance+",
        "web online>offline maintenance+",
    ]
    return sim


def change(sim: Sim, **fields: Any) -> Maintenance:
    (old,) = sim.calendar.windows
    new = replace(old, **fields)
    sim.calendar = Calendar([new])
    return new


def test_a_window_that_ends_early_starts_the_clock_then(away: Sim) -> None:
    ended = change(away, end=away.now + seconds(100))
    assert told(go_on(away, 100, "web", "db")) == []
    assert away.state.machines["web"].planned_until == ended.end
    assert told(go_on(away, 119, "web", "db")) == []
    assert told(go_on(away, 1, "web")) == ["db offline>online beat", "web offline>offline maintenance_over"]


def test_a_window_that_ended_early_long_before_the_next_check(away: Sim) -> None:
    change(away, end=away.now + seconds(100))
    (over, _back) = go_on(away, 500, "web")
    assert (over.cause, over.effective_at) == ("maintenance_over", away.now - seconds(280))


def test_a_window_that_is_prolonged_goes_on(away: Sim) -> None:
    change(away, end=away.now + seconds(9000))
    assert told(go_on(away, 8000, "web", "db")) == []
    assert told(go_on(away, 1120, "web")) == ["db offline>online beat", "web offline>offline maintenance_over"]


def test_a_window_that_no_longer_means_a_machine_lets_go_of_it(away: Sim) -> None:
    change(away, machines=["db"])
    assert told(go_on(away, 60, "web", "db")) == []
    assert told(go_on(away, 119, "web", "db")) == []
    assert told(go_on(away, 1, "web", "db")) == ["web offline>offline maintenance_over"]
    assert away.state.machines["db"].planned


def test_another_window_of_the_same_name_keeps_nobody_planned(away: Sim) -> None:
    """``work`` was ended early; a moment later somebody sets ``work`` for others, for a whole day."""
    change(away, end=away.now)
    window(away, 10, 86_400, "a", name="work")
    assert told(go_on(away, 20, "web", "db")) == []
    assert told(go_on(away, 120, "web", "db")) == [
        "db offline>offline maintenance_over",
        "web offline>offline maintenance_over",
    ]


def test_another_window_of_the_same_name_for_the_same_machine(away: Sim) -> None:
    change(away, end=away.now)
    again = window(away, 0, 1000, "web", "db", name="work")
    assert told(go_on(away, 500, "web", "db")) == []
    assert away.state.machines["web"].planned_until == again.end


def test_a_window_that_is_moved_to_tomorrow_plans_nothing_today(away: Sim) -> None:
    change(away, start=away.now + seconds(86_400), end=away.now + seconds(90_000))
    go_on(away, 10, "web", "db")
    assert told(go_on(away, 120, "web")) == ["db offline>online beat", "web offline>offline maintenance_over"]


def test_a_document_that_is_gone_leaves_what_was_recorded(away: Sim) -> None:
    """Removed by hand, or damaged: the machines are no more away than was planned, and no less."""
    away.calendar = Calendar()
    assert told(go_on(away, 3580, "web", "db")) == []
    assert told(go_on(away, 10, "web")) == ["db offline>online beat", "web offline>offline maintenance_over"]


# -- a flexible window -------------------------------------------------------------------------------------------


def flexible(sim: Sim, begin: float, end: float, duration: float) -> Maintenance:
    return window(sim, begin, end, "web", duration=seconds(duration))


def test_a_flexible_window_begins_with_the_absence(sim: Sim) -> None:
    flexible(sim, 0, 10_000, 600)
    went = sim.now + seconds(120)
    assert told(go_on(sim, 130, "web")) == ["web online>offline maintenance+"]
    assert sim.state.machines["web"].planned_until == went + seconds(600)
    assert told(go_on(sim, 700, "web")) == []
    (over,) = go_on(sim, 10, "web")
    assert (told([over]), over.effective_at) == (["web offline>offline maintenance_over"], went + seconds(720))
    assert [told(go_on(sim, 1000, "web")) for _check in range(12)] == [[]] * 12


def test_a_flexible_window_begins_again_with_each_absence(sim: Sim) -> None:
    flexible(sim, 0, 10_000, 600)
    for _absence in range(3):
        assert told(go_on(sim, 130, "web")) == ["web online>offline maintenance+"]
        assert told(go_on(sim, 500)) == ["web offline>online beat"]


def test_a_flexible_window_that_is_prolonged_counts_from_the_same_moment(sim: Sim) -> None:
    flexible(sim, 0, 10_000, 600)
    went = sim.now + seconds(120)
    go_on(sim, 130, "web")
    change(sim, duration=seconds(900))
    assert told(go_on(sim, 500, "web")) == []
    assert sim.state.machines["web"].planned_until == went + seconds(900)


def test_an_absence_that_begins_at_the_last_moment_has_its_whole_duration(sim: Sim) -> None:
    flexible(sim, 0, 121, 600)
    assert told(go_on(sim, 130, "web")) == ["web online>offline maintenance+"]
    assert told(go_on(sim, 709, "web")) == []
    assert told(go_on(sim, 1, "web")) == ["web offline>offline maintenance_over"]


def test_an_absence_after_a_flexible_window(sim: Sim) -> None:
    flexible(sim, 0, 119, 600)
    assert told(go_on(sim, 130, "web")) == ["web online>offline silence"]


def test_the_end_of_a_flexible_window_excuses_no_silence(sim: Sim) -> None:
    """It has no end of its own for those that were not away in it."""
    flexible(sim, 0, 80, 600)
    assert told(go_on(sim, 130, "web")) == ["web online>offline silence"]
