# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A machine that has lost its files gets them back from the baseline, and nobody takes them for deleted."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.errors import SyncMassDelete
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.sync.refs import Refs
from ansible_collections.roosync.heartbeat.tests.unit.checker.trees import Trees


@pytest.fixture
def trees(tmp_path: Path) -> Trees:
    """Three machines with the same tree, of which one has just lost a part of it, or all."""
    made = Trees(tmp_path, "web", "db", "mail")
    made.put("web", index="hello", a__b="deep", a__c="deeper", news="today")
    (made.www("web") / "index").chmod(0o640)
    (made.www("web") / "link").symlink_to("index")
    (made.www("web") / "empty").mkdir(mode=0o750)
    for machine in ("web", "db", "mail"):
        made.sync(machine, "online")
    return made


@pytest.mark.parametrize("root_too", [False, True])
def test_all_of_it(trees: Trees, root_too: bool) -> None:
    before = trees.whole("web")
    time = os.stat(trees.www("web") / "news").st_mtime_ns
    shutil.rmtree(trees.www("web"))
    if not root_too:
        trees.www("web").mkdir()
    with pytest.raises(SyncMassDelete):
        trees.sync("web", "online")
    planned = trees.sync("web", "online", restore=True, dry_run=True)
    done = trees.sync("web", "online", restore=True)
    assert planned["plan"] == done["plan"]
    assert {(c["action"], c["side"]) for c in done["plan"]} == {("create", "machine")}
    assert trees.whole("web") == before == trees.whole("db")
    assert os.stat(trees.www("web") / "news").st_mtime_ns == time
    assert not trees.sync("web", "online")["changed"], "it is as any other machine again"
    assert not trees.sync("db", "online")["changed"], "nothing was deleted elsewhere"


def test_a_part_of_it_while_both_sides_go_on(trees: Trees) -> None:
    trees.put("web", a=None, news=None, own="new here")
    trees.put("db", news="tomorrow")
    trees.sync("db", "online")
    done = trees.sync("web", "online", restore=True)
    assert done["conflicts"] == []
    assert trees.files("web") == {
        "index": "hello",
        "link": "hello",
        "a/b": "deep",
        "a/c": "deeper",
        "news": "tomorrow",
        "own": "new here",
    }


def test_what_the_fleet_has_deleted_stays_deleted(trees: Trees) -> None:
    """web has lost some files, and still has one that is no longer meant to be."""
    trees.put("db", index=None)
    trees.sync("db", "online")
    trees.put("web", news=None, a=None)
    done = trees.sync("web", "online", restore=True, conflict_policy="baseline")
    assert done["conflicts"] == []
    assert [c["path"] for c in done["plan"] if c["action"] == "delete"] == ["index"]
    assert {c["side"] for c in done["plan"]} == {"machine"}
    assert trees.whole("web") == trees.whole("db")


def test_what_was_lost_and_deleted_is_no_loss_afterwards(trees: Trees) -> None:
    """Nothing has to come back, and the next sync must not ask for it again."""
    trees.put("db", a=None, news=None, link=None)
    trees.sync("db", "online", force=True)
    trees.put("web", a=None, news=None, link=None)
    with pytest.raises(SyncMassDelete):
        trees.sync("web", "online")
    assert trees.sync("web", "online", restore=True)["files_synced"] == 0
    for options in ({}, {"restore": True}):
        assert not trees.sync("web", "online", **options)["changed"]
    assert trees.files("web") == {"index": "hello"}


def test_a_file_where_a_directory_was(trees: Trees) -> None:
    trees.put("web", a=None, news=None)
    trees.put("web", a="a file now")
    done = trees.sync("web", "online", restore=True, conflict_policy="baseline")
    assert [(c["path"], c["resolution"]) for c in done["conflicts"]] == [("a", "baseline")]
    assert trees.whole("web") == trees.whole("db")


def test_it_can_be_taken_back(trees: Trees) -> None:
    trees.put("web", a=None)
    before = trees.whole("web")
    trees.sync("web", "online", restore=True)
    trees.sync("web", "rollback")
    assert trees.whole("web") == before
    assert [c["path"] for c in trees.sync("web", "online")["plan"]] == ["a", "a/b", "a/c"], "as before: deleted"


OLD, NEW = "e" * 32, "f" * 32


def reimaged(tmp_path: Path, former: str = OLD, **settings: Any) -> Trees:
    """web was synced, the others went on, and a host with web's files of long ago has taken its name over."""
    made = Trees(tmp_path, "web", "db", "mail", **settings)
    made.fleet.beat("web", fingerprint=former)
    made.put("web", **{"f%d" % n: "old" for n in range(8)})
    for machine in ("web", "db"):
        made.sync(machine, "online")
    image = tmp_path / "image"
    shutil.copytree(made.www("web"), image)
    made.put("db", f0="newer", f1=None, extra="new")
    made.sync("db", "online")
    made.sync("web", "online")
    made.lose("web")
    made.pending()
    shutil.rmtree(made.www("web"))
    shutil.copytree(image, made.www("web"))
    made.fleet.beat("web", fingerprint=NEW, took_over=OLD, boot_id="other")
    made.fleet.check()
    return made


