# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Incidents in a real store: recorded once, written down as documents, listed, and released by a person."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict, List

import pytest

from ansible_collections.roosync.heartbeat.plugins.module_utils._engine import (
    documents,
    incidents,
    look,
    sealed,
)
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.check import run_check
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.errors import InvalidSettings, StoreUnavailable
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.fleet import Request, manage
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.state import Commit, Incident
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.stores.file import FileStore
from ansible_collections.roosync.heartbeat.tests.unit.checker.real import RealFleet
from ansible_collections.roosync.heartbeat.tests.unit.checker.scenes import numbered

RACK, REST = numbered(7, "rack1-"), numbered(4, "rack2-")


@pytest.fixture
def known(fleet: RealFleet) -> RealFleet:
    fleet.beat(*RACK, *REST)
    fleet.check()
    return fleet


@pytest.fixture
def failed(known: RealFleet) -> RealFleet:
    """Seven of eleven have just been found offline."""
    lose(known, *RACK)
    assert kinds(known) == ["mass_failure"]
    return known


@pytest.fixture
def silent(known: RealFleet) -> RealFleet:
    """Nobody has beaten, and that has just been found."""
    lose(known, *RACK, *REST)
    assert kinds(known) == ["store_outage"]
    return known


def lose(fleet: RealFleet, *machines: str) -> Dict[str, Any]:
    fleet.beat(*(m for m in RACK + REST if m not in machines))
    for machine in machines:
        fleet.age(machine, 500)
    return fleet.check()


def kinds(fleet: RealFleet) -> List[str]:
    return [i.kind for i in fleet.ledger().state.incidents.values()]


def incident_id(fleet: RealFleet) -> str:
    (found,) = fleet.ledger().state.incidents
    return found


def files(fleet: RealFleet) -> Dict[str, Dict[str, Any]]:
    return {path.stem: json.loads(path.read_text()) for path in (fleet.path / "incidents").iterdir()}


def release(fleet: RealFleet, name: str, reason: str = "", dry_run: bool = False) -> Dict[str, Any]:
    with fleet.open() as store:
        return incidents.release(store, name, reason, dry_run)


def info(fleet: RealFleet) -> Dict[str, Any]:
    with fleet.open() as store:
        return look.info(store, look.Question(include_incidents=True))


def held(result: Dict[str, Any]) -> List[str]:
    return [s["machine_id"] for s in result["pending_syncs"] if s["state"] == "held"]


# -- as documents --------------------------------------------------------------------------------------------------


def test_a_mass_failure_is_shown_recorded_and_written_down(known: RealFleet) -> None:
    result = lose(known, *RACK)
    (shown,) = result["incidents"]
    assert (shown["kind"], shown["machines"], shown["common"]) == ("mass_failure", RACK, {"prefix": "rack1-"})
    assert (shown["opened_at"], shown["closed_at"]) == (result["checked_at"], None)
    assert "incident %s: 7 of 11 machines went offline together" % shown["incident_id"] in result["summary"]
    assert sorted(held(result)) == RACK
    (document,) = files(known).values()
    assert {key: document[key] for key in shown} == shown


def test_it_is_recorded_once(failed: RealFleet) -> None:
    number = failed.ledger().state.number
    before = failed.tree()
    for _check in range(3):
        failed.beat(*REST)
        assert len(failed.check()["incidents"]) == 1
    assert failed.ledger().state.number == number
    changed = {name for name, state in failed.tree().items() if before.get(name) != state}
    assert {name.split("/")[1] for name in changed} <= {"heartbeats", "last_check.json"}


def test_its_document_follows_it_to_the_end(failed: RealFleet) -> None:
    name = incident_id(failed)
    failed.beat(*RACK, *REST)
    result = failed.check()
    assert (result["incidents"], held(result)) == ([], [])
    assert list(files(failed)) == [name]
    assert (files(failed)[name]["closed_by"], files(failed)[name]["closed_at"]) == ("return", result["checked_at"])


def test_what_is_going_on_and_what_is_over_are_listed(failed: RealFleet) -> None:
    first = incident_id(failed)
    seen = info(failed)
    assert [i["incident_id"] for i in seen["incidents"]] == [first]
    assert seen["incident_history"] == seen["incidents"]
    failed.beat(*RACK, *REST)
    failed.check()
    lose(failed, *RACK)
    second = incident_id(failed)
    seen = info(failed)
    assert [i["incident_id"] for i in seen["incidents"]] == [second]
    assert [(i["incident_id"], i["closed_by"]) for i in seen["incident_history"]] == [(second, None), (first, "return")]
    with failed.open() as store:
        assert "incident_history" not in look.info(store, look.Question())


