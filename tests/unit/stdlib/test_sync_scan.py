# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a scan sees, and what it reads: real files, real edits."""

from __future__ import annotations

import errno
import hashlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, List

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.sync import manifest, scan, seen
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.sync.paths import decode
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.sync.place import TreeUnreadable
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.sync.scan import Scan
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.sync.spec import TreeSpec
from ansible_collections.roosync.heartbeat.tests.unit.stdlib.strategies import NAMES
from ansible_collections.roosync.heartbeat.tests.unit.stdlib.support import ENGINE, open_descriptors


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    made = tmp_path / "tree"
    made.mkdir()
    return made


def look(root: Path, cache: Any = None, **options: Any) -> Scan:
    """A scan whose manifest can be stored and believed, and that leaves nothing open."""
    before = open_descriptors()
    found = scan.scan(TreeSpec("www", str(root), **options), str(cache) if cache else None)
    assert open_descriptors() == before
    data = manifest.dump(found.manifest)
    assert manifest.dump(manifest.load(data)) == data
    assert set(found.signatures) == set(found.manifest.entries)
    return found


def paths(found: Scan) -> List[str]:
    return sorted(found.manifest.entries)


def test_what_a_scan_says_of_each_kind(root: Path) -> None:
    (root / "file").write_bytes(b"content")
    (root / "file").chmod(0o4640)
    (root / "empty").mkdir(mode=0o700)
    (root / "link").symlink_to("nowhere/at all")
    os.utime(str(root / "file"), ns=(1, 1_234_567_890_123_456_789))
    found = look(root).manifest.entries
    file, state = found["file"], (root / "file").stat()
    assert (file.kind, file.mode, file.size, file.content) == ("f", 0o4640, 7, sha256(b"content"))
    assert (file.uid, file.gid, file.mtime_ns) == (state.st_uid, state.st_gid, 1_234_567_890_123_456_789)
    assert file.owner == (root / "file").owner()
    assert file.group == (root / "file").group()
    assert (found["empty"].kind, found["empty"].mode, found["empty"].content) == ("d", 0o700, "")
    assert (found["link"].kind, found["link"].mode, found["link"].content) == ("l", 0o777, "nowhere/at all")


@given(st.lists(NAMES, max_size=5, unique=True))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=50)
def test_names_may_be_any_bytes(tmp_path_factory: pytest.TempPathFactory, names: List[bytes]) -> None:
    root = tmp_path_factory.mktemp("names")
    for name in names:
        directory = os.fsencode(str(root)) + b"/" + name
        os.mkdir(directory)
        with open(directory + b"/" + name, "wb") as stream:
            stream.write(name)
        os.symlink(name, directory + b"/link to it"[:11])
    entries = look(root).manifest.entries
    for name in names:
        text = decode(name)
        assert entries[text].kind == "d"
        assert entries[text + "/" + text].content == sha256(name)
        assert entries[text + "/link to it"].content == text


def test_the_locale_makes_no_difference(root: Path) -> None:
    for name in ("käse".encode(), b"latin-\xe9"):
        directory = os.fsencode(str(root)) + b"/" + name
        os.mkdir(directory)
        with open(directory + b"/" + name, "wb"):
            pass
        os.symlink(name, directory + b"/link")
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); from _engine.sync import manifest, scan, spec\n"
        "assert sys.getfilesystemencoding() == sys.argv[3], sys.getfilesystemencoding()\n"
        "found = scan.scan(spec.TreeSpec('www', sys.argv[2]))\n"
        "sys.stdout.buffer.write(manifest.dump(found.manifest))"
    )
    said = []
    for encoding, option in (("ascii", "utf8=0"), ("utf-8", "utf8=1")):
        argv = [sys.executable, "-I", "-B", "-X", option, "-c", code, str(ENGINE.parent), str(root), encoding]
        said.append(subprocess.run(argv, env={"LC_ALL": "C"}, stdout=subprocess.PIPE, check=True).stdout)
    assert said[0] == said[1] == manifest.dump(look(root).manifest)
    assert len(manifest.load(said[0]).entries) == 6


