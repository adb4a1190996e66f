# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Restoring a machine's trees from its snapshots, with real trees and a real store."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any, Dict, List

import pytest

from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.backup.trees import Wanted, restore_trees
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.errors import (
    BackupCorrupt,
    BackupNotFound,
    InvalidMachineId,
    InvalidSettings,
    LockTimeout,
    MachineUnknown,
    RestoreFailed,
    StoreCorrupt,
)
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.sync import entries, restoring, snapshots
from ansible_collections.roosync.heartbeat.tests.unit.checker.trees import Trees


class Fleet(Trees):
    """A fleet whose machines are restored from snapshots."""

    def restore(self, source: str, onto: Any = None, dry_run: bool = False, **options: Any) -> Dict[str, Any]:
        with self.fleet.open() as store:
            wanted = Wanted(source, onto, **options)
            return restore_trees(store, wanted, self.site(onto or source), self.fleet.open, dry_run)

    def snapshots(self, machine: str) -> List[Dict[str, Any]]:
        with self.fleet.open() as store:
            return snapshots.listing(store, machine)


@pytest.fixture
def trees(tmp_path: Path) -> Fleet:
    """Three machines that are online; a snapshot of web with a file, a mode, a link and an empty directory."""
    fleet = Fleet(tmp_path, "web", "db", "mail")
    fleet.put("web", index="hello", a__b="deep", c="more", d="again")
    (fleet.www("web") / "a" / "b").chmod(0o640)
    (fleet.www("web") / "link").symlink_to("index")
    (fleet.www("web") / "empty").mkdir(mode=0o750)
    fleet.sync("web", "capture")
    return fleet


def test_a_destroyed_tree_comes_back_as_it_was(trees: Fleet) -> None:
    before = trees.whole("web")
    times = {p.name: p.stat().st_mtime_ns for p in trees.www("web").rglob("*") if p.is_file()}
    trees.lose("web")
    shutil.rmtree(trees.www("web"))
    done = trees.restore("web")
    assert trees.whole("web") == before
    assert {p.name: p.stat().st_mtime_ns for p in trees.www("web").rglob("*") if p.is_file()} == times
    assert (done["changed"], done["files"], done["machine_id"]) == (True, 5, "web")
    assert done["snapshots"] == [dict(trees.snapshots("web")[-1], machine_id="web")]
    assert Path(done["replaced_backup"]).exists()
    report = json.loads(Path(done["report"]).read_text())
    assert (report["kind"], report["sync_id"], report["files"]) == ("restore", done["sync_id"], 5)
    assert report["snapshots"] == done["snapshots"]
    again = trees.restore("web")
    assert (again["changed"], again["files"], again["report"], again["sync_id"]) == (False, 0, None, None)


def test_a_rollback_takes_a_restore_back(trees: Fleet) -> None:
    trees.put("web", index="changed", a__b=None, new="newer")
    before = trees.whole("web")
    trees.restore("web")
    assert trees.files("web") == {"index": "hello", "a/b": "deep", "c": "more", "d": "again", "link": "hello"}
    trees.sync("web", "rollback")
    assert trees.whole("web") == before


def test_check_mode_says_what_is_then_done_and_writes_nothing(trees: Fleet) -> None:
    trees.put("web", index="changed", c=None)
    machine, store = trees.whole("web"), sorted(p for p in trees.fleet.path.rglob("*") if ".probe" not in p.name)
    predicted = trees.restore("web", dry_run=True)
    assert trees.whole("web") == machine
    assert sorted(p for p in trees.fleet.path.rglob("*") if ".probe" not in p.name) == store
    real = trees.restore("web")
    for key in ("changed", "files", "bytes", "plan", "snapshots", "diff"):
        assert predicted[key] == real[key], key
    assert [(c["path"], c["action"], c["side"]) for c in real["plan"]] == [
        ("c", "create", "machine"),
        ("index", "replace", "machine"),
    ]


