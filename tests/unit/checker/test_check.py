# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The check as its callers see it: what it returns, what it returns again, and what it leaves untouched."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.clock import NS, parse_iso
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.fleet import Request, manage
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.state import STATUSES
from ansible_collections.roosync.heartbeat.tests.unit.checker.real import RealFleet


@pytest.fixture
def five(fleet: RealFleet) -> RealFleet:
    """Five machines that are online, checked once."""
    fleet.beat("web", "db", "mail", "dns", "ntp")
    fleet.check()
    return fleet


def test_an_empty_fleet(fleet: RealFleet) -> None:
    found = fleet.check()
    assert [found[status] for status in STATUSES] == [[], [], [], []]
    assert found["statistics"]["total"] == 0
    assert found["summary"] == "0 machines: none yet"
    assert not fleet.commit_path(1).exists()


def test_what_a_check_returns(fleet: RealFleet) -> None:
    with fleet.open() as store:
        manage(store, Request(expect=["new", "web"]))
    fleet.beat("web", "db", "mail", "dns")
    first = fleet.check()
    assert first["newly_online"] == first["online"] == ["db", "dns", "mail", "web"]
    assert first["unknown"] == ["new"]
    assert first["last_event"] == 4
    fleet.age("web", 130)
    fleet.age("db", 100)
    found = fleet.check()
    assert (found["newly_offline"], found["newly_warning"], found["newly_online"]) == (["web"], ["db"], [])
    assert {s: found[s] for s in STATUSES} == {
        "online": ["dns", "mail"],
        "warning": ["db"],
        "offline": ["web"],
        "unknown": ["new"],
    }
    numbers = found["statistics"]
    assert {s: numbers[s] for s in STATUSES} == {"online": 2, "warning": 1, "offline": 1, "unknown": 1}
    assert (numbers["total"], numbers["newly_offline"], numbers["pending_syncs"]) == (5, 1, 1)
    (entry,) = found["pending_syncs"]
    assert (entry["machine_id"], entry["event"], entry["state"]) == ("web", "offline", "pending")
    lost = next(t for t in found["transitions"] if t["to"] == "offline")
    assert parse_iso(lost["effective_at"]) - parse_iso(lost["last_heartbeat"]) == 120 * NS
    assert lost["detected_at"] == found["checked_at"]
    assert lost["event_id"] == entry["event_id"]
    assert found["summary"].startswith("5 machines: 2 online, 1 warning, 1 offline, 1 unknown; newly offline: web")
    json.dumps(found)


def test_a_second_check_reports_nothing_new(five: RealFleet) -> None:
    five.age("web", 130)
    assert five.changes() == [("web", "online", "offline")]
    before = sorted(p.name for p in (five.path / "journal").iterdir())
    again = five.check()
    assert again["transitions"] == again["newly_offline"] == []
    assert again["offline"] == ["web"]
    assert len(again["pending_syncs"]) == 1
    assert sorted(p.name for p in (five.path / "journal").iterdir()) == before


# -- the cached result -------------------------------------------------------------------------------------------


def without_timing(result: dict[str, Any]) -> dict[str, Any]:
    changed = dict(result, statistics=dict(result["statistics"]))
    for key in ("duration_ms", "opened", "races"):
        changed["statistics"].pop(key)
    return {k: v for k, v in changed.items() if k not in ("cached", "changed", "summary")}


def test_a_fresh_result_is_returned_again(five: RealFleet) -> None:
    five.age("web", 130)
    first = five.check()
    five.age("db", 130)
    again = five.check(force=False)
    assert (first["cached"], again["cached"]) == (False, True)
    assert without_timing(again) == without_timing(first)
    assert again["summary"].endswith("(as of %s)" % first["checked_at"])


@pytest.mark.parametrize("options", [{"force": True}, {"force": False, "cache_ttl": 0}, {"cache_ttl": -1}])
def test_a_caller_can_insist_on_a_look(five: RealFleet, options: dict[str, Any]) -> None:
    five.age("web", 130)
    assert five.check(**options)["newly_offline"] == ["web"]


def test_a_result_is_returned_again_until_it_is_too_old(five: RealFleet) -> None:
    last = five.path / "last_check.json"
    document = json.loads(last.read_text())
    for age, cached in ((30, True), (61, False)):
        aged = dict(document, checked_at=document["checked_at"] - age * NS)
        last.write_text(json.dumps(aged))
        assert five.check(force=False, cache_ttl=60)["cached"] is cached


def test_a_result_from_the_future_is_not_returned(five: RealFleet) -> None:
    """The store's clock was set back since."""
    last = five.path / "last_check.json"
    document = json.loads(last.read_text())
    last.write_text(json.dumps(dict(document, checked_at=document["checked_at"] + 3600 * NS)))
    assert not five.check(force=False)["cached"]


def test_what_others_commit_ends_the_cached_result(five: RealFleet) -> None:
    assert five.check(force=False)["cached"]
    with five.open() as store:
        manage(store, Request(forget=["ntp"]))
    found = five.check(force=False)
    assert not found["cached"]
    assert "ntp" not in found["online"]


