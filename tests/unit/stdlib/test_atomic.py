# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that are there whole or not at all, whatever happens on the way."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Callable, Iterator, Optional

import pytest

from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.stores import atomic
from ansible_collections.roosync.heartbeat.tests.unit.stdlib.support import ENGINE, open_descriptors, tree, wait_until

LIMIT = 1 << 20


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[int]:
    fd = os.open(str(tmp_path), os.O_RDONLY | os.O_DIRECTORY)
    yield fd
    os.close(fd)


def failing(code: int, real: Optional[Callable[..., Any]] = None) -> Callable[..., Any]:
    """A system call that fails; given the real one, that is called the first time."""
    calls = [real] if real else []

    def call(*args: Any, **kwargs: Any) -> Any:
        if calls:
            return calls.pop()(*args, **kwargs)
        raise OSError(code, os.strerror(code))

    return call


def test_a_replacement_has_the_mtime_that_was_returned(folder: int, tmp_path: Path) -> None:
    for content in (b"one", b"two" * 100_000, b""):
        stamp = atomic.replace(folder, "x", content)
        assert (tmp_path / "x").read_bytes() == content
        assert (tmp_path / "x").stat().st_mtime_ns == stamp
    assert os.listdir(folder) == ["x"]


def test_a_creation_does_not_overwrite(folder: int, tmp_path: Path) -> None:
    stamp = atomic.create(folder, "x", b"first")
    assert (tmp_path / "x").stat().st_mtime_ns == stamp
    before = tree(tmp_path)
    assert atomic.create(folder, "x", b"second") is None
    assert tree(tmp_path) == before


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo, lambda path: os.symlink("nowhere", path)])
def test_a_creation_lets_lie_what_is_no_file(folder: int, tmp_path: Path, make: Callable[[str], None]) -> None:
    make(str(tmp_path / "x"))
    before = tree(tmp_path)
    assert atomic.create(folder, "x", b"new") is None
    assert tree(tmp_path) == before


def test_a_replacement_takes_the_place_of_a_link_not_of_its_target(folder: int, tmp_path: Path) -> None:
    (tmp_path / "target").write_bytes(b"precious")
    (tmp_path / "x").symlink_to("target")
    atomic.replace(folder, "x", b"new")
    assert not (tmp_path / "x").is_symlink()
    assert (tmp_path / "target").read_bytes() == b"precious"


@pytest.mark.parametrize("umask", [0o002, 0o022, 0o077])
@pytest.mark.parametrize("make", [atomic.replace, atomic.create])
def test_what_was_made_may_be_read_and_written_by_the_group(
    folder: int, tmp_path: Path, make: Callable[[int, str, bytes], Any], umask: int
) -> None:
    """Whatever umask its writer has: what root writes on a hardened host is for all that share the store."""
    before = os.umask(umask)
    try:
        make(folder, "x", b"1")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "x").stat().st_mode) == 0o664


@pytest.mark.parametrize("umask", [0, 0o002, 0o022, 0o077])
def test_folders_are_for_everybody_to_read(tmp_path: Path, umask: int) -> None:
    (tmp_path / "there").mkdir(mode=0o700)
    before = os.umask(umask)
    try:
        atomic.make_path(str(tmp_path / "there" / "a" / "b"))
        atomic.make_path(str(tmp_path / "there"))
    finally:
        os.umask(before)
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("there", "there/a", "there/a/b")]
    assert modes == [0o700, 0o755, 0o755]
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(FileExistsError):
        atomic.make_path(str(tmp_path / "file" / "x"))


