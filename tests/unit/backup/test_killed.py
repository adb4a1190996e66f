# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Killed, or out of space, at every system call that changes a file: the former state stands, or the new one.

Each attempt is a process of its own, a fork of this one, whose n-th changing call is the fatal one.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any, Dict, List

import pytest

from ansible_collections.roosync.heartbeat.plugins.module_utils._engine import journal
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.backup import catalogue, restore, swap, writing
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.backup.place import Place
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.errors import HeartbeatError, StoreUnavailable
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.fleet import Request, manage
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.stores.file import FileStore
from ansible_collections.roosync.heartbeat.tests.unit.backup.dying import (
    ERRORS,
    WAYS,
    endings_of,
    every_step,
    failed,
    say,
)
from ansible_collections.roosync.heartbeat.tests.unit.backup.scenes import Scene, looks
from ansible_collections.roosync.heartbeat.tests.unit.checker.real import RealFleet


@pytest.fixture
def small(folder: Path) -> Scene:
    """A fleet of two machines with a history, which changes after its backup."""
    real = RealFleet(folder / "pristine")
    real.beat("m1", "m2", age=400)
    real.check()
    scene = Scene.of(real, folder)
    (scene.path / "last_check.json").unlink()
    return scene


@pytest.mark.parametrize("how", WAYS)
def test_making_a_backup(small: Scene, how: str) -> None:
    fleet = looks(small.path)
    steps: List[int] = []
    endings: Dict[str, int] = {}

    def clean() -> None:
        shutil.rmtree(small.backups, ignore_errors=True)

    for step, ended in every_step(small.backup, how, clean):
        steps.append(step)
        endings[ended] = endings.get(ended, 0) + 1
        assert looks(small.path) == fleet or how in ERRORS, step
        if small.backups.exists():
            there = catalogue.found_in(str(small.backups), "default")
            for backup in there:
                assert catalogue.verify(backup, None)["files"] >= 4, step
            if failed(ended):
                assert sorted(os.listdir(small.backups)) == [b.name for b in there], "it tidies up after itself"
        assert small.backup()["changed"], "the next one works"
    say("backup, " + how, steps, endings)
    assert len(steps) >= 10
    assert set(endings) <= endings_of(how), endings


FLEETS = {
    "over a fleet": (True, True, False),
    "over a fleet by two renames": (True, False, False),
    "into nothing": (False, True, False),
    "over a fleet with its backups": (True, True, True),
    "over a fleet with its backups by two renames": (True, False, True),
}
# What system calls fail with besides a full disk makes no difference to where the swap stands: once is enough.
CASES = [(name, how) for name in FLEETS for how in WAYS if name == "over a fleet" or how in WAYS[:3]]