@pytest.mark.parametrize("name", ["../../../elsewhere/x", "../fleet", "a/b", "", "..", "X"])
@pytest.mark.parametrize("key", ["mass-1", None])
def test_no_incident_is_written_outside_its_folder(
    known: RealFleet, tmp_path: Path, name: str, key: str | None
) -> None:
    (tmp_path / "elsewhere").mkdir()
    settings = (known.path / "fleet.json").read_bytes()
    number = known.ledger().next_number
    incident = Incident(name, "mass_failure", opened_at=1, since=1)
    commit = Commit(number, 1, "somebody of the group", incidents={key or name: incident})
    known.commit_path(number).write_bytes(sealed.seal(documents.dump(commit)))
    result = known.check()
    assert [p["kind"] for p in result["problems"]] == ["journal_torn"]
    assert (result["incidents"], len(result["online"])) == ([], 11)
    assert list((tmp_path / "elsewhere").iterdir()) == []
    assert (known.path / "fleet.json").read_bytes() == settings
    assert list((known.path / "incidents").iterdir()) == []


def test_documents_that_could_not_be_written_are_made_good(known: RealFleet, tmp_path: Path) -> None:
    (known.path / "incidents").rename(tmp_path / "elsewhere")
    assert len(lose(known, *RACK)["incidents"]) == 1
    (tmp_path / "elsewhere").rename(known.path / "incidents")
    assert files(known) == {}
    known.beat(*REST)
    known.check()
    assert list(files(known)) == [incident_id(known)]


def test_documents_are_written_anew_when_nobody_knows_which_are(failed: RealFleet) -> None:
    (document,) = (failed.path / "incidents").iterdir()
    document.unlink()
    (failed.path / "last_check.json").unlink()
    failed.beat(*REST)
    failed.check()
    assert document.exists()


FAR = b'{"recorded": {"incident_id": "x", "kind": "mass_failure", "opened_at": 1%s, "since": 0}}' % (b"0" * 33)


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b'{"recorded": {"incident_id": 7}}', FAR])
def test_a_damaged_document_hides_no_other(failed: RealFleet, content: bytes) -> None:
    (failed.path / "incidents" / "mass-0000.json").write_bytes(content)
    assert [i["incident_id"] for i in info(failed)["incident_history"]] == [incident_id(failed)]


def test_what_time_lets_go_is_a_change_once(failed: RealFleet) -> None:
    """No status changes then, and a play that works on what is pending must hear of it."""
    failed.beat(*REST)
    assert failed.check()["changed"] is False
    with failed.open() as store:
        manage(store, Request(settings={"hold_timeout": 0}))
    assert failed.check(dry_run=True)["changed"] is True
    result = failed.check()
    assert (result["changed"], result["transitions"], held(result)) == (True, [], [])
    assert [s["state"] for s in result["pending_syncs"]] == ["pending"] * len(RACK)
    assert [failed.check()["changed"], failed.check(force=False)["changed"]] == [False, False]


# -- released by a person ------------------------------------------------------------------------------------------


def test_what_is_released_is_pending(failed: RealFleet) -> None:
    name = incident_id(failed)
    result = release(failed, name, "power is back tomorrow")
    assert (result["changed"], result["incident"]["closed_by"]) == (True, "person: power is back tomorrow")
    assert files(failed)[name]["closed_by"] == "person: power is back tomorrow"
    failed.beat(*REST)
    after = failed.check()
    assert (after["incidents"], after["transitions"]) == ([], [])
    assert sorted((s["machine_id"], s["state"]) for s in after["pending_syncs"]) == [(m, "pending") for m in RACK]
    assert {m.held_by for m in failed.ledger().state.machines.values()} == {None}


def test_of_those_that_are_back_the_return_is_pending(failed: RealFleet) -> None:
    failed.beat(*REST, RACK[0])
    failed.check()
    release(failed, incident_id(failed))
    failed.beat(*REST, RACK[0])
    mine = [s for s in failed.check()["pending_syncs"] if s["machine_id"] == RACK[0]]
    assert [(s["event"], s["state"]) for s in mine] == [("online", "pending")]


@pytest.fixture
def half_fallen(known: RealFleet) -> RealFleet:
    """A rack failed at one moment: three are over the limit, the other four still late; a person has let go of them."""
    for number, machine in enumerate(RACK):
        known.age(machine, 125 if number < 3 else 92)
    assert sorted(held(known.check())) == RACK[:3]
    (found,) = known.ledger().state.incidents.values()
    assert found.machines == RACK
    release(known, found.incident_id)
    return known


def states(result: Dict[str, Any]) -> Dict[str, str]:
    return {s["machine_id"]: s["state"] for s in result["pending_syncs"]}


def test_what_is_released_stays_so_when_the_late_ones_follow(half_fallen: RealFleet) -> None:
    for machine in RACK[3:]:
        half_fallen.age(machine, 135)
    result = half_fallen.check()
    assert (result["newly_offline"], result["incidents"]) == (RACK[3:], [])
    assert states(result) == dict.fromkeys(RACK, "pending")


def test_what_others_fall_afterwards_are_judged_without_them(half_fallen: RealFleet) -> None:
    """Three of the four that are left: a mass failure of their own, which the released ones are no part of."""
    for machine in RACK[3:] + REST[:3]:
        half_fallen.age(machine, 135)
    result = half_fallen.check()
    (shown,) = result["incidents"]
    assert shown["machines"] == REST[:3]
    assert states(result) == {**dict.fromkeys(RACK, "pending"), **dict.fromkeys(REST[:3], "held")}