def test_an_unchanged_file_is_not_read_again(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seen, "LOCAL_SLACK", -(10**12))
    (root / "dir").mkdir()
    (root / "dir/file").write_bytes(b"one")
    first = look(root, tmp_path / "cache")
    second = look(root, tmp_path / "cache")
    assert (first.files_read, first.bytes_read) == (1, 3)
    assert (second.files_read, second.bytes_read) == (0, 0)
    assert first.manifest == second.manifest
    assert first.signatures == second.signatures
    (root / "dir/file").unlink()
    look(root, tmp_path / "cache")
    assert "dir/file" not in seen.load(str(tmp_path / "cache"), TreeSpec("www", str(root))).rows


@pytest.mark.parametrize("replace", [False, True])
def test_an_edit_that_keeps_size_and_mtime_is_seen(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, replace: bool
) -> None:
    """rsync and unison, as they are set by default, miss it."""
    monkeypatch.setattr(seen, "LOCAL_SLACK", 0)
    path = root / "file"
    path.write_bytes(b"one")
    while look(root, tmp_path / "cache").files_read:
        pass
    before = path.stat()
    if replace:
        (root / "new").write_bytes(b"two")
        (root / "new").rename(path)
    else:
        path.write_bytes(b"two")
    os.utime(str(path), ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (before.st_size, before.st_mtime_ns)
    found = look(root, tmp_path / "cache")
    assert found.manifest.entries["file"].content == sha256(b"two")


def test_a_second_edit_within_one_tick_of_the_clock_is_seen(root: Path, tmp_path: Path) -> None:
    """Each edit is made right after the scan that saw the one before, and leaves size and mtime as they were."""
    path = root / "file"
    path.write_bytes(b"000")
    then = path.stat().st_mtime_ns
    ticks = set()
    for number in range(60):
        content = b"%03d" % number
        fd = os.open(str(path), os.O_WRONLY)
        os.pwrite(fd, content, 0)
        os.utime(fd, ns=(then, then))
        os.close(fd)
        ticks.add(path.stat().st_ctime_ns)
        assert look(root, tmp_path / "cache").manifest.entries["file"].content == sha256(content)
    assert "file" not in seen.load(str(tmp_path / "cache"), TreeSpec("www", str(root))).rows


def test_what_lies_on_an_unknown_file_system_is_never_remembered() -> None:
    now = 10**18
    assert seen.latest("fuse.sshfs", now) < -(2**62)
    assert seen.latest("", now) < -(2**62)
    assert seen.latest("vfat", now) < -(2**62)
    assert now - seen.latest("ext4", now) == 2 * 10**9
    assert now - seen.latest("nfs4", now) == 3600 * 10**9


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(path.read_bytes()[:-5]),
        lambda path: path.write_bytes(path.read_bytes().replace(b"f", b"e", 1)),
        lambda path: path.write_bytes(path.read_bytes().replace(sha256(b"one").encode(), sha256(b"two").encode())),
        lambda path: path.write_bytes(b"\0" * 100),
        lambda path: path.write_bytes(b"[" * 100_000),
        lambda path: path.chmod(0o666),
        lambda path: (path.rename(str(path) + "2"), path.symlink_to(str(path) + "2")),
        lambda path: (path.unlink(), path.mkdir()),
    ],
)
def test_what_is_remembered_is_not_believed_when_damaged(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: Any
) -> None:
    monkeypatch.setattr(seen, "LOCAL_SLACK", -(10**12))
    (root / "file").write_bytes(b"one")
    look(root, tmp_path / "cache")
    assert list(seen.load(str(tmp_path / "cache"), TreeSpec("www", str(root))).rows) == ["file"]
    damage(tmp_path / "cache")
    found = look(root, tmp_path / "cache")
    assert found.files_read == 1
    assert found.manifest.entries["file"].content == sha256(b"one")


def test_what_was_remembered_of_another_tree_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seen, "LOCAL_SLACK", -(10**12))
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_bytes(name.encode())
        assert look(tmp_path / name, tmp_path / "cache").files_read == 1


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EROFS, errno.EACCES])
@pytest.mark.parametrize("call", ["write", "rename", "makedirs"])
def test_that_nothing_can_be_remembered_harms_nothing(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, code: int
) -> None:
    def fail(*_args: Any, **_kwargs: Any) -> None:
        raise OSError(code, os.strerror(code))

    (root / "file").write_bytes(b"one")
    monkeypatch.setattr(seen, "LOCAL_SLACK", -(10**12))
    monkeypatch.setattr(os, call, fail)
    found = look(root, tmp_path / "state/cache")
    monkeypatch.undo()
    assert paths(found) == ["file"]
    assert list(tmp_path.rglob(".tmp-*")) == []