@pytest.mark.parametrize(("name", "how"), CASES)
def test_restoring_a_fleet(small: Scene, folder: Path, name: str, how: str) -> None:
    """After each death: what agents and checkers find is the former state or the new one, and the next run gets on.

    With its backups in the fleet itself the newest one is restored, as somebody does who gives no options.
    """
    there, exchange, inside = FLEETS[name]
    made = small.backup(directory=None if inside else str(small.backups))["backup"]
    new_state = looks(small.path)
    small.real.beat("m3", age=300)
    small.real.check()
    (small.path / "last_check.json").unlink()
    if not inside:
        small.backup(directory=None)
    former = looks(small.path)
    root = folder / "live"
    steps: List[int] = []
    endings: Dict[str, int] = {}
    stood: Dict[str, int] = {}
    before = "former" if there else "gone"

    def prepare() -> None:
        shutil.rmtree(root, ignore_errors=True)
        shutil.rmtree(small.backups / "safety", ignore_errors=True)
        if there:
            shutil.copytree(small.real.root, root)
        else:
            root.mkdir()

    def request(directory: Path) -> restore.Request:
        if inside:
            return restore.Request(force=True)
        return restore.Request(backup=made["location"], directory=str(directory), force=True)

    def work() -> None:
        if not exchange:
            swap.exchange = lambda one, other: False
        with FileStore(str(root), "default") as store:
            restore.run(store, request(small.backups / "safety"))

    for step, ended in every_step(work, how, prepare):
        steps.append(step)
        endings[ended] = endings.get(ended, 0) + 1
        state = which(root / "default", former, new_state)
        stood[state] = stood.get(state, 0) + 1
        if failed(ended):
            assert state == before, step
        if state == "gone" and (root / ".restore-default").exists():
            with FileStore(str(root), "default") as store, pytest.raises(StoreUnavailable, match="being restored"):
                manage(store, Request())
        with FileStore(str(root), "default") as store:
            done = restore.run(store, request(small.backups))
        assert done["interrupted"] in (None, swap.FINISHED, swap.UNDONE)
        assert done["backup"]["name"] == made["name"]
        assert which(root / "default", former, new_state) == "new", step
        assert not list(root.glob(".*")), step
        if inside:
            assert made["name"] in os.listdir(root / "default" / "backups"), "no backup is lost"
        elif there:
            assert len(os.listdir(root / "default" / "backups")) == 1, "no backup is lost"
    say("restore, %s, %s" % (how, stood), steps, endings)
    assert len(steps) > 100
    assert stood[before] > 100
    assert stood["new"] > 1, "the swap is not the last thing"
    # Between two renames there is a moment without a fleet, where nobody writes anything; an exchange has none.
    assert set(stood) - {before, "new"} == ({"gone"} if there and not exchange and how not in ERRORS else set()), stood
    assert set(endings) <= endings_of(how), endings


def test_between_two_renames_nobody_is_sent_to_make_a_fleet(small: Scene) -> None:
    """Neither in check mode nor for one machine; the next restore of the fleet puts an end to it."""
    made = small.backup(directory=None)["backup"]
    with small.open() as store:
        place = Place(store)
    place.begin()
    os.rename(place.target, place.old)
    place.release()
    before = looks(small.real.root)
    for options in ({"dry_run": True}, {"machine_id": "m1"}):
        with pytest.raises(HeartbeatError, match=r"interrupted.* run heartbeat_restore for the whole fleet") as refused:
            small.restore(directory=None, **options)  # type: ignore[arg-type]
        assert refused.value.error_code == "STORE_UNAVAILABLE"
    assert looks(small.real.root) == before
    done = small.restore(directory=None)
    assert (done["interrupted"], done["changed"], done["backup"]["name"]) == (swap.UNDONE, False, made["name"])


def test_a_link_to_a_fleet_tells_of_the_restore_as_well(small: Scene, tmp_path: Path) -> None:
    """What is restored is what the link leads to, and beside it the new state is made."""
    elsewhere = tmp_path / "disk" / "fleet"
    elsewhere.parent.mkdir()
    shutil.move(str(small.path), elsewhere)
    small.path.symlink_to(elsewhere)
    with small.open() as store:
        place = Place(store)
    place.begin()
    os.rename(place.target, place.old)
    place.release()
    with small.open() as store, pytest.raises(StoreUnavailable, match="run heartbeat_restore"):
        manage(store, Request())


def which(path: Path, former: Any, new: Any) -> str:
    """Which state stands, whole; anything else is a failure."""
    if not path.exists():
        return "gone"
    found = {name: what for name, what in looks(path).items() if name != ".restore" and "/.tmp-" not in name}
    if found == former:
        return "former"
    assert {name: found.get(name) for name in new} == new, "neither the one nor the other"
    added = sorted(set(found) - set(new))
    assert [name.split("/")[0] for name in added] == ["incidents", "journal", "reports"], added
    with FileStore(str(path.parent), path.name) as store:
        ledger = journal.load(store)
        assert ledger.problems == []
    return "new"


