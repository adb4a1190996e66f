# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Syncs from the claim to the result, in one process, with real trees and a real store."""

from __future__ import annotations

import errno
import os
import time
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.errors import (
    DiskSpaceLow,
    InvalidSettings,
    LockTimeout,
    MachineNotOffline,
    MachineNotOnline,
    MachineUnknown,
    StoreCorrupt,
    StoreUnavailable,
    SyncMassDelete,
)
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.fleet import Request as FleetRequest
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.fleet import manage
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.sync import (
    attributes,
    claim,
    doing,
    entries,
    keeping,
    localsite,
    refdir,
)
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.sync.localsite import LocalSite
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.sync.refs import Refs
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.sync.run import run
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.sync.session import Request
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.sync.spec import TreeSpec
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.sync.trouble import failure
from ansible_collections.roosync.heartbeat.tests.unit.checker.trees import Trees


@pytest.fixture
def trees(tmp_path: Path) -> Trees:
    """Three machines, of which all are online, with empty trees. (Of two, one lost would be a mass failure.)"""
    return Trees(tmp_path, "web", "db", "mail")


def test_a_capture_keeps_a_snapshot_and_a_second_one_finds_nothing_new(trees: Trees) -> None:
    trees.put("web", index="hello", a__b="deep")
    first = trees.sync("web", "capture")
    assert (first["changed"], first["snapshots"], first["bytes_captured"]) == (True, 1, 9)
    assert first["message"] == "web: 1 tree captured, 9 bytes new to the vault"
    again = trees.sync("web", "capture")
    assert (again["changed"], again["snapshots"], again["bytes_captured"]) == (False, 0, 0)
    assert trees.open_entries() == []


def test_what_a_lost_machine_had_is_published_from_its_snapshot(trees: Trees) -> None:
    trees.put("web", index="hello", a__b="deep")
    trees.sync("web", "capture")
    trees.put("web", index="changed after the snapshot")
    trees.lose("web")
    assert trees.open_entries() == [("web", "offline", "pending")]
    before = trees.whole("web")
    planned = trees.pending(dry_run=True)
    assert trees.open_entries() == [("web", "offline", "pending")]
    done = trees.pending()
    (sync,) = done["syncs"]
    assert trees.whole("web") == before
    assert (done["failed"], done["overtaken"], done["left"]) == ([], [], [])
    assert [(c["path"], c["action"], c["side"]) for c in sync["plan"]] == [
        ("a", "create", "baseline"),
        ("a/b", "create", "baseline"),
        ("index", "create", "baseline"),
    ]
    assert planned["syncs"][0]["plan"] == sync["plan"]
    assert (sync["files_synced"], sync["bytes"], sync["baseline"]) == (2, 9, {"site": 1})
    assert sync["backup_created"]
    assert Path(sync["backup_path"]).exists()
    assert 380 <= sync["offline_duration"] < 440, "since the deadline, which was 120 s after the last beat"
    assert trees.open_entries() == []
    again = trees.sync("web", "offline")
    assert (again["changed"], again["plan"], again["backup_path"]) == (False, [], None)


def test_events_that_do_not_fit_the_machine(trees: Trees) -> None:
    with pytest.raises(MachineNotOffline, match="web is online"):
        trees.sync("web", "offline")
    trees.lose("web")
    with pytest.raises(MachineNotOnline, match="web is offline"):
        trees.sync("web", "online")
    with pytest.raises(MachineUnknown):
        trees.sync("nobody", "capture")
    assert trees.open_entries() == [("web", "offline", "pending")]


def test_a_fleet_without_trees(tmp_path: Path) -> None:
    bare = Trees(tmp_path, "web", "db", sync_paths={"site": {"path": "/www", "machines": ["db"]}})
    with pytest.raises(InvalidSettings, match="nothing to sync on web"):
        bare.sync("web", "online")


def synced(trees: Trees, *machines: str) -> None:
    for machine in machines:
        trees.sync(machine, "online")


def test_three_machines_settle_on_one_baseline(trees: Trees) -> None:
    trees.put("web", index="hello", a__b="deep")
    trees.put("db", table="rows")
    synced(trees, "web", "db", "mail", "web")
    expected = {"index": "hello", "a/b": "deep", "table": "rows"}
    assert [trees.files(machine) for machine in ("web", "db", "mail")] == [expected] * 3
    for machine in ("web", "db", "mail"):
        again = trees.sync(machine, "online")
        assert (again["changed"], again["plan"], again["files_synced"]) == (False, [], 0), again
    assert trees.open_entries() == []


