# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a scan cannot tell it names, and nobody can lead it elsewhere: each trouble as it really comes."""

from __future__ import annotations

import errno
import os
import shutil
import socket
import stat
import subprocess
import tempfile
from pathlib import Path
from typing import Any, Iterator

import pytest

from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.sync import place, scan, seen, sharing
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.sync.place import TreeUnreadable
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.sync.spec import TreeSpec
from ansible_collections.roosync.heartbeat.tests.unit.stdlib.faults import (
    AS_NOBODY,
    mounted,
    not_run,
    python,
    root_only,
)
from ansible_collections.roosync.heartbeat.tests.unit.stdlib.test_sync_scan import look, paths, root, sha256

__all__ = ["root"]

SCAN = """
from _engine.sync import manifest, scan, spec, sharing
def look(root, **options):
    found = scan.scan(spec.TreeSpec("www", root, **options))
    manifest.load(manifest.dump(found.manifest))
    return found
"""


@pytest.fixture
def open_root() -> Iterator[Path]:
    """A tree that other users can reach, which pytest's own directory is not; nor may it be, for others share that."""
    base = Path(tempfile.mkdtemp(prefix="heartbeat-"))
    base.chmod(0o755)
    made = base / "tree"
    made.mkdir(mode=0o755)
    try:
        yield made
    finally:
        made.chmod(0o755)
        for inside in made.iterdir():
            inside.chmod(0o755)
        shutil.rmtree(str(base))


def test_what_cannot_be_read_is_unknown_and_not_gone(open_root: Path) -> None:
    """The modes leave out the owner as well: who runs the tests may be nobody else."""
    for path in ("secret", "closed/below", "unlisted/below", "fine"):
        (open_root / path).parent.mkdir(exist_ok=True)
        (open_root / path).write_bytes(b"x")
    for path, mode in (("secret", 0), ("closed", 0o111), ("unlisted", 0o444)):
        (open_root / path).chmod(mode)
    found = python(
        SCAN + AS_NOBODY + "m = look(sys.argv[1]).manifest; print(json.dumps([sorted(m.entries), m.unknown]))",
        str(open_root),
    )
    assert found[0] == ["fine", "unlisted"]
    assert found[1] == dict.fromkeys(["closed", "secret", "unlisted/below"], "unreadable (EACCES)")


def test_a_root_that_cannot_be_read_is_no_empty_tree(open_root: Path) -> None:
    open_root.chmod(0o111)
    found = python(SCAN + AS_NOBODY + "print(json.dumps(outcome(look, sys.argv[1])))", str(open_root))
    assert found["error_code"] == "SYNC_ONLINE_FAILED"
    assert "Permission denied" in found["msg"]


def test_special_files_are_named_and_not_opened(root: Path) -> None:
    os.mkfifo(str(root / "fifo"))
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(root / "socket"))
    expected = {"fifo": "special (fifo)", "socket": "special (socket)"}
    if os.geteuid() == 0:
        os.mknod(str(root / "null"), 0o666 | stat.S_IFCHR, os.makedev(1, 3))
        os.mknod(str(root / "disk"), 0o600 | stat.S_IFBLK, os.makedev(240, 0))
        expected.update({"null": "special (character device)", "disk": "special (block device)"})
    found = look(root)
    assert found.manifest.unknown == expected
    assert found.manifest.entries == {}
    assert look(root, exclude=tuple(expected)).manifest.unknown == {}


def test_a_file_that_is_too_large_is_unknown(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seen, "LOCAL_SLACK", -(10**12))
    (root / "large").write_bytes(b"x" * 11)
    (root / "small").write_bytes(b"x" * 10)
    os.link(str(root / "large"), str(root / "again"))
    look(root, tmp_path / "cache")
    for _turn in range(2):
        found = look(root, tmp_path / "cache", max_file_size=10)
        assert found.manifest.unknown == {"again": "too large", "large": "too large"}
        assert paths(found) == ["small"]