def test_a_file_system_that_knows_one_mode_only(folder: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A share of Windows's kind refuses to change one; none can be mounted here."""
    monkeypatch.setattr(os, "fchmod", failing(errno.EPERM))
    before = os.umask(0o077)
    try:
        atomic.replace(folder, "x", b"1")
    finally:
        os.umask(before)
    assert (tmp_path / "x").read_bytes() == b"1"


def test_a_short_write_is_gone_on_with(folder: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A signal or a full network buffer can cause one at any time; to wait for that would take luck."""
    real = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: real(fd, bytes(data[:7])))
    atomic.replace(folder, "x", bytes(range(256)))
    assert (tmp_path / "x").read_bytes() == bytes(range(256))


@pytest.mark.parametrize("call", ["write", "fsync", "rename"])
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EIO])
def test_a_failed_replacement_leaves_the_old_file_and_nothing_else(
    folder: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, code: int
) -> None:
    atomic.replace(folder, "x", b"old")
    before, descriptors = tree(tmp_path), open_descriptors()
    monkeypatch.setattr(os, call, failing(code))
    with pytest.raises(OSError, match=os.strerror(code)):
        atomic.replace(folder, "x", b"new")
    monkeypatch.undo()
    assert tree(tmp_path) == before
    assert open_descriptors() == descriptors


def test_a_disk_that_fills_up_in_the_middle_leaves_nothing(
    folder: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.write
    for work in (atomic.replace, atomic.create):
        monkeypatch.setattr(os, "write", failing(errno.ENOSPC, lambda fd, data: real(fd, bytes(data[:3]))))
        with pytest.raises(OSError, match="No space"):
            work(folder, "x", b"more than three bytes")
    assert os.listdir(folder) == []


@pytest.mark.parametrize("code", [errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EXDEV])
def test_without_hard_links_a_creation_still_does_not_overwrite(
    folder: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    """Injected: no file system without hard links can be had here."""
    monkeypatch.setattr(os, "link", failing(code))
    descriptors = open_descriptors()
    stamp = atomic.create(folder, "x", b"first")
    assert (tmp_path / "x").read_bytes() == atomic.IN_THE_MAKING + b"first"
    assert (tmp_path / "x").stat().st_mtime_ns == stamp
    assert atomic.create(folder, "x", b"second") is None
    assert (tmp_path / "x").read_bytes() == atomic.IN_THE_MAKING + b"first"
    assert os.listdir(folder) == ["x"]
    assert open_descriptors() == descriptors


def test_without_hard_links_a_failed_creation_is_taken_back(folder: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "link", failing(errno.EPERM))
    monkeypatch.setattr(os, "fsync", failing(errno.EIO, os.fsync))
    with pytest.raises(OSError, match=os.strerror(errno.EIO)):
        atomic.create(folder, "x", b"first")
    assert os.listdir(folder) == []


def test_without_hard_links_a_creation_that_took_too_long_is_taken_back(
    folder: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Others may have passed it over as torn, and gone on without it."""
    monkeypatch.setattr(os, "link", failing(errno.EPERM))
    monkeypatch.setattr(atomic, "MAKING_LIMIT", -1.0)
    with pytest.raises(OSError, match="took too long to write"):
        atomic.create(folder, "x", b"first")
    assert os.listdir(folder) == []


def test_another_failure_of_link_is_no_reason_to_write_another_way(
    folder: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "link", failing(errno.EIO))
    with pytest.raises(OSError, match=os.strerror(errno.EIO)):
        atomic.create(folder, "x", b"first")
    assert os.listdir(folder) == []


def test_a_lost_answer_to_a_link_that_was_made_counts_as_made(
    folder: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A network client that asks again is told that the name exists: it is its own."""
    real = os.link

    def twice(*args: Any, **kwargs: Any) -> None:
        real(*args, **kwargs)
        real(*args, **kwargs)

    monkeypatch.setattr(os, "link", twice)
    assert atomic.create(folder, "x", b"mine") == (tmp_path / "x").stat().st_mtime_ns
    assert os.listdir(folder) == ["x"]


@pytest.mark.parametrize("size", [0, 1, 99, 100, 101, 5_000])
def test_reading_stops_one_byte_beyond_the_limit(folder: int, tmp_path: Path, size: int) -> None:
    (tmp_path / "x").write_bytes(b"y" * size)
    found = atomic.read(folder, "x", 100)
    assert found is not None
    assert found[0] == b"y" * min(size, 101)
    assert found[1].st_size == size
    assert atomic.read(folder, "y", 100) is None


@pytest.mark.parametrize(
    ("make", "code"),
    [
        (lambda path: os.symlink("/etc/hostname", path), errno.ELOOP),
        (lambda path: os.symlink("nowhere", path), errno.ELOOP),
        (os.mkdir, errno.EISDIR),
        (os.mkfifo, errno.EISDIR),
    ],
    ids=["symlink", "dangling", "directory", "fifo"],
)
def test_what_is_no_file_is_neither_read_nor_waited_for(
    folder: int, tmp_path: Path, make: Callable[[str], None], code: int
) -> None:
    make(str(tmp_path / "x"))
    descriptors = open_descriptors()
    with pytest.raises(OSError) as caught:  # noqa: PT011 (its errno follows)
        atomic.read(folder, "x", LIMIT)
    assert caught.value.errno == code
    assert open_descriptors() == descriptors


WRITER = """
import os, sys
sys.path.insert(0, sys.argv[1])
from _engine.stores import atomic
fd = os.open(sys.argv[2], os.O_RDONLY | os.O_DIRECTORY)
atomic.replace(fd, "x", b"0" * 5000)
print("ready", flush=True)
number = 0
while number < 2000 or not os.path.exists(sys.argv[3]):
    number += 1
    atomic.replace(fd, "x", b"%d" % (number % 10) * (5000 + number % 7), durable=False)
"""


def test_no_reader_ever_sees_a_part(folder: int, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """One process replaces a file 2,000 times, and until another one has read it often, as fast as it can."""
    enough = tmp_path_factory.mktemp("reader") / "enough"
    with subprocess.Popen(
        [sys.executable, "-I", "-c", WRITER, str(ENGINE.parent), str(tmp_path), str(enough)], stdout=subprocess.PIPE
    ) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"ready\n"
        reads, seen, deadline = 0, set(), time.monotonic() + 60
        try:
            while writer.poll() is None:
                found = atomic.read(folder, "x", LIMIT)
                assert found is not None
                data = found[0]
                assert len(data) == found[1].st_size >= 5_000
                assert data == data[:1] * len(data)
                seen.add(data[:1])
                reads += 1
                if reads > 200 and len(seen) > 5:
                    enough.touch()
                assert time.monotonic() < deadline, (reads, seen)
        finally:
            enough.touch()
    assert writer.returncode == 0
    assert reads > 200
    assert len(seen) > 5
    assert os.listdir(folder) == ["x"]


TORN_WRITER = """
import errno, os, sys
sys.path.insert(0, sys.argv[1])
from _engine.stores import atomic
def no_links(*args, **kwargs):
    raise OSError(errno.EPERM, "no links")
os.link = no_links
fd = os.open(sys.argv[2], os.O_RDONLY | os.O_DIRECTORY)
real = os.fsync
def stop(fd):
    if os.path.exists(sys.argv[2] + "/x"):
        os.truncate(sys.argv[2] + "/x", 10)
        print("torn", flush=True)
        sys.stdin.read()
    real(fd)
os.fsync = stop
atomic.create(fd, "x", b"the content of the file")
"""


def test_without_hard_links_a_killed_creation_leaves_a_torn_file_to_be_seen(folder: int, tmp_path: Path) -> None:
    """The process is killed before its fsync; what the file system may then lose is cut off by hand."""
    with subprocess.Popen(
        [sys.executable, "-I", "-c", TORN_WRITER, str(ENGINE.parent), str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"torn\n"
        writer.kill()
    assert wait_until(lambda: writer.poll() is not None, "the writer's end")
    found = atomic.read(folder, "x", LIMIT)
    assert found is not None
    assert found[0] == atomic.IN_THE_MAKING + b"the conte"
    assert atomic.create(folder, "x", b"second") is None


def test_descriptors_are_closed_again(folder: int) -> None:
    descriptors = open_descriptors()
    for _round in range(20):
        atomic.replace(folder, "x", b"1")
        atomic.create(folder, "x", b"2")
        atomic.create(folder, "y", b"2")
        atomic.read(folder, "x", LIMIT)
        atomic.discard(folder, "y")
        atomic.discard(folder, "nothing")
        atomic.sync_directory(folder)
    assert open_descriptors() == descriptors


def test_a_directory_that_cannot_be_synced_is_no_failure_but_a_broken_disk_is(
    folder: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fsync", failing(errno.EINVAL))
    atomic.sync_directory(folder)
    monkeypatch.setattr(os, "fsync", failing(errno.EIO))
    with pytest.raises(OSError, match=os.strerror(errno.EIO)):
        atomic.sync_directory(folder)
