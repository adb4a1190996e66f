# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Packs: many contents in one file, each known by its SHA-256. The vault is made of them, and bundles are the same.

::

    magic
    for each content: header (digest, kind, logical length, stored length), stored bytes
    index: for each content, ordered by digest: digest, kind, logical length, stored length, offset of its header
    footer: offset of the index, count, SHA-256 of the index, magic

A content is stored as it is, or, if it has holes, as a table of its extents and their data. The contents fill the space
before the index without a gap, so no byte of a pack is beyond checking. A pack without a whole footer is torn: it was
never finished, and nothing in it counts.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
import struct
import zlib
from typing import NamedTuple

from ..errors import StoreCorrupt, from_os_error
from ..stores.atomic import write_all
from .reading import PIECE, hash_zeros

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, Iterator, List, Optional, Tuple

    from .reading import Extents

MAGIC = b"RSHBPK1\n"
RAW = 0
SPARSE = 1
HEADER = struct.Struct(">32sBQQ")
ROW = struct.Struct(">32sBQQQ")
FOOTER = struct.Struct(">QQ32s8s")
COUNT = struct.Struct(">I")
EXTENT = struct.Struct(">QQ")
MAX_LENGTH = 2**63 - 1
SUFFIX = ".pack"


class Row(NamedTuple):
    """Where in a pack a content is."""

    digest: bytes
    kind: int
    logical: int
    stored: int
    offset: int

    @property
    def end(self) -> int:
        return self.offset + HEADER.size + self.stored


def pack_name(index: bytes) -> str:
    """The name of the pack with this index."""
    return hashlib.sha256(index).hexdigest() + SUFFIX


def is_pack_name(name: str) -> bool:
    """Whether a file of that name is meant to be a pack."""
    return len(name) == 64 + len(SUFFIX) and name.endswith(SUFFIX) and not set(name[:64]) - set("0123456789abcdef")


def extent_table(found: Extents) -> bytes:
    """The extents of a content with holes, with a checksum: moving one of zeros would leave the hash as it is."""
    table = COUNT.pack(len(found)) + b"".join(EXTENT.pack(*extent) for extent in found)
    return table + COUNT.pack(zlib.crc32(table))


