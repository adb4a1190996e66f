# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a real checker says of a real store that was away: proofs, the time to return, and clocks that prove nothing."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any, Dict, List

import pytest

from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.clock import NS, iso, parse_iso
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.fleet import Request, manage
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.record import Missed
from ansible_collections.roosync.heartbeat.tests.unit.checker.real import RealFleet
from ansible_collections.roosync.heartbeat.tests.unit.checker.scenes import numbered

MANY = numbered(10)
# The writes failed from 110 s to 8 s ago.
REPORT = Missed(count=4, began_ms=110_000, ended_ms=8_000, why="STORE_UNAVAILABLE")


@pytest.fixture
def known(fleet: RealFleet) -> RealFleet:
    fleet.beat(*MANY)
    fleet.check()
    return fleet


def silence(fleet: RealFleet, age: float, *machines: str) -> None:
    for machine in machines:
        fleet.age(machine, age)


def outages(fleet: RealFleet) -> List[Dict[str, Any]]:
    """Every outage that was ever written down."""
    return [json.loads(path.read_text()) for path in sorted((fleet.path / "incidents").iterdir())]


def changes(result: Dict[str, Any]) -> List[str]:
    return ["%s %s" % (t["machine_id"], t["to"]) for t in result["transitions"]]


# -- proven by reports ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reporting", "heard", "proven"),
    [
        (3, 5, True),  # three, and most of those heard
        (3, 6, False),  # three, and half
        (2, 3, False),  # most, and not three
        (2, 2, True),  # all that were heard, and the others fell silent with them
        (1, 1, True),
        (1, 9, False),  # one alone is its own trouble
        (9, 9, True),
    ],
)
def test_reports_of_failed_writes(known: RealFleet, reporting: int, heard: int, proven: bool) -> None:
    known.beat(*MANY[:reporting], age=2, missed=REPORT)
    known.beat(*MANY[reporting:heard], age=2)
    silence(known, 125, *MANY[heard:])
    result = known.check()
    if proven:
        assert changes(result) == []
        (outage,) = outages(known)
        assert (outage["kind"], outage["closed_by"]) == ("store_outage", "reports")
        assert outage["machines"] == MANY[:reporting]
        assert result["incidents"] == [], "it is over already"
        began = [iso(known.record(machine).stat().st_mtime_ns - 110 * NS) for machine in MANY[:reporting]]
        assert outage["since"] in began, "by when most say so"
        assert outage["until"] == result["checked_at"], "the beat after the last failure has not come to its end"
    else:
        assert changes(result) == ["%s offline" % m for m in MANY[heard:]]
        assert [o for o in outages(known) if o["kind"] == "store_outage"] == []


def test_one_report_hides_no_machine_that_was_lost_before(known: RealFleet) -> None:
    """Who is heard is alone, and so are the others with their silence: two hours, and one write that failed."""
    silence(known, 7200, *MANY[1:])
    known.beat(MANY[0], missed=Missed(count=1, began_ms=20_000, ended_ms=20_000, why="STORE_UNAVAILABLE"))
    assert changes(known.check()) == ["%s offline" % m for m in MANY[1:]]


def test_an_outage_is_recorded_once(known: RealFleet) -> None:
    known.beat(*MANY[:5], age=2, missed=REPORT)
    silence(known, 125, *MANY[5:])
    known.check()
    number = known.ledger().state.number
    for _check in range(3):
        known.check()
    assert known.ledger().state.number == number
    assert len(outages(known)) == 1


def test_a_report_repeated_for_a_quarter_of_an_hour_proves_no_second_outage(known: RealFleet) -> None:
    known.beat(*MANY[:5], age=2, missed=REPORT)
    silence(known, 125, *MANY[5:])
    known.check()
    again = Missed(count=4, began_ms=140_000, ended_ms=38_000, why="STORE_UNAVAILABLE")
    known.beat(*MANY[:5], missed=again)
    known.check()
    assert len(outages(known)) == 1


def test_reports_while_nobody_is_silent_are_no_matter(known: RealFleet) -> None:
    """The store was away for less time than anybody takes to be late."""
    known.beat(*MANY, missed=Missed(count=1, began_ms=20_000, ended_ms=10_000, why="STORE_UNAVAILABLE"))
    assert changes(known.check()) == []
    assert outages(known) == []


