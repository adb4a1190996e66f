# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A tree becomes exactly what was planned: contents, links, modes, owners, times, and nothing else is touched."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Dict

import pytest

from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.errors import HeartbeatError
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.sync.apply import needed, recover
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.sync.manifest import Manifest
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.sync.scan import scan
from ansible_collections.roosync.heartbeat.tests.unit.stdlib.faults import root_only
from ansible_collections.roosync.heartbeat.tests.unit.stdlib.realtrees import NAME, Directory, Link, Tree, look, make

BEFORE: Dict[str, Any] = {
    "kept": "same",
    "edited": "old",
    "removed": "gone",
    "chmod": ("same content", 0o600),
    "link": Link("kept"),
    "link-to-file": Link("kept"),
    "file-to-link": "text",
    "file-to-directory": "text",
    "directory-to-file/inside": "text",
    "directory-to-file/deeper/inside": "text",
    "directory-to-link/inside": "text",
    "emptied/inside": "text",
    "going/deep/er": "text",
    "mode": Directory(0o700),
    "mode/inside": "text",
    "renamed/large": "much text",
    "closed": Directory(0o555),
    "closed/edited": "old",
    "closed/removed": "gone",
}
AFTER: Dict[str, Any] = {
    "kept": "same",
    "edited": "new",
    "chmod": ("same content", 0o644),
    "link": Link("edited"),
    "link-to-file": "text now",
    "file-to-link": Link("nowhere/at/all"),
    "file-to-directory/inside/deeper": "new",
    "file-to-directory/empty": Directory(0o711),
    "directory-to-file": "text now",
    "directory-to-link": Link("/etc/passwd"),
    "emptied": Directory(),
    "mode": Directory(0o755),
    "mode/inside": "edited",
    "to/large": "much text",
    "closed": Directory(0o555),
    "closed/edited": "new",
    "closed/new/empty": Directory(0o500),
    "caf\udce9 \u2603\n": "a name of any bytes",
}


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    made = Tree(tmp_path)
    make(made.root, BEFORE)
    make(made.goal, AFTER)
    for path in ("kept", "chmod"):  # of what keeps its content, the time is nobody's concern
        for root in (made.root, made.goal):
            os.utime(os.path.join(root, path), ns=(0, 10**18))
    return made


def test_a_tree_becomes_what_was_planned(tree: Tree) -> None:
    done = tree.apply()
    assert done.left == {}
    assert look(tree.root, times=True) == look(tree.goal, times=True)
    assert not tree.staging()


def test_there_and_back_again(tree: Tree) -> None:
    before, was = tree.scan(), look(tree.root, times=True)
    tree.apply()
    tree.apply(before.manifest)
    assert look(tree.root, times=True) == was


def test_a_second_apply_does_nothing(tree: Tree) -> None:
    tree.apply()
    inodes = {path: os.lstat(os.path.join(tree.root.encode(), path)) for path in look(tree.root)}
    tree.blobs.asked.clear()
    assert tree.apply() == (0, 0, {})
    assert {path: os.lstat(os.path.join(tree.root.encode(), path)) for path in look(tree.root)} == inodes
    assert tree.blobs.asked == {}


def test_only_what_is_nowhere_in_the_tree_is_fetched(tree: Tree) -> None:
    before, after = tree.manifest(), tree.manifest(tree.goal)
    tree.apply()
    assert set(tree.blobs.asked) == needed(before, after, tree.spec(tree.root))
    assert after.entries["to/large"].content not in tree.blobs.asked


def test_an_empty_tree_is_filled_and_emptied(tmp_path: Path) -> None:
    tree = Tree(tmp_path)
    make(tree.goal, AFTER)
    empty = tree.manifest()
    tree.apply()
    assert look(tree.root, times=True) == look(tree.goal, times=True)
    tree.apply(empty)
    assert look(tree.root) == {}


