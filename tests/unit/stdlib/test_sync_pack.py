# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Packs: what goes in comes out, and of what anybody else made of them nothing is believed."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Dict, Iterator, List, Tuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.errors import DiskSpaceLow, StoreCorrupt
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.sync import packing
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.sync.pack import (
    EXTENT,
    FOOTER,
    HEADER,
    MAGIC,
    RAW,
    ROW,
    SPARSE,
    PackReader,
    check_pack,
    extent_table,
    open_pack,
)
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.sync.packing import PackWriter
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.sync.reading import Unsteady
from ansible_collections.roosync.heartbeat.tests.unit.stdlib.support import open_descriptors

CONTENTS = [b"", b"one", b"two" * 100, bytes(range(256))]
HOLE = 1 << 20


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[int]:
    fd = os.open(str(tmp_path), os.O_RDONLY | os.O_DIRECTORY)
    yield fd
    os.close(fd)


def sparse_file(path: Path, *data: Tuple[int, bytes], size: int) -> Path:
    with path.open("wb") as stream:
        for offset, piece in data:
            stream.seek(offset)
            stream.write(piece)
        stream.truncate(size)
    return path


def add(writer: PackWriter, path: Path) -> str:
    fd = os.open(str(path), os.O_RDONLY)
    try:
        return writer.add_file(fd, os.fstat(fd))[0]
    finally:
        os.close(fd)


def small_pack(folder: int, tmp_path: Path) -> Path:
    """A pack of every kind of content, small enough to be damaged in every way."""
    holes = sparse_file(tmp_path / "holes", (4096, b"\0" * 1000), size=12_000)
    with PackWriter(folder, str(tmp_path)) as writer:
        for content in CONTENTS:
            writer.add_bytes(content)
        add(writer, holes)
        name = writer.commit()
    assert name is not None
    assert SPARSE in {row.kind for row in open_pack(str(tmp_path / name)).rows()}
    return tmp_path / name


def everything(path: Path) -> Dict[str, bytes]:
    """What a reader gives away of a pack."""
    with open_pack(str(path)) as reader:
        return {row.digest.hex(): reader.read(row, 1 << 22) for row in check_pack(reader)}


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@given(st.lists(st.binary(max_size=2000), max_size=8))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_what_goes_in_comes_out(folder: int, tmp_path: Path, contents: List[bytes]) -> None:
    with PackWriter(folder, str(tmp_path), name="pack") as writer:
        digests = [writer.add_bytes(content) for content in contents]
        writer.commit()
    assert digests == [sha256(content) for content in contents]
    assert everything(tmp_path / "pack") == dict(zip(digests, contents))


def test_a_pack_is_only_there_when_it_is_finished(folder: int, tmp_path: Path) -> None:
    before = open_descriptors()
    with PackWriter(folder, str(tmp_path)) as writer:
        writer.add_bytes(os.urandom(3 << 20))
        assert [name for name in os.listdir(folder) if not name.startswith(".tmp-")] == []
    assert os.listdir(folder) == []
    with PackWriter(folder, str(tmp_path)) as writer:
        assert writer.commit() is None
    assert os.listdir(folder) == []
    assert open_descriptors() == before


def test_a_content_with_holes_keeps_them(folder: int, tmp_path: Path) -> None:
    original = sparse_file(tmp_path / "original", (3 * HOLE, b"x" * 5000), (9 * HOLE + 7, b"y"), size=20 * HOLE)
    with PackWriter(folder, str(tmp_path), name="pack") as writer:
        digest = add(writer, original)
        writer.commit()
    assert (tmp_path / "pack").stat().st_size < HOLE
    with open_pack(str(tmp_path / "pack")) as reader:
        row = reader.find(bytes.fromhex(digest))
        assert row is not None
        with (tmp_path / "copy").open("wb") as copy:
            reader.copy_to(row, copy.fileno())
        assert reader.read(row, 1 << 30) == original.read_bytes()
    assert (tmp_path / "copy").read_bytes() == original.read_bytes()
    assert (tmp_path / "copy").stat().st_blocks <= original.stat().st_blocks
    assert digest == sha256(original.read_bytes())


@pytest.mark.parametrize("size", [0, 1, 4096, HOLE, 2 * HOLE])
def test_a_file_that_is_one_hole(folder: int, tmp_path: Path, size: int) -> None:
    with PackWriter(folder, str(tmp_path), name="pack") as writer:
        digest = add(writer, sparse_file(tmp_path / "hole", size=size))
        writer.commit()
    assert everything(tmp_path / "pack") == {digest: bytes(size)}
    assert digest == sha256(bytes(size))


