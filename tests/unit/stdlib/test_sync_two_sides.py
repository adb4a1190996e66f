# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What becomes of a path that was changed on both sides: each kind of change, each policy, on real trees."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

import pytest

from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.sync.manifest import Manifest
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.sync.merge import merge
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.sync.outcome import (
    BASELINE,
    MACHINE,
    MANUAL,
    NEWEST,
    OPEN,
    POLICIES,
    Merge,
)
from ansible_collections.roosync.heartbeat.tests.unit.stdlib.changing import watched
from ansible_collections.roosync.heartbeat.tests.unit.stdlib.faults import root_only
from ansible_collections.roosync.heartbeat.tests.unit.stdlib.realtrees import Directory, Link, Tree, look, make

Content = Dict[str, Any]


class Owned(NamedTuple):
    """A file of somebody else."""

    text: str
    owner: int


class Row(NamedTuple):
    """What was there, what each side made of it, and what comes out when the machine or the baseline wins.

    Without ``machine`` and ``baseline`` the winner's side comes out as it was. ``paths`` are the conflicts. ``newest``
    is who wins by time: the machine's changes are the later ones.
    """

    base: Content
    mine: Content
    theirs: Content
    paths: Tuple[str, ...]
    machine: Optional[Content] = None
    baseline: Optional[Content] = None
    newest: str = MACHINE


TABLE = {
    "edit/edit": Row({"f": "old"}, {"f": "mine"}, {"f": "theirs"}, ("f",)),
    "create/create": Row({}, {"f": "mine"}, {"f": "theirs"}, ("f",)),
    "create/create, the same": Row({}, {"f": "same"}, {"f": "same"}, ()),
    "edit/delete": Row({"f": "old"}, {"f": "mine"}, {}, ("f",)),
    "delete/edit": Row({"f": "old"}, {}, {"f": "theirs"}, ("f",), newest=BASELINE),
    "delete/unchanged": Row({"f": "old"}, {}, {"f": "old"}, (), baseline={}),
    "unchanged/delete": Row({"f": "old"}, {"f": "old"}, {}, (), machine={}),
    "edit/unchanged": Row({"f": "old"}, {"f": "mine"}, {"f": "old"}, (), baseline={"f": "mine"}),
    "rename/edit": Row(
        {"f": "old"}, {"g": "old"}, {"f": "theirs"}, ("f",), baseline={"f": "theirs", "g": "old"}, newest=BASELINE
    ),
    "rename/rename": Row(
        {"f": "old"},
        {"mine": "old"},
        {"theirs": "old"},
        (),
        machine={"mine": "old", "theirs": "old"},
        baseline={"mine": "old", "theirs": "old"},
    ),
    "link/link": Row({"l": Link("old")}, {"l": Link("mine")}, {"l": Link("theirs")}, ("l",)),
    "file to link/edit": Row({"f": "old"}, {"f": Link("mine")}, {"f": "theirs"}, ("f",)),
    "edit/file to link": Row({"f": "old"}, {"f": "mine"}, {"f": Link("theirs")}, ("f",)),
    "chmod/edit": Row({"f": ("old", 0o644)}, {"f": ("old", 0o600)}, {"f": ("theirs", 0o644)}, ("f",)),
    "chmod/chmod": Row({"f": ("old", 0o640)}, {"f": ("old", 0o600)}, {"f": ("old", 0o644)}, ("f",)),
    "chmod/chmod of directories": Row(
        {"d": Directory(0o750), "d/f": "same"},
        {"d": Directory(0o700), "d/f": "same"},
        {"d": Directory(0o755), "d/f": "same"},
        ("d",),
    ),
    "chown/chown": Row({"f": Owned("old", 1)}, {"f": Owned("old", 40_000)}, {"f": Owned("old", 50_000)}, ("f",)),
    "empty directories": Row(
        {},
        {"mine": Directory(0o710)},
        {"theirs/deep": Directory(0o701)},
        (),
        machine={"mine": Directory(0o710), "theirs/deep": Directory(0o701)},
        baseline={"mine": Directory(0o710), "theirs/deep": Directory(0o701)},
    ),
    "file to directory/edit": Row({"p": "old"}, {"p/in/side": "mine"}, {"p": "theirs"}, ("p",)),
    "edit/file to directory": Row({"p": "old"}, {"p": "mine"}, {"p/in/side": "theirs"}, ("p",)),
    "directory to file/edit inside": Row(
        {"p/f": "old", "p/g": "same"}, {"p": "mine"}, {"p/f": "theirs", "p/g": "same"}, ("p",)
    ),
    "edit inside/directory to file": Row(
        {"p/f": "old", "p/g": "same"}, {"p/f": "mine", "p/g": "same"}, {"p": "theirs"}, ("p",)
    ),
    "delete directory/edit inside": Row(
        {"d/f": "old", "d/g": "old"},
        {},
        {"d/f": "theirs", "d/g": "old"},
        ("d/f",),
        baseline={"d/f": "theirs"},
        newest=BASELINE,
    ),
    "edit inside/delete directory": Row(
        {"d/f": "old", "d/g": "old"}, {"d/f": "mine", "d/g": "old"}, {}, ("d/f",), machine={"d/f": "mine"}
    ),
    "create inside/delete directory": Row(
        {"d/g": "old"}, {"d/f": "mine", "d/g": "old"}, {}, (), machine={"d/f": "mine"}, baseline={"d/f": "mine"}
    ),
}


