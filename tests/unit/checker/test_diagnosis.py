# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A diagnosis names each fault that there is, and nothing else."""

from __future__ import annotations

import json
import os
import re
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Callable, Dict, Iterator, List

import pytest

from ansible_collections.roosync.heartbeat.plugins.module_utils._engine import diagnose, journal
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.clock import NS
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.diagnosis import directory, limits, scene
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.diagnosis.finding import Limits
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.errors import InvalidSettings, StoreUnavailable
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.fleet import Request, manage
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.state import Commit, Incident
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.stores.file import FileStore
from ansible_collections.roosync.heartbeat.tests.unit.checker import ailments
from ansible_collections.roosync.heartbeat.tests.unit.checker.ailments import FAULTS, MACHINES, OTHERS, Patient
from ansible_collections.roosync.heartbeat.tests.unit.stdlib.support import tree

NAMES = [name for name, _check in diagnose.CHECKS]


@pytest.fixture
def patient(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Patient]:
    monkeypatch.setattr(directory, "LOCK_WATCH", 0.2)
    made = Patient(tmp_path / "store")
    yield made
    made.close()


def named(report: Dict[str, Any]) -> List[str]:
    """The checks that are not well."""
    return sorted(check["check"] for check in report["checks"] if check["status"] != "ok")


def finding(report: Dict[str, Any], name: str) -> Dict[str, Any]:
    (found,) = [check for check in report["checks"] if check["check"] == name]
    return found


def test_a_healthy_fleet_is_well(patient: Patient) -> None:
    report = patient.diagnose()
    assert (named(report), report["not_checked"], report["status"]) == ([], [], "ok")
    assert [check["check"] for check in report["checks"]] == NAMES
    assert all(check["evidence"] and not check["advice"] for check in report["checks"])
    assert "12 of 12 machines" in finding(report, "intervals")["evidence"]
    assert report["summary"] == "%d checks: %d ok" % (len(NAMES), len(NAMES))


@pytest.mark.parametrize(("name", "seed"), [*FAULTS.items(), *OTHERS])
def test_one_fault_is_named_and_nothing_else(patient: Patient, name: str, seed: Callable[[Patient], None]) -> None:
    seed(patient)
    report = patient.diagnose()
    assert (named(report), report["not_checked"]) == ([name], []), report["summary"]
    found = finding(report, name)
    assert found["evidence"]
    assert found["advice"]
    assert report["status"] == found["status"]
    assert name in report["summary"]


def test_all_of_them_at_once(patient: Patient) -> None:
    assert len(FAULTS) >= 12
    for seed in FAULTS.values():
        seed(patient)
    report = patient.diagnose()
    assert (named(report), report["not_checked"]) == (sorted(FAULTS), [])
    assert report["status"] == "failed"


@pytest.mark.parametrize(
    ("seed", "name", "evidence"),
    [
        (ailments.interval, "intervals", "slow-01 (every 26"),
        (ailments.torn_record, "records", "heartbeats/web-04.json: "),
        (ailments.conflict, "identity_conflicts", "web-05 (refused: " + os.uname().nodename),
        (ailments.skew, "clock_skew", "web-06 (+"),
        (ailments.old_agent, "agent_versions", "web-07 (0.0.9)"),
        (ailments.bad_window, "maintenance_windows", "maintenance/work.json: "),
        (ailments.missing_folder, "permissions", "incidents: it is missing"),
        (ailments.permissions, "permissions", "reports: everybody may write"),
        (ailments.dead_lock, "locks", "locks/syncs.lock: held, and by no process"),
        (ailments.dead_claim, "locks", "claimed by gone:1:2 until "),
        (ailments.checkpoint, "checkpoint", "checkpoint.json: torn"),
        (ailments.offline, "machines_offline", "web-08 since 20"),
        (ailments.late, "machines_warning", "web-09 since 20"),
        (ailments.never_seen, "machines_unknown", "web-99"),
        (ailments.waiting, "syncs_pending", "(web-10)"),
        (ailments.failing, "syncs_failed", "web-11, online, 3 attempts: the tree has vanished"),
        (ailments.incident, "incidents", "outage"),
    ],
)
def test_evidence_says_who_and_what(
    patient: Patient, seed: Callable[[Patient], None], name: str, evidence: str
) -> None:
    seed(patient)
    found = finding(patient.diagnose(), name)
    assert evidence in found["evidence"]
    assert found["details"]


def test_a_planned_absence_is_no_fault(patient: Patient) -> None:
    patient.beat("web-01", leaving="stop")
    patient.fleet.check()
    report = patient.diagnose()
    assert report["status"] == "ok"
    assert finding(report, "machines_offline")["evidence"] == "none (1 more planned)"
    assert finding(report, "machines_offline")["details"][0]["planned"] is True


def test_a_lock_of_a_living_process_is_no_fault(patient: Patient) -> None:
    with patient.fleet.open() as store, store.lock("fleet", 1) as held:
        assert held
        assert patient.diagnose()["status"] == "ok"


