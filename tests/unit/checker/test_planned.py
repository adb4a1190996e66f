# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Planned absence in the decision of a check: for whom a window is meant, and what it and its end change."""

from __future__ import annotations

from typing import Any, Dict, List

import pytest

from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.detect.planned import Maintenance, covers
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.settings import Settings
from ansible_collections.roosync.heartbeat.tests.unit.checker.scenes import (
    OTHERS,
    entries,
    fleet,
    go_on,
    states,
    told,
    window,
)
from ansible_collections.roosync.heartbeat.tests.unit.checker.sim import Sim, seconds


@pytest.fixture
def sim() -> Sim:
    """``web`` and ``db`` are there to be tried, the others keep beating."""
    return fleet("web", "db", *OTHERS)


# -- for whom ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("machines", "metadata", "covered"),
    [
        (["web-01"], {}, True),
        (["web-02"], {}, False),
        (["web-*"], {}, True),
        (["web-0[12]"], {}, True),
        (["db-*", "web-?1"], {}, True),
        ([], {"rack": "r12"}, True),
        ([], {"rack": "r13"}, False),
        ([], {"rack": "r12", "role": "web"}, True),
        ([], {"rack": "r12", "role": "db"}, False),
        ([], {"groups": "blue"}, True),
        ([], {"groups": "red"}, False),
        ([], {"groups": ["blue", "green"]}, True),
        ([], {"nothing": None}, False),
        (["web-*"], {"rack": "r12"}, True),
        (["web-*"], {"rack": "r13"}, False),
        (["db-*"], {"rack": "r12"}, False),
        ([], {}, False),
    ],
)
def test_whom_a_window_is_meant_for(machines: List[str], metadata: Dict[str, Any], covered: bool) -> None:
    meant = Maintenance("w", 0, 1, machines, metadata)
    assert covers(meant, "web-01", {"rack": "r12", "role": "web", "groups": ["blue", "green"]}) is covered


def test_a_machine_whose_metadata_is_not_known_is_covered_by_name_alone() -> None:
    assert covers(Maintenance("w", 0, 1, ["web"]), "web", None)
    assert not covers(Maintenance("w", 0, 1, ["web"], {"rack": "r12"}), "web", None)


# -- a fixed window ----------------------------------------------------------------------------------------------


def test_silence_inside_a_window_is_planned(sim: Sim) -> None:
    window(sim, 0, 3600, "web")
    assert told(go_on(sim, 100, "web")) == ["web online>warning maintenance+"]
    assert told(go_on(sim, 30, "web")) == ["web warning>offline maintenance+"]
    assert entries(sim) == []
    skipped = list(sim.commits[-1].syncs.values())
    assert [(e.event, e.state, e.reason) for e in skipped] == [("offline", "skipped", "a planned absence: maintenance")]
    assert sim.state.machines["web"].planned
    assert told(go_on(sim, 1000, "web")) == []


def test_others_are_judged_as_ever(sim: Sim) -> None:
    window(sim, 0, 3600, "web")
    assert told(go_on(sim, 130, "web", "db")) == ["db online>offline silence", "web online>offline maintenance+"]
    assert states(sim, "db") == ["offline pending"]


def test_it_is_the_moment_of_the_change_that_counts(sim: Sim) -> None:
    """Between two checks the machine fell silent for good, and only then the window began."""
    window(sim, 121, 3600, "web")
    assert told(go_on(sim, 150, "web")) == ["web online>offline silence"]


def test_a_window_in_the_future_covers_nothing_yet(sim: Sim) -> None:
    window(sim, 500, 3600, "web")
    assert told(go_on(sim, 130, "web")) == ["web online>offline silence"]


def test_a_window_that_begins_between_warning_and_offline(sim: Sim) -> None:
    window(sim, 110, 3600, "web")
    assert told(go_on(sim, 100, "web")) == ["web online>warning silence"]
    assert told(go_on(sim, 30, "web")) == ["web warning>offline maintenance+"]


def test_the_end_of_a_window_starts_the_clock_anew(sim: Sim) -> None:
    """Silent for less than it takes to be called late, and then the window ends."""
    window(sim, 0, 80, "web")
    assert told(go_on(sim, 130, "web")) == []
    assert told(go_on(sim, 39, "web")) == []
    assert told(go_on(sim, 1, "web")) == ["web online>warning silence"]
    (lost,) = go_on(sim, 30, "web")
    assert (told([lost]), lost.effective_at) == (["web warning>offline silence"], sim.now)
    assert states(sim, "web") == ["offline pending"]


def test_back_before_the_window_ends(sim: Sim) -> None:
    window(sim, 0, 600, "web")
    go_on(sim, 130, "web")
    assert told(go_on(sim, 10)) == ["web offline>online beat"]
    assert states(sim, "web") == ["online pending"]
    assert not sim.state.machines["web"].planned
    assert [told(go_on(sim, 60)) for _minute in range(15)] == [[]] * 15


