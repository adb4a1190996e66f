# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a drill does on a machine: nothing outside of its own folder and the tree that it destroys, and all put back."""

from __future__ import annotations

import os
import shutil
import socket
from pathlib import Path
from typing import Any, Dict, Tuple

import pytest

from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.drill import aside
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.drill.trees import DrilledMachine
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.errors import HeartbeatError, InvalidSettings
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.sync.places import cache_path, placed
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.sync.spec import from_mapping
from ansible_collections.roosync.heartbeat.tests.unit.stdlib.faults import root_only

ID = "20260131T120000Z-3f1c0a9b77d2"
SITE = {"site": {"path": "/srv/www", "exclude": ["logs"]}}
OWN = {"drill-own": {"path": "/drills/%s/tree" % ID}}


def whole(root: Path) -> Dict[str, Tuple[Any, ...]]:
    found: Dict[str, Tuple[Any, ...]] = {}
    for path in sorted(root.rglob("*")):
        state = path.lstat()
        content: Any = os.readlink(str(path)) if path.is_symlink() else None
        if path.is_file() and not path.is_symlink():
            content = (path.read_bytes(), state.st_mtime_ns, state.st_ino)
        found[str(path.relative_to(root))] = (state.st_mode, state.st_uid, state.st_gid, content)
    return found


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A machine with a tree in which there is something of each kind."""
    site = tmp_path / "srv" / "www"
    (site / "deep" / "er").mkdir(parents=True)
    (site / "logs").mkdir()
    (site / "empty").mkdir(mode=0o750)
    (site / "index").write_text("hello")
    (site / "private").write_text("secret")
    (site / "private").chmod(0o600)
    (site / "deep" / "er" / "file").write_text("deep")
    (site / "logs" / "today").write_text("not part of the tree")
    (site / "link").symlink_to("index")
    with socket.socket(socket.AF_UNIX) as sock:
        here = os.getcwd()
        os.chdir(str(site))  # the path of a socket must be short
        sock.bind("socket")
        os.chdir(here)
    return tmp_path


def machine(root: Path, trees: Any = None) -> DrilledMachine:
    return DrilledMachine(ID, "/drills", SITE if trees is None else trees, str(root))


def begun(root: Path) -> DrilledMachine:
    made = machine(root)
    made.prepare("")
    made.remember()
    return made


def test_a_destroyed_tree_is_put_back_as_it_was(root: Path) -> None:
    before = whole(root)
    drilled = begun(root)
    assert drilled.destroy("site", scratch=False)["destroyed"] == 7
    assert list((root / "srv" / "www").iterdir()) == []
    assert (root / "srv" / f".roosync-drill-{ID}-site").stat().st_mode & 0o777 == 0o700
    found = machine(root).compare()["trees"]["site"]
    assert {one["what"] for one in found["differences"]} == {"missing"}
    assert found["differing"] == found["entries"] == 7
    done = machine(root).finish(recovered=False)
    assert done == {"changed": True, "put_back": 7, "kept": None}
    assert whole(root) == before, "the very same files"
    assert machine(root).finish(recovered=False) == {"changed": False, "put_back": 0, "kept": None}


def copy_back(root: Path) -> None:
    """As a sync recovers a tree: other files, with all that counts as it was."""
    lost = root / "srv" / f".roosync-drill-{ID}-site"
    for path in lost.iterdir():
        target = root / "srv" / "www" / path.name
        if path.name in ("logs", "socket"):
            continue
        if path.is_dir():
            shutil.copytree(str(path), str(target))
        else:
            shutil.copy2(str(path), str(target), follow_symlinks=False)


def test_what_was_recovered_stays_and_what_is_no_part_of_the_tree_is_put_back(root: Path) -> None:
    before = whole(root)
    drilled = begun(root)
    drilled.destroy("site", scratch=False)
    copy_back(root)
    assert drilled.compare()["trees"]["site"]["differing"] == 0
    assert drilled.finish(recovered=True)["kept"] is None
    after = whole(root)
    assert sorted(after) == sorted(before)
    assert after["srv/www/logs/today"] == before["srv/www/logs/today"]
    assert after["srv/www/index"] != before["srv/www/index"], "it is the recovered one"
    assert not (root / "drills").exists()


def test_nothing_is_ever_replaced_and_nothing_is_thrown_away_that_somebody_has_changed(root: Path) -> None:
    drilled = begun(root)
    stream = (root / "srv" / "www" / "deep" / "er" / "file").open("a")
    drilled.destroy("site", scratch=False)
    copy_back(root)
    (root / "srv" / "www" / "index").write_text("edited while the drill went on")
    with stream:
        stream.write(", and more by who had it open")
    lost = root / "srv" / f".roosync-drill-{ID}-site"
    for _again in range(2):
        done = drilled.finish(recovered=True)
        assert done["kept"] == str(lost)
        assert sorted(whole(lost)) == ["deep", "deep/er", "deep/er/file", "index"]
        assert (root / "srv" / "www" / "index").read_text() == "edited while the drill went on"
    (root / "srv" / "www" / "index").unlink()
    shutil.rmtree(str(root / "srv" / "www" / "deep"))
    assert drilled.finish(recovered=False)["kept"] is None
    assert (root / "srv" / "www" / "index").read_text() == "hello"
    assert (root / "srv" / "www" / "deep" / "er" / "file").read_text() == "deep, and more by who had it open"


def test_what_somebody_has_removed_since_is_not_put_back(root: Path) -> None:
    drilled = begun(root)
    drilled.destroy("site", scratch=False)
    copy_back(root)
    (root / "srv" / "www" / "private").unlink()
    lost = root / "srv" / f".roosync-drill-{ID}-site"
    assert drilled.finish(recovered=True)["kept"] == str(lost)
    assert not (root / "srv" / "www" / "private").exists()
    assert (lost / "private").read_text() == "secret"


def test_a_scratch_tree_is_of_every_kind_and_leaves_nothing(root: Path) -> None:
    before = whole(root)
    drilled = machine(root, OWN)
    drilled.prepare("drill-own")
    tree = root / "drills" / ID / "tree"
    assert (root / "drills" / ID).stat().st_mode & 0o777 == 0o700
    assert {path.name: path.stat().st_mode & 0o777 for path in tree.iterdir()} == {
        "deep": 0o755,
        "empty": 0o750,
        "link": 0o644,
        "private": 0o600,
        "readable": 0o644,
    }
    assert {path.stat().st_mtime for path in tree.rglob("*") if path.is_file()} == {1_767_225_600}
    drilled.remember()
    state = root / "state"
    cache = Path(cache_path(str(state), placed(from_mapping("drill-own", OWN["drill-own"]), str(root))))
    cache.parent.mkdir(parents=True)
    cache.write_text("what a capture remembers")
    drilled.destroy("drill-own", scratch=True)
    assert not tree.exists()
    drilled.finish(recovered=False, scratch="drill-own", state_dir=str(state))
    shutil.rmtree(str(state / "scan"))
    state.rmdir()
    assert not cache.exists()
    assert whole(root) == before


@pytest.mark.parametrize("what", ["content", "mode", "owner", "kind", "target", "time", "missing", "unexpected"])
def test_each_difference_has_a_name(root: Path, what: str) -> None:
    drilled = begun(root)
    site = root / "srv" / "www"
    if what == "content":
        state = (site / "index").stat()
        (site / "index").write_text("jello")
        os.utime(str(site / "index"), ns=(state.st_atime_ns, state.st_mtime_ns))
    elif what == "mode":
        (site / "private").chmod(0o640)
    elif what == "owner":
        root_only()
        os.chown(str(site / "private"), 1234, -1)
    elif what == "kind":
        (site / "empty").rmdir()
        (site / "empty").write_text("")
    elif what == "target":
        (site / "link").unlink()
        (site / "link").symlink_to("private")
    elif what == "time":
        os.utime(str(site / "index"), (1, 1))
    elif what == "missing":
        (site / "private").unlink()
    else:
        (site / "new\n\u202e").write_text("")
    (found,) = drilled.compare()["trees"]["site"]["differences"]
    assert found["what"] == what
    assert found["tree"] == "site"


@pytest.mark.parametrize("bad", ["", "..", "../x", "a/b", ".hidden", "-x", "A" * 20, "a" * 65, "a\0"])
def test_an_id_is_one_part_of_a_path(root: Path, bad: str) -> None:
    with pytest.raises(InvalidSettings, match="no id of a drill"):
        DrilledMachine(bad, "/drills", {}, str(root))


@pytest.mark.parametrize("bad", ["", "/", "//", "drills", "/a/../b"])
def test_the_folder_is_one_of_its_own(root: Path, bad: str) -> None:
    with pytest.raises(InvalidSettings, match="a folder of the drills' own"):
        DrilledMachine(ID, bad, {}, str(root))


def test_only_its_own_tree_is_deleted_and_only_known_ones_are_destroyed(root: Path) -> None:
    before = whole(root / "srv")
    drilled = begun(root)
    with pytest.raises(InvalidSettings, match="not the drill's own"):
        drilled.destroy("site", scratch=True)
    with pytest.raises(InvalidSettings, match="not one of the trees"):
        drilled.destroy("other", scratch=False)
    with pytest.raises(InvalidSettings, match="not in the drill's folder"):
        machine(root)._fill(str(root / "srv" / "www"))
    unknown = machine(root, {"site": SITE["site"], "late": {"path": "/srv"}})
    with pytest.raises(InvalidSettings, match="has not looked at the tree late"):
        unknown.destroy("late", scratch=False)
    assert whole(root / "srv") == before


def test_no_link_leads_out_of_the_tree(root: Path) -> None:
    elsewhere = root / "elsewhere"
    (root / "srv" / "www").rename(elsewhere)
    (root / "srv" / "www").symlink_to(elsewhere)
    before = whole(elsewhere)
    drilled = machine(root)
    drilled.prepare("")
    with pytest.raises(HeartbeatError, match="symbolic link"):
        drilled.remember()
    with pytest.raises(HeartbeatError, match="symbolic link"):
        aside.put_aside(str(root / "srv" / "www"), str(root / "srv" / "aside"))
    assert whole(elsewhere) == before
    assert not (root / "srv" / "aside").exists()


def test_a_link_that_was_put_in_the_place_of_a_directory_is_not_followed(root: Path) -> None:
    drilled = begun(root)
    drilled.destroy("site", scratch=False)
    (root / "elsewhere").mkdir()
    (root / "srv" / "www" / "deep").symlink_to(root / "elsewhere")
    done = drilled.finish(recovered=False)
    assert done["kept"] is not None
    assert list((root / "elsewhere").iterdir()) == []


def test_a_mount_cannot_be_put_aside(root: Path) -> None:
    """/proc is mounted on any machine, and /dev is beside it."""
    with pytest.raises(InvalidSettings, match="a file system is mounted at"):
        aside.put_aside("/proc", str(root / "aside"))
    assert not (root / "aside").exists()


def test_a_tree_that_is_not_there_cannot_be_compared_later(root: Path) -> None:
    shutil.rmtree(str(root / "srv" / "www"))
    drilled = machine(root)
    drilled.prepare("")
    with pytest.raises(InvalidSettings, match="is not there, so that it cannot be compared later"):
        drilled.remember()


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"tree": ', "null", '{"tree": "other"}'])
def test_what_was_put_aside_is_not_forgotten_where_the_memory_is_damaged(root: Path, text: str) -> None:
    drilled = begun(root)
    drilled.destroy("site", scratch=False)
    (root / "drills" / ID / "destroyed.json").write_text(text)
    with pytest.raises(HeartbeatError, match=r"is damaged|not one of the trees"):
        drilled.finish(recovered=True)
    assert (root / "drills" / ID).exists()
    assert len(list((root / "srv" / f".roosync-drill-{ID}-site").iterdir())) == 7


def test_a_second_drill_of_the_same_id_is_refused(root: Path) -> None:
    machine(root).prepare("")
    with pytest.raises(HeartbeatError, match=r"prepare the drill: .*; give a folder .*heartbeat_drill_folder"):
        machine(root).prepare("")