def test_equal_contents_are_kept_once(folder: int, tmp_path: Path) -> None:
    big = tmp_path / "big"
    big.write_bytes(os.urandom(3 << 20))
    with PackWriter(folder, str(tmp_path), name="pack") as writer:
        for path in (big, big):
            add(writer, path)
        writer.add_bytes(b"small")
        writer.add_bytes(b"small")
        writer.commit()
    assert sorted(map(len, everything(tmp_path / "pack").values())) == [5, 3 << 20]


def test_what_is_elsewhere_is_not_kept_again(folder: int, tmp_path: Path) -> None:
    big = tmp_path / "big"
    big.write_bytes(os.urandom(3 << 20))
    here = {hashlib.sha256(big.read_bytes()).digest(), hashlib.sha256(b"small").digest()}
    with PackWriter(folder, str(tmp_path), known=here.__contains__) as writer:
        add(writer, big)
        writer.add_bytes(b"small")
        assert writer.commit() is None


@pytest.mark.parametrize("size", [10, 3 << 20])
@pytest.mark.parametrize("change", [b"longer", b""])
def test_nothing_is_kept_of_a_file_that_changes_while_it_is_read(
    folder: int, tmp_path: Path, size: int, change: bytes
) -> None:
    path = tmp_path / "busy"
    path.write_bytes(b"x" * size)
    fd = os.open(str(path), os.O_RDONLY)
    state = os.fstat(fd)
    if change:
        with path.open("ab") as stream:
            stream.write(change)
    else:
        os.truncate(str(path), size - 1)
    with PackWriter(folder, str(tmp_path), name="pack") as writer:
        with pytest.raises(Unsteady):
            writer.add_file(fd, state)
        writer.add_bytes(b"other")
        writer.commit()
    os.close(fd)
    assert list(everything(tmp_path / "pack").values()) == [b"other"]
    assert (tmp_path / "pack").stat().st_size < 1000


def test_a_pack_cut_short_anywhere_is_refused(folder: int, tmp_path: Path) -> None:
    path = small_pack(folder, tmp_path)
    size = path.stat().st_size
    before = open_descriptors()
    with path.open("ab") as stream:
        stream.write(b"x")
    for length in [size + 1, *range(size - 1, -1, -1)]:
        os.truncate(str(path), length)
        with pytest.raises(StoreCorrupt):
            open_pack(str(path))
    assert open_descriptors() == before


def test_any_changed_byte_is_found_and_never_given_away(folder: int, tmp_path: Path) -> None:
    path = small_pack(folder, tmp_path)
    data = path.read_bytes()
    whole = everything(path)
    fd = os.open(str(path), os.O_WRONLY)
    for at, byte in enumerate(data):
        os.pwrite(fd, bytes([byte ^ (1 << at % 8)]), at)
        with pytest.raises(StoreCorrupt):
            everything(path)
        for digest, content in _readable(path).items():
            assert whole[digest] == content
        os.pwrite(fd, bytes([byte]), at)
    os.close(fd)
    assert everything(path) == whole


def _readable(path: Path) -> Dict[str, bytes]:
    """All that a reader who does not check the whole pack gets out of it."""
    found = {}
    try:
        with open_pack(str(path)) as reader:
            for row in reader.rows():
                try:
                    found[row.digest.hex()] = reader.read(row, 1 << 20)
                except StoreCorrupt:
                    pass
    except StoreCorrupt:
        pass
    return found


