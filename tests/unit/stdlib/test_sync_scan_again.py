# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A scan that remembers the last one finds what a scan that remembers nothing finds, whatever was done in between."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path
from typing import Any, Callable, List

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.sync import files, owners, seen
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.sync.reading import TICK_NS
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.sync.scan import Scan, scan
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.sync.spec import TreeSpec

PATHS = ["a", "b", "d", "d/a", "d/b", "d/d", "d/d/a"]


def remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(str(path))
    elif os.path.lexists(str(path)):
        path.unlink()


def write(path: Path, number: int) -> None:
    """An edit keeps size and mtime."""
    if path.parent.is_dir():
        then = path.lstat().st_mtime_ns if path.is_file() else 10**18
        if path.is_symlink() or not path.is_file():
            remove(path)
        path.write_bytes(b"%03d" % number)
        os.utime(str(path), ns=(then, then))


def make_directory(path: Path, _number: int) -> None:
    if path.parent.is_dir() and not path.is_dir():
        remove(path)
        path.mkdir()


def make_link(path: Path, number: int) -> None:
    if path.parent.is_dir():
        remove(path)
        path.symlink_to(str(number))


def change_mode(path: Path, number: int) -> None:
    if path.exists():
        path.chmod(0o700 | number % 8)


def make_fifo(path: Path, _number: int) -> None:
    if path.parent.is_dir():
        remove(path)
        os.mkfifo(str(path))


def hard_link(path: Path, number: int) -> None:
    source = path.parents[path.parts[::-1].index("tree") - 1] / PATHS[number % len(PATHS)]
    free = path.parent.is_dir() and not os.path.lexists(str(path))
    if free and source.is_file() and not source.is_symlink():
        os.link(str(source), str(path))


EDITS: List[Callable[[Path, int], None]] = [
    write,
    write,
    make_directory,
    make_link,
    change_mode,
    make_fifo,
    hard_link,
    lambda path, _number: remove(path),
]
STEP = st.lists(st.tuples(st.sampled_from(EDITS), st.sampled_from(PATHS), st.integers(0, 20)), max_size=6)


@given(st.lists(STEP, min_size=1, max_size=5))
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_what_is_remembered_makes_no_difference(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch, steps: Any
) -> None:
    monkeypatch.setattr(seen, "LOCAL_SLACK", TICK_NS)
    folder = tmp_path_factory.mktemp("again")
    root, cache = folder / "tree", str(folder / "cache")
    root.mkdir()
    spec = TreeSpec("www", str(root))
    for step in steps:
        for edit, path, number in step:
            edit(root / path, number)
        found, fresh = scan(spec, cache), scan(spec)
        assert found.digest == fresh.digest
        # So that what is there now is remembered, and is there in the next round for the edits to be seen.
        time.sleep(2.5 * TICK_NS / 1e9)
        scan(spec, cache)
        again = scan(spec, cache)
        assert again.known_digest == fresh.digest
        assert again.files_read == 0
        assert again.manifest == fresh.manifest
        assert again.signatures == found.signatures
    shutil.rmtree(str(folder))


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TreeSpec:
    """A tree that has been scanned, and is as it was."""
    monkeypatch.setattr(seen, "LOCAL_SLACK", -(10**12))
    root = tmp_path / "tree"
    (root / "dir").mkdir(parents=True)
    (root / "dir/file").write_bytes(b"x")
    (root / "link").symlink_to("dir")
    spec = TreeSpec("www", str(root))
    look(spec)
    assert look(spec).known_digest
    return spec


def look(spec: TreeSpec) -> Scan:
    return scan(spec, spec.path + ".cache")


@pytest.mark.parametrize("kind", ["user", "group"])
def test_a_user_or_group_by_another_name_is_seen(tree: TreeSpec, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    """Made up: no test may rename the users of the machine that it runs on."""
    before = look(tree).manifest
    monkeypatch.setattr(owners.Owners, kind, lambda _self, _number: "renamed")
    found = look(tree)
    assert found.known_digest == ""
    assert found.manifest != before
    assert look(tree).known_digest == found.digest


def test_a_declaration_that_takes_less_or_more_is_seen(tree: TreeSpec) -> None:
    whole = look(tree).manifest
    less = tree._replace(exclude=("link",))
    assert sorted(look(less).manifest.entries) == ["dir", "dir/file"]
    assert look(less).known_digest == look(less).digest == scan(less).digest
    assert look(tree).manifest == whole
    small = tree._replace(max_file_size=1)
    assert look(small).manifest == whole
    (Path(tree.path) / "dir/file").write_bytes(b"xx")
    assert look(tree).manifest.entries["dir/file"].size == 2
    for _turn in range(2):
        assert look(small).manifest.unknown == {"dir/file": files.TOO_LARGE}


def test_what_stays_unknown_does_not_make_a_tree_look_changed(tree: TreeSpec) -> None:
    os.mkfifo(tree.path + "/fifo")
    look(tree)
    again = look(tree)
    assert again.known_digest
    assert again.manifest.unknown == {"fifo": "special (fifo)"}
    (Path(tree.path) / "fifo").unlink()
    assert look(tree).manifest.unknown == {}


def test_nothing_is_written_when_nothing_has_changed(tree: TreeSpec) -> None:
    before = os.stat(tree.path + ".cache")
    look(tree)
    assert os.stat(tree.path + ".cache").st_ino == before.st_ino
