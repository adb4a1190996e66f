# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Trees as other systems have them: another user, mounts inside, full and read-only disks, SELinux contexts."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any, Dict, Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.sync import contents, durable
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.sync.apply import apply
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.sync.manifest import Manifest
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.sync.merge import merge
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.sync.outcome import MACHINE, POLICIES
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.sync.scan import scan
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.sync.spec import TreeSpec
from ansible_collections.roosync.heartbeat.tests.unit.stdlib.faults import (
    AS_NOBODY,
    mounted,
    not_run,
    python,
    root_only,
)
from ansible_collections.roosync.heartbeat.tests.unit.stdlib.realtrees import (
    NAME,
    Directory,
    Link,
    Tree,
    in_memory,
    look,
    make,
)
from ansible_collections.roosync.heartbeat.tests.unit.stdlib.support import NOBODY
from ansible_collections.roosync.heartbeat.tests.unit.stdlib.synctrees import histories

IMPORTS = """
from _engine.sync import apply as applying, scan, spec as specs
"""
APPLY = """
options = json.loads(sys.argv[2])
root = options.pop("root")
goal = options.pop("goal")
spec = specs.TreeSpec("www", root, **options)
at_goal = scan.scan(spec._replace(path=goal))
blobs = {}
for path, entry in at_goal.manifest.entries.items():
    if entry.kind == "f":
        with open(goal + "/" + path, "rb") as stream:
            blobs[entry.content] = stream.read()
def fetch(digest, fd):
    os.write(fd, blobs[digest])
def run():
    before = scan.scan(spec)
    done = applying.apply(root, spec, before.manifest, at_goal.manifest, fetch, before.signatures)
    return [done.operations, done.left]
"""
PRINT = "print(json.dumps(outcome(run)))"


def run(tree: Tree, prelude: str = "", wrapper: Any = (), **options: Any) -> Dict[str, Any]:
    given_options = json.dumps(dict(options, root=tree.root, goal=tree.goal))
    done: Dict[str, Any] = python(IMPORTS + prelude + APPLY + PRINT, "", given_options, wrapper=wrapper)
    return done


@pytest.fixture
def shared() -> Iterator[Tree]:
    """A tree in a directory that other users can reach, which pytest's own is not."""
    directory = Path(tempfile.mkdtemp(prefix="heartbeat-"))
    directory.chmod(0o755)
    try:
        yield Tree(directory)
    finally:
        for above, below, _files in os.walk(str(directory)):
            for name in below:  # some are closed to their owner, too
                if not os.path.islink(os.path.join(above, name)):
                    os.chmod(os.path.join(above, name), 0o700)
        shutil.rmtree(str(directory))


def give_to_nobody(root: str) -> None:
    if os.geteuid() == 0:
        os.chown(root, NOBODY, NOBODY)
        for above, directories, files in os.walk(root):
            for name in directories + files:
                os.chown(os.path.join(above, name), NOBODY, NOBODY, follow_symlinks=False)


def test_a_user_without_rights_syncs_a_tree_of_its_own(shared: Tree) -> None:
    """Also in directories that it has closed to itself."""
    before = {
        "closed": Directory(0o555),
        "closed/edited": "old",
        "closed/gone": Directory(0o555),
        "closed/gone/file": "gone",
        "unreadable": ("same", 0o200),
        "opening": Directory(0o500),
        "opening/file": "old",
    }
    after = {
        "closed": Directory(0o555),
        "closed/edited": "new",
        "closed/new/file": "new",
        "opening": Directory(0o700),
        "opening/file": "new",
        "link": Link("closed"),
    }
    make(shared.root, {path: what for path, what in before.items() if path != "unreadable"})
    make(shared.goal, after)
    give_to_nobody(shared.root)
    give_to_nobody(shared.goal)
    assert run(shared, AS_NOBODY) == {"result": [13, {}]}
    assert look(shared.root) == look(shared.goal)