def test_nobodys_program_gets_the_rights_of_another_owner(tmp_path: Path) -> None:
    path = {"path": "/www", "setuid": True, "owners": False}
    trees = Trees(tmp_path, "web", "db", "mail", sync_paths={"site": path})
    trees.put("web", tool="#!/bin/sh")
    tool = trees.www("web") / "tool"
    tool.chmod(0o4755)
    synced(trees, "web", "db")
    assert (trees.www("db") / "tool").stat().st_mode & 0o7777 == 0o755
    assert tool.stat().st_mode & 0o7777 == 0o4755
    assert [trees.sync(machine, "online")["changed"] for machine in ("db", "web")] == [False, False]


@pytest.mark.parametrize("dry_run", [True, False])
def test_a_tree_that_holds_the_store_is_refused(tmp_path: Path, dry_run: bool) -> None:
    trees = Trees(tmp_path, "web", "db", "mail", sync_paths={"site": {"path": "/store"}})
    with pytest.raises(InvalidSettings, match="holds the store itself"), trees.fleet.open() as store:
        run(
            store,
            Request("web", "online", dry_run=dry_run),
            LocalSite(str(tmp_path), str(tmp_path / "state")),
            trees.fleet.open,
        )


def test_check_mode_writes_nothing_and_says_what_is_then_done(trees: Trees) -> None:
    trees.put("web", index="hello")
    synced(trees, "web")
    trees.put("db", table="rows")
    before = (trees.fleet.tree(), trees.whole("db"))
    planned = trees.sync("db", "online", dry_run=True)
    assert (trees.fleet.tree(), trees.whole("db")) == before
    done = trees.sync("db", "online")
    assert planned["plan"] == done["plan"]
    assert planned["diff"] == done["diff"]
    assert (planned["changed"], planned["files_synced"], planned["backup_path"]) == (True, 2, None)
    assert "would make 1 change on the machine and 1 in the baseline" in planned["message"]


def test_the_whole_story_of_a_loss_and_a_return(trees: Trees) -> None:
    """Capture, edits on both sides, loss, offline sync, an edit elsewhere, return, online sync, and all of it back."""
    trees.put("web", index="v1", logo="png", old="to be deleted")
    (trees.www("web") / "index").chmod(0o640)
    (trees.www("web") / "link").symlink_to("index")
    synced(trees, "web", "db")
    trees.put("web", index="v2 of web", old=None)
    trees.sync("web", "capture")
    trees.lose("web")
    (saved,) = trees.pending()["syncs"]
    assert [(c["path"], c["action"], c["side"]) for c in saved["plan"]] == [
        ("index", "replace", "baseline"),
        ("old", "delete", "baseline"),
    ]
    synced(trees, "db")
    assert trees.files("db") == {"index": "v2 of web", "link": "v2 of web", "logo": "png"}
    trees.put("db", logo="svg", news="from db")
    synced(trees, "db")
    before = trees.whole("web")
    trees.back("web")
    assert trees.open_entries() == [("web", "online", "pending")]
    assert trees.pending()["left"][0]["machine_id"] == "web", "only the machine itself can do that"
    (returned,) = trees.pending("web")["syncs"]
    assert trees.files("web") == {"index": "v2 of web", "link": "v2 of web", "logo": "svg", "news": "from db"}
    assert returned["offline_duration"] > 370
    assert trees.open_entries() == []
    rolled = trees.sync("web", "rollback")
    assert rolled["changed"]
    assert trees.whole("web") == before
    assert trees.whole("web")["index"][0] & 0o7777 == 0o640
    assert trees.files("db")["logo"] == "svg", "others are not touched"


def test_a_rollback_takes_the_baseline_back_only_if_nobody_has_built_on_it(trees: Trees) -> None:
    trees.put("web", index="v1")
    synced(trees, "web", "db")
    trees.put("web", index="v2")
    second = trees.sync("web", "online")
    assert second["baseline"] == {"site": 2}
    rolled = trees.sync("web", "rollback", sync_id=second["sync_id"])
    assert [(c["side"], c["action"]) for c in rolled["plan"]] == [("baseline", "replace")]
    assert trees.files("web") == {"index": "v2"}, "it was the machine that had changed; that sync did not touch it"
    synced(trees, "db")
    assert trees.files("db") == {"index": "v1"}
    third = trees.sync("web", "online")
    trees.put("db", more="of db")
    synced(trees, "db")
    again = trees.sync("web", "rollback", sync_id=third["sync_id"])
    assert again["plan"] == [], "the baseline has gone on"


