# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What many drills say together."""

from __future__ import annotations

from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.drill.document import RUNNING
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.drill.trend import aggregate
from ansible_collections.roosync.heartbeat.tests.unit.drill.samples import BEGAN, drill, report, story


def test_without_any_drill() -> None:
    found = aggregate([])
    assert (found["drills"], found["passed"], found["success_rate"], found["points"]) == (0, 0, None, [])
    assert found["rto_seconds"] == {"median": None, "best": None, "worst": None, "last": None}


def test_a_point_is_the_worst_machine_of_a_drill_and_failures_are_not_in_the_figures() -> None:
    found = aggregate(story(4))
    assert (found["drills"], found["passed"], found["success_rate"]) == (4, 3, 0.75)
    assert [one["verdict"] for one in found["points"]] == ["passed", "passed", "failed", "passed"]
    assert [one["rto_seconds"] for one in found["points"]] == [141.5, 139.5, 137.5, 135.5]
    assert found["rto_seconds"] == {"median": 139.5, "best": 135.5, "worst": 141.5, "last": 135.5}
    assert found["detection_seconds"] == {"median": 122.3, "best": 121.3, "worst": 124.3, "last": 124.3}


def test_the_order_is_that_of_time_and_what_runs_is_left_out() -> None:
    drills = story(3)
    running = drill(5, report("web-01", BEGAN, 1, 2, 3))
    running.state = RUNNING
    assert aggregate([running, *reversed(drills)]) == aggregate(drills)


def test_what_could_not_be_measured_is_no_figure() -> None:
    lost = report("web-01", BEGAN, 1, 2, 3, verdict="failed")
    lost.rto_seconds = lost.rpo_seconds = None
    point = aggregate([drill(0, lost)])["points"][0]
    assert (point["detection_seconds"], point["rto_seconds"], point["rpo_seconds"]) == (1, None, None)
