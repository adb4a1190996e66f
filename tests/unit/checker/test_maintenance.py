# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Maintenance windows as documents of a real store: set, changed and ended."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Dict

import pytest

from ansible_collections.roosync.heartbeat.plugins.module_utils._engine import maintenance
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.clock import NS, parse_iso
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.errors import (
    InvalidMetadata,
    InvalidSettings,
    StoreUnavailable,
)
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.maintenance import Request
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.stores.file import FileStore
from ansible_collections.roosync.heartbeat.tests.unit.checker.real import RealFleet
from ansible_collections.roosync.heartbeat.tests.unit.checker.windows import (
    HOUR,
    end_window,
    path,
    seconds_from_now,
    set_window,
    shift,
)

# -- set ---------------------------------------------------------------------------------------------------------


def test_a_window_begins_now_and_lasts(fleet: RealFleet) -> None:
    result = set_window(fleet, machines=["Web-*", "db"], duration=HOUR, reason="kernel")
    window = result["window"]
    assert result["changed"] is True
    assert (window["machines"], window["metadata"], window["reason"]) == (["db", "web-*"], {}, "kernel")
    assert (window["phase"], window["flexible"], window["duration"]) == ("active", False, None)
    assert -60 < seconds_from_now(window["start"]) <= 0
    assert parse_iso(window["end"]) - parse_iso(window["start"]) == HOUR * NS
    assert result["diff"] == {"before": {}, "after": window}


def test_the_same_again_changes_nothing(fleet: RealFleet) -> None:
    first = set_window(fleet, machines=["web"], duration=HOUR)
    before = fleet.tree()
    again = set_window(fleet, machines=["web"], duration=HOUR)
    assert (again["changed"], again["window"]) == (False, first["window"])
    assert fleet.tree() == before


@pytest.mark.parametrize(
    "change",
    [
        {"machines": ["web", "db"]},
        {"metadata": {"rack": "r1"}},
        {"duration": 2 * HOUR},
        {"reason": "another"},
        {"duration": HOUR, "flexible": True, "end": "2099-01-01T00:00:00Z"},
        {"start": "2098-01-01T00:00:00Z"},
    ],
)
def test_a_change_is_a_change(fleet: RealFleet, change: Dict[str, Any]) -> None:
    wanted: Dict[str, Any] = {"machines": ["web"], "duration": HOUR}
    first = set_window(fleet, **wanted)["window"]
    wanted.update(change)
    before = fleet.tree()
    predicted = set_window(fleet, dry_run=True, **wanted)
    assert fleet.tree() == before
    real = set_window(fleet, **wanted)
    assert predicted == real
    assert (real["changed"], real["diff"]["before"]) == (True, first)
    if "start" not in change:
        assert real["window"]["start"] == first["start"], "it has begun already"
    assert set_window(fleet, **wanted)["changed"] is False


def test_check_mode_of_a_new_window(fleet: RealFleet) -> None:
    before = fleet.tree()
    assert set_window(fleet, dry_run=True, machines=["web"], duration=HOUR)["changed"] is True
    assert fleet.tree() == before


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("2099-01-31T22:00:00Z", "2099-01-31T22:00:00.000000Z"),
        ("2099-01-31T22:00:00+00:00", "2099-01-31T22:00:00.000000Z"),
        ("2099-01-31T22:00:00+01:00", "2099-01-31T21:00:00.000000Z"),
        ("2099-01-31T22:00:00-09:30", "2099-02-01T07:30:00.000000Z"),
        ("2099-01-31T22:00:00+14:00", "2099-01-31T08:00:00.000000Z"),
        ("2099-01-31 22:00:00+01:00", "2099-01-31T21:00:00.000000Z"),
        (" 2099-01-31T22:00:00.123456z ", "2099-01-31T22:00:00.123456Z"),
    ],
)
def test_times_of_any_zone(fleet: RealFleet, given: str, meant: str) -> None:
    result = set_window(fleet, machines=["web"], start=given, duration=HOUR)
    assert (result["window"]["start"], result["window"]["phase"]) == (meant, "future")
    assert set_window(fleet, machines=["web"], start=meant, duration=HOUR)["changed"] is False