def test_owners_are_given(tree: Tree) -> None:
    root_only()
    for number, name in enumerate(["edited", "chmod", "link", "mode", "emptied", "to", "to/large", "file-to-link"]):
        os.chown(os.path.join(tree.goal, name), 40_000 + number, 50_000 + number, follow_symlinks=False)
    assert tree.apply().left == {}
    assert look(tree.root, times=True) == look(tree.goal, times=True)


def test_owners_that_are_not_synced_stay(tmp_path: Path) -> None:
    root_only()
    tree = Tree(tmp_path, owners=False)
    make(tree.root, {"edited": "old", "mode": Directory(0o700)})
    make(tree.goal, {"edited": "new", "mode": Directory(0o755), "new": "new"})
    for name in ("edited", "mode"):
        os.chown(os.path.join(tree.root, name), 40_000, 40_000)
        os.chown(os.path.join(tree.goal, name), 50_000, 50_000)
    assert tree.apply().left == {}
    for name in ("edited", "mode"):
        assert os.stat(os.path.join(tree.root, name)).st_uid == 40_000
    assert os.stat(os.path.join(tree.root, "new")).st_uid == os.geteuid()
    assert os.stat(os.path.join(tree.root, "mode")).st_mode & 0o777 == 0o755


def test_an_owner_that_does_not_exist_here_leaves_the_path_alone(tree: Tree) -> None:
    after = tree.manifest(tree.goal)
    after.entries["edited"] = after.entries["edited"]._replace(owner="nobody-knows-me", uid=0)
    done = tree.apply(after)
    assert list(done.left) == ["edited"]
    assert done.left["edited"] == "there is no user nobody-knows-me here, and 0 is root"
    assert Path(tree.root, "edited").read_text() == "old"
    assert Path(tree.root, "chmod").stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize(("setuid", "owners"), [(False, True), (True, True), (True, False)])
def test_setuid_and_setgid_come_only_if_asked_for_and_with_their_owner(
    tmp_path: Path, setuid: bool, owners: bool
) -> None:
    asked = setuid and owners
    tree = Tree(tmp_path, setuid=setuid, owners=owners)
    make(tree.root, {"old": "old", "chmod": "same", "group": Directory(0o2777), "plain": Directory(0o755)})
    make(tree.goal, {"old": "new", "chmod": "same", "new": "new", "group": Directory(0o700), "plain": Directory()})
    for name in ("old", "chmod", "new"):
        os.chmod(os.path.join(tree.goal, name), 0o6750)
    os.chmod(os.path.join(tree.goal, "plain"), 0o2775)
    tree.apply()
    modes = {name: os.stat(os.path.join(tree.root, name)).st_mode & 0o7777 for name in os.listdir(tree.root)}
    bits = 0o6000 if asked else 0
    assert modes == {
        "old": 0o750 | bits,
        "chmod": 0o750 | bits,
        "new": 0o750 | bits,
        "group": 0o700 if asked else 0o2700,
        "plain": 0o2775 if asked else 0o775,
    }


def test_the_sticky_bit_comes_always(tmp_path: Path) -> None:
    tree = Tree(tmp_path)
    make(tree.root, {"open": Directory(0o777), "private": Directory(0o1777)})
    make(tree.goal, {"open": Directory(0o1777), "new": Directory(0o1777), "private": Directory(0o700)})
    tree.apply()
    modes = {name: os.stat(os.path.join(tree.root, name)).st_mode & 0o7777 for name in os.listdir(tree.root)}
    assert modes == {"open": 0o1777, "new": 0o1777, "private": 0o700}