def test_a_machine_that_beats_too_often(patient: Patient) -> None:
    patient.diagnose()
    patient.beat("web-01", age=0, sequence=100_000)
    found = finding(patient.diagnose(), "intervals")
    assert (found["status"], [d["machine_id"] for d in found["details"]]) == ("warning", ["web-01"])


@pytest.mark.parametrize(
    ("points", "pace"),
    [
        ([(1, 0)], None),
        ([(1, 0), (3, 60)], None),
        ([(1, 0), (4, 90)], 30),
        ([(4, 90), (1, 0), (4, 90)], 30),
        ([(1, 0), (11, 300), (12, 4000), (15, 4090)], 30),  # an hour away; by the mean it would be five minutes
        ([(1, 0), (2, 300), (3, 600), (4, 900)], 300),
        ([(1, 0), (11, 300), (12, 301), (22, 601)], 30),  # started anew once
        ([(1, 0), (1000, 30_000), (1030, 39_000)], 300),  # what it did a week ago is forgotten
        ([(5, 100), (5, 130), (9, 100)], None),  # a record that was put back
    ],
)
def test_the_interval_that_is_seen(points: List[Any], pace: Any) -> None:
    assert limits._pace(points) == pace


@pytest.mark.parametrize(
    ("away", "pace"),
    [
        ([], 70),
        ([(700, 1900)], 30),
        ([(100, 200), (400, 1500)], 30),
        ([(5000, 6000)], 70),
        ([(0, 10_000)], None),  # nothing is known of what it does
    ],
)
def test_the_time_that_the_store_was_away_does_not_count(away: List[Any], pace: Any) -> None:
    assert limits._pace([(1, 0), (31, 2100)], away) == pace


def test_machines_keep_their_interval_around_an_outage(patient: Patient) -> None:
    """Between two diagnoses the store was away for half an hour, and an incident tells of that."""
    now = time.time_ns()
    for machine in MACHINES:
        patient.beat(machine, age=2400, sequence=100)
    with patient.fleet.open() as store:
        limits.remember(scene.Scene(store, Limits()))
        outage = Incident("outage-1", "store_outage", now, now - 2100 * NS, until=now - 300 * NS, closed_at=now)
        ledger = journal.load(store)
        commit = Commit(ledger.next_number, store.now(), "test", incidents={outage.incident_id: outage})
        assert journal.append(store, ledger, commit, commit.at)
    for machine in MACHINES:
        patient.beat(machine, age=1, sequence=120)
    patient.fleet.check()
    assert finding(patient.diagnose(), "intervals")["status"] == "ok"


def test_an_interval_of_before_is_not_held_against_a_machine(patient: Patient) -> None:
    """It was changed a moment ago, and what was seen is of the time before."""
    with patient.fleet.open() as store:
        manage(store, Request({"heartbeat_interval": 60, "warning_after": 180, "offline_after": 240}))
    for machine in MACHINES:
        patient.beat(machine, age=3000, sequence=100)
    patient.diagnose()
    with patient.fleet.open() as store:
        manage(store, Request({"heartbeat_interval": 30, "warning_after": 90, "offline_after": 120}))
    for machine in MACHINES:
        patient.beat(machine, age=0, sequence=150)
    assert finding(patient.diagnose(), "intervals")["status"] == "ok"


def test_a_state_that_the_journal_does_not_add_up_to(patient: Patient) -> None:
    with patient.fleet.open() as store:
        ledger = journal.load(store)
        ledger.state.roster["invented"] = None
        ledger.unusable_checkpoint = True
        journal.upkeep(store, ledger)
    report = patient.diagnose()
    assert finding(report, "checkpoint")["status"] == "failed"
    assert named(report) == ["checkpoint"]


def test_a_commit_that_was_damaged_after_it_was_folded(patient: Patient) -> None:
    """The checkpoint knows it still, so that only the journal is damaged."""
    with patient.fleet.open() as store:
        ledger = journal.load(store)
        ledger.unusable_checkpoint = True
        journal.upkeep(store, ledger)
    patient.fleet.commit_path(1).write_bytes(b"{")
    assert named(patient.diagnose()) == ["journal"]


def test_another_clock_than_this_hosts(patient: Patient, monkeypatch: pytest.MonkeyPatch) -> None:
    """There is no second clock to be had here, so it is this host's that is moved."""
    import time

    behind = SimpleNamespace(time_ns=lambda: time.time_ns() - 60 * NS, monotonic=time.monotonic)
    monkeypatch.setattr(scene, "time", behind)
    report = patient.diagnose()
    assert named(report) == ["store_clock"]
    ahead = re.search(r"([\d.]+) s ahead of this host's, over 5 s", finding(report, "store_clock")["evidence"])
    assert ahead is not None
    assert float(ahead[1]) == pytest.approx(60, abs=10), "to half of the time that the write takes"


# -- where a diagnosis cannot go on --------------------------------------------------------------------------------