def test_a_rollback_can_be_taken_back(trees: Trees) -> None:
    trees.put("web", index="v1")
    synced(trees, "web", "db")
    trees.put("db", index="v2")
    synced(trees, "db", "web")
    rolled = trees.sync("web", "rollback")
    assert trees.files("web") == {"index": "v1"}
    trees.sync("web", "rollback", sync_id=rolled["sync_id"])
    assert trees.files("web") == {"index": "v2"}


def test_a_rollback_of_an_offline_sync_can_be_taken_back_and_touches_no_tree(trees: Trees) -> None:
    trees.put("web", **{"f%d" % n: str(n) for n in range(10)})
    synced(trees, "web", "db")
    trees.put("web", f0="edited")
    trees.sync("web", "capture")
    trees.lose("web")
    (saved,) = trees.pending()["syncs"]
    trees.back("web")
    trees.put("web", f1="edited after the snapshot")
    before = trees.whole("web")
    rolled = trees.sync("web", "rollback", sync_id=saved["sync_id"])
    assert [(c["path"], c["side"]) for c in rolled["plan"]] == [("f0", "baseline")]
    again = trees.sync("web", "rollback", sync_id=rolled["sync_id"])
    assert [(c["path"], c["side"]) for c in again["plan"]] == [("f0", "baseline")]
    assert trees.whole("web") == before
    synced(trees, "db")
    assert trees.files("db")["f0"] == "edited"


def test_a_rollback_does_not_empty_a_tree_by_itself(trees: Trees) -> None:
    """Its files are not what the sync has brought, and the record says that there were none before."""
    synced(trees, "web")
    trees.put("db", **{"f%d" % n: str(n) for n in range(4)})
    synced(trees, "db")
    brought = trees.sync("web", "online")["sync_id"]
    trees.put("web", **{"own%d" % n: "own" for n in range(4)})
    trees.sync("web", "rollback", sync_id=brought, dry_run=True)
    trees.put("web", own4="own")
    before = trees.whole("web")
    with pytest.raises(SyncMassDelete, match="would delete on web 5 of 9 files, and these did not come with the sync"):
        trees.sync("web", "rollback", sync_id=brought)
    assert trees.whole("web") == before
    trees.sync("web", "rollback", sync_id=brought, force=True)
    assert trees.files("web") == {}


def test_a_rollback_leaves_what_another_machine_has_published(trees: Trees, monkeypatch: pytest.MonkeyPatch) -> None:
    """web's sync fails when it has written down the version that it is about to publish, and db publishes that."""
    trees.put("web", index="v1", other="v1")
    synced(trees, "web", "db")
    trees.put("web", index="of web")
    trees.put("db", other="of db")

    def away(*_args: Any) -> Any:
        raise StoreUnavailable("the store went away")

    with monkeypatch.context() as patched:
        patched.setattr(doing, "publish", away)
        with pytest.raises(StoreUnavailable):
            trees.sync("web", "online")
    assert trees.sync("db", "online")["baseline"] == {"site": 2}
    assert trees.sync("web", "rollback")["plan"] == []
    synced(trees, "db")
    assert trees.files("db")["other"] == "of db"


def test_a_rollback_that_fails_half_way_takes_nothing_from_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trees = Trees(tmp_path, "web", "db", "mail", sync_paths={"a": {"path": "/www/a"}, "b": {"path": "/www/b"}})
    for content in ("old", "new"):
        for machine in ("web", "db", "mail"):
            (trees.www(machine) / "a").mkdir(exist_ok=True)
            (trees.www(machine) / "b").mkdir(exist_ok=True)
        trees.put("web", a__x=content, b__x=content)
        synced(trees, "web", "db", "mail")
    real = localsite.apply

    def full(root: str, spec: TreeSpec, *args: Any, **options: Any) -> Any:
        if spec.name == "b":
            raise DiskSpaceLow("there is no room for b")
        return real(root, spec, *args, **options)

    monkeypatch.setattr(localsite, "apply", full)
    with pytest.raises(DiskSpaceLow):
        trees.sync("db", "rollback")
    monkeypatch.undo()
    assert trees.files("db") == {"a/x": "old", "b/x": "new"}
    synced(trees, "db", "mail")
    assert trees.files("db") == trees.files("mail") == {"a/x": "new", "b/x": "new"}