def test_a_user_without_rights_cannot_give_files_away(shared: Tree) -> None:
    root_only()
    make(shared.root, {"file": "old"})
    make(shared.goal, {"file": "new"})
    give_to_nobody(shared.root)
    was = look(shared.root)
    answer = run(shared, AS_NOBODY)
    assert (answer["error_code"], answer["errno"]) == ("SYNC_ONLINE_FAILED", "EPERM")
    assert "set owners: false for the tree" in answer["msg"]
    assert answer["msg"].endswith("(the tree is as it was)")
    assert look(shared.root) == was
    assert run(shared, AS_NOBODY, owners=False) == {"result": [1, {}]}
    assert Path(shared.root, "file").read_text() == "new"


def test_what_is_mounted_inside_is_left_alone(tmp_path: Path) -> None:
    """Another file system, and the same one bound to a second place."""
    tree = Tree(tmp_path)
    make(tree.root, {"other/file": "old", "bound/file": "old", "plain/file": "old"})
    make(tree.goal, {"plain/file": "new", "bound/new": "new", "other": "a file"})
    make(tmp_path, {"elsewhere/file": "precious"})
    prepare = 'mount -t tmpfs none "$1/other"; echo mine > "$1/other/mine"; mount --bind "$2" "$1/bound"'
    answer = run(tree, wrapper=mounted(prepare, tree.root, str(tmp_path / "elsewhere")))
    assert set(answer["result"][1]) <= {"other", "bound", "bound/new"}
    assert Path(tree.root, "plain/file").read_text() == "new"
    assert Path(tree.root, "other/file").read_text() == "old"
    assert look(tmp_path / "elsewhere") == look_of({"file": "precious"}, tmp_path)


def look_of(content: Dict[str, Any], tmp_path: Path) -> Dict[bytes, Any]:
    os.mkdir(str(tmp_path / "described"))
    make(tmp_path / "described", content)
    return look(tmp_path / "described")


@pytest.mark.parametrize("limit", ["size=2m", "nr_inodes=12"])
def test_a_full_disk_is_seen_before_anything_is_done(tmp_path: Path, limit: str) -> None:
    tree = Tree(tmp_path)
    make(tree.goal, {"%d" % number: "x" * 200_000 for number in range(20)})
    full = mounted('mount -t tmpfs -o "$2" none "$1"; echo kept > "$1/kept"', tree.root, limit)
    answer = run(tree, wrapper=full)
    assert answer["error_code"] == "DISK_SPACE_LOW"
    assert "nothing was changed. " in answer["msg"]


def test_a_read_only_disk_says_so(tmp_path: Path) -> None:
    tree = Tree(tmp_path)
    make(tree.root, {"file": "old"})
    make(tree.goal, {"file": "new"})
    read_only = mounted('mount --bind "$1" "$1"; mount -o remount,bind,ro "$1"', tree.root)
    answer = run(tree, wrapper=read_only)
    assert (answer["error_code"], answer["errno"]) == ("SYNC_ONLINE_FAILED", "EROFS")
    assert "remount the file system read-write" in answer["msg"]


def test_contexts_are_given_where_the_tree_has_them(tmp_path: Path) -> None:
    """The attribute alone: whether a policy knows the context is SELinux's matter, which is not to be had here."""
    tree = Tree(tmp_path)
    make(tree.root, {"edited": "old", "changed": "same", "kept": "old"})
    make(tree.goal, {"edited": "new", "changed": "same", "kept": "new", "new": "new", "d": Directory()})
    name = "security.selinux"
    try:
        for root in (tree.root, tree.goal):
            os.setxattr(root, name, b"system_u:object_r:var_t:s0\0")
    except OSError:
        not_run("contexts of SELinux: the file system has none", "--allowed")
    other = b"system_u:object_r:etc_t:s0\0"
    os.setxattr(tree.root + "/kept", name, other)
    os.setxattr(tree.root + "/changed", name, b"system_u:object_r:var_t:s0\0")
    for path in ("edited", "changed", "new", "d"):
        os.setxattr(tree.goal + "/" + path, name, other)
    assert tree.apply().left == {}
    assert {path: os.getxattr(tree.root + "/" + path, name) for path in os.listdir(tree.root)} == dict.fromkeys(
        ("edited", "changed", "new", "d", "kept"), other
    )