# -- proven by silence ---------------------------------------------------------------------------------------------


def test_whoever_has_not_returned_one_time_later_is_offline(tmp_path: Path) -> None:
    """In real time: the store is back, all but one return, and that one is offline exactly one ``offline_after`` on."""
    fleet = RealFleet(tmp_path / "store", heartbeat_interval=3, warning_after=6, offline_after=9)
    fleet.beat(*MANY[:5])
    fleet.check()
    silence(fleet, 500, *MANY[:5])
    assert [i["kind"] for i in fleet.check()["incidents"]] == ["store_outage"]
    fleet.beat(*MANY[:4])
    assert fleet.check()["incidents"] == []
    (outage,) = outages(fleet)
    told: List[Dict[str, Any]] = []
    limit = time.monotonic() + 60
    while [t["to"] for t in told[-1:]] != ["offline"]:
        assert time.monotonic() < limit, "it is never called offline"
        fleet.beat(*MANY[:4])
        told += fleet.check()["transitions"]
        time.sleep(0.05)
    assert {(t["machine_id"], t["cause"]) for t in told} == {(MANY[4], "silence")}
    after = [(t["to"], parse_iso(t["effective_at"]) - parse_iso(outage["until"])) for t in told]
    calls = [(to, round(nanoseconds / 1e9, 3)) for to, nanoseconds in after]
    # A check that comes late finds it offline at once; the moment at which it became so is the same.
    assert calls in ([("warning", 6.0), ("offline", 9.0)], [("offline", 9.0)])


def test_a_machine_that_was_offline_before_is_offline_after(known: RealFleet) -> None:
    known.beat(*MANY[1:])
    silence(known, 500, MANY[0])
    assert changes(known.check()) == ["m00 offline"]
    silence(known, 400, *MANY[1:])
    assert known.check()["offline"] == ["m00"]
    known.beat(*MANY[1:])
    result = known.check()
    assert (changes(result), result["offline"], len(result["pending_syncs"])) == ([], ["m00"], 1)


def test_while_it_lasts_the_statuses_are_those_from_before(known: RealFleet) -> None:
    known.beat(*MANY[1:])
    silence(known, 100, MANY[0])
    assert changes(known.check()) == ["m00 warning"]
    silence(known, 5000, *MANY)
    for _check in range(3):
        result = known.check()
        assert (result["warning"], result["online"], changes(result)) == (["m00"], MANY[1:], [])
        assert [i["kind"] for i in result["incidents"]] == ["store_outage"]


# -- clocks that prove nothing -------------------------------------------------------------------------------------


@pytest.mark.parametrize("skew", [-86_400, -3600, -6, 6, 3600, 86_400])
def test_a_hosts_clock_is_never_part_of_an_age(known: RealFleet, skew: float) -> None:
    """Wrong by as much, it neither makes a machine late nor keeps one from being late."""
    said = iso(time.time_ns() + round(skew * NS))
    known.beat(*MANY[1:], sent_at=said)
    result = known.check()
    assert (changes(result), result["incidents"]) == ([], [])
    assert sorted(result["clock_skew_ms"]) == MANY[1:]
    assert "clock wrong: m01, m02, m03, m04, m05 and 4 more" in result["summary"]
    known.beat(MANY[0], age=125, sent_at=iso(time.time_ns()))
    assert changes(known.check()) == ["m00 offline"]


@pytest.mark.parametrize(("skew", "limit", "warned"), [(4, 5, False), (8, 5, True), (8, 60, False), (-90, 60, True)])
def test_it_is_warned_of_past_a_limit(known: RealFleet, skew: float, limit: float, warned: bool) -> None:
    with known.open() as store:
        manage(store, Request(settings={"clock_skew_warning": limit}))
    known.beat(MANY[0], sent_at=iso(time.time_ns() + round(skew * NS)))
    result = known.check()
    assert list(result["clock_skew_ms"]) == ([MANY[0]] if warned else [])
    assert ("clock wrong" in result["summary"]) is warned
    if warned:
        assert result["clock_skew_ms"][MANY[0]] == pytest.approx(skew * 1000, abs=1000)