def test_a_file_that_grows_beyond_the_limit_meanwhile_is_unknown(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (root / "file").write_bytes(b"x" * 10)
    before(monkeypatch, lambda: (root / "file").write_bytes(b"x" * 11))
    assert look(root, max_file_size=10).manifest.unknown == {"file": "too large"}


def before(monkeypatch: pytest.MonkeyPatch, change: Any) -> None:
    """Let something happen between looking at all entries and reading the changed ones."""
    real = sharing.read_files

    def read_files(*args: Any) -> Any:
        change()
        return real(*args)

    monkeypatch.setattr(scan, "read_files", read_files)


def test_a_file_that_is_written_to_all_the_time_is_unknown(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The writes are real; only that one comes just after each read is arranged."""
    (root / "log").write_bytes(b"x")
    (root / "quiet").write_bytes(b"x")
    read = os.read
    inode = (root / "log").stat().st_ino

    def busy(fd: int, count: int) -> bytes:
        data = read(fd, count)
        if os.fstat(fd).st_ino == inode:
            with (root / "log").open("ab") as stream:
                stream.write(b"y")
        return data

    monkeypatch.setattr(os, "read", busy)
    found = look(root)
    assert found.manifest.unknown == {"log": "unsteady"}
    assert paths(found) == ["quiet"]


def test_a_write_that_changes_neither_size_nor_mtime_makes_a_file_unsteady(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = root / "file"
    path.write_bytes(b"x" * 10)
    then = path.stat().st_mtime_ns
    read = os.read

    def busy(fd: int, count: int) -> bytes:
        data = read(fd, count)
        if os.fstat(fd).st_ino == path.stat().st_ino:
            with path.open("r+b") as stream:
                stream.write(b"y" * 10)
            os.utime(str(path), ns=(then, then))
        return data

    monkeypatch.setattr(os, "read", busy)
    assert look(root).manifest.unknown == {"file": "unsteady"}


def test_a_file_that_was_steady_in_the_end_is_read_as_it_is_then(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = root / "file"
    path.write_bytes(b"one")
    read = os.read
    turns = [b"two, longer", b"three"]

    def busy(fd: int, count: int) -> bytes:
        data = read(fd, count)
        if turns and os.fstat(fd).st_ino == path.stat().st_ino:
            path.write_bytes(turns.pop(0))
        return data

    monkeypatch.setattr(os, "read", busy)
    assert look(root).manifest.entries["file"].content == sha256(b"three")
    assert turns == []


@pytest.mark.parametrize(
    "change",
    [
        lambda path: path.unlink(),
        lambda path: (path.unlink(), path.mkdir()),
        lambda path: (path.unlink(), os.mkfifo(str(path))),
        lambda path: (path.unlink(), path.symlink_to("/etc/passwd")),
        lambda path: (path.unlink(), path.parent.rmdir()),
        lambda path: (path.unlink(), path.parent.rmdir(), path.parent.write_bytes(b"")),
        lambda path: (path.parent.rename(str(path.parent) + "2"), path.parent.symlink_to(str(path.parent) + "2")),
    ],
)
def test_what_becomes_something_else_before_it_is_read_is_unknown(
    root: Path, monkeypatch: pytest.MonkeyPatch, change: Any
) -> None:
    (root / "dir").mkdir()
    (root / "dir/file").write_bytes(b"x")
    before(monkeypatch, lambda: change(root / "dir/file"))
    found = look(root)
    assert found.manifest.unknown == {"dir/file": "unsteady"}
    assert paths(found) == ["dir"]


def test_a_link_swapped_in_for_a_directory_leads_nowhere(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (root / "victim").mkdir()
    (root / "victim/file").write_bytes(b"mine")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/secret").write_bytes(b"secret")
    real = os.open

    def swapping(path: Any, flags: int, *args: Any, **kwargs: Any) -> int:
        if path == "victim":
            (root / "victim").rename(tmp_path / "moved")
            (root / "victim").symlink_to(tmp_path / "outside")
        return real(path, flags, *args, **kwargs)

    monkeypatch.setattr(os, "open", swapping)
    found = look(root)
    assert (root / "victim").is_symlink()
    assert found.manifest.unknown == {"victim": "unsteady"}
    assert found.manifest.entries == {}


def test_links_to_directories_are_links(root: Path, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/secret").write_bytes(b"secret")
    (root / "absolute").symlink_to(tmp_path / "outside")
    (root / "up").symlink_to("..")
    (root / "loop").symlink_to("loop")
    assert paths(look(root)) == ["absolute", "loop", "up"]


def test_what_is_gone_before_it_is_looked_at_was_never_there(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (root / "file").write_bytes(b"x")
    (root / "gone").write_bytes(b"x")
    real = os.listdir

    def listing(where: Any) -> Any:
        names = real(where)
        if "gone" in names:
            (root / "gone").unlink()
        return names

    monkeypatch.setattr(os, "listdir", listing)
    found = look(root)
    assert paths(found) == ["file"]
    assert found.manifest.unknown == {}


def test_an_error_of_the_disk_is_no_deletion(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Injected: no disk that fails can be had here."""
    for path in ("file", "dir/file", "other/file"):
        (root / path).parent.mkdir(exist_ok=True)
        (root / path).write_bytes(b"x")
    (root / "link").symlink_to("target")

    def failing(call: str, name: Any) -> Any:
        real = getattr(os, call)

        def fail(path: Any, *args: Any, **kwargs: Any) -> Any:
            if path == name:
                raise OSError(errno.EIO, "Input/output error")
            return real(path, *args, **kwargs)

        return fail

    for call, name in (("stat", "other"), ("open", b"file"), ("readlink", "link")):
        monkeypatch.setattr(os, call, failing(call, name))
    found = look(root)
    assert found.manifest.unknown == dict.fromkeys(["dir/file", "file", "link", "other"], "unreadable (EIO)")
    assert paths(found) == ["dir"]


def test_a_tree_that_cannot_be_listed_is_no_empty_tree(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Injected, as above: a mount that is there, and does not answer."""

    def fail(_where: Any) -> Any:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(scan.os, "listdir", fail)
    with pytest.raises(TreeUnreadable, match="cannot list") as info:
        scan.scan(TreeSpec("www", str(root)))
    assert info.value.details["errno"] == "EIO"


def test_paths_that_no_manifest_can_name_make_their_directory_unknown(root: Path) -> None:
    names = ["d" * 255] * 15 + ["e" * 200]
    deep = "/".join(names)

    def make(*files: str) -> None:
        fd = os.open(str(root), os.O_RDONLY)
        for name in names:
            if name not in os.listdir(fd):
                os.mkdir(name, dir_fd=fd)
            fd, above = os.open(name, os.O_RDONLY, dir_fd=fd), fd
            os.close(above)
        os.close(os.open(files[0], os.O_CREAT | os.O_WRONLY, dir_fd=fd))
        for again in files[1:]:
            os.link(files[0], again, src_dir_fd=fd, dst_dir_fd=fd)
        os.close(fd)

    make("file", "linked")
    assert look(root).manifest.entries[deep + "/linked"].link == 1
    make("x" * 255)
    found = look(root)
    assert found.manifest.unknown == {deep: "path too long"}
    assert len(found.manifest.entries) == 15


def test_directories_may_be_deep_but_not_without_end(root: Path) -> None:
    fd = os.open(str(root), os.O_RDONLY)
    for _level in range(400):
        os.mkdir("d", dir_fd=fd)
        os.close(os.open("f", os.O_CREAT | os.O_WRONLY, dir_fd=fd))
        below = os.open("d", os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = below
    os.close(fd)
    found = look(root)
    assert list(found.manifest.unknown.values()) == ["too deep"]
    assert len(found.manifest.entries) == 2 * scan.MAX_DEPTH - 1


@pytest.mark.parametrize("kind", ["tmpfs", "bind", "file"])
def test_what_is_mounted_in_a_tree_is_not_part_of_it(open_root: Path, tmp_path: Path, kind: str) -> None:
    """Also what is the same file system, mounted again."""
    (open_root / "mounted point").mkdir()
    (open_root / "covered").write_bytes(b"x")
    (open_root / "mine").write_bytes(b"x")
    (tmp_path / "other").mkdir()
    (tmp_path / "other/file").write_bytes(b"secret")
    commands = {
        "tmpfs": 'mount -t tmpfs none "$1/mounted point"; echo secret > "$1/mounted point/file"',
        "bind": 'mount --bind "$2" "$1/mounted point"',
        "file": 'mount --bind "$2/file" "$1/covered"; mount --bind "$2" "$1/mounted point"',
    }
    found = python(
        SCAN + "m = look(sys.argv[1]).manifest; print(json.dumps([sorted(m.entries), m.unknown]))",
        str(open_root),
        wrapper=mounted(commands[kind], str(open_root), str(tmp_path / "other")),
    )
    expected = {"mounted point": "other file system"}
    if kind == "file":
        expected["covered"] = "other file system"
    assert found[1] == expected
    assert found[0] == sorted({"covered", "mine"} - set(expected))


def test_the_kind_of_file_system_is_found(root: Path) -> None:
    fd = os.open(str(root), os.O_RDONLY)
    kind, beneath = place.mounts(fd)
    os.close(fd)
    argv = ["findmnt", "--noheadings", "--output", "FSTYPE", "--target", str(root)]
    assert kind == subprocess.run(argv, stdout=subprocess.PIPE, check=True).stdout.decode().split()[0]
    assert beneath == set()


def test_contexts_are_noted_where_there_are_any(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root_only()
    monkeypatch.setattr(seen, "LOCAL_SLACK", -(10**12))
    (root / "dir").mkdir()
    (root / "dir/file").write_bytes(b"x")
    (root / "link").symlink_to("dir")
    assert {entry.context for entry in look(root, tmp_path / "cache").manifest.entries.values()} == {""}
    for path in (".", "dir", "dir/file", "link"):
        context = b"system_u:object_r:%s_t:s0\0" % path.strip(".").replace("/", "_").encode()
        try:
            os.setxattr(str(root / path), "security.selinux", context, follow_symlinks=False)
        except OSError:
            not_run("contexts of SELinux: the file system has none", "--allowed")
    for _turn in range(2):
        found = look(root, tmp_path / "cache").manifest.entries
        assert {path: entry.context for path, entry in found.items()} == {
            "dir": "system_u:object_r:dir_t:s0",
            "dir/file": "system_u:object_r:dir_file_t:s0",
            "link": "system_u:object_r:link_t:s0",
        }