def test_back_within_one_time_after_the_window(sim: Sim) -> None:
    window(sim, 0, 600, "web")
    go_on(sim, 130, "web")
    assert told(go_on(sim, 589, "web")) == []  # 719 s: one more second, and it would be overdue
    assert told(go_on(sim, 0.5)) == ["web offline>online beat"]
    assert told(go_on(sim, 60)) == []


def test_still_silent_after_the_window_is_told_once(sim: Sim) -> None:
    window(sim, 0, 600, "web")
    began = sim.now
    go_on(sim, 130, "web")
    since = sim.state.machines["web"].offline_since
    assert told(go_on(sim, 589, "web")) == []
    (over,) = go_on(sim, 1, "web")
    assert told([over]) == ["web offline>offline maintenance_over"]
    assert over.effective_at == began + seconds(720)
    assert states(sim, "web") == ["offline pending"]
    memory = sim.state.machines["web"]
    assert (memory.planned, memory.planned_until, memory.offline_since) == (False, None, since)
    assert [told(go_on(sim, 300, "web")) for _check in range(5)] == [[]] * 5
    assert told(go_on(sim, 1)) == ["web offline>online beat"]


def test_what_was_known_before_a_window_is_not_told_again(sim: Sim) -> None:
    assert told(go_on(sim, 130, "web")) == ["web online>offline silence"]
    window(sim, 0, 600, "web")
    assert [told(go_on(sim, 200, "web")) for _check in range(6)] == [[]] * 6
    assert states(sim, "web") == ["offline pending"]


def test_a_machine_that_joins_late_in_a_window_is_planned(sim: Sim) -> None:
    window(sim, -600, 600, "new-*")
    sim.beat("new-1", age=300)
    assert told(sim.check().transitions) == ["new-1 unknown>offline first_seen_late+"]
    assert entries(sim) == []
    sim.beat("new-2")
    assert told(go_on(sim, 1, "new-1")) == ["new-2 unknown>online first_beat"]


def test_a_window_by_metadata_asks_the_last_beat(sim: Sim) -> None:
    sim.beat("web", metadata_json='{"rack": "r12"}')
    sim.beat("db", metadata_json='{"rack": "r13"}')
    window(sim, 0, 600, metadata={"rack": "r12"})
    assert told(go_on(sim, 130, "web", "db")) == ["db online>offline silence", "web online>offline maintenance+"]


def test_confirmations_do_not_outlive_a_window() -> None:
    sim = fleet("web", *OTHERS, settings=Settings(confirm_offline=3))
    window(sim, 0, 125, "web")
    found = told(go_on(sim, 100, "web")) + told(go_on(sim, 22, "web"))  # one count
    found += told(go_on(sim, 10, "web"))  # the window is over
    assert found == ["web online>warning maintenance+"]
    assert sim.state.machines["web"].confirmations == 0


# -- more than one window ----------------------------------------------------------------------------------------


def test_of_overlapping_windows_the_one_that_ends_last_counts(sim: Sim) -> None:
    window(sim, 0, 600, "web", name="short")
    window(sim, 0, 1800, "w*", name="long")
    go_on(sim, 130, "web")
    assert told(go_on(sim, 1700, "web")) == []
    assert told(go_on(sim, 90, "web")) == ["web offline>offline maintenance_over"]


def test_a_window_that_begins_before_the_machine_is_overdue_takes_over(sim: Sim) -> None:
    window(sim, 0, 600, "web", name="first")
    second = window(sim, 700, 1800, "web", name="second")
    go_on(sim, 130, "web")
    assert told(go_on(sim, 600, "web")) == []
    memory = sim.state.machines["web"]
    assert (memory.planned_by, memory.planned_until) == (second.key, second.end)
    assert sim.decide().empty
    assert told(go_on(sim, 1189, "web")) == []
    assert told(go_on(sim, 1, "web")) == ["web offline>offline maintenance_over"]


def test_a_window_that_begins_after_the_machine_is_overdue_hides_nothing(sim: Sim) -> None:
    window(sim, 0, 600, "web", name="first")
    window(sim, 721, 1800, "web", name="second")
    go_on(sim, 130, "web")
    (over,) = go_on(sim, 1000, "web")
    assert told([over]) == ["web offline>offline maintenance_over"]
    assert [told(go_on(sim, 500, "web")) for _check in range(4)] == [[]] * 4


def test_a_chain_of_windows_while_nobody_checks(sim: Sim) -> None:
    for number in range(5):
        window(sim, 600 * number, 600 * number + 550, "web", name="night-%d" % number)
    go_on(sim, 130, "web")
    assert told(go_on(sim, 2939, "web")) == []
    (over,) = go_on(sim, 1, "web")  # the last one ended after 2950 s
    assert (over.cause, over.effective_at) == ("maintenance_over", sim.now)