@pytest.mark.parametrize(
    ("wanted", "why"),
    [
        ({"machines": ["web"]}, "give end or duration: a window without an end"),
        ({"machines": ["web"], "end": "2099-01-01T00:00:00Z", "duration": 1.0}, "not both"),
        ({"machines": ["web"], "end": "2020-01-01T00:00:00Z"}, "is not after start"),
        ({"machines": ["web"], "start": "2020-01-01T00:00:00Z", "end": "2020-01-02T00:00:00Z"}, "is over already"),
        ({"machines": ["web"], "start": "2099-01-01T00:00:00Z", "end": "2099-01-01T00:00:00Z"}, "not after start"),
        ({"machines": ["web"], "duration": 0.0}, "duration: 0.0 is refused"),
        ({"machines": ["web"], "duration": -1.0}, "duration: -1.0 is refused"),
        ({"machines": ["web"], "duration": float("nan")}, "duration: nan is refused"),
        ({"machines": ["web"], "duration": 1e12}, "at most 31622400 s"),
        ({"machines": ["web"], "duration": 1.0, "flexible": True}, "needs both end and duration"),
        ({"machines": ["web"], "end": "2099-01-01T00:00:00Z", "flexible": True}, "needs both end and duration"),
        ({"duration": 1.0}, "for whom is the window?"),
        ({"machines": ["../web"], "duration": 1.0}, "machines: '../web' is neither"),
        ({"machines": [""], "duration": 1.0}, "machines: '' is neither"),
        ({"machines": ["web"], "end": "2099-01-01T00:00:00"}, "end: '2099-01-01T00:00:00' has no offset"),
        ({"machines": ["web"], "start": "2099-01-01", "duration": 1.0}, "start: '2099-01-01' has no offset"),
        ({"machines": ["web"], "end": "tomorrow"}, "end: Invalid isoformat string"),
        ({"machines": ["web"], "end": "2099-02-30T00:00:00Z"}, "end: day"),
        ({"machines": ["web"], "end": "9999-12-31T23:59:59-14:00"}, "end: "),
        ({"machines": ["web"], "start": "0001-01-01T00:00:00+14:00", "duration": 1.0}, "start: "),
        ({"machines": ["web"], "duration": 0.0004}, "duration: 0.0004 is refused: it must be at least 0.001 s"),
        (
            {"machines": ["web"], "end": "2099-01-01T00:00:00Z", "duration": 0.0004, "flexible": True},
            "duration: 0.0004 is refused",
        ),
        ({"machines": ["web"], "duration": 1.0, "reason": "\ud800"}, "no check could use this window"),
        ({"name": "Work", "machines": ["web"], "duration": 1.0}, "name: 'Work'"),
        ({"name": "../../x", "machines": ["web"], "duration": 1.0}, "name: '../../x'"),
        ({"name": "", "machines": ["web"], "duration": 1.0}, "name: ''"),
    ],
)
def test_what_makes_no_sense_is_refused(fleet: RealFleet, wanted: Dict[str, Any], why: str) -> None:
    before = fleet.tree()
    for dry_run in (True, False):
        with pytest.raises(InvalidSettings) as caught:
            set_window(fleet, **{"name": "work", **wanted}, dry_run=dry_run)
        assert why in caught.value.message
    assert fleet.tree() == before


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (float("nan"), "metadata.load is nan, which JSON cannot hold"),
        ([1.0, float("-inf")], "metadata.load[1] is -inf"),
        ("\udc80", "metadata.load is not valid Unicode text"),
        (1 << 2000, "metadata.load is a number of more than 1024 bits"),
    ],
)
def test_metadata_that_no_machine_can_have_are_refused(fleet: RealFleet, value: Any, why: str) -> None:
    before = fleet.tree()
    with pytest.raises(InvalidMetadata, match=re.escape(why)):
        set_window(fleet, metadata={"load": value}, duration=60.0)
    assert fleet.tree() == before