def test_holes_stay_holes(tmp_path: Path) -> None:
    tree = Tree(tmp_path)
    size = 64 << 20
    with open(tree.root + "/sparse", "wb") as stream:
        stream.truncate(size)
        stream.seek(size // 2)
        stream.write(b"data")
    after = tree.manifest()
    entry = after.entries.pop("sparse")
    moved = Manifest(NAME, {"moved": entry._replace(path="moved")})
    tree.apply(moved)
    state = os.stat(tree.root + "/moved")
    assert state.st_size == size
    assert state.st_blocks * 512 <= 2 << 20
    assert tree.manifest().entries["moved"].content == entry.content


def test_other_names_of_a_file_are_not_changed(tmp_path: Path) -> None:
    """A file may have a second name outside of the tree: its mode is changed by replacing it."""
    tree = Tree(tmp_path)
    make(tree.root, {"file": ("text", 0o600)})
    make(tree.goal, {"file": ("text", 0o644)})
    outside = str(tmp_path / "outside")
    os.link(tree.root + "/file", outside)
    assert tree.apply().left == {}
    assert os.stat(tree.root + "/file").st_mode & 0o777 == 0o644
    assert os.stat(outside).st_mode & 0o777 == 0o600
    assert tree.blobs.asked == {}


def test_what_is_not_known_is_left_alone(tmp_path: Path) -> None:
    tree = Tree(tmp_path)
    make(tree.root, {"d/inside": "text", "gone/inside": "text"})
    make(tree.goal, {"d": "a file now"})
    os.mkfifo(tree.root + "/d/fifo")
    os.mkfifo(tree.root + "/gone/fifo")
    done = tree.apply()
    assert set(done.left) == {"d", "gone"}
    assert sorted(os.listdir(tree.root + "/d")) == ["fifo", "inside"]
    assert os.listdir(tree.root + "/gone") == ["fifo"]


def test_excluded_files_keep_their_directory(tmp_path: Path) -> None:
    tree = Tree(tmp_path, exclude=("*.tmp",))
    make(tree.root, {"gone/a": "text", "gone/x.tmp": "mine", "gone/deep/b": "text", "gone/deep/y.tmp": "mine"})
    done = tree.apply()
    assert done.left == dict.fromkeys(["gone", "gone/deep"], "holds something that is not part of the tree")
    assert sorted(map(bytes.decode, look(tree.root))) == ["gone", "gone/deep", "gone/deep/y.tmp", "gone/x.tmp"]


def test_a_root_that_is_not_there(tmp_path: Path) -> None:
    tree = Tree(tmp_path)
    make(tree.goal, {"file": "text"})
    os.rmdir(tree.root)
    after = tree.manifest(tree.goal)
    assert recover(tree.root, tree.spec(tree.root)).outcome == "nothing"
    with pytest.raises(HeartbeatError, match="is not there; create it, or mount what belongs there"):
        tree.apply(after)


def test_paths_longer_than_the_kernel_takes_at_once(tmp_path: Path) -> None:
    tree = Tree(tmp_path)
    path = "/".join(["d" * 255] * 15)
    steps = path.split("/")
    make(tree.goal, {"f": "deep down"})
    file = tree.manifest(tree.goal).entries["f"]
    make(tree.goal, {"d": Directory()})
    directory = tree.manifest(tree.goal).entries["d"]
    entries = {}
    for count in range(1, len(steps) + 1):
        entries["/".join(steps[:count])] = directory._replace(path="/".join(steps[:count]))
    entries[path + "/" + "f" * 255] = file._replace(path=path + "/" + "f" * 255)
    assert len(tree.root) + len(path) + 255 > 4096
    empty = tree.manifest()
    tree.apply(Manifest(NAME, entries))
    found = scan(tree.spec(tree.root))
    assert set(found.manifest.entries) == set(entries)
    tree.apply(empty, before=found)
    assert os.listdir(tree.root) == []


def test_very_many_levels(tmp_path: Path) -> None:
    """More directories, one in the other, than stay open at once."""
    tree = Tree(tmp_path)
    make(tree.goal, {"d": Directory(0o700), "f": "deep down"})
    goal = tree.manifest(tree.goal).entries
    paths = ["/".join(["d"] * count) for count in range(1, 101)]
    entries = {path: goal["d"]._replace(path=path) for path in paths}
    entries.update({path + "/f": goal["f"]._replace(path=path + "/f") for path in paths})
    empty = tree.manifest()
    assert tree.apply(Manifest(NAME, entries)).left == {}
    assert set(tree.manifest().entries) == set(entries)
    tree.apply(empty)
    assert os.listdir(tree.root) == []
