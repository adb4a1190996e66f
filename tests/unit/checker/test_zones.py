# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A fleet divided into zones: mass failures of one zone, of several, and of the whole fleet."""

from __future__ import annotations

import json
from typing import Dict, List, Optional

import pytest

from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.fleet import Request, manage
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.settings import Settings
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.state import Incident
from ansible_collections.roosync.heartbeat.tests.unit.checker.real import RealFleet
from ansible_collections.roosync.heartbeat.tests.unit.checker.scenes import entries, fleet, go_on, numbered, told
from ansible_collections.roosync.heartbeat.tests.unit.checker.sim import Sim

EAST, WEST, NORTH = (numbered(5, zone + "-") for zone in ("east", "west", "north"))
SETTINGS = Settings(zone_key="site", hold_timeout=1000)


def site(value: object) -> Dict[str, str]:
    return {"metadata_json": json.dumps({"site": value})}


@pytest.fixture
def sim() -> Sim:
    """Three zones of five machines."""
    return fleet(*EAST, *WEST, *NORTH, settings=SETTINGS, **{m: site(m[:-3]) for m in EAST + WEST + NORTH})


def by_zone(sim: Sim) -> Dict[Optional[str], Incident]:
    return {incident.zone: incident for incident in sim.state.incidents.values()}


def held(sim: Sim) -> List[str]:
    return sorted(e.machine_id for e in entries(sim) if e.state == "held")


def test_a_zone_may_fail_where_the_fleet_does_not(sim: Sim) -> None:
    """Three of five are 60 % of the zone, and 20 % of the fleet."""
    go_on(sim, 130, *EAST[:3])
    (incident,) = sim.state.incidents.values()
    assert (incident.zone, incident.machines) == ("east", EAST[:3])
    assert incident.reason == "3 of 5 machines of zone east went offline together"
    assert held(sim) == EAST[:3]


def test_without_zones_it_is_nothing_special(sim: Sim) -> None:
    sim.settings = Settings()
    go_on(sim, 130, *EAST[:3])
    assert sim.state.incidents == {}
    assert {e.state for e in entries(sim)} == {"pending"}


def test_too_few_of_a_zone_and_others_elsewhere(sim: Sim) -> None:
    go_on(sim, 130, *EAST[:2], *WEST[:2])
    assert sim.state.incidents == {}
    assert len(entries(sim)) == 4


def test_two_zones_at_once_and_one_machine_of_a_third(sim: Sim) -> None:
    go_on(sim, 130, *EAST[:3], *WEST[:3], NORTH[0])
    assert {zone: i.machines for zone, i in by_zone(sim).items()} == {"east": EAST[:3], "west": WEST[:3]}
    assert {e.machine_id: e.state for e in entries(sim) if e.machine_id == NORTH[0]} == {NORTH[0]: "pending"}


def test_over_all_zones(sim: Sim) -> None:
    """Nine of fifteen: one incident of the whole fleet, whatever the zones."""
    go_on(sim, 130, *EAST[:3], *WEST[:3], *NORTH[:3])
    assert list(by_zone(sim)) == [None]
    assert len(held(sim)) == 9


def test_over_all_zones_though_no_zone_has_failed(sim: Sim) -> None:
    """Few of each zone are still most of a fleet of small zones."""
    sim = fleet(
        *(s + n for s in "abcd" for n in "12"), settings=SETTINGS, **{s + n: site(s) for s in "abcd" for n in "12"}
    )
    go_on(sim, 130, *(s + n for s in "abc" for n in "12"))
    assert list(by_zone(sim)) == [None]


def test_machines_of_no_zone(sim: Sim) -> None:
    sim.beat("free-1", "free-2", "free-3")
    sim.check()
    go_on(sim, 130, "free-1", "free-2", "free-3")
    assert sim.state.incidents == {}
    assert len(entries(sim)) == 3


def test_the_machines_of_a_zone_that_fall_later_belong_to_its_incident(sim: Sim) -> None:
    go_on(sim, 130, *EAST[:3])
    go_on(sim, 300, *EAST[:4], WEST[0])
    assert {zone: i.machines for zone, i in by_zone(sim).items()} == {"east": EAST[:4]}
    assert {e.machine_id: e.state for e in entries(sim)}[WEST[0]] == "pending"