def test_which_snapshot(trees: Fleet) -> None:
    trees.put("web", index="second")
    trees.sync("web", "capture")
    trees.put("web", index="third")
    trees.sync("web", "capture")
    trees.put("web", index="now")
    third, second, first = trees.snapshots("web")
    assert [one["snapshot"] for one in (third, second, first)] == [3, 2, 1]
    trees.restore("web", snapshot="1")
    assert trees.files("web")["index"] == "hello"
    trees.restore("web", snapshot=second["captured_at"])
    assert trees.files("web")["index"] == "second"
    trees.restore("web", snapshot="3", trees=["site"])
    assert trees.files("web")["index"] == "third"
    with pytest.raises(BackupNotFound, match="has no snapshot"):
        trees.restore("web", snapshot="2001-01-01T00:00:00Z")
    with pytest.raises(BackupNotFound, match="has no snapshot"):
        trees.restore("db")
    for nonsense in ("yesterday", "2026-01-31T12:00:00", "", "-1", "\u0663"):
        with pytest.raises(InvalidSettings, match="snapshot: "):
            trees.restore("web", snapshot=nonsense)
    with pytest.raises(InvalidSettings, match="no tree"):
        trees.restore("web", trees=["other"])
    with pytest.raises(InvalidMachineId):
        trees.restore("../web")
    with pytest.raises(MachineUnknown):
        trees.restore("web", "nobody")


def test_a_snapshot_of_the_ruins_is_told_from_what_was_there_before(trees: Fleet) -> None:
    before = trees.whole("web")
    shutil.rmtree(trees.www("web"))
    trees.www("web").mkdir()
    trees.sync("web", "capture")
    done = trees.restore("web")
    assert not done["changed"]
    assert len(done["warnings"]) == 1
    assert done["warnings"][0].startswith("5 files of site are gone in its snapshot 2, which was taken at ")
    assert done["warnings"][0].endswith("restore snapshot 1")
    again = trees.restore("web", snapshot="1")
    assert (trees.whole("web"), again["warnings"]) == (before, [])


def test_a_number_needs_one_tree(tmp_path: Path) -> None:
    fleet = Fleet(tmp_path, "web", "db", "mail", sync_paths={"site": {"path": "/www"}, "data": {"path": "/www/data"}})
    fleet.put("web", index="hello", data__x="deep")
    fleet.sync("web", "capture")
    with pytest.raises(InvalidSettings, match="name one with trees"):
        fleet.restore("web", snapshot="1")
    assert not fleet.restore("web", snapshot="1", trees=["data"])["changed"]


def test_a_tree_without_a_snapshot_stays_as_it_is(tmp_path: Path) -> None:
    both = {"site": {"path": "/www"}, "data": {"path": "/data"}}
    fleet = Fleet(tmp_path, "web", "db", "mail", sync_paths=both)
    fleet.put("web", index="hello")
    fleet.sync("web", "capture")
    fleet.put("web", index="changed")
    done = fleet.restore("web")
    assert fleet.files("web") == {"index": "hello"}
    assert done["warnings"] == ["there is no such snapshot of data: that tree stays as it is"]
    with pytest.raises(BackupNotFound, match="of data"):
        fleet.restore("web", trees=["data", "site"])


def test_onto_a_host_that_replaces_it(trees: Fleet) -> None:
    """The other machine goes on where the lost one was: what was not synced yet is shared by its next sync."""
    trees.sync("web", "online")
    trees.put("web", news="not synced yet")
    trees.sync("web", "capture")
    before = trees.whole("web")
    trees.sync("db", "online")
    trees.put("db", index="moved on")
    trees.sync("db", "online")
    trees.lose("web")
    done = trees.restore("web", "mail")
    assert trees.whole("mail") == before
    assert (done["machine_id"], done["snapshots"][0]["machine_id"]) == ("mail", "web")
    synced = trees.sync("mail", "online")
    assert synced["conflicts"] == []
    assert (trees.files("mail")["index"], trees.files("mail")["news"]) == ("moved on", "not synced yet")
    trees.sync("db", "online")
    assert trees.files("db")["news"] == "not synced yet"


def test_onto_a_new_host_of_the_same_name(trees: Fleet) -> None:
    """It has the trees of the former one now, and goes on where that one was."""
    trees.fleet.beat("web", fingerprint="e" * 32)
    trees.sync("web", "online")
    trees.sync("db", "online")
    trees.put("db", index="moved on")
    trees.sync("db", "online")
    shutil.rmtree(trees.www("web"))
    trees.fleet.beat("web", fingerprint="f" * 32, took_over="e" * 32)
    trees.restore("web")
    synced = trees.sync("web", "online")
    assert synced["conflicts"] == []
    assert trees.files("web")["index"] == "moved on"