def test_what_was_put_right_is_not_told_of_until_the_audit_comes_by(fleet: RealFleet) -> None:
    names = ["m%02d" % number for number in range(60)]
    fleet.beat(*names)
    fleet.check()
    fleet.check()
    fleet.record("m05").write_bytes(b"")
    fleet.beat("m06", sent_at="2001-01-01T00:00:00Z")
    for _turn in range(3):
        found = fleet.check()
    assert [p["machine_id"] for p in found["problems"]] == ["m05"]
    assert list(found["clock_skew_ms"]) == ["m06"]
    fleet.beat(*names)
    last = fleet.path / "last_check.json"
    document = json.loads(last.read_text())
    last.write_text(json.dumps(dict(document, cursor="m20")))
    found = fleet.check()
    assert (found["problems"], found["clock_skew_ms"]) == ([], {})


NOT_A_RESULT = [
    b"",
    b"{",
    b"null",
    b"[]",
    b'{"checked_at":"now"}',
    b'{"checked_at":CHECKED,"number":1,"cursor":"","result":{"first_event":"one"}}',
    b'{"checked_at":CHECKED,"number":1,"cursor":"","result":{"skewed":[1],"torn":"x","problems":7}}',
    b'{"checked_at":CHECKED,"number":1,"cursor":"","result":{"skewed":{"web":"x"},"problems":[3],"documented":"y"}}',
    b'{"checked_at":CHECKED,"number":1,"cursor":"","result":{"documented":"7"}}',
    b'{"checked_at":CHECKED,"number":1,"cursor":"","result":{"documented":1e3}}',
    b'{"checked_at":CHECKED,"number":1,"cursor":"","result":{"first_event":"1"}}',
    b'{"checked_at":CHECKED,"number":1,"cursor":"","result":{"skewed":{"web":"9000"}}}',
    b'{"checked_at":CHECKED,"number":1,"cursor":7,"result":[]}',
]


@pytest.mark.parametrize("content", NOT_A_RESULT)
@pytest.mark.parametrize("force", [True, False])
def test_a_damaged_cache_is_ignored(five: RealFleet, content: bytes, force: bool) -> None:
    last = five.path / "last_check.json"
    checked_at = json.loads(last.read_text())["checked_at"]
    last.write_bytes(content.replace(b"CHECKED", b"%d" % checked_at))
    found = five.check(force=force)
    assert found["online"] == ["db", "dns", "mail", "ntp", "web"]
    assert found["problems"] == []
    assert found["clock_skew_ms"] == {}
    assert five.check(force=False)["cached"]


def test_a_cache_that_cannot_be_written_spoils_nothing(five: RealFleet) -> None:
    last = five.path / "last_check.json"
    last.unlink()
    last.mkdir()
    five.age("web", 130)
    assert five.changes() == [("web", "online", "offline")]


# -- details -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("force", [True, False])
def test_details_of_every_machine(five: RealFleet, force: bool) -> None:
    with five.open() as store:
        manage(store, Request(expect=["new", "web"]))
    five.age("web", 485)
    five.check()
    found = five.check(force=force, include_details=True)
    details = {d["machine_id"]: d for d in found["details"]}
    assert sorted(details) == ["db", "dns", "mail", "new", "ntp", "web"]
    web, database, new = details["web"], details["db"], details["new"]
    assert (web["status"], web["expected"], web["missed_heartbeats"]) == ("offline", True, 16)
    assert parse_iso(web["offline_since"]) == parse_iso(web["last_heartbeat"]) + 120 * NS
    assert 485 <= web["age_seconds"] < 545
    assert (database["status"], database["missed_heartbeats"], database["offline_since"]) == ("online", 0, None)
    assert database["last_heartbeat"] is not None
    assert (new["status"], new["last_heartbeat"], new["age_seconds"]) == ("unknown", None, None)
    assert "details" not in five.check()


# -- check mode --------------------------------------------------------------------------------------------------


def test_a_dry_run_tells_and_records_nothing(five: RealFleet) -> None:
    five.age("web", 130)
    five.age("db", 100)
    (five.path / "heartbeats" / "mail.json").write_bytes(b"{")
    before = five.tree()
    dry = five.check(dry_run=True)
    assert five.tree() == before
    assert (dry["newly_offline"], dry["newly_warning"]) == (["web"], ["db"])
    assert (dry["offline"], dry["warning"]) == (["web"], ["db"])
    assert len(dry["pending_syncs"]) == 1
    real = five.check()
    for key in ("newly_offline", "newly_warning", "newly_online", *STATUSES, "problems"):
        assert real[key] == dry[key], key
    assert [t["event_id"] for t in real["transitions"]] == [t["event_id"] for t in dry["transitions"]]


def test_a_dry_run_on_a_new_fleet_leaves_it_as_it_is(fleet: RealFleet, tmp_path: Path) -> None:
    fleet.beat("web")
    before = fleet.tree()
    home = sorted(os.listdir(tmp_path))
    assert fleet.check(dry_run=True)["newly_online"] == ["web"]
    assert fleet.tree() == before
    assert sorted(os.listdir(tmp_path)) == home, "nothing is kept on the checker's own disk either"
