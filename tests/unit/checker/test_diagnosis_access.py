# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Diagnoses of stores that are really full, read-only, or another user's. Each in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Dict, Iterator, List

import pytest

from ansible_collections.roosync.heartbeat.tests.unit.checker.ailments import Patient
from ansible_collections.roosync.heartbeat.tests.unit.checker.children import NOBODY, PRELUDE, environment
from ansible_collections.roosync.heartbeat.tests.unit.checker.real import RealFleet
from ansible_collections.roosync.heartbeat.tests.unit.checker.test_diagnosis import finding, named
from ansible_collections.roosync.heartbeat.tests.unit.stdlib.faults import mounted

DIAGNOSE = """
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine import diagnose
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.diagnosis.finding import Limits
with FileStore(sys.argv[2], "default") as warm:  # what is imported late must be there before the user changes
    diagnose.run_diagnosis(warm, Limits())
%s
print(json.dumps(diagnose.run_diagnosis(store, Limits(**json.loads(sys.argv[3])))))
"""
AS_ANOTHER_USER = "if os.geteuid() == 0: " + NOBODY


@pytest.fixture
def patient() -> Iterator[Patient]:
    """A fleet in a folder that other users can reach."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        root.chmod(0o755)
        made = Patient(root / "store")
        made.fleet.root.chmod(0o755)
        yield made
        for path in (made.fleet.path, *made.fleet.path.rglob("*")):
            path.chmod(0o755)
        made.close()


def diagnosis(
    root: Path, tmp_path: Path, before: str = "", wrapper: List[str] | None = None, **limits: float
) -> Dict[str, Any]:
    warm = RealFleet(tmp_path / "warm")
    limits = {"latency_warning": 60.0, **limits}  # others may keep this disk busy
    arguments = [str(root), str(warm.root), json.dumps(limits)]
    command = [*(wrapper or []), sys.executable, "-W", "error", "-c", PRELUDE + DIAGNOSE % before, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, env=environment(), timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    found: Dict[str, Any] = json.loads(done.stdout)
    return found


def test_a_store_that_is_mounted_read_only(patient: Patient, tmp_path: Path) -> None:
    read_only = mounted('mount --bind "$1" "$1"; mount -o remount,bind,ro "$1"', str(patient.fleet.root))
    report = diagnosis(patient.fleet.root, tmp_path, wrapper=read_only)
    assert named(report) == ["store_writable"]
    assert finding(report, "store_writable")["advice"] == "remount the store read-write"
    left = {entry["check"] for entry in report["not_checked"]}
    assert {"store_latency", "store_clock", "machines_offline"} <= left
    assert not left & {"journal", "checkpoint", "settings", "free_space", "permissions"}
    assert (report["changed"], report["report_path"], report["diagnosed_at"]) == (False, None, None)


def test_a_small_disk_and_a_full_one(tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    make = """
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.fleet import Request, manage
manage(store, Request())
if %r:
    try:
        with open(sys.argv[1] + "/filling", "wb", 0) as filling:
            while filling.write(bytes(4096)):
                pass
    except OSError:
        pass
"""
    disk = mounted('mount -t tmpfs -o size=30m none "$1"', str(small))
    found = finding(diagnosis(small, tmp_path, make % False, wrapper=disk), "free_space")
    assert (found["status"], found["evidence"]) == ("warning", "31 MB are free, less than 100")
    report = diagnosis(small, tmp_path, make % False, wrapper=disk, free_space_failed=50)
    assert named(report) == ["free_space"]
    assert finding(report, "free_space")["status"] == "failed"
    report = diagnosis(small, tmp_path, make % True, wrapper=disk)
    assert named(report) == ["free_space", "store_writable"]
    assert "ENOSPC" in finding(report, "store_writable")["evidence"]


def test_folders_that_another_user_may_not_write(patient: Patient, tmp_path: Path) -> None:
    """Nor their owner: who runs the tests may be nobody else. The same in the next one."""
    for path in (patient.fleet.path, *patient.fleet.path.rglob("*")):
        path.chmod(0o555 if path.is_dir() else 0o444)
    report = diagnosis(patient.fleet.root, tmp_path, AS_ANOTHER_USER)
    assert named(report) == ["permissions", "store_writable"]
    assert ".: this user may not write into it and " in finding(report, "permissions")["evidence"]
    assert "write access" in finding(report, "store_writable")["advice"]


def test_folders_that_another_user_may_not_read(patient: Patient, tmp_path: Path) -> None:
    for path in (patient.fleet.path, *(p for p in patient.fleet.path.rglob("*") if p.is_dir())):
        path.chmod(0o777)
    (patient.fleet.path / "heartbeats").chmod(0o333)
    report = diagnosis(patient.fleet.root, tmp_path, AS_ANOTHER_USER)
    assert {"permissions", "store_readable"} <= set(named(report))
    assert finding(report, "store_readable")["details"][0]["errno"] == "EACCES"
    left = {entry["check"] for entry in report["not_checked"]}
    assert "machines_offline" in left
    assert not left & {"journal", "checkpoint", "locks"}


@pytest.mark.parametrize(("name", "check"), [("journal/%020d.json" % 1, "journal"), ("checkpoint.json", "checkpoint")])
def test_a_file_of_the_history_that_another_user_may_not_read(
    patient: Patient, tmp_path: Path, name: str, check: str
) -> None:
    for path in (patient.fleet.path, *patient.fleet.path.rglob("*")):
        path.chmod(0o777 if path.is_dir() else 0o666)
    path = patient.fleet.path / name
    path.touch()
    path.chmod(0)
    report = diagnosis(patient.fleet.root, tmp_path, AS_ANOTHER_USER)
    assert set(named(report)) - {"permissions"} == {check}
    assert finding(report, check)["details"] == [{"path": str(path), "errno": "EACCES"}]
    assert "write access" in finding(report, check)["advice"]


def test_a_group_that_is_left_out(patient: Patient) -> None:
    (patient.fleet.path / "heartbeats").chmod(0o2755)
    report = patient.diagnose()
    assert named(report) == ["permissions"]
    assert finding(report, "permissions")["details"] == [
        {"path": "heartbeats", "what": "the group of the fleet may not write into it"}
    ]


def test_backups_that_are_closed_to_others(patient: Patient, tmp_path: Path) -> None:
    """That is how their owner leaves them, and nothing to complain of for anybody."""
    for path in patient.fleet.path.rglob("*"):
        path.chmod(0o775 if path.is_dir() else 0o664)
    (patient.fleet.path / "backups").chmod(0o700)
    assert named(patient.diagnose()) == []
    for path in (patient.fleet.path, *(p for p in patient.fleet.path.rglob("*") if p.name != "backups")):
        path.chmod(0o777 if path.is_dir() else 0o666)
    report = diagnosis(patient.fleet.root, tmp_path, AS_ANOTHER_USER)
    assert not {"store_readable"} & set(named(report))
    assert "backups" not in str(finding(report, "permissions"))