def place(root: str, content: Content, time: int) -> None:
    owned = {path: what for path, what in content.items() if isinstance(what, Owned)}
    make(root, {path: what.text if path in owned else what for path, what in content.items()})
    for path, what in owned.items():
        os.chown(os.path.join(root, path), what.owner, what.owner)
    for above, directories, files in os.walk(root, topdown=False):
        for name in directories + files:
            os.utime(os.path.join(above, name), ns=(time, time), follow_symlinks=False)


class Sides:
    """A machine, the baseline, and what both had."""

    def __init__(self, directory: Path, row: Row) -> None:
        self.tree = Tree(directory)
        place(self.tree.root, row.mine, 3 * 10**9)
        roots = {}
        for name, content in (("base", row.base), ("theirs", row.theirs)):
            roots[name] = str(directory / name)
            os.mkdir(roots[name])
            place(roots[name], content, (1 if name == "base" else 2) * 10**9)
        self.base, self.theirs = self.tree.manifest(roots["base"]), self.tree.manifest(roots["theirs"])
        self.theirs_root = roots["theirs"]
        self.spec = self.tree.spec(self.tree.root)

    def merge(self, policy: str) -> Merge:
        return merge(self.base, self.tree.manifest(), self.theirs, policy, self.spec)

    def sync(self, policy: str) -> Merge:
        """What a sync does: merge, apply, and keep the base and the baseline."""
        before = self.tree.scan()
        merged = merge(self.base, before.manifest, self.theirs, policy, self.spec)
        assert self.tree.apply(merged.new_mine, before).left == {}
        self.base, self.theirs = merged.new_base, merged.new_baseline
        return merged


def shape(manifest: Manifest) -> Dict[str, Any]:
    """What a manifest says that is synced."""
    return {path: (e.kind, oct(e.mode), e.uid, e.gid, e.content) for path, e in sorted(manifest.entries.items())}


def expected(directory: Path, row: Row, tree: Tree, content: Content) -> Dict[str, Any]:
    os.mkdir(str(directory / "expected"))
    place(str(directory / "expected"), content, 0)
    return shape(tree.manifest(str(directory / "expected")))


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("name", sorted(TABLE))
def test_each_change_and_each_policy(name: str, policy: str, tmp_path: Path) -> None:
    row = TABLE[name]
    if "chown" in name:
        root_only()
    sides = Sides(tmp_path, row)
    planned = sides.merge(policy)
    merged = sides.sync(policy)
    assert merged == planned
    assert tuple(conflict.path for conflict in merged.conflicts) == row.paths
    winner = {NEWEST: row.newest, MANUAL: OPEN}.get(policy, policy)
    machine = row.mine if row.machine is None else row.machine
    baseline = row.theirs if row.baseline is None else row.baseline
    now, then = shape(sides.tree.manifest()), shape(sides.theirs)
    assert all(conflict.resolution == winner for conflict in merged.conflicts)
    if not row.paths or winner != OPEN:
        content = baseline if row.paths and winner == BASELINE else machine
        assert now == then == expected(tmp_path, row, sides.tree, content)
        assert sides.sync(policy).changes == []
    else:
        for path in row.paths:
            assert shape_at(now, path) == shape_at(expected(tmp_path, row, sides.tree, row.mine), path)
            assert shape_at(then, path) == shape_at(shape(sides.tree.manifest(sides.theirs_root)), path)
        assert sides.sync(policy).conflicts == merged.conflicts
    check_nothing_is_lost(row, sides, merged)


def shape_at(found: Dict[str, Any], path: str) -> Dict[str, Any]:
    return {key: value for key, value in found.items() if key == path or key.startswith(path + "/")}


def check_nothing_is_lost(row: Row, sides: Sides, merged: Merge) -> None:
    """What either side had new is there, or named as kept, with mode and owner."""
    there = {
        (e.path, e.content, e.mode, e.uid) for m in (sides.tree.manifest(), sides.theirs) for e in m.entries.values()
    }
    there |= {(k.entry.path, k.entry.content, k.entry.mode, k.entry.uid) for c in merged.conflicts for k in c.kept}
    for conflict in merged.conflicts:
        for entry in (conflict.mine, conflict.theirs):
            assert entry is None or (entry.path, entry.content, entry.mode, entry.uid) in there


@pytest.mark.parametrize("policy", [BASELINE, MACHINE])
@pytest.mark.parametrize("name", sorted(TABLE))
def test_no_mode_is_widened_on_the_way(name: str, policy: str, tmp_path: Path) -> None:
    """At no moment can anybody read a content who could not before, and cannot afterwards."""
    row = TABLE[name]
    if "chown" in name:
        root_only()
    sides = Sides(tmp_path, row)
    before = sides.tree.scan()
    merged = merge(sides.base, before.manifest, sides.theirs, policy, sides.spec)
    allowed: Dict[Tuple[Any, ...], List[int]] = {}
    for made in (before.manifest, merged.new_mine):
        for entry in made.entries.values():
            allowed.setdefault((entry.path, entry.kind, entry.uid), []).append(entry.mode)
    seen = []

    def check(_call: str, _arguments: Any) -> None:
        for raw, (mode_text, uid, _gid, _content) in look(sides.tree.root).items():
            path, mode = raw.decode(), int(mode_text, 8)
            seen.append(path)
            if path == ".roosync-sync":
                assert stat.S_IMODE(mode) & 0o077 == 0
            elif not path.startswith(".roosync-sync/"):
                kind = "l" if stat.S_ISLNK(mode) else "d" if stat.S_ISDIR(mode) else "f"
                most = allowed.get((path, kind, uid), [0o700])
                assert any(stat.S_IMODE(mode) & ~one & 0o077 == 0 for one in most), (path, mode_text)

    with watched(check):
        assert sides.tree.apply(merged.new_mine, before).left == {}
    assert bool(seen) == bool(merged.changes_of(MACHINE))