class Forger:
    """Makes packs that no writer makes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.body = bytearray(MAGIC)
        self.rows: List[Tuple[bytes, int, int, int, int]] = []

    def add(self, digest: bytes, kind: int, logical: int, stored: bytes, length: int = -1) -> None:
        length = len(stored) if length < 0 else length
        self.rows.append((digest, kind, logical, length, len(self.body)))
        self.body += HEADER.pack(digest, kind, logical, length) + stored

    def content(self, data: bytes) -> None:
        self.add(hashlib.sha256(data).digest(), RAW, len(data), data)

    def finish(self, order: bool = True, tail: bytes = b"") -> PackReader:
        rows = sorted(self.rows) if order else self.rows
        index = b"".join(ROW.pack(*row) for row in rows)
        footer = FOOTER.pack(len(self.body), len(rows), hashlib.sha256(index).digest(), MAGIC)
        self.path.write_bytes(bytes(self.body) + tail + index + footer)
        return open_pack(str(self.path))


@pytest.fixture
def forger(tmp_path: Path) -> Forger:
    return Forger(tmp_path / "forged")


def refused(reader: PackReader) -> None:
    with reader, pytest.raises(StoreCorrupt):
        check_pack(reader)


def test_the_forger_can_make_a_sound_pack(forger: Forger) -> None:
    forger.content(b"one")
    forger.content(b"two")
    forger.add(hashlib.sha256(b"\0\0x\0").digest(), SPARSE, 4, extent_table([(2, 1)]) + b"x")
    with forger.finish() as reader:
        assert len(check_pack(reader)) == 3


def test_a_content_that_is_not_what_its_digest_says_is_refused(forger: Forger) -> None:
    forger.add(b"d" * 32, RAW, 3, b"one")
    reader = forger.finish()
    row = next(reader.rows())
    with pytest.raises(StoreCorrupt):
        reader.read(row, 100)
    refused(reader)


def test_a_content_that_is_there_twice_is_refused(forger: Forger) -> None:
    forger.content(b"one")
    forger.content(b"one")
    refused(forger.finish())


def test_an_index_out_of_order_is_refused(forger: Forger) -> None:
    forger.content(b"one")
    forger.content(b"two")
    forger.rows.sort(reverse=True)
    refused(forger.finish(order=False))


def test_overlapping_contents_are_refused(forger: Forger) -> None:
    forger.content(b"one")
    inner = HEADER.pack(hashlib.sha256(b"in").digest(), RAW, 2, 2) + b"in"
    forger.add(hashlib.sha256(inner).digest(), RAW, len(inner), inner)
    begin = forger.rows[-1][4] + HEADER.size
    forger.rows.append((hashlib.sha256(b"in").digest(), RAW, 2, 2, begin))
    refused(forger.finish())


def test_bytes_that_belong_to_nothing_are_refused(forger: Forger) -> None:
    forger.content(b"one")
    forger.body += b"smuggled"
    refused(forger.finish())
    forger.content(b"two")
    refused(forger.finish())


def test_bytes_behind_the_contents_are_refused(forger: Forger) -> None:
    forger.content(b"one")
    with pytest.raises(StoreCorrupt):
        forger.finish(tail=b"trailing garbage")


@pytest.mark.parametrize("length", [2, 4, 1000, 2**63, 2**64 - 1])
def test_a_length_that_is_not_so_is_refused(forger: Forger, length: int) -> None:
    forger.add(hashlib.sha256(b"one").digest(), RAW, length, b"one", length)
    refused(forger.finish())


@pytest.mark.parametrize("offset", [0, 7, 9, 10_000, 2**64 - 1])
def test_an_offset_that_is_not_so_is_refused(forger: Forger, offset: int) -> None:
    forger.content(b"one")
    forger.rows[0] = (*forger.rows[0][:4], offset)
    reader = forger.finish()
    with pytest.raises(StoreCorrupt):
        reader.read(next(reader.rows()), 100)
    refused(reader)


@pytest.mark.parametrize(
    ("logical", "table"),
    [
        (4, b""),
        (4, b"\0\0\0"),
        (4, b"\xff\xff\xff\xff\0\0\0\0"),
        (4, extent_table([(2, 1)])[:-1] + b"?"),
        (4, extent_table([(4, 1)])),
        (4, extent_table([(2, 2)])),
        (4, extent_table([(2, 0)])),
        (4, extent_table([(2, 1), (2, 1)])),
        (4, extent_table([(3, 1), (2, 1)])),
        (4, extent_table([(2**64 - 1, 1)])),
        (2**63, extent_table([(2, 1)])),
    ],
)
def test_extents_that_make_no_sense_are_refused(forger: Forger, logical: int, table: bytes) -> None:
    forger.add(hashlib.sha256(b"\0\0x\0").digest(), SPARSE, logical, table + b"x")
    refused(forger.finish())


def test_a_kind_that_does_not_exist_is_refused(forger: Forger) -> None:
    forger.add(hashlib.sha256(b"one").digest(), 2, 3, b"one")
    refused(forger.finish())


def test_no_more_is_read_than_is_allowed(forger: Forger) -> None:
    """A hole costs nothing in the pack, and could fill a machine's memory."""
    forger.add(b"d" * 32, SPARSE, 2**62, extent_table([]))
    with forger.finish() as reader, pytest.raises(StoreCorrupt, match="more than 1000 bytes"):
        reader.read(next(reader.rows()), 1000)


def test_a_pack_that_is_no_regular_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "directory").mkdir()
    os.mkfifo(str(tmp_path / "fifo"))
    for name in ("directory", "fifo"):
        with pytest.raises(StoreCorrupt):
            open_pack(str(tmp_path / name))


def test_it_is_said_before_that_there_is_no_room(folder: int, tmp_path: Path) -> None:
    free = os.statvfs(str(tmp_path)).f_bavail * os.statvfs(str(tmp_path)).f_frsize
    with PackWriter(folder, str(tmp_path)) as writer:
        writer.reserve(1)
        with pytest.raises(DiskSpaceLow) as info:
            writer.reserve(free)
    assert info.value.details["needed"] == free + packing.SPARE
    assert EXTENT.size == 16
    assert os.listdir(folder) == []