@pytest.mark.parametrize("event", ["online", "offline"])
def test_a_host_that_takes_a_name_over_does_not_take_the_fleet_back(tmp_path: Path, event: str) -> None:
    """What it does not have was not deleted by it, and what differs is a question."""
    trees = reimaged(tmp_path)
    if event == "online":
        (done,) = trees.pending("web")["syncs"]
        assert "another host" in done["message"]
    else:
        trees.sync("web", "capture")
        trees.lose("web")
        (done,) = trees.pending()["syncs"]
    assert [(c["path"], c["resolution"]) for c in done["conflicts"]] == [("f0", "open")]
    changed = {(c["path"], c["action"], c["side"]) for c in done["plan"]}
    assert ("f1", "create", "baseline") in changed, "what one side alone has is kept"
    assert not [change for change in changed if change[1] != "create"]
    trees.sync("db", "online")
    assert (trees.files("db")["f0"], trees.files("db")["extra"]) == ("newer", "new")
    if event == "online":
        assert trees.files("web")["extra"] == "new"
        trees.put("web", extra=None)
        again = trees.sync("web", "online")
        assert [(c["path"], c["action"]) for c in again["plan"]] == [("extra", "delete")], "it is web now"
        assert "another host" not in again["message"]


def test_every_snapshot_says_of_which_host_it_is(trees: Trees) -> None:
    trees.fleet.beat("web", fingerprint=NEW)
    trees.put("web", news="of web")
    trees.sync("web", "capture")
    trees.put("db", index="of db")
    trees.sync("db", "online")
    trees.sync("web", "online")
    trees.sync("web", "rollback")
    with Refs(str(trees.fleet.path / "vault")) as refs:
        kept = [one.host for one in refs.strict_snapshots("web", "site")]
    assert kept[-3:] == [NEW] * 3


def test_a_torn_heartbeat_makes_no_other_host_of_a_machine(tmp_path: Path) -> None:
    """It says nothing of who sent it; and what the base says of that stays, although this one had the name anew."""
    trees = Trees(tmp_path, "web", "db", "mail")
    who = {"fingerprint": "a" * 32, "took_over": "b" * 32}
    trees.fleet.beat("web", **who)
    trees.put("web", index="hello", gone="x", other="y")
    for machine in ("web", "db"):
        trees.sync(machine, "online")
    for torn, gone in ((True, "gone"), (False, "other")):
        trees.put("web", index="changed with %s" % gone, **{gone: None})
        if torn:
            trees.fleet.record("web").write_bytes(b"")
        else:
            trees.fleet.beat("web", **who)
        done = trees.sync("web", "online")
        assert (done["decisions_created"], "another host" in done["message"]) == (0, False)
        trees.sync("db", "online")
        assert trees.files("db") == trees.files("web")
    assert trees.files("web") == {"index": "changed with other"}


def test_a_new_host_with_an_empty_disk_is_brought_up_to_date(tmp_path: Path) -> None:
    trees = reimaged(tmp_path)
    shutil.rmtree(trees.www("web"))
    trees.pending("web")
    assert trees.files("web") == trees.files("db")


def test_what_the_former_host_had_is_saved_and_is_no_base_of_the_new_one(tmp_path: Path) -> None:
    """The new one has beaten and is lost before anybody has looked at its files: the last snapshot is the other's."""
    trees = reimaged(tmp_path)
    trees.lose("web")
    trees.pending()
    trees.back("web")
    trees.fleet.beat("web", fingerprint=NEW)
    done = trees.sync("web", "online")
    assert [(c["path"], c["resolution"]) for c in done["conflicts"]] == [("f0", "open")]
    assert not [c for c in done["plan"] if c["action"] != "create"]


def test_a_base_of_before_that_names_no_host_is_not_of_a_newcomer(tmp_path: Path) -> None:
    trees = reimaged(tmp_path, former="")
    (done,) = trees.pending("web")["syncs"]
    assert not [c for c in done["plan"] if c["action"] != "create"]
    trees.put("web", extra=None)
    again = trees.sync("web", "online")
    assert [(c["path"], c["action"]) for c in again["plan"]] == [("extra", "delete")]


def test_a_base_of_before_that_names_no_host_is_believed_of_who_was_always_there(trees: Trees) -> None:
    trees.fleet.beat("web", fingerprint=NEW)
    trees.put("web", news=None)
    done = trees.sync("web", "online")
    assert [(c["path"], c["action"], c["side"]) for c in done["plan"]] == [("news", "delete", "baseline")]
