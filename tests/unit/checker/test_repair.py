# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Repairs: what a crash left behind is put right, nothing that is known is lost, and check mode only says so."""

from __future__ import annotations

import random
import shutil
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List

import pytest

from ansible_collections.roosync.heartbeat.plugins.module_utils._engine import journal
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine import repair as repairing
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.diagnosis import directory
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.diagnosis.history import lost_commits
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.errors import StoreCorrupt, StoreUnavailable
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.repair import run_repair
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.state import State
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.stores.file import FOLDERS, FileStore
from ansible_collections.roosync.heartbeat.tests.unit.checker import ailments
from ansible_collections.roosync.heartbeat.tests.unit.checker.ailments import Patient
from ansible_collections.roosync.heartbeat.tests.unit.checker.children import run
from ansible_collections.roosync.heartbeat.tests.unit.checker.real import RealFleet, folded, history, write_history
from ansible_collections.roosync.heartbeat.tests.unit.checker.test_diagnosis import named
from ansible_collections.roosync.heartbeat.tests.unit.stdlib.support import tree

COMMITS = history(20)


@pytest.fixture
def patient(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Patient]:
    monkeypatch.setattr(directory, "LOCK_WATCH", 0.2)
    made = Patient(tmp_path / "store")
    yield made
    made.close()


def repair(fleet: RealFleet, **options: Any) -> Dict[str, Any]:
    with fleet.open() as store:
        return run_repair(store, **{"clear_locks": True, **options})


def paths(result: Dict[str, Any]) -> List[str]:
    return [entry["path"] for entry in result["repairs"]]


def damaged_checkpoint(patient: Patient) -> None:
    ailments.checkpoint(patient)


def folder_for_checkpoint(patient: Patient) -> None:
    (patient.fleet.path / journal.CHECKPOINT).mkdir()


def invented_machine(patient: Patient) -> None:
    with patient.fleet.open() as store:
        ledger = journal.load(store)
        ledger.state.roster["invented"] = None
        ledger.unusable_checkpoint = True
        journal.upkeep(store, ledger)


@pytest.mark.parametrize(
    ("seed", "path"),
    [
        (ailments.missing_folder, "incidents"),
        (ailments.dead_lock, "locks/syncs.lock"),
        (ailments.dead_claim, "journal"),
        (ailments.gap, "journal/"),
        (ailments.torn_commit, "journal/"),
        (damaged_checkpoint, "checkpoint.json"),
        (folder_for_checkpoint, "checkpoint.json"),
        (invented_machine, "checkpoint.json"),
    ],
)
def test_one_thing_is_repaired_and_nothing_else(patient: Patient, seed: Callable[[Patient], None], path: str) -> None:
    seed(patient)
    assert named(patient.diagnose())
    before = tree(patient.fleet.path)
    predicted = repair(patient.fleet, dry_run=True)
    assert tree(patient.fleet.path) == before, "check mode"
    done = repair(patient.fleet)
    assert (done["changed"], done["repairs"], done["diff"]) == (True, predicted["repairs"], predicted["diff"])
    assert len(done["repairs"]) == 1
    assert done["repairs"][0]["path"].startswith(path)
    report = patient.diagnose()
    assert (report["status"], report["not_checked"]) == ("ok", []), report["summary"]
    again = repair(patient.fleet)
    assert (again["changed"], again["repairs"]) == (False, [])
    assert patient.fleet.check()["transitions"] == [] or seed in (ailments.gap, ailments.torn_commit)


def test_all_at_once(patient: Patient) -> None:
    for seed in (ailments.gap, ailments.dead_claim, ailments.dead_lock, ailments.checkpoint, ailments.missing_folder):
        seed(patient)
    done = repair(patient.fleet)
    expected = ["incidents", "locks", "journal", "journal", "checkpoint.json"]
    assert [path.split("/")[0] for path in paths(done)] == expected
    assert patient.diagnose()["status"] == "ok"
    assert done["machines"] == len(ailments.MACHINES) + 1


def test_a_healthy_store_is_left_as_it_is(patient: Patient) -> None:
    before = tree(patient.fleet.path)
    result = repair(patient.fleet)
    assert (result["changed"], result["repairs"], result["machines"]) == (False, [], len(ailments.MACHINES))
    assert tree(patient.fleet.path) == before


def test_locks_stay_unless_asked_for(patient: Patient) -> None:
    path = patient.lock("fleet.lock")
    result = repair(patient.fleet, clear_locks=False)
    assert (result["changed"], result["dead_locks"]) == (False, ["fleet.lock"])
    assert path.exists()
    assert repair(patient.fleet)["changed"]
    with patient.fleet.open() as store, store.lock("fleet", 0.1) as held:
        assert held


