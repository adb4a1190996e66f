# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What checks make of maintenance windows in a real store, and of documents that people have edited."""

from __future__ import annotations

import json
import time
from typing import Any, Dict, List

import pytest

from ansible_collections.roosync.heartbeat.plugins.module_utils._engine import look
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.clock import NS, iso
from ansible_collections.roosync.heartbeat.tests.unit.checker.real import RealFleet
from ansible_collections.roosync.heartbeat.tests.unit.checker.scenes import OTHERS
from ansible_collections.roosync.heartbeat.tests.unit.checker.windows import (
    HOUR,
    edit,
    end_window,
    path,
    seconds_from_now,
    set_window,
    shift,
)


@pytest.fixture
def beating(fleet: RealFleet) -> RealFleet:
    fleet.beat("web", *OTHERS)
    fleet.check()
    return fleet


def keep_on(fleet: RealFleet, **options: Any) -> Dict[str, Any]:
    fleet.beat(*OTHERS)
    return fleet.check(**options)


def causes(result: Dict[str, Any]) -> List[str]:
    return ["%s %s %s" % (t["machine_id"], t["to"], t["cause"]) for t in result["transitions"]]


def test_from_the_document_to_the_result(beating: RealFleet) -> None:
    set_window(beating, machines=["w*"], duration=HOUR, reason="kernel")
    shift(beating, -600)
    beating.age("web", 500)
    result = keep_on(beating)
    assert causes(result) == ["web offline maintenance"]
    assert result["transitions"][0]["planned"] is True
    assert (result["offline"], result["planned"], result["pending_syncs"]) == (["web"], ["web"], [])
    assert [w["name"] for w in result["maintenance"]] == ["work"]
    with beating.open() as store:
        seen = look.info(store, look.Question())
    assert [w["reason"] for w in seen["maintenance"]] == ["kernel"]
    (web,) = [m for m in seen["machines"] if m["machine_id"] == "web"]
    assert (web["planned"], web["planned_until"]) == (True, seen["maintenance"][0]["end"])


def test_a_flexible_one_ended_when_nobody_can_begin_it_any_more(beating: RealFleet) -> None:
    set_window(beating, machines=["web"], end=iso(time.time_ns() + 600 * NS), flexible=True, duration=24 * HOUR)
    shift(beating, -10_000)
    beating.age("web", 9_800)
    result = keep_on(beating)
    assert (causes(result), result["planned"]) == (["web offline maintenance"], ["web"])
    assert abs(seconds_from_now(end_window(beating)["window"]["end"])) < 60
    result = keep_on(beating)
    assert (causes(result), result["planned"]) == ([], ["web"]), "it has one offline_after to return"
    shift(beating, -130)
    assert causes(keep_on(beating)) == ["web offline maintenance_over"]


def test_the_end_in_a_real_store(beating: RealFleet) -> None:
    set_window(beating, machines=["web"], duration=HOUR)
    shift(beating, -600)
    beating.age("web", 500)
    keep_on(beating)
    end_window(beating)
    assert causes(keep_on(beating)) == []
    shift(beating, -100)
    result = keep_on(beating)
    assert (causes(result), result["planned"]) == ([], ["web"])
    shift(beating, -30)
    result = keep_on(beating)
    assert causes(result) == ["web offline maintenance_over"]
    assert (result["newly_offline"], result["planned"]) == (["web"], [])
    assert [(s["machine_id"], s["state"]) for s in result["pending_syncs"]] == [("web", "pending")]
    assert causes(keep_on(beating)) == []


def test_a_look_says_what_a_check_will_record(beating: RealFleet) -> None:
    set_window(beating, machines=["web"], duration=HOUR)
    shift(beating, -600)
    beating.age("web", 500)
    beating.beat(*OTHERS)
    with beating.open() as store:
        seen = look.info(store, look.Question())
    assert (seen["offline"], seen["pending_syncs"]) == (["web"], [])
    assert causes(beating.check(dry_run=True)) == causes(beating.check()) == ["web offline maintenance"]


def test_a_cached_result_shows_the_windows_of_now(beating: RealFleet) -> None:
    set_window(beating, machines=["web"], duration=HOUR)
    cached = beating.check(force=False, cache_ttl=600)
    assert cached["cached"] is True
    assert [w["name"] for w in cached["maintenance"]] == ["work"]


# -- documents that people have edited -----------------------------------------------------------------------------


def problems(result: Dict[str, Any]) -> List[str]:
    return [p["path"] for p in result["problems"] if p["kind"] == "bad_maintenance"]


@pytest.mark.parametrize(
    "fields",
    [
        {"end": "2099-01-01T00:00:00"},
        {"end": ""},
        {"end": 7},
        {"end": "2000-01-01T00:00:00Z"},
        {"window_id": "other"},
        {"machines": "web"},
        {"machines": []},
        {"machines": ["../web"]},
        {"metadata": []},
        {"duration": -1},
        {"duration": 1e300},
        {"duration": "long"},
        {"surprise": True},
        {"created_at": "yesterday"},
    ],
)
def test_a_damaged_window_is_reported_and_affects_no_other(beating: RealFleet, fields: Dict[str, Any]) -> None:
    set_window(beating, "good", machines=["web"], duration=HOUR)
    set_window(beating, machines=["a"], duration=HOUR)
    shift(beating, -600, "good")
    edit(beating, **fields)
    beating.age("web", 500)
    beating.beat(*OTHERS)
    result = beating.check()
    assert problems(result) == ["maintenance/work.json"]
    assert [w["name"] for w in result["maintenance"]] == ["good"]
    assert causes(result) == ["web offline maintenance"]


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", b'{"window_id": "work", "window_id": "work"}'])
def test_what_is_no_document_at_all(beating: RealFleet, content: bytes) -> None:
    path(beating).write_bytes(content)
    assert problems(keep_on(beating)) == ["maintenance/work.json"]
    assert set_window(beating, machines=["web"], duration=HOUR)["changed"] is True
    assert problems(keep_on(beating)) == []


def test_what_is_damaged_can_be_removed(beating: RealFleet) -> None:
    path(beating).write_bytes(b"{")
    assert end_window(beating, dry_run=True)["changed"] is True
    assert path(beating).exists()
    assert end_window(beating) == {"changed": True, "window": {}, "diff": {"before": {}, "after": {}}}
    assert not path(beating).exists()
    assert end_window(beating)["changed"] is False


def test_a_document_written_by_hand(beating: RealFleet) -> None:
    """Capitals, numbers for text, no offset but Z, nothing that is not needed."""
    document = {
        "window_id": "work",
        "start": "2020-01-01T00:00:00Z",
        "end": "2099-01-01T02:00:00+02:00",
        "created_at": "2020-01-01T00:00:00Z",
        "machines": ["W*"],
        "metadata": {"rack": 12},
    }
    path(beating).write_text(json.dumps(document))
    beating.beat("web", age=500, metadata_json='{"rack": "12"}')
    result = keep_on(beating)
    assert problems(result) == []
    assert causes(result) == ["web offline maintenance"]
    assert result["maintenance"][0]["end"] == "2099-01-01T00:00:00.000000Z"
    assert set_window(beating, machines=["w*"], metadata={"rack": 12}, end="2099-01-01T00:00:00Z")["changed"] is False
