# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which host is behind a name, and in which boot: events that leave the status as it is, each recorded once."""

from __future__ import annotations

from typing import Dict, List, Optional

import pytest

from ansible_collections.roosync.heartbeat.plugins.module_utils._engine import journal
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.fleet import Request, manage
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.register import register
from ansible_collections.roosync.heartbeat.tests.unit.checker.real import RealFleet
from ansible_collections.roosync.heartbeat.tests.unit.checker.scenes import entries, fleet, go_on, told
from ansible_collections.roosync.heartbeat.tests.unit.checker.sim import Sim

FIRST, SECOND = "1" * 32, "2" * 32


@pytest.fixture
def sim() -> Sim:
    return fleet("web", "a", "b", "c", web={"fingerprint": FIRST, "boot_id": "boot-1"})


def host(
    sim: Sim, boot: str, fingerprint: str = FIRST, previous: str = "boot-1", took_over: Optional[str] = None
) -> List[str]:
    """A beat of ``web`` from this boot of this host; what the next check tells."""
    sim.wait(20)
    sim.beat("a", "b", "c")
    sim.beat("web", boot_id=boot, fingerprint=fingerprint, previous_boot_id=previous, took_over=took_over)
    return told(sim.check().transitions)


REBOOT, TAKEOVER = ["web online>online reboot"], ["web online>online takeover"]


def test_a_reboot_is_told_once(sim: Sim) -> None:
    assert host(sim, "boot-2") == REBOOT
    assert [host(sim, "boot-2") for _beat in range(3)] == [[]] * 3
    assert host(sim, "boot-3", previous="boot-2") == REBOOT
    assert host(sim, "boot-3", previous="boot-2") == []
    assert entries(sim) == []
    assert sim.statuses()["web"] == "online"


def test_two_reboots_between_two_looks_are_one(sim: Sim) -> None:
    assert host(sim, "boot-3", previous="boot-2") == REBOOT


def test_a_takeover_is_told_once(sim: Sim) -> None:
    assert host(sim, "other-1", SECOND, "", took_over=FIRST) == TAKEOVER
    assert host(sim, "other-1", SECOND, "", took_over=FIRST) == []
    assert host(sim, "other-2", SECOND, "other-1", took_over=FIRST) == REBOOT
    assert host(sim, "other-2", SECOND, "other-1", took_over=FIRST) == []
    assert host(sim, "boot-9", FIRST, "", took_over=SECOND) == TAKEOVER
    assert entries(sim) == []


def test_a_host_that_rebooted_and_was_then_replaced(sim: Sim) -> None:
    assert host(sim, "boot-2") == REBOOT
    assert host(sim, "other-1", SECOND, "", took_over=FIRST) == TAKEOVER


def test_a_host_that_took_over_and_rebooted_before_the_next_look(sim: Sim) -> None:
    """The wider of the two is told."""
    assert host(sim, "other-2", SECOND, "other-1", took_over=FIRST) == TAKEOVER
    assert host(sim, "other-2", SECOND, "other-1", took_over=FIRST) == []


def test_what_happened_before_anybody_looked_is_no_news() -> None:
    """The first check of a fleet that has been beating for weeks, or the first after its journal was lost."""
    sim = Sim()
    sim.beat("a", boot_id="boot-7", fingerprint=FIRST, previous_boot_id="boot-6")
    sim.beat("b", boot_id="boot-7", fingerprint=FIRST, took_over=SECOND)
    assert [t.cause for t in sim.check().transitions] == ["first_beat", "first_beat"]
    assert sim.changes() == []
    sim.beat("a", boot_id="boot-8", fingerprint=FIRST, previous_boot_id="boot-7")
    assert told(sim.check().transitions) == ["a online>online reboot"]


def test_a_reboot_of_a_machine_that_was_offline(sim: Sim) -> None:
    assert told(go_on(sim, 130, "web")) == ["web online>offline silence"]
    assert host(sim, "boot-2") == ["web offline>online beat", *REBOOT]


def test_a_record_that_tells_nothing_of_the_past(sim: Sim) -> None:
    """Torn and healed, or registered from elsewhere: what is not known is not told."""
    assert host(sim, "boot-2") == REBOOT
    assert host(sim, "boot-5", previous="") == []
    assert host(sim, "", "", "") == []


def test_a_torn_record_is_no_reboot(sim: Sim) -> None:
    assert host(sim, "boot-2") == REBOOT
    sim.wait(20)
    sim.beat("web", boot_id="", fingerprint="", metadata_json=None)
    assert sim.changes() == []
    assert host(sim, "boot-2") == []


def test_only_machines_to_which_it_happened_are_remembered(sim: Sim) -> None:
    host(sim, "boot-2")
    assert list(sim.state.hosts) == ["web"]


def test_an_event_of_a_held_machine_says_what_holds_it() -> None:
    sim = fleet("web", *"abcdefg")
    go_on(sim, 130, "web", *"abcde")
    (incident,) = sim.state.incidents
    sim.beat("web", boot_id="boot-2", previous_boot_id="boot")
    transitions = {t.cause: t for t in sim.check().transitions}
    assert transitions["reboot"].held_by == transitions["beat"].held_by == incident


# -- in a real store -----------------------------------------------------------------------------------------------


def causes(result: Dict[str, List[Dict[str, str]]]) -> List[str]:
    return [t["cause"] for t in result["transitions"]]


def beat(fleet: RealFleet, boot: str, fingerprint: str = FIRST, takeover: bool = False) -> None:
    with fleet.open() as store:
        register(store, "web", fingerprint=fingerprint, boot=boot, allow_takeover=takeover)


def test_the_events_in_a_real_store(fleet: RealFleet) -> None:
    beat(fleet, "boot-1")
    assert causes(fleet.check()) == ["first_beat"]
    beat(fleet, "boot-2")
    result = fleet.check()
    assert causes(result) == ["reboot"]
    assert (result["newly_online"], result["pending_syncs"]) == ([], [])
    assert causes(fleet.check()) == []
    beat(fleet, "other-1", SECOND, takeover=True)
    assert causes(fleet.check()) == ["takeover"]
    assert causes(fleet.check()) == []
    with fleet.open() as store:
        recorded = journal.transitions_since(store, fleet.ledger(), 0)
    assert [t.cause for t in recorded] == ["first_beat", "reboot", "takeover"]


def test_a_forgotten_machine_that_comes_again_has_no_past(fleet: RealFleet) -> None:
    beat(fleet, "boot-1")
    fleet.check()
    beat(fleet, "boot-2")
    fleet.check()
    with fleet.open() as store:
        manage(store, Request(forget=["web"]))
    assert fleet.ledger().state.hosts == {}
    beat(fleet, "boot-3")
    assert causes(fleet.check()) == ["first_beat"]
    assert causes(fleet.check()) == []


def test_a_reboot_in_a_large_fleet_is_found_in_turn(fleet: RealFleet) -> None:
    """Records that nothing is wrong with are read a few at each check."""
    fleet.beat(*("m%02d" % n for n in range(60)))
    beat(fleet, "boot-1")
    fleet.check()
    beat(fleet, "boot-2")
    assert [cause for _check in range(4) for cause in causes(fleet.check())] == ["reboot"]