@pytest.mark.parametrize("how", WAYS)
def test_restoring_a_machine(small: Scene, folder: Path, how: str) -> None:
    """With the record there, all of it is there: the machine is expected again, and there is a document of it."""
    with small.open() as store:
        manage(store, Request(expect=["m1"]))
    backup = small.backup(machine_id="m1")["backup"]["location"]
    record = small.real.record("m1")
    wanted = (record.read_bytes(), record.stat().st_mtime_ns)
    with small.open() as store:
        manage(store, Request(forget=["m1"]))
    small.real.beat("m1", age=300)
    former = (record.read_bytes(), record.stat().st_mtime_ns)
    root = folder / "live"
    steps: List[int] = []
    endings: Dict[str, int] = {}

    def prepare() -> None:
        shutil.rmtree(root, ignore_errors=True)
        shutil.copytree(small.real.root, root)

    def work() -> None:
        with FileStore(str(root), "default") as store:
            restore.run(store, restore.Request(backup=backup, machine_id="m1", directory=str(small.backups)))

    for step, ended in every_step(work, how, prepare):
        steps.append(step)
        endings[ended] = endings.get(ended, 0) + 1
        live = root / "default" / "heartbeats" / "m1.json"
        found = (live.read_bytes(), live.stat().st_mtime_ns)
        assert found in (former, wanted), (step, ended)
        work()
        assert (live.read_bytes(), live.stat().st_mtime_ns) == wanted
        assert json.loads((root / "default" / "fleet.json").read_bytes())["expected"] == ["m1"], (step, ended)
        assert len(list((root / "default" / "reports").glob("restore-*.json"))) >= 1, (step, ended)
    say("restore of a machine, " + how, steps, endings)
    assert len(steps) > 20
    # To expect a machine takes the fleet's lock, whose file may be what cannot be made.
    assert set(endings) - {"LOCK_TIMEOUT"} <= endings_of(how), endings


def test_a_full_disk_is_seen_before_it_is_full(small: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rest of the disk is for the machines' heartbeats. How full it is, is only claimed here."""
    real = os.fstatvfs

    def nearly_full(fd: int) -> Any:
        values = list(real(fd))
        values[4] = 10  # f_bavail
        return os.statvfs_result(values)

    monkeypatch.setattr(os, "fstatvfs", nearly_full)
    with pytest.raises(HeartbeatError) as refused:
        small.backup()
    assert refused.value.error_code == "DISK_SPACE_LOW"
    assert os.listdir(small.backups) == []


def test_too_little_space_for_a_restore(small: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """Seen before anything is written. How full the disk is, is only claimed here."""
    small.backup()
    shutil.rmtree(small.path)
    real = os.statvfs

    def nearly_full(path: Any) -> Any:
        values = list(real(path))
        values[4] = 10  # f_bavail
        return os.statvfs_result(values)

    monkeypatch.setattr(os, "statvfs", nearly_full)
    with pytest.raises(HeartbeatError) as refused:
        small.restore()
    assert refused.value.error_code == "DISK_SPACE_LOW"
    assert os.listdir(small.real.root) == []


def test_another_fleet_in_the_gap(small: Scene) -> None:
    """Somebody put a fleet there after a restore had set the former one aside: nobody's work is thrown away."""
    backup = small.backup()["backup"]["location"]
    with small.open() as store:
        place = Place(store)
    place.begin()
    os.rename(place.target, place.old)
    os.rename(RealFleet(small.folder / "other").path, place.target)
    before = looks(small.real.root)
    with pytest.raises(HeartbeatError, match="another fleet has been made there since") as refused:
        small.restore(backup=backup)
    assert refused.value.error_code == "RESTORE_FAILED"
    assert looks(small.real.root) == before


def test_left_over_partial_backups_go_in_time(small: Scene) -> None:
    small.backups.mkdir()
    old, fresh = (small.backups / (catalogue.PARTIAL + name) for name in ("1-old", "2-fresh"))
    old.write_bytes(b"x")
    fresh.write_bytes(b"x")
    os.utime(old, (1, 1))
    small.backup()
    assert not old.exists()
    assert fresh.exists()
    assert writing.LEFT_BEHIND_AFTER >= 3600