@pytest.mark.parametrize("seed", range(6))
def test_what_the_checkpoint_knows_outlives_the_commits(tmp_path: Path, seed: int) -> None:
    """Commits are lost at random, the checkpoint has them: after a repair the journal alone adds up to the same."""
    fleet = RealFleet(tmp_path / "store")
    commits = history(60, seed=seed)
    with fleet.open() as store:
        write_history(store, commits)
        ledger = journal.load(store)
        ledger.unusable_checkpoint = True
        journal.upkeep(store, ledger)
    chance = random.Random(seed)
    for number in chance.sample(range(1, 61), 10):
        if chance.random() < 0.5:
            fleet.commit_path(number).unlink()
        else:
            fleet.commit_path(number).write_bytes(b'{"body":')
    assert same(fleet.ledger().state, folded(commits))
    result = repair(fleet)
    assert len(result["repairs"]) >= 9  # the newest one may be among those that are gone
    assert lost_commits(fleet.rebuilt()) == []
    assert same(fleet.ledger().state, folded(commits))
    (fleet.path / journal.CHECKPOINT).unlink()
    assert same(fleet.ledger().state, folded(commits))
    again = repair(fleet)["repairs"]
    assert again == [{"path": "checkpoint.json", "what": "it is missing", "done": "made anew"}]


def same(one: State, other: State) -> bool:
    """But for how far the journal has gone: numbers are taken by what restates others, too."""
    parts = ("roster", "machines", "syncs", "incidents", "windows", "zones")
    return all(getattr(one, part) == getattr(other, part) for part in parts)


KILLED = """
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.repair import run_repair
left = int(sys.argv[2])
def deadly(real):
    def call(*args, **kwargs):
        global left
        left -= 1
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*args, **kwargs)
    return call
for name in ("open", "write", "fsync", "link", "rename", "unlink", "mkdir", "chmod"):
    setattr(os, name, deadly(getattr(os, name)))
run_repair(store, clear_locks=True)
print("done")
"""


def test_killed_anywhere_the_next_one_finishes(tmp_path: Path) -> None:
    """At every call that changes a file, and at those that open one."""
    model = RealFleet(tmp_path / "model")
    with model.open() as store:
        write_history(store, COMMITS)
    model.commit_path(3).unlink()
    (model.path / "reports").rmdir()
    expected = model.ledger().state
    for left in range(0, 400, 7):
        fleet = RealFleet.__new__(RealFleet)
        fleet.root, fleet.path = tmp_path / "copy", tmp_path / "copy" / "default"
        shutil.copytree(model.root, fleet.root)
        _status, printed = run(KILLED, fleet.root, left)
        repair(fleet)
        assert lost_commits(fleet.rebuilt()) == []
        assert same(fleet.ledger().state, expected), left
        assert sorted(FOLDERS) == sorted(str(p.relative_to(fleet.path)) for p in fleet.path.rglob("*") if p.is_dir())
        shutil.rmtree(fleet.root)
        if "done" in printed:
            return
    raise AssertionError("it never came to its end")


# -- what only a person can put right ------------------------------------------------------------------------------


def test_settings_are_a_persons_to_put_right(patient: Patient) -> None:
    (patient.fleet.path / "fleet.json").write_text("{")
    with pytest.raises(StoreCorrupt, match="correct it by hand"):
        repair(patient.fleet)


@pytest.mark.parametrize("kind", ["file", "link"])
def test_something_else_in_a_folders_place(patient: Patient, tmp_path: Path, kind: str) -> None:
    folder = patient.fleet.path / "incidents"
    folder.rename(tmp_path / "away")
    if kind == "file":
        folder.write_text("mine")
    else:
        folder.symlink_to(tmp_path / "away")
    with pytest.raises(StoreCorrupt, match="move it away"):
        repair(patient.fleet)


def test_no_folder_is_made_through_a_link(patient: Patient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody of the group puts one there right after it was looked at."""
    (tmp_path / "victim").mkdir(mode=0o700)
    (patient.fleet.path / "logs").rmdir()
    (patient.fleet.path / "logs").symlink_to(tmp_path / "victim")
    monkeypatch.setattr(repairing, "_missing", lambda store: ["logs"])
    with pytest.raises(StoreUnavailable, match="remove the symbolic link"):
        repair(patient.fleet)
    assert (tmp_path / "victim").stat().st_mode & 0o777 == 0o700


def test_no_store_is_made_where_there_is_none(tmp_path: Path) -> None:
    (tmp_path / "default").mkdir()
    with pytest.raises(StoreUnavailable, match="mount the share"):
        run_repair(FileStore(str(tmp_path), "default"))
    assert list((tmp_path / "default").iterdir()) == []


def test_missing_folders_are_told_of_in_check_mode(patient: Patient) -> None:
    """Without its folders there is no time and no journal to look at."""
    for name in ("locks", "journal"):
        shutil.rmtree(patient.fleet.path / name)
    before = tree(patient.fleet.path)
    predicted = repair(patient.fleet, dry_run=True)
    assert paths(predicted) == ["journal", "journal/archive", "locks"]
    assert predicted["repaired_at"] is None
    assert tree(patient.fleet.path) == before
    assert paths(repair(patient.fleet))[:3] == paths(predicted)
    assert sorted(patient.fleet.check()["online"]) == ailments.MACHINES
