# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wider than one machine: the store away, and so many machines silent at once that nothing acts on it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.settings import Settings
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.state import SyncEntry
from ansible_collections.roosync.heartbeat.tests.unit.checker.sim import Sim, seconds

MANY = ["m%02d" % n for n in range(20)]


def fleet_of(count: int, settings: Settings = Settings()) -> Sim:  # noqa: B008 # settings are immutable
    """A fleet of which all have just beaten and joined."""
    sim = Sim(settings)
    sim.beat(*MANY[:count])
    sim.check()
    return sim


def kinds(sim: Sim) -> list[str]:
    return [i.kind for i in sim.state.incidents.values()]


# -- the store away ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("silence", [90, 119, 120, 500, 100_000])
@pytest.mark.parametrize("count", [3, 4, 20])
def test_a_whole_fleet_in_silence_is_the_store(count: int, silence: float) -> None:
    sim = fleet_of(count)
    sim.wait(silence)
    assert sim.changes() == []
    assert kinds(sim) == ["store_outage"]
    assert sim.decide().empty
    sim.wait(silence)
    assert sim.changes() == []


def test_two_machines_are_no_proof() -> None:
    sim = fleet_of(2)
    sim.wait(130)
    assert sim.changes() == [("m00", "online", "offline"), ("m01", "online", "offline")]


def test_after_an_outage_each_machine_has_one_full_time_to_return() -> None:
    sim = fleet_of(5)
    sim.wait(600)
    sim.check()
    sim.wait(10)
    sim.beat("m00")
    assert sim.changes() == []
    assert kinds(sim) == []
    sim.wait(80)
    sim.beat("m00", "m01", "m02", "m03")
    assert sim.changes() == []
    sim.wait(10)
    assert sim.changes() == [("m04", "online", "warning")]
    sim.wait(30)
    sim.beat("m00", "m01", "m02", "m03")
    (lost,) = sim.check().transitions
    assert (lost.machine_id, lost.to_status, lost.effective_at) == ("m04", "offline", sim.now)