class PackReader:
    """An open pack. Nothing it gives away is unverified.

    :param fd: of the pack; it belongs to the reader from now on.
    :param label: how errors name the pack.
    :raises StoreCorrupt: it is torn, or its index is damaged.
    """

    def __init__(self, fd: int, label: str) -> None:
        self.fd = fd
        self.label = label
        self._again: Optional[Callable[[], PackReader]] = None
        try:
            self._load()
        except BaseException:
            os.close(fd)
            raise

    def _load(self) -> None:
        state = os.fstat(self.fd)
        if not stat.S_ISREG(state.st_mode):
            raise self._corrupt("it is no regular file")
        self.size = state.st_size
        if self.size < len(MAGIC) + FOOTER.size:
            raise self._corrupt("it is torn: too short")
        self.index_offset, count, digest, magic = FOOTER.unpack(self._pread(FOOTER.size, self.size - FOOTER.size))
        if magic != MAGIC or self._pread(len(MAGIC), 0) != MAGIC:
            raise self._corrupt("it is torn, or no pack at all")
        if self.index_offset < len(MAGIC) or self.index_offset + count * ROW.size + FOOTER.size != self.size:
            raise self._corrupt("its index is not where it should be")
        self.index = self._pread(count * ROW.size, self.index_offset)
        if hashlib.sha256(self.index).digest() != digest:
            raise self._corrupt("its index is damaged")
        self.count = count

    def __enter__(self) -> PackReader:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def suspend(self, again: Callable[[], PackReader]) -> None:
        """Keep only the index; the file is opened again when it is read.

        :param again: opens the same pack.
        """
        self.close()
        self._again = again

    def rest(self) -> None:
        """Close the file again, if it was not to stay open."""
        if self._again:
            self.close()

    def _resume(self) -> None:
        try:
            other = self._again() if self._again else None
        except FileNotFoundError:
            other = None
        if other is None:
            raise self._corrupt("it has been taken away meanwhile")
        self.fd, other.fd = other.fd, -1

    def close(self) -> None:
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def _corrupt(self, why: str) -> StoreCorrupt:
        return StoreCorrupt("the pack %s cannot be used: %s" % (self.label, why), path=self.label)

    def _pread(self, count: int, offset: int) -> bytes:
        if self.fd < 0:
            self._resume()
        try:
            data = os.pread(self.fd, count, offset)
            while len(data) < count:
                more = os.pread(self.fd, count - len(data), offset + len(data))
                if not more:
                    raise self._corrupt("it ends too early")
                data += more
        except OSError as exc:
            raise from_os_error(exc, "read from the vault", self.label) from exc
        return data

    def find(self, digest: bytes) -> Optional[Row]:
        """Where a content is; None when the pack has none of that digest."""
        low, high = 0, self.count
        while low < high:
            middle = (low + high) // 2
            at = middle * ROW.size
            if self.index[at : at + 32] < digest:
                low = middle + 1
            else:
                high = middle
        at = low * ROW.size
        return Row(*ROW.unpack_from(self.index, at)) if self.index[at : at + 32] == digest else None

    def rows(self) -> Iterator[Row]:
        """All contents, ordered by digest."""
        return map(Row._make, ROW.iter_unpack(self.index))

    def check_layout(self) -> List[Row]:
        """All contents in the order they are stored in.

        :raises StoreCorrupt: some are there twice, overlap, or leave bytes that belong to none.
        """
        last = b""
        for row in self.rows():
            if row.digest <= last:
                raise self._corrupt("its index is out of order, or has a content twice")
            last = row.digest
        rows = sorted(self.rows(), key=lambda row: row.offset)
        at = len(MAGIC)
        for row in rows:
            if row.offset != at:
                raise self._corrupt("its contents overlap, or leave a gap")
            self._check_row(row)
            at = row.end
        if at != self.index_offset:
            raise self._corrupt("there are bytes that belong to no content")
        return rows

    def _check_row(self, row: Row) -> None:
        if row.offset < len(MAGIC) or row.end > self.index_offset:
            raise self._corrupt("a content lies outside of it")
        if row.logical > MAX_LENGTH or row.kind not in (RAW, SPARSE) or (row.kind == RAW and row.logical != row.stored):
            raise self._corrupt("a content's length makes no sense")
        if self._pread(HEADER.size, row.offset) != HEADER.pack(*row[:4]):
            raise self._corrupt("the header of a content does not agree with the index")

    def _extents(self, row: Row) -> Tuple[int, Extents]:
        """Where the data of a content begins in the pack, and which parts of the content it is."""
        begin = row.offset + HEADER.size
        if row.kind == RAW:
            return begin, [(0, row.logical)]
        refused = self._corrupt("the extents of a content make no sense")
        if row.stored < 2 * COUNT.size:
            raise refused
        head = self._pread(COUNT.size, begin)
        length = COUNT.unpack(head)[0] * EXTENT.size
        if 2 * COUNT.size + length > row.stored:
            raise refused
        table = self._pread(length + COUNT.size, begin + COUNT.size)
        if zlib.crc32(head + table[:length]) != COUNT.unpack(table[length:])[0]:
            raise refused
        found = list(EXTENT.iter_unpack(table[:length]))
        at = data = 0
        for offset, size in found:
            if offset < at or not size:
                raise refused
            at = offset + size
            data += size
        if at > row.logical or 2 * COUNT.size + length + data != row.stored:
            raise refused
        return begin + 2 * COUNT.size + length, found

    def pieces(self, row: Row) -> Iterator[Tuple[int, bytes]]:
        """A content's data, piece by piece, each with its offset; what comes between are holes.

        What was given out before the end of it may not be used: only then is known whether it is what it should be.

        :raises StoreCorrupt: it is not.
        """
        self._check_row(row)
        position, found = self._extents(row)
        hasher = hashlib.sha256()
        done = 0
        for offset, length in found:
            hash_zeros(hasher, offset - done)
            done = offset + length
            while offset < done:
                data = self._pread(min(PIECE, done - offset), position)
                hasher.update(data)
                yield offset, data
                offset += len(data)
                position += len(data)
        hash_zeros(hasher, row.logical - done)
        if hasher.digest() != row.digest:
            raise self._corrupt("the content %s is damaged" % row.digest.hex())

    def stored(self, row: Row, count: int, at: int) -> bytes:
        """Some of the bytes that a content is stored as, not verified."""
        return self._pread(min(count, row.stored - at), row.offset + HEADER.size + at)

    def verify(self, row: Row) -> None:
        """:raises StoreCorrupt: a content is not what its digest says."""
        for _piece in self.pieces(row):
            pass

    def read(self, row: Row, limit: int) -> bytes:
        """A content as bytes.

        :raises StoreCorrupt: it is damaged, or has more than ``limit`` bytes.
        """
        if row.logical > limit:
            raise self._corrupt("the content %s has more than %d bytes" % (row.digest.hex(), limit))
        if row.kind == RAW:
            return b"".join(data for _offset, data in self.pieces(row))
        whole = bytearray(row.logical)
        for offset, data in self.pieces(row):
            whole[offset : offset + len(data)] = data
        return bytes(whole)

    def copy_to(self, row: Row, fd: int) -> None:
        """Write a content, holes and all, into an empty file. It may only be used if this returns.

        :raises OSError: of writing.
        :raises StoreCorrupt: the content is damaged.
        """
        at = 0
        for offset, data in self.pieces(row):
            if offset != at:
                os.lseek(fd, offset, os.SEEK_SET)
            write_all(fd, data)
            at = offset + len(data)
        if at != row.logical:
            os.ftruncate(fd, row.logical)


def open_pack(path: str, dir_fd: Optional[int] = None, label: str = "") -> PackReader:
    """Open a pack by its name.

    :raises FileNotFoundError: there is none.
    :raises StoreCorrupt: it cannot be used.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=dir_fd)
    except FileNotFoundError:
        raise
    except OSError as exc:
        if exc.errno in (errno.ELOOP, errno.ENXIO, errno.ENODEV):
            raise StoreCorrupt("the pack %s is no regular file" % (label or path), path=label or path) from exc
        raise from_os_error(exc, "read from the vault", label or path) from exc
    return PackReader(fd, label or path)


def check_pack(reader: PackReader) -> List[Row]:
    """Verify a whole pack, each content against its digest.

    :raises HeartbeatError: the first thing that is wrong.
    """
    rows = reader.check_layout()
    for row in rows:
        reader.verify(row)
    return rows