def test_a_machine_that_is_lost_right_after_a_sync_undoes_nothing(trees: Trees) -> None:
    """Its last capture was from before the sync."""
    trees.put("web", index="v1")
    synced(trees, "web", "db")
    trees.put("db", index="v2")
    synced(trees, "db", "web")
    trees.lose("web")
    (saved,) = trees.pending()["syncs"]
    assert saved["plan"] == []
    trees.back("web")
    trees.sync("web", "rollback")
    assert trees.files("web") == {"index": "v1"}
    trees.lose("web")
    trees.pending()
    synced(trees, "db")
    assert trees.files("db") == {"index": "v2"}


def test_a_capture_that_was_overtaken_is_not_put_in_front(trees: Trees, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sync came between looking at the tree and noting it: seen from there, it would look undone. The sync is real;
    only that it comes just then is arranged."""
    trees.put("web", index="v1")
    synced(trees, "web", "db")
    trees.put("db", index="v2")
    synced(trees, "db")
    trees.put("web", other="new")
    site = trees.site("web")
    look = site.capture

    def overtaken(*args: Any) -> Any:
        found = look(*args)
        synced(trees, "web")
        return found

    monkeypatch.setattr(site, "capture", overtaken)
    with trees.fleet.open() as store:
        done = run(store, Request("web", "capture"), site, trees.fleet.open)
    assert done["snapshots"] == 0
    trees.lose("web")
    (saved,) = trees.pending()["syncs"]
    assert saved["plan"] == []


def conflict(trees: Trees) -> None:
    """web and db have both changed one file, and db was first."""
    trees.put("web", index="v1", other="same")
    synced(trees, "web", "db")
    trees.put("web", index="of web")
    trees.put("db", index="of db")
    synced(trees, "db")


@pytest.mark.parametrize(("policy", "wins"), [("baseline", "of db"), ("machine", "of web")])
def test_a_policy_decides_and_the_loser_is_kept(trees: Trees, policy: str, wins: str) -> None:
    conflict(trees)
    done = trees.sync("web", "online", conflict_policy=policy, create_backup=False)
    assert (done["conflicts_resolved"], done["decisions_created"]) == (1, 0)
    assert done["backup_created"], "what lost must not be forgotten"
    assert trees.files("web")["index"] == wins
    synced(trees, "db")
    assert trees.files("db")["index"] == wins
    (found,) = done["conflicts"]
    assert (found["path"], found["resolution"]) == ("index", policy)
    assert [kept["side"] for kept in found["kept"]] == ["machine" if policy == "baseline" else "baseline"]


def test_sync_from_baseline_off_leaves_the_machine_alone(trees: Trees) -> None:
    trees.put("web", index="v1")
    synced(trees, "web")
    trees.put("db", table="rows")
    done = trees.sync("db", "online", sync_from_baseline=False)
    assert trees.files("db") == {"table": "rows"}
    assert {c["side"] for c in done["plan"]} == {"baseline"}
    synced(trees, "db", "web")
    assert trees.files("db") == trees.files("web") == {"index": "v1", "table": "rows"}


@pytest.mark.parametrize("by_event", [True, False], ids=["event", "pending"])
def test_a_return_stays_pending_until_the_machine_is_up_to_date(trees: Trees, by_event: bool) -> None:
    trees.put("web", index="v1")
    synced(trees, "web")
    trees.lose("db")
    trees.pending()
    trees.back("db")
    before = trees.open_entries()
    (event_id,) = trees.fleet.ledger().state.syncs
    trees.put("db", table="rows")
    for _turn in range(2):
        if by_event:
            trees.sync("db", "online", sync_from_baseline=False)
        else:
            assert [one["event_id"] for one in trees.pending("db", sync_from_baseline=False)["syncs"]] == [event_id]
        assert trees.open_entries() == before
        assert trees.files("db") == {"table": "rows"}
    reason = trees.fleet.ledger().state.syncs[event_id].reason
    assert reason == "the baseline has what db has changed, but it is not up to date"
    trees.pending("db")
    assert trees.open_entries() == []
    assert trees.files("db") == {"index": "v1", "table": "rows"}


def test_an_unmounted_tree_is_not_published_as_a_deletion(trees: Trees) -> None:
    trees.put("web", **{"f%d" % n: str(n) for n in range(5)})
    synced(trees, "web", "db")
    trees.put("web", **{"f%d" % n: None for n in range(4)})
    with pytest.raises(SyncMassDelete, match="has lost 4 of 5 files"):
        trees.sync("web", "online")
    (trees.www("web") / "f4").unlink()
    trees.www("web").rmdir()
    with pytest.raises(SyncMassDelete, match="its directory is missing"):
        trees.sync("web", "online")
    synced(trees, "db")
    assert len(trees.files("db")) == 5
    trees.www("web").mkdir()
    trees.sync("web", "online", force=True)
    with pytest.raises(SyncMassDelete, match="the baseline of tree site would delete on db 5 of 5 files"):
        trees.sync("db", "online")


def test_one_machine_that_fails_stops_no_other(trees: Trees) -> None:
    trees.put("web", index="hello")
    trees.put("db", table="rows")
    synced(trees, "web", "db", "web")
    trees.lose("web")
    trees.back("web")
    trees.lose("db")
    trees.back("db")
    trees.put("web", index=None, table=None)
    done = trees.pending("web", "db")
    assert [(one["machine_id"], one["error_code"]) for one in done["failed"]] == [("web", "SYNC_MASS_DELETE")]
    assert [one["machine_id"] for one in done["syncs"]] == ["db"]
    assert [(m, state) for m, _event, state in trees.open_entries()] == [("web", "failed")]
    assert [one["attempts"] for one in done["left"]] == [1]
    (sync,) = trees.pending("web", force=True)["syncs"]
    assert sync["files_synced"] == 2


def test_a_failure_that_names_a_file_of_any_bytes_stops_no_other(trees: Trees, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its reason is written into the journal, which holds text alone."""
    trees.put("mail", index="hello")
    synced(trees, "mail")
    trees.lose("web", "db")
    trees.pending()
    trees.back("web", "db")
    real = localsite.apply

    def broken(root: str, *args: Any, **options: Any) -> Any:
        if root == str(trees.www("web")):
            raise failure(OSError(errno.EIO, "Input/output error"), "change", root + "/" + os.fsdecode(b"file\xff"))
        return real(root, *args, **options)

    monkeypatch.setattr(localsite, "apply", broken)
    done = trees.pending("web", "db")
    assert [one["machine_id"] for one in done["failed"]] == ["web"]
    assert [one["machine_id"] for one in done["syncs"]] == ["db"]
    (entry,) = trees.fleet.rebuilt().state.syncs.values()
    assert (entry.machine_id, entry.state) == ("web", "failed")
    assert entry.reason is not None
    assert "file\\xff" in entry.reason


def test_who_has_lost_the_claim_moves_no_base(trees: Trees, monkeypatch: pytest.MonkeyPatch) -> None:
    """web's first worker stands still after changing the tree, until its claim has run out, and a second one syncs."""
    trees.put("web", index="v1", other="same", more="same", last="same")
    synced(trees, "web", "db")
    trees.put("db", index="v2")
    synced(trees, "db")
    site = trees.site("web")
    change = site.apply

    def slow(*args: Any) -> Any:
        done = change(*args)
        with trees.fleet.open() as store:
            for entry in trees.fleet.ledger().state.syncs.values():
                assert entries.renew(store, entry, 0)
        trees.put("web", other=None)
        synced(trees, "web")
        monkeypatch.setattr(claim, "boot_time", lambda: time.monotonic_ns() * 1000)
        return done

    monkeypatch.setattr(site, "apply", slow)
    with trees.fleet.open() as store, pytest.raises(LockTimeout, match="somebody else has taken it"):
        run(store, Request("web", "online"), site, trees.fleet.open)
    monkeypatch.undo()
    trees.put("web", other="same")
    again = trees.sync("web", "online")
    assert [(c["path"], c["action"], c["side"]) for c in again["plan"]] == [("other", "create", "baseline")]


def test_a_version_is_not_given_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between web's plan and its publication others publish twice, and upkeep takes the first of the two away."""
    trees = Trees(tmp_path, "web", "db", "mail", keep_snapshots=1)
    trees.put("web", index="v1", other="same")
    synced(trees, "web", "db", "mail")
    trees.put("web", index="of web")
    publish = doing.publish

    def late(*args: Any) -> Any:
        monkeypatch.undo()
        for turn in range(2):
            trees.put("db", other="of db, %d" % turn)
            synced(trees, "db", "mail")
        versions = trees.fleet.path / "vault" / "refs" / "baseline" / "site"
        min(versions.iterdir()).unlink()
        sorted(versions.iterdir())[0].unlink()
        return publish(*args)

    monkeypatch.setattr(doing, "publish", late)
    assert trees.sync("web", "online")["baseline"] == {"site": 4}
    synced(trees, "db")
    assert trees.files("web") == trees.files("db") == {"index": "of web", "other": "of db, 1"}


def test_a_version_that_was_torn_keeps_nobody_from_publishing(trees: Trees) -> None:
    """Its writer died in the middle of it, in a store without hard links."""
    trees.put("web", index="v1", other="v1")
    synced(trees, "web", "db")
    torn = trees.fleet.path / "vault" / "refs" / "baseline" / "site" / ("%020d.json" % 2)
    torn.write_bytes(b"\n")
    os.utime(torn, (1e9, 1e9))
    trees.put("web", index="v2")
    assert trees.sync("web", "online", dry_run=True)["baseline"] == {"site": 3}
    assert trees.sync("web", "online")["baseline"] == {"site": 3}
    synced(trees, "db")
    assert trees.files("db") == {"index": "v2", "other": "v1"}
    assert trees.sync("web", "rollback")["baseline"] == {"site": 4}
    synced(trees, "db")
    assert trees.files("db") == {"index": "v1", "other": "v1"}


@pytest.mark.parametrize("folder", ["baseline/site", "machines/web/site/snapshots"])
def test_a_number_that_leaves_none_after_it_is_named(trees: Trees, folder: str) -> None:
    """What had the next one would never be found: a sync would seem to be done, and be taken back by the next."""
    trees.put("web", index="v1", other="v1")
    synced(trees, "web")
    last = trees.fleet.path / "vault" / "refs" / folder / ("9" * 20 + ".json")
    last.touch()
    os.utime(last, (1e9, 1e9))
    trees.put("web", index="v2")
    with pytest.raises(StoreCorrupt, match="leaves no number for the next; move it away"):
        trees.sync("web", "online")
    last.unlink()
    synced(trees, "web", "db")
    assert trees.files("db") == {"index": "v2", "other": "v1"}


def test_a_conflict_that_comes_up_while_publishing_is_recorded(trees: Trees, monkeypatch: pytest.MonkeyPatch) -> None:
    """Although no backup is wanted: what loses is named nowhere else."""
    trees.put("web", index="v1")
    synced(trees, "web", "db")
    trees.put("web", index="of web")
    trees.put("db", index="of db")
    real = Refs.publish

    def overtaken(*args: Any) -> bool:
        monkeypatch.setattr(Refs, "publish", real)
        synced(trees, "db")
        return real(*args)

    monkeypatch.setattr(Refs, "publish", overtaken)
    done = trees.sync("web", "online", create_backup=False, conflict_policy="baseline")
    assert (done["conflicts_resolved"], trees.files("web")) == (1, {"index": "of db"})
    assert done["backup_path"] is not None
    trees.sync("web", "rollback")
    assert trees.files("web") == {"index": "of web"}


def test_a_sync_of_very_many_conflicts_can_be_taken_back(trees: Trees, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its record was too long to be read; then upkeep ends, too, for nobody knows what it names."""
    names = ["file%d" % number for number in range(40)]
    for machine in ("web", "db"):
        trees.put(machine, **dict.fromkeys(names, "of " + machine))
    monkeypatch.setattr(doing, "MOST_KEPT", 5, raising=False)
    monkeypatch.setattr(refdir, "MAX_BYTES", 4096)
    synced(trees, "web")
    done = trees.sync("db", "online", conflict_policy="baseline")
    assert done["conflicts_resolved"] == 40
    with trees.fleet.open() as store:
        keeping.collect(store, 0.0)
    trees.sync("db", "rollback")
    assert trees.files("db") == dict.fromkeys(names, "of db")


def test_what_is_excluded_now_was_not_lost(trees: Trees) -> None:
    trees.put("web", index="hello", **{"log__f%d" % n: str(n) for n in range(8)})
    synced(trees, "web", "db")
    with trees.fleet.open() as store:
        manage(store, FleetRequest(settings={"sync_paths": {"site": {"path": "/www", "exclude": ["log/"]}}}))
    done = trees.sync("web", "online")
    assert done["plan"] == []
    trees.put("web", index=None)
    with pytest.raises(SyncMassDelete, match="has lost 1 of 1 files"):
        trees.sync("web", "online")


def test_what_was_left_alone_is_no_change(trees: Trees, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two files that db is to get, db edits one at that moment; then it has no such owner, again and again."""
    trees.put("web", index="v1", other="v1")
    synced(trees, "web", "db")
    trees.put("web", index="v2", other="of web")
    synced(trees, "web")
    site = trees.site("db")
    change = site.apply

    def edited(*args: Any) -> Any:
        trees.put("db", index="edited by db")
        return change(*args)

    monkeypatch.setattr(site, "apply", edited)
    with trees.fleet.open() as store:
        done = run(store, Request("db", "online"), site, trees.fleet.open)
    assert (done["files_synced"], done["bytes"], done["plan_size"]) == (1, 6, 2)
    assert "made 1 change on the machine" in done["message"]
    assert [one["path"] for one in done["left_alone"]] == ["index"]
    trees.put("db", index="v1")

    def nobody(name: str, _number: int) -> int:
        raise attributes.NoSuchOwner("there is no user %s here" % name)

    monkeypatch.setattr(attributes, "_user", nobody)
    before = trees.fleet.tree()
    for _turn in range(2):
        done = trees.sync("db", "online")
        assert (done["files_synced"], done["backup_path"], done["sync_id"]) == (0, None, None)
        assert [one["path"] for one in done["left_alone"]] == ["index"]
    assert not done["changed"]
    kept = [path for path in trees.fleet.tree() if path not in before and "/syncs/" in path]
    assert kept == []


@pytest.mark.parametrize("sync_paths", [{}, {"site": {"path": "/www", "machines": ["web"]}}], ids=["none", "others'"])
def test_a_machine_without_trees_leaves_nothing_pending(tmp_path: Path, sync_paths: Any) -> None:
    trees = Trees(tmp_path, "web", "db", "mail", sync_paths=sync_paths)
    trees.lose("db")
    planned = trees.pending(dry_run=True)
    done = trees.pending()
    assert (done["syncs"], done["failed"], done["left"]) == ([], [], [])
    assert [one["machine_id"] for one in done["overtaken"]] == ["db"]
    assert "there is nothing to sync on db" in done["overtaken"][0]["reason"]
    assert planned["overtaken"] == done["overtaken"]
    trees.back("db")
    assert [one["machine_id"] for one in trees.pending()["overtaken"]] == ["db"], "and nobody has to visit it for that"
    assert trees.open_entries() == []


def test_a_sync_with_options_of_its_own_is_not_finished_with_others(trees: Trees) -> None:
    """Nobody knows what was asked for but who asked."""
    trees.put("web", a="1")
    trees.put("db", b="2")
    synced(trees, "db")
    own = killed(trees, {"sync_from_baseline": False})
    done = trees.pending("web")
    assert [one["event_id"] for one in done["overtaken"]] == [own]
    assert "has to ask again" in done["overtaken"][0]["reason"]
    assert trees.files("web") == {"a": "1"}
    assert trees.open_entries() == []
    killed(trees, {})
    trees.pending("web")
    assert trees.files("web") == {"a": "1", "b": "2"}


def killed(trees: Trees, options: Any) -> str:
    """A sync of web that was asked for, and whose worker died; the id of its entry."""
    with trees.fleet.open() as store:
        entry = entries.ask(store, "web", "online", own=Request("web", "online", **options).has_options)
        assert entries.renew(store, entry, 0)
    return entry.event_id


def test_a_machine_that_is_late_is_neither_lost_nor_back(trees: Trees) -> None:
    trees.fleet.age("web", 100)
    trees.fleet.check()
    with pytest.raises(MachineNotOffline, match="web is late and not yet known to be lost; wait"):
        trees.sync("web", "offline")
    with pytest.raises(MachineNotOnline, match="web is late and not yet known to be lost; wait"):
        trees.sync("web", "online")