def test_a_file_system_without_hard_links_is_served_with_copies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Injected: none that is without them can be mounted everywhere."""
    tree = Tree(tmp_path)
    make(tree.root, {"file": ("old", 0o640), "link": Link("old")})
    make(tree.goal, {"file": "new", "link": Link("new")})
    was = look(tree.root, times=True)
    after = tree.manifest(tree.goal)

    def no_links(*_args: Any, **_kwargs: Any) -> None:
        raise OSError(errno.EPERM, "no hard links")

    monkeypatch.setattr(contents.os, "link", no_links)
    real = durable.sync_directory
    calls = []

    def fail_late(fd: int) -> None:
        calls.append(fd)
        if len(calls) == 5:  # after the operations
            raise OSError(errno.EIO, "the disk is gone")
        real(fd)

    monkeypatch.setattr(durable, "sync_directory", fail_late)
    with pytest.raises(Exception, match="the tree is as it was"):
        tree.apply(after)
    monkeypatch.setattr(durable, "sync_directory", real)
    assert look(tree.root, times=True) == was
    tree.apply(after)
    assert look(tree.root, times=True) == look(tree.goal, times=True)


# Random trees, for real.


def realise(root: str, made: Manifest, content: Dict[str, bytes]) -> None:
    os.mkdir(root)
    for path, entry in made.entries.items():
        full = os.path.join(root, path)
        if entry.kind == "d":
            os.mkdir(full)
        elif entry.kind == "l":
            os.symlink(entry.content, full)
        else:
            Path(full).write_bytes(content[entry.content])
    for path, entry in sorted(made.entries.items(), reverse=True):
        if entry.kind != "l":
            os.chmod(os.path.join(root, path), entry.mode)


@settings(max_examples=40, suppress_health_check=list(HealthCheck))
@given(histories(with_unknown=False), st.sampled_from(POLICIES))
def test_a_plan_is_carried_out_exactly(trees: Any, policy: str) -> None:
    """A dry run writes nothing, the real one does what it said, and a second one nothing at all."""
    content = {hashlib.sha256(text).hexdigest(): text for text in (b"p", b"q", b"r")}
    with in_memory() as directory:
        root = str(directory / "tree")
        realise(root, trees[1], content)
        spec = TreeSpec(NAME, root, owners=False)
        was = look(root, times=True)
        before = scan(spec)
        planned = merge(trees[0], before.manifest, trees[2], policy, spec)
        assert look(root, times=True) == was

        def fetch(digest: str, fd: int) -> None:
            os.write(fd, content[digest])

        done = apply(root, spec, before.manifest, planned.new_mine, fetch, before.signatures)
        assert done.left == {}
        now = scan(spec).manifest
        changed = {change.path for change in planned.changes_of(MACHINE)}
        assert {
            path
            for path in set(before.manifest.entries) | set(now.entries)
            if not same_here(before.manifest, now, path)
        } == changed
        assert all(same_here(planned.new_mine, now, path) for path in set(planned.new_mine.entries) | set(now.entries))
        again = merge(planned.new_base, now, planned.new_baseline, policy, spec)
        assert again.changes == []
        assert apply(root, spec, now, again.new_mine, fetch).operations == 0


def same_here(one: Manifest, other: Manifest, path: str) -> bool:
    first, second = one.entries.get(path), other.entries.get(path)
    if first is None or second is None:
        return first is second
    return (first.kind, first.mode, first.content) == (second.kind, second.mode, second.content)