def test_what_was_back_since_counts_again(half_fallen: RealFleet) -> None:
    half_fallen.beat(*RACK, *REST)
    half_fallen.check()
    result = lose(half_fallen, *RACK)
    assert [i["machines"] for i in result["incidents"]] == [RACK]
    assert set(held(result)) == set(RACK)


def test_released_once(failed: RealFleet) -> None:
    name = incident_id(failed)
    first = release(failed, name, "first")
    before = failed.tree()
    assert release(failed, name, "second") == {"changed": False, "incident": first["incident"]}
    assert failed.tree() == before


def test_one_that_ended_by_itself_is_released_already(failed: RealFleet) -> None:
    name = incident_id(failed)
    failed.beat(*RACK, *REST)
    failed.check()
    result = release(failed, name)
    assert (result["changed"], result["incident"]["closed_by"]) == (False, "return")


def test_check_mode_releases_nothing(failed: RealFleet) -> None:
    name = incident_id(failed)
    before = failed.tree()
    predicted = release(failed, name, "reason", dry_run=True)
    assert failed.tree() == before
    assert (predicted["changed"], predicted["incident"]["closed_by"]) == (True, "person: reason")
    assert incident_id(failed) == name


@pytest.mark.parametrize("name", ["", "mass-0000000000000000", "../../fleet", "x" * 5000])
def test_there_is_no_such_incident(failed: RealFleet, name: str) -> None:
    before = failed.tree()
    with pytest.raises(InvalidSettings) as caught:
        release(failed, name)
    assert "heartbeat_info lists those there are" in caught.value.message
    assert len(caught.value.message) < 300
    assert failed.tree() == before


def test_it_needs_a_store(tmp_path: Path) -> None:
    with FileStore(str(tmp_path), "default") as store, pytest.raises(StoreUnavailable):
        incidents.release(store, "mass-0")


class Overtaken(FileStore):
    """A store in which a checker commits at the moment at which this writer is about to."""

    def append_commit(self, number: int, data: bytes) -> bool:
        if not hasattr(self, "overtaken"):
            self.overtaken = True
            with FileStore(self.root, self.fleet) as other:
                assert run_check(other, force=True)["transitions"]
        return super().append_commit(number, data)


def test_a_checker_that_is_first_is_waited_for(failed: RealFleet) -> None:
    """It found one machine back; the release is decided anew, with that."""
    failed.beat(*REST, RACK[0])
    with Overtaken(str(failed.root), "default") as store:
        result = incidents.release(store, incident_id(failed))
    assert result["changed"] is True
    state = failed.ledger().state
    assert state.incidents == {}
    assert {(s.event, s.state) for s in state.syncs.values() if s.machine_id == RACK[0]} == {("online", "pending")}


def test_a_mass_failure_that_is_over_before_the_person_is_there(failed: RealFleet) -> None:
    failed.beat(*REST, *RACK)
    with Overtaken(str(failed.root), "default") as store:
        result = incidents.release(store, incident_id(failed))
    assert (result["changed"], result["incident"]["closed_by"]) == (False, "return")


# -- an outage that a person says is none --------------------------------------------------------------------------


def test_a_store_outage_is_shown_and_written_down(known: RealFleet) -> None:
    result = lose(known, *RACK, *REST)
    (shown,) = result["incidents"]
    assert (shown["kind"], shown["machines"]) == ("store_outage", sorted(RACK + REST))
    assert (result["transitions"], result["offline"], result["pending_syncs"]) == ([], [], [])
    assert list(files(known)) == [shown["incident_id"]]


def test_released_while_it_goes_on_it_is_the_machines(silent: RealFleet) -> None:
    name = incident_id(silent)
    result = release(silent, name, "the file server is well")
    assert result["incident"]["closed_by"] == "person: the file server is well"
    after = silent.check()
    assert sorted(after["offline"]) == sorted(RACK + REST)
    assert [i["kind"] for i in after["incidents"]] == ["mass_failure"]
    assert sorted(held(after)) == sorted(RACK + REST)
    assert [i["incident_id"] for i in info(silent)["incident_history"]][-1] == name


def test_the_same_silence_is_no_outage_again(silent: RealFleet) -> None:
    release(silent, incident_id(silent))
    for _check in range(3):
        assert [i["kind"] for i in silent.check()["incidents"]] == ["mass_failure"]


def test_check_mode_of_an_outage(silent: RealFleet) -> None:
    before = silent.tree()
    assert release(silent, incident_id(silent), dry_run=True)["changed"] is True
    assert silent.tree() == before
    assert silent.check()["offline"] == []


def test_the_next_silence_is_judged_anew(silent: RealFleet) -> None:
    release(silent, incident_id(silent))
    silent.check()
    silent.beat(*RACK, *REST)
    silent.check()
    assert [i["kind"] for i in lose(silent, *RACK, *REST)["incidents"]] == ["store_outage"]