def test_a_second_zone_while_the_first_is_held(sim: Sim) -> None:
    """What is left of the fleet is measured without the machines that are held: five of ten are no mass of all."""
    go_on(sim, 130, *EAST)
    go_on(sim, 300, *EAST, *WEST)
    assert {zone: i.machines for zone, i in by_zone(sim).items()} == {"east": EAST, "west": WEST}
    go_on(sim, 10, *WEST)
    assert list(by_zone(sim)) == ["west"]
    assert held(sim) == WEST


def test_one_of_two_incidents_that_name_a_machine_ends_first(sim: Sim) -> None:
    """It fell with its zone, came back, and fell again with the whole fleet."""
    go_on(sim, 130, *EAST)
    go_on(sim, 10, *EAST[1:])
    sim.settings = Settings(zone_key="site", hold_timeout=86_400)
    go_on(sim, 130, *EAST, *WEST, *NORTH[:4])
    assert set(by_zone(sim)) == {None, "east"}
    go_on(sim, 10, *EAST, *WEST[:3])  # enough are back for the fleet, not for the zone
    assert list(by_zone(sim)) == ["east"]
    assert {e.state for e in entries(sim) if e.machine_id in EAST} == {"held"}


def test_the_return_of_a_zone_lets_go_of_it_alone(sim: Sim) -> None:
    go_on(sim, 130, *EAST, *WEST[:3])
    assert list(by_zone(sim)) in (["east", "west"], ["west", "east"])
    go_on(sim, 10, *EAST)
    assert list(by_zone(sim)) == ["east"]
    assert {e.state for e in entries(sim) if e.machine_id in WEST} == {"pending"}
    assert held(sim) == EAST


def test_a_machine_that_moves_is_of_its_new_zone(sim: Sim) -> None:
    for machine in EAST[:2]:
        sim.beat(machine, **site("west"))
    go_on(sim, 30)
    assert sim.state.zones[EAST[0]] == "west"
    go_on(sim, 130, *EAST[2:])
    (incident,) = sim.state.incidents.values()
    assert incident.reason == "3 of 3 machines of zone east went offline together"


def test_a_zone_that_a_beat_no_longer_names_is_kept(sim: Sim) -> None:
    """A machine that is registered without metadata for once is where it was."""
    sim.beat(EAST[0])
    sim.check()
    assert sim.state.zones[EAST[0]] == "east"


@pytest.mark.parametrize(("value", "zone"), [(12, "12"), (True, "True"), ("x" * 300, "x" * 100), ("", "")])
def test_any_plain_value_names_a_zone(value: object, zone: str) -> None:
    sim = fleet("web", settings=SETTINGS, web=site(value))
    assert sim.state.zones == {"web": zone}


@pytest.mark.parametrize("metadata", ["{}", '{"site": null}', '{"other": "east"}', None])
def test_what_names_no_zone(metadata: Optional[str]) -> None:
    sim = fleet("web", settings=SETTINGS, web={"metadata_json": metadata})
    assert sim.state.zones == {}


def test_zones_that_become_known_are_recorded_though_nothing_else_happens(sim: Sim) -> None:
    sim = fleet("web", "db", web=site("east"), db=site("west"))
    assert sim.state.zones == {}
    sim.settings = SETTINGS
    assert told(go_on(sim, 1)) == []
    assert sim.state.zones == {"web": "east", "db": "west"}
    assert sim.decide().empty


def test_in_a_real_store(fleet: RealFleet) -> None:
    """From the metadata in the records to the incident in the result; a forgotten machine leaves its zone."""
    with fleet.open() as store:
        manage(store, Request(settings={"zone_key": "site"}))
        for machine in EAST + WEST:
            fleet.beat(machine, **site(machine[:-3]))
        fleet.check()
        for machine in EAST[:3]:
            fleet.age(machine, 500)
        (incident,) = fleet.check()["incidents"]
        assert (incident["zone"], incident["machines"]) == ("east", EAST[:3])
        assert incident["common"] == {}, "that all are in the zone is said already"
        manage(store, Request(forget=[EAST[4]]))
    assert set(fleet.ledger().state.zones) == {*EAST[:4], *WEST}