def test_settings_that_make_no_sense(patient: Patient) -> None:
    ailments.nonsense(patient)
    report = patient.diagnose()
    assert named(report) == ["settings"]
    assert "at least 2 x heartbeat_interval" in finding(report, "settings")["evidence"]
    left = {entry["check"] for entry in report["not_checked"]}
    assert "machines_offline" in left
    assert not left & {"journal", "checkpoint", "locks", "permissions", "free_space"}
    assert all("warning_after" in entry["reason"] for entry in report["not_checked"])


def test_without_a_store_the_error_has_the_report(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable) as raised:
        diagnose.run_diagnosis(FileStore(str(tmp_path / "none"), "default"), Limits())
    details = raised.value.details
    assert named(details) == ["store_reachable"]
    assert len(details["not_checked"]) == len(NAMES) - 1
    assert details["status"] == "failed"
    (found,) = details["checks"]
    assert found["evidence"] == "there is no fleet at %s" % (tmp_path / "none" / "default")
    assert found["advice"].startswith("mount the share")
    assert not (tmp_path / "none").exists()


def test_what_stands_in_the_way_of_a_store_is_no_advice(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreUnavailable) as raised:
        diagnose.run_diagnosis(FileStore(str(tmp_path / "file"), "default"), Limits())
    (found,) = raised.value.details["checks"]
    assert found["evidence"].endswith("/file/default: Not a directory (ENOTDIR)")
    assert found["advice"] == "name a directory as the store"


@pytest.mark.parametrize("name", ["diagnostics", "locks", "heartbeats", "journal"])
@pytest.mark.parametrize("kind", ["missing", "file", "link"])
def test_whatever_is_in_the_place_of_a_folder(patient: Patient, name: str, kind: str, tmp_path: Path) -> None:
    """Never an error of Python's own: what can still be checked is."""
    folder = patient.fleet.path / name
    folder.rename(tmp_path / "away")
    if kind == "file":
        folder.write_text("in the way")
    elif kind == "link":
        folder.symlink_to(tmp_path / "away")
    report = patient.diagnose()
    assert "permissions" in named(report)
    assert name in finding(report, "permissions")["evidence"]
    assert report["status"] == "failed"


# -- reports -------------------------------------------------------------------------------------------------------


def reports(patient: Patient) -> List[str]:
    return sorted(path.name for path in (patient.fleet.path / "diagnostics").glob("2*.json"))


def test_the_second_time_there_is_nothing_new_to_save(patient: Patient) -> None:
    ailments.offline(patient)
    first = patient.diagnose()
    assert (first["changed"], [first["report_path"]]) == (
        True,
        [str(patient.fleet.path / "diagnostics" / name) for name in reports(patient)],
    )
    saved = json.loads(Path(first["report_path"]).read_text())
    assert {key: saved[key] for key in saved} == {key: first[key] for key in saved}
    second = patient.diagnose()
    assert (second["changed"], second["report_path"]) == (False, first["report_path"])
    patient.beat("web-08", age=0)
    third = patient.diagnose()
    assert (third["changed"], third["status"], len(reports(patient))) == (True, "ok", 2)
    assert third["diff"] == {"before": {"machines_offline": ["failed", "web-08"]}, "after": {}}


def test_check_mode_leaves_nothing_behind(patient: Patient) -> None:
    before = tree(patient.fleet.path)
    report = patient.diagnose(dry_run=True)
    assert tree(patient.fleet.path) == before
    assert (report["changed"], report["report_path"], report["status"]) == (True, None, "ok")
    patient.diagnose()
    before = tree(patient.fleet.path)
    assert patient.diagnose(dry_run=True)["changed"] is False
    assert tree(patient.fleet.path) == before


def test_no_more_reports_than_wanted(patient: Patient) -> None:
    folder = patient.fleet.path / "diagnostics"
    (folder / "notes.txt").write_text("mine")
    for round_number in range(5):
        patient.beat("web-08", age=130 if round_number % 2 else 5)
        assert patient.diagnose(keep=3)["changed"]
    assert len(reports(patient)) == 3
    assert (folder / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"checks": 1, "not_checked": []}', '{"checks": [{}]}'])
def test_a_report_that_cannot_be_read_is_no_report(patient: Patient, text: str) -> None:
    first = patient.diagnose()
    Path(first["report_path"]).write_text(text)
    assert patient.diagnose()["changed"]


@pytest.mark.parametrize("data", [b"", b"{}", b'{"body":{"a":1},"sha256":"00"}', bytes(range(256))])
def test_what_was_remembered_may_be_damaged(patient: Patient, data: bytes) -> None:
    (patient.fleet.path / "diagnostics" / "beats.json").write_bytes(data)
    assert patient.diagnose()["status"] == "ok"


@pytest.mark.parametrize("name", ["free_space_warning", "free_space_failed", "latency_warning", "keep"])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -1, 10**400])
def test_limits_that_make_no_sense(name: str, value: Any) -> None:
    with pytest.raises(InvalidSettings, match=name):
        Limits(**{name: value})