def test_the_time_to_return_is_the_machines_own() -> None:
    """An override's longer limit holds after an outage too, whatever else is recorded in the meantime."""
    sim = fleet_of(6, Settings(overrides={"m05": {"warning_after": 3000, "offline_after": 3600}}))
    sim.wait(3000)
    sim.check()
    assert kinds(sim) == ["store_outage"]
    sim.beat(*MANY[:5])
    sim.check()
    for number in range(40):  # the others beat on, and new ones join
        sim.wait(60)
        sim.beat(*MANY[:5], *MANY[6 : 6 + number // 4])
        assert {to for _machine, _from, to in sim.changes()} <= {"online"}
    sim.wait(600)
    sim.beat(*MANY[:5], *MANY[6:])
    assert ("m05", "online", "warning") in sim.changes()


def test_a_second_outage_right_after_the_first() -> None:
    """The store took one round of beats, and was away again before anybody looked."""
    sim = fleet_of(5)
    sim.wait(600)
    sim.check()
    sim.wait(10)
    sim.beat(*MANY[:5])
    sim.wait(400)
    assert sim.changes() == []
    assert sim.decide().empty
    sim.beat(*MANY[:4])
    sim.wait(10)
    assert sim.changes() == []


@pytest.mark.parametrize(("silent", "restarts"), [(0, True), (60, True), (119, True), (120, False), (1000, False)])
def test_whoever_was_lost_before_an_outage_is_not_waited_for_again(silent: float, restarts: bool) -> None:
    """The others have one full time to return, and so has whoever was not over the limit when the store went."""
    sim = fleet_of(5)
    sim.wait(silent)
    sim.beat(*MANY[1:5])
    sim.wait(600)
    assert sim.changes() == [], "no verdict while the store is away"
    assert kinds(sim) == ["store_outage"]
    sim.beat(*MANY[1:5])
    assert sim.changes() == [], "the store is back"
    sim.wait(1)
    assert sim.changes() == ([] if restarts else [("m00", "online", "offline")])
    sim.wait(118)
    sim.beat(*MANY[1:5])
    assert sim.changes() == ([("m00", "online", "warning")] if restarts else [])
    sim.wait(1)
    assert sim.changes() == ([("m00", "warning", "offline")] if restarts else [])


@pytest.mark.parametrize("every", [2, 3, 4])
@pytest.mark.parametrize("alive", [3, 39])
def test_a_store_that_is_away_now_and_then_hides_no_loss(alive: int, every: int) -> None:
    """Of so many writes of each machine one fails. A loss is found in twice the time, counted while the store is up."""
    names = ["s%02d" % n for n in range(alive)]
    sim = Sim(Settings(mass_failure_count=100))
    sim.beat("dead", *names)
    sim.check()
    failed, found = None, None
    for beat in range(1, 100):
        sim.wait(30)
        if beat % every == 0:
            failed = sim.now
        elif failed is None:
            sim.beat(*names)
        else:
            sim.beat(*names, missed_began=failed, missed_ended=failed)
        if ("dead", "warning", "offline") in sim.changes():
            found = beat * 30
            break
    assert found is not None, "it is never found"
    assert 120 <= found <= 2 * 120 / (1 - 1 / every) + 30
    assert [m for m, status in sim.statuses().items() if status != "online"] == ["dead"]


def test_outages_one_after_another_count_against_nobody() -> None:
    """Between them only some got through. The first is long over when the second ends, and must not be forgotten."""
    sim = fleet_of(6)
    for _outage in range(4):
        sim.wait(600)
        assert sim.changes() == []
        sim.wait(10)
        sim.beat(*MANY[:4])
        assert sim.changes() == []
        sim.wait(1)
        assert sim.changes() == []
    sim.wait(80)
    sim.beat(*MANY[:6])
    assert sim.changes() == []


@pytest.mark.parametrize(("fleet", "proven"), [(2, False), (3, True)])
@pytest.mark.parametrize("how", ["stopped", "lost"])
def test_who_was_stopped_is_of_the_fleet_and_who_is_lost_is_not(fleet: int, proven: bool, how: str) -> None:
    """Two machines are left, and fall silent together."""
    sim = fleet_of(fleet)
    sim.wait(200)
    sim.beat(*MANY[:2])
    if fleet > 2 and how == "stopped":
        sim.beat(*MANY[2:fleet], leaving="stop")
    sim.check()
    assert [m for m, status in sim.statuses().items() if status == "offline"] == MANY[2:fleet]
    for _look in range(4):
        sim.wait(30)
        sim.check()
    expected = proven and how == "stopped"
    assert kinds(sim) == (["store_outage"] if expected else [])
    assert {sim.statuses()[m] for m in MANY[:2]} == {"online" if expected else "offline"}


def test_one_that_was_stopped_this_moment_is_of_the_fleet() -> None:
    sim = fleet_of(3)
    sim.wait(10)
    sim.beat("m02", leaving="stop")
    sim.wait(120)
    assert sim.changes() == [("m02", "online", "offline")]
    assert kinds(sim) == ["store_outage"]


@pytest.mark.parametrize(
    ("silent_since", "began", "ended", "proven"),
    [
        (5, 125, 8, True),  # all three fell silent together
        (85, 125, 8, True),  # so they did if the silent ones lost two beats
        (95, 125, 8, False),  # they had been late by then
        (7200, 20, 20, False),  # lost long ago
        (5, 100, 100, False),  # one write that failed is no outage
        (5, 131, 8, False),  # they were heard after the writes of the other one had begun to fail
    ],
)
def test_one_report_is_believed_if_the_others_fell_silent_with_it(
    silent_since: float, began: float, ended: float, proven: bool
) -> None:
    """Three machines, of which one is heard. Alone, what it says is its own trouble."""
    sim = fleet_of(3)
    sim.wait(10_000)
    sim.beat("m00", age=2, missed_began=sim.now - seconds(began), missed_ended=sim.now - seconds(ended))
    sim.beat("m01", "m02", age=125 + silent_since)
    assert sim.changes() == ([] if proven else [("m01", "online", "offline"), ("m02", "online", "offline")])


@pytest.mark.parametrize("reports", [1, 2, 3, 4])
def test_machines_that_report_missed_writes_prove_an_outage(reports: int) -> None:
    """Four have returned, two have not; three reports are a proof."""
    sim = fleet_of(6)
    sim.wait(125)
    for number, machine in enumerate(MANY[:4]):
        missed = {"missed_began": sim.now - seconds(110), "missed_ended": sim.now - seconds(8)}
        sim.beat(machine, age=2, **(missed if number < reports else {}))
    changes = sim.changes()
    if reports >= 3:
        assert changes == []
        assert sim.decide().empty
        sim.wait(89)
        sim.beat(*MANY[:4])
        assert sim.changes() == []
        sim.wait(60)
        sim.beat(*MANY[:4])
        assert [(m, to) for m, _from, to in sim.changes()] == [("m04", "offline"), ("m05", "offline")]
    else:
        assert changes == [("m04", "online", "offline"), ("m05", "online", "offline")]


def test_machines_that_come_back_from_offline_know_of_the_outage_as_well() -> None:
    """Of a fleet that was cut off in parts, the first part is back, and the second is about to be called offline."""
    sim = fleet_of(6)
    sim.wait(100)
    sim.beat("m03", "m04", "m05")
    sim.wait(25)
    assert sorted(m for m, _from, to in sim.changes() if to == "offline") == MANY[:3]
    sim.wait(70)
    sim.beat(*MANY[:3], missed_began=sim.now - seconds(150), missed_ended=sim.now - seconds(5))
    assert {to for _machine, _from, to in sim.changes()} == {"online"}
    assert sim.decide().empty


def test_reports_of_an_outage_long_ago_excuse_nobody() -> None:
    sim = fleet_of(6)
    sim.wait(60)
    began, ended = sim.now - seconds(3600), sim.now - seconds(3000)
    sim.beat(*MANY[:5], missed_began=began, missed_ended=ended)
    sim.check()
    sim.wait(70)
    sim.beat(*MANY[:5], missed_began=began, missed_ended=ended)
    assert sim.changes() == [("m05", "online", "offline")]


def test_when_in_doubt_it_was_the_store() -> None:
    """All are late but one that was offline until now: the first to be back after an outage, or three real failures?

    Nobody is called late before one more ``warning_after`` has gone by; real failures are found then.
    """
    sim = fleet_of(4)
    sim.wait(130)
    sim.beat("m00", "m01", "m02")
    assert sim.changes() == [("m03", "online", "offline")]
    sim.wait(95)
    sim.beat("m03")
    assert sim.changes() == [("m03", "offline", "online")]
    sim.wait(89)
    sim.beat("m03")
    assert sim.changes() == []
    sim.wait(120)
    sim.beat("m03")
    assert [(m, to) for m, _from, to in sim.changes()] == [(m, "offline") for m in MANY[:3]]


@pytest.mark.parametrize("ahead", [0, 100])
def test_a_goodbye_proves_that_the_store_is_there(ahead: float) -> None:
    """Also at the looks that follow the one at which it was said, and with a clock that was set back in between."""
    sim = fleet_of(4)
    sim.wait(95)
    sim.beat("m00", age=-ahead, leaving="stop")
    assert sorted(sim.changes()) == [
        ("m00", "online", "offline"),
        ("m01", "online", "warning"),
        ("m02", "online", "warning"),
        ("m03", "online", "warning"),
    ]
    assert sim.decide().empty
    sim.wait(25)
    assert len(sim.changes()) == 3
    assert kinds(sim) == ["mass_failure"]


@pytest.mark.parametrize("step", [600, 86_400])
def test_a_clock_set_back_during_an_outage_does_not_prolong_it(step: float) -> None:
    sim = fleet_of(5)
    sim.wait(300)
    sim.check()
    assert kinds(sim) == ["store_outage"]
    sim.wait(-step)
    sim.check()
    sim.wait(10)
    sim.beat(*MANY[:4])
    sim.check()
    sim.wait(60)
    sim.beat(*MANY[:4])
    assert sim.changes() == []
    assert kinds(sim) == []
    sim.wait(70)
    sim.beat(*MANY[:4])
    assert sim.changes() == [("m04", "online", "offline")]


def test_a_clock_set_back_after_an_outage_does_not_excuse_silence() -> None:
    sim = fleet_of(5)
    sim.wait(300)
    sim.check()
    sim.beat(*MANY[:5])
    sim.check()
    sim.wait(-86_400)
    sim.beat(*MANY[:5])
    sim.check()
    sim.wait(130)
    sim.beat(*MANY[:4])
    assert sim.changes() == [("m04", "online", "offline")]


# -- mass failure ------------------------------------------------------------------------------------------------


def fail(sim: Sim, failing: int, of: int) -> list[SyncEntry]:
    """So many machines fall silent, the others beat; the sync entries that this opened."""
    sim.wait(130)
    sim.beat(*MANY[failing:of])
    before = set(sim.state.syncs)
    sim.check()
    return [entry for event_id, entry in sim.state.syncs.items() if event_id not in before]


@pytest.mark.parametrize(
    ("failing", "of", "held"),
    [(2, 3, False), (3, 5, True), (3, 6, False), (4, 7, True), (11, 20, True), (10, 20, False)],
)
def test_a_mass_failure_is_more_than_the_count_and_the_ratio(failing: int, of: int, held: bool) -> None:
    sim = fleet_of(of)
    entries = fail(sim, failing, of)
    assert len(entries) == failing
    assert {e.state for e in entries} == {"held" if held else "pending"}
    assert kinds(sim) == (["mass_failure"] if held else [])
    assert sim.decide().empty


def test_goodbyes_are_no_mass_failure() -> None:
    sim = fleet_of(10)
    sim.wait(5)
    sim.beat(*MANY[:9], leaving="stop")
    sim.beat("m09")
    assert len(sim.changes()) == 9
    assert kinds(sim) == []
    assert sim.state.syncs == {}


def test_held_entries_are_released_after_hold_timeout() -> None:
    sim = fleet_of(5, Settings(hold_timeout=1000))
    fail(sim, 3, 5)
    sim.wait(999)
    sim.beat("m03", "m04")
    sim.check()
    assert {e.state for e in sim.state.syncs.values()} == {"held"}
    sim.wait(1)
    sim.check()
    assert kinds(sim) == []
    assert {(e.event, e.state, e.held_by) for e in sim.state.syncs.values()} == {("offline", "pending", None)}
    assert {m.held_by for m in sim.state.machines.values()} == {None}
    assert sim.decide().empty


def test_held_entries_are_settled_by_the_machines_return() -> None:
    sim = fleet_of(6)
    fail(sim, 4, 6)
    incident = next(iter(sim.state.incidents.values()))
    sim.wait(10)
    sim.beat(*MANY)
    sim.check()
    assert kinds(sim) == []
    closed = sim.commits[-1].incidents[incident.incident_id]
    assert (closed.closed_by, closed.closed_at) == ("return", sim.now)
    settled = sim.commits[-1].syncs.values()
    assert {(e.machine_id, e.event, e.state) for e in settled} >= {(m, "offline", "skipped") for m in MANY[:4]}
    assert {m.held_by for m in sim.state.machines.values()} == {None}


def test_without_auto_sync_nothing_waits() -> None:
    sim = fleet_of(5, Settings(auto_sync=False))
    fail(sim, 3, 5)
    assert sim.state.syncs == {}
    skipped = [e for e in sim.commits[-1].syncs.values() if e.state == "skipped"]
    assert [e.reason for e in skipped] == ["auto_sync is false"] * 3


def test_a_mass_failure_that_grows_stays_one_incident() -> None:
    sim = fleet_of(10)
    fail(sim, 6, 10)
    (first,) = list(sim.state.incidents.values())
    sim.wait(130)
    sim.beat("m08", "m09")
    sim.check()
    (second,) = list(sim.state.incidents.values())
    assert second == replace(first, machines=MANY[:8])
    assert len(sim.state.syncs) == 8
    assert {e.state for e in sim.state.syncs.values()} == {"held"}
