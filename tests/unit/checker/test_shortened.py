# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Thresholds that become shorter: an agent that sleeps, or a timer, knows nothing of that yet, and nobody is late."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict, List, Optional

import pytest

from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.clock import NS, iso, parse_iso
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.fleet import Request, manage
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.look import Question, info
from ansible_collections.roosync.heartbeat.tests.unit.checker.real import RealFleet

# All of them so long that nobody is late by the time that a test itself takes.
LONG = {"heartbeat_interval": 100, "warning_after": 200, "offline_after": 300}
SHORT = {"heartbeat_interval": 5, "warning_after": 15, "offline_after": 25}
SHORTER = {"heartbeat_interval": 5, "warning_after": 10, "offline_after": 20}
MACHINES = ["m-1", "m-2", "m-3", "m-4"]


def sleeping(fleet: RealFleet) -> None:
    """Four machines, each somewhere between two heartbeats."""
    for number, machine in enumerate(MACHINES):
        fleet.beat(machine, age=25 * number)


@pytest.fixture
def calm(tmp_path: Path) -> RealFleet:
    fleet = RealFleet(tmp_path / "store", **LONG)
    sleeping(fleet)
    fleet.check()
    return fleet


def change(fleet: RealFleet, settings: Dict[str, Any]) -> Dict[str, Any]:
    with fleet.open() as store:
        return manage(store, Request(settings=settings))


def document(fleet: RealFleet) -> Dict[str, Any]:
    found: Dict[str, Any] = json.loads((fleet.path / "fleet.json").read_text())
    return found


def let_pass(fleet: RealFleet, seconds: float) -> None:
    """So long ago were all changes of thresholds."""
    changed = document(fleet)
    for entry in changed["earlier"]:
        entry["until"] = iso(parse_iso(entry["until"]) - round(seconds * NS))
    (fleet.path / "fleet.json").write_text(json.dumps(changed))


def seen(fleet: RealFleet) -> List[str]:
    with fleet.open() as store:
        found = info(store, Question())
    assert found["settings"]["offline_after"] == 25, "what is shown are the settings, not what counts for the moment"
    return list(found["online"])


def test_nobody_is_late_who_was_not_told_yet(calm: RealFleet) -> None:
    change(calm, SHORT)
    found = calm.check()
    assert (found["online"], found["transitions"], found["incidents"]) == (MACHINES, [], [])
    assert seen(calm) == MACHINES
    let_pass(calm, 150)
    assert calm.changes() == [], "a timer keeps the old interval until its host is deployed anew"


def test_the_new_thresholds_count_in_the_end(calm: RealFleet) -> None:
    change(calm, SHORT)
    let_pass(calm, 300)
    calm.beat("m-2", "m-3", "m-4")
    calm.age("m-1", 30)
    assert calm.changes() == [("m-1", "online", "offline")]


def test_who_falls_silent_meanwhile_is_found_by_the_earlier_thresholds(calm: RealFleet) -> None:
    change(calm, SHORT)
    calm.age("m-1", 305)
    assert calm.changes() == [("m-1", "online", "offline")]


def test_two_changes_one_after_the_other(calm: RealFleet) -> None:
    change(calm, SHORT)
    change(calm, SHORTER)
    assert len(document(calm)["earlier"]) == 2
    assert calm.changes() == []
    let_pass(calm, 305)
    change(calm, SHORT)
    assert [e["settings"]["offline_after"] for e in document(calm)["earlier"]] == [20.0], "what is over is forgotten"


@pytest.mark.parametrize(
    "before",
    [
        {"overrides": {"m-*": LONG}},
        {"overrides": {"m-1": LONG, "m-*": {"offline_after": 4500}}},
        {"overrides": {"x": {"offline_after": 4500}}, **LONG},
    ],
)
def test_overrides_that_become_shorter(tmp_path: Path, before: Dict[str, Any]) -> None:
    fleet = RealFleet(tmp_path / "store", **{**SHORT, **before})
    sleeping(fleet)
    fleet.check()
    change(fleet, dict(SHORT, overrides={}))
    assert fleet.changes() == []
    let_pass(fleet, 4505)
    calls = sorted(machine for machine, _from, _to in fleet.changes())
    assert calls in ([], MACHINES[1:]), "all of them at once is an outage of the store"
    fleet.beat(*MACHINES)
    fleet.check()
    fleet.age("m-3", 30)
    assert fleet.changes() == [("m-3", "online", "offline")]


def test_an_override_of_one_machine_delays_no_other(tmp_path: Path) -> None:
    fleet = RealFleet(tmp_path / "store", **LONG, overrides={"laptop": {"offline_after": 86_400}})
    sleeping(fleet)
    fleet.beat("laptop", age=500)
    fleet.check()
    change(fleet, dict(SHORT, overrides={}))
    let_pass(fleet, 305)
    fleet.beat("m-2", "m-3", "m-4")
    fleet.age("m-1", 30)
    assert [c[0] for c in fleet.changes() if c[2] == "offline"] == ["m-1"]


def test_other_settings_and_longer_thresholds_count_at_once(calm: RealFleet) -> None:
    change(calm, {"confirm_offline": 2})
    assert "earlier" not in document(calm)
    change(calm, {"offline_after": 3000, "confirm_offline": 1})
    calm.age("m-1", 2500)
    assert calm.changes() == [("m-1", "online", "warning")]


def test_the_same_settings_again_are_no_change(calm: RealFleet) -> None:
    assert change(calm, SHORT)["changed"]
    before = (calm.path / "fleet.json").read_bytes()
    let_pass(calm, 0)
    assert not change(calm, SHORT)["changed"]
    assert json.loads(before) == document(calm)
    change(calm, {"confirm_online": 2})
    assert document(calm)["earlier"] == json.loads(before)["earlier"]


def test_after_settings_that_made_no_sense_agents_still_beat_by_the_defaults(calm: RealFleet) -> None:
    nonsense = dict(document(calm), settings={"warning_after": -1})
    (calm.path / "fleet.json").write_text(json.dumps(nonsense))
    change(calm, SHORT)
    assert calm.changes() == []


@pytest.mark.parametrize("until", ["nonsense", 7, None, "9999-01-01T00:00:00Z"])
def test_what_makes_no_sense_there_counts_for_nothing(calm: RealFleet, until: Optional[object]) -> None:
    change(calm, SHORT)
    changed = document(calm)
    changed["earlier"] = [{}, {"until": until, "settings": LONG}, dict(changed["earlier"][0], settings={"x": 1})]
    (calm.path / "fleet.json").write_text(json.dumps(changed))
    calm.beat("m-2", "m-3", "m-4")
    calm.age("m-1", 30)
    assert calm.changes() == [("m-1", "online", "offline")]
