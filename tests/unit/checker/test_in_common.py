# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the machines of a mass failure have in common: the first thing a person asks."""

from __future__ import annotations

import json
import time
from typing import Dict, List

import pytest

from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.detect.common import in_common, still_in_common
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.detect.survey import Sighting
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.state import Incident
from ansible_collections.roosync.heartbeat.tests.unit.checker.scenes import fleet, go_on, numbered
from ansible_collections.roosync.heartbeat.tests.unit.checker.sim import Sim


def incident(sim: Sim) -> Incident:
    (found,) = sim.state.incidents.values()
    return found


def of(metadata: Dict[str, Dict[str, object]]) -> Dict[str, Sighting]:
    return {m: Sighting(0, metadata_json=json.dumps(value)) for m, value in metadata.items()}


@pytest.mark.parametrize(
    ("fallen", "others", "expected"),
    [
        (["rack1-a", "rack1-b", "rack1-c"], ["rack2-a"], "rack1-"),
        (["rack1-web-1", "rack1-web-2"], ["rack1-db-1", "rack2-web-1"], "rack1-web-"),
        (["eu.web.1", "eu.db.2"], ["us.web.1"], "eu."),
        (["web_1", "web_2"], [], "web_"),
        (["web1", "web2"], ["db1"], None),  # it ends at no separator
        (["web-1", "db-1"], ["web-2"], None),
        (["web-1", "web-2"], ["web-3", "web-4"], None),  # the others share it as well
        (["web-1", "web-2"], ["web-3", "db-1", "db-2"], "web-"),  # a few of the others do
        (["web-1"], ["db-1"], None),
        (["-web-1", "-web-2"], [], "-web-"),
    ],
)
def test_a_common_prefix(fallen: List[str], others: List[str], expected: str) -> None:
    assert in_common(fallen, fallen + others, {}).get("prefix") == expected


@pytest.mark.parametrize(
    ("fallen", "others", "expected"),
    [
        ([{"rack": "r1"}] * 3, [{"rack": "r2"}], {"metadata.rack": "r1"}),
        ([{"rack": "r1"}] * 3, [{"rack": "r1"}], {}),
        ([{"rack": "r1"}, {"rack": "r1"}, {"rack": "r2"}], [], {}),
        ([{"rack": 12}, {"rack": 12}], [{"rack": 13}], {"metadata.rack": "12"}),
        ([{"groups": ["web", "blue"]}, {"groups": ["db", "blue"]}], [{"groups": ["web"]}], {"metadata.groups": "blue"}),
        ([{"rack": "r1", "os": "x"}] * 2, [{"rack": "r2", "os": "x"}], {"metadata.rack": "r1"}),
        ([{"up": True}, {"up": True}], [{"up": False}], {}),
        ([{"at": {"rack": "r1"}}] * 2, [{}], {}),
        ([{"note": "x" * 101}] * 2, [{}], {}),
        ([{}, {"rack": "r1"}], [], {}),
        ([], [], {}),
    ],
)
def test_a_common_metadata_value(
    fallen: List[Dict[str, object]], others: List[Dict[str, object]], expected: Dict[str, str]
) -> None:
    down = {"%d" % n: value for n, value in enumerate(fallen)}
    rest = {"x%d" % n: value for n, value in enumerate(others)}
    found = in_common(list(down) or ["none"], [*down, *rest], of({**down, **rest}))
    assert found == expected


def test_no_more_than_a_few_are_named() -> None:
    shared: Dict[str, object] = {"key%02d" % n: "same" for n in range(30)}
    assert list(in_common(["a-1", "a-2"], ["a-1", "a-2"], of({"a-1": shared, "a-2": shared}))) == [
        "prefix",
        *("metadata.key%02d" % n for n in range(4)),
    ]


def test_what_is_in_common_of_a_large_fleet_takes_time_in_proportion() -> None:
    names = ["rack%d-%05d" % (n % 2, n) for n in range(50_000)]
    started = time.process_time()
    assert in_common([n for n in names if n.startswith("rack1-")], names, {}) == {"prefix": "rack1-"}
    took = time.process_time() - started
    assert took < 10, "that is many times what it takes, a square of the fleet would be far more"


@pytest.mark.parametrize(
    ("added", "metadata", "expected"),
    [
        ("rack1-d", {"rack": "r1"}, {"prefix": "rack1-", "metadata.rack": "r1"}),
        ("rack2-a", {"rack": "r1"}, {"metadata.rack": "r1"}),
        ("rack1-d", {"rack": "r2"}, {"prefix": "rack1-"}),
        ("rack1-d", None, {"prefix": "rack1-", "metadata.rack": "r1"}),
        ("other", {}, {}),
    ],
)
def test_what_is_in_common_is_judged_again_when_more_fall(
    added: str, metadata: Dict[str, object], expected: Dict[str, str]
) -> None:
    seen = {added: Sighting(0)} if metadata is None else of({added: metadata})
    assert still_in_common({"prefix": "rack1-", "metadata.rack": "r1"}, [added], seen) == expected


def test_an_incident_names_what_its_machines_share_and_forgets_what_they_share_no_more() -> None:
    rack, rest = numbered(6, "rack1-"), numbered(4, "rack2-")
    place = {m: {"metadata_json": '{"power": "%s"}' % m[:5]} for m in rack + rest}
    sim = fleet(*rack, *rest, **place)
    go_on(sim, 130, *rack)
    assert incident(sim).common == {"prefix": "rack1-", "metadata.power": "rack1"}
    go_on(sim, 130, *rack, rest[0])
    assert incident(sim).machines == [*rack, rest[0]]
    assert incident(sim).common == {}