def test_a_rollback_on_the_host_that_replaces_it(trees: Fleet) -> None:
    trees.put("mail", mine="only here")
    trees.sync("mail", "online")
    before = trees.whole("mail")
    trees.restore("web", "mail", force=True)
    assert trees.whole("mail") == trees.whole("web")
    trees.sync("mail", "rollback")
    assert trees.whole("mail") == before
    again = trees.sync("mail", "online")
    assert again["plan"] == [], "its base went back, too"


def test_what_would_take_most_files_away_needs_force(trees: Fleet) -> None:
    trees.put("web", **{"many%d" % number: "x%d" % number for number in range(20)})
    before = trees.whole("web")
    with pytest.raises(RestoreFailed, match="would take away 20 files"):
        trees.restore("web")
    assert trees.whole("web") == before
    assert trees.restore("web", force=True)["files"] == 20


def packs_with(trees: Fleet, content: bytes) -> List[Path]:
    found = [p for p in (trees.fleet.path / "vault" / "packs").rglob("*") if p.is_file()]
    found = [p for p in found if content in p.read_bytes()]
    assert found
    return found


def test_damaged_content_is_seen_before_anything_is_touched(trees: Fleet) -> None:
    trees.put("web", index="changed", a__b="other")
    before = trees.whole("web")
    for pack in packs_with(trees, b"deep"):
        data = bytearray(pack.read_bytes())
        data[data.index(b"deep")] ^= 1
        pack.write_bytes(data)
    with pytest.raises(StoreCorrupt):
        trees.restore("web")
    assert trees.whole("web") == before


def test_missing_content_is_seen_before_anything_is_touched(tmp_path: Path) -> None:
    trees = Fleet(tmp_path, "web", "db", "mail")
    trees.put("db", shared="deep")
    trees.sync("db", "capture")
    trees.put("web", shared="deep", own="web's own")
    trees.sync("web", "capture")
    trees.put("web", shared="changed")
    before = trees.whole("web")
    for pack in packs_with(trees, b"deep"):
        pack.unlink()
    with pytest.raises(BackupCorrupt, match="not in the vault any more"):
        trees.restore("web")
    with pytest.raises(BackupCorrupt, match="not in the vault any more"):
        trees.restore("web", dry_run=True)
    assert trees.whole("web") == before


def test_nobody_else_is_at_work_on_the_machine(trees: Fleet) -> None:
    trees.put("web", index="changed")
    with trees.fleet.open() as store:
        entries.ask(store, "web", "online")
    with pytest.raises(LockTimeout, match="is being synced"):
        trees.restore("web")


def test_a_restore_that_died_is_not_taken_for_a_sync(trees: Fleet) -> None:
    """Its entry in the journal is closed by the next worker; the machine's own files are not synced by it."""
    trees.put("web", index="changed")
    with trees.fleet.open() as store:
        entries.ask(store, "web", restoring.EVENT, lease=0)
    assert trees.open_entries() == [("web", "restore", "running")]
    found = trees.pending("web")
    assert (found["syncs"], found["failed"]) == ([], [])
    assert [one["event"] for one in found["overtaken"]] == ["restore"]
    assert trees.open_entries() == []


def test_an_earlier_snapshot_that_is_damaged_keeps_nobody_from_restoring_a_later_one(trees: Fleet) -> None:
    """It is only looked at to say whether the chosen one shows a loss."""
    packs = packs_with(trees, b"")
    trees.put("web", index="2", a__b="3", c="4", d="5")
    trees.sync("web", "capture")
    before = trees.whole("web")
    for pack in packs:
        pack.unlink()
    trees.put("web", index="now")
    done = trees.restore("web")
    assert trees.whole("web") == before
    assert Path(done["report"]).exists()
    (warning,) = done["warnings"]
    assert warning.startswith("whether the snapshot 2 of site shows a loss cannot be said: the content ")