def test_what_is_remembered_is_nobody_elses(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seen, "LOCAL_SLACK", -(10**12))
    (root / "secret name").write_bytes(b"one")
    umask = os.umask(0)
    try:
        look(root, tmp_path / "state/cache")
    finally:
        os.umask(umask)
    assert (tmp_path / "state/cache").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "state").stat().st_mode & 0o777 == 0o700


def test_hard_links_are_noted(root: Path, tmp_path: Path) -> None:
    for path in ("b", "a/z", "single"):
        (root / path).parent.mkdir(exist_ok=True)
        (root / path).write_bytes(path.encode())
    os.link(str(root / "b"), str(root / "a/b"))
    os.link(str(root / "a/z"), str(root / "z"))
    os.link(str(root / "single"), str(tmp_path / "outside"))
    entries = look(root).manifest.entries
    assert {path: entry.link for path, entry in entries.items() if entry.kind == "f"} == {
        "a/b": 1,
        "b": 1,
        "a/z": 2,
        "z": 2,
        "single": 0,
    }


def test_only_what_is_meant_is_scanned(root: Path) -> None:
    for path in (
        "etc/a.yml",
        "etc/a.bak",
        "etc/deep/b.yml",
        "var/log/x.log",
        "var/keep.yml/inside",
        ".roosync-sync/new/1",
    ):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(b"x")
    (root / "etc/deeper/.roosync-sync").mkdir(parents=True)
    (root / "none").mkdir()
    everything = ["etc", "etc/a.bak", "etc/a.yml", "etc/deep", "etc/deep/b.yml", "etc/deeper", "none"]
    everything += ["var", "var/keep.yml", "var/keep.yml/inside", "var/log", "var/log/x.log"]
    assert paths(look(root)) == everything
    some = ["etc", "etc/a.yml", "etc/deep", "etc/deep/b.yml", "var", "var/keep.yml", "var/keep.yml/inside"]
    assert paths(look(root, include=("*.yml",))) == some
    assert paths(look(root, exclude=("*.bak", "log", "/none/"))) == [
        path for path in everything if path not in ("etc/a.bak", "none") and "log" not in path
    ]
    assert paths(look(root, include=("/etc/*.yml",), exclude=("a.*",))) == []


def test_a_tree_that_is_not_there(tmp_path: Path) -> None:
    found = look(tmp_path / "nowhere")
    assert found.vanished
    assert found.manifest.entries == {}
    assert look(tmp_path / "nowhere/at/all").vanished
    (tmp_path / "there").mkdir()
    assert not look(tmp_path / "there").vanished


@pytest.mark.parametrize("where", ["link", "link/below", "file", "file/below"])
def test_no_link_is_followed_to_a_tree(tmp_path: Path, where: str) -> None:
    (tmp_path / "real/below").mkdir(parents=True)
    (tmp_path / "link").symlink_to("real")
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(TreeUnreadable, match="symbolic link"):
        look(tmp_path / where)


def test_a_tree_of_too_many_entries_is_refused_whole(root: Path) -> None:
    (root / "dir").mkdir()
    for number in range(4):
        (root / "dir" / str(number)).write_bytes(b"")
    assert len(look(root, max_entries=5).manifest.entries) == 5
    with pytest.raises(TreeUnreadable, match="more than 4 entries"):
        look(root, max_entries=4)


def test_sizes_and_times_at_their_limits(root: Path) -> None:
    (root / "old").write_bytes(b"")
    os.utime(str(root / "old"), (0, -(2**31)))
    (root / "hole").write_bytes(b"")
    os.truncate(str(root / "hole"), 3 << 20)
    entries = look(root).manifest.entries
    assert entries["old"].mtime_ns == -(2**31) * 10**9
    assert entries["hole"].content == sha256(bytes(3 << 20))