def test_what_is_set_is_what_the_next_check_reads(fleet: RealFleet) -> None:
    wanted = {
        "machines": ["WEB*", "db"],
        "metadata": {"a": {"b": [1, 2.5, True, None]}},
        "reason": "caf\u00e9",
    }
    answer = set_window(fleet, **wanted, end="2099-01-01T00:00:00.1234567+05:30", duration=0.0014, flexible=True)
    (read,) = fleet.check()["maintenance"]
    assert read == answer["window"]
    assert (read["duration"], read["metadata"]) == (0.001, wanted["metadata"])
    assert fleet.check()["problems"] == []


def test_a_window_needs_a_store(tmp_path: Path) -> None:
    with FileStore(str(tmp_path), "default") as store:
        with pytest.raises(StoreUnavailable):
            maintenance.set_window(store, Request("work", ["web"], duration=1.0))
        with pytest.raises(StoreUnavailable):
            maintenance.end_window(store, "work")
    assert list(tmp_path.iterdir()) == []


# -- end ---------------------------------------------------------------------------------------------------------


def test_ended_early(fleet: RealFleet) -> None:
    set_window(fleet, machines=["web"], duration=HOUR)
    before = fleet.tree()
    predicted = end_window(fleet, dry_run=True)
    assert fleet.tree() == before
    result = end_window(fleet)
    assert predicted["changed"] is result["changed"] is True
    assert result["window"]["phase"] == "over"
    assert -60 < seconds_from_now(result["window"]["end"]) <= 0
    again = end_window(fleet)
    assert (again["changed"], again["window"]) == (False, result["window"])


def test_one_that_has_not_begun_is_removed(fleet: RealFleet) -> None:
    set_window(fleet, machines=["web"], start="2099-01-01T00:00:00Z", duration=HOUR)
    assert end_window(fleet, dry_run=True)["window"] == {}
    assert path(fleet).exists()
    result = end_window(fleet)
    assert (result["changed"], result["window"]) == (True, {})
    assert not path(fleet).exists()


def test_a_flexible_one_ends_for_whoever_is_away(fleet: RealFleet) -> None:
    set_window(fleet, machines=["web"], end="2099-01-01T00:00:00Z", flexible=True, duration=HOUR)
    result = end_window(fleet)
    assert (result["window"]["phase"], result["window"]["flexible"]) == ("over", False)


def test_ending_what_is_not_there_is_fine(fleet: RealFleet) -> None:
    before = fleet.tree()
    assert end_window(fleet) == {"changed": False, "window": {}, "diff": {"before": {}, "after": {}}}
    assert fleet.tree() == before
    with pytest.raises(InvalidSettings):
        end_window(fleet, "../x")


def test_a_name_may_be_used_again_after_the_end(fleet: RealFleet) -> None:
    first = set_window(fleet, machines=["web"], duration=HOUR)["window"]
    end_window(fleet)
    second = set_window(fleet, machines=["web"], duration=HOUR)
    assert second["changed"] is True
    assert second["window"]["start"] > first["start"]
    assert second["diff"]["before"] == {}


def test_old_windows_go_when_a_new_one_is_set(fleet: RealFleet) -> None:
    for name in ("old", "recent"):
        set_window(fleet, name, machines=["web"], duration=HOUR)
    shift(fleet, -8 * 86_400, "old")
    shift(fleet, -6 * 86_400, "recent")
    set_window(fleet, "another", machines=["web"], duration=HOUR, dry_run=True)
    assert path(fleet, "old").exists()
    set_window(fleet, "another", machines=["web"], duration=HOUR)
    assert sorted(p.stem for p in path(fleet).parent.iterdir()) == ["another", "recent"]
