# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writing a pack: contents one after the other into a temporary file, which gets its name only when it is whole."""

from __future__ import annotations

import hashlib
import os

from ..errors import DiskSpaceLow, from_os_error
from ..stores.atomic import TEMPORARY, discard, sync_directory
from .pack import FOOTER, HEADER, MAGIC, RAW, ROW, SPARSE, extent_table, pack_name
from .reading import PIECE, check_steady, extents, hash_zeros, pieces, read_whole

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, Dict, Optional, Tuple, Union

    from .pack import Row
    from .reading import Extents

SPARE = 16 << 20
"""Bytes that are left free on the store's file system: heartbeats have to be written, too."""


def check_space(dir_fd: int, needed: int, path: str) -> None:
    """:raises DiskSpaceLow: there is no room for ``needed`` bytes."""
    try:
        state = os.fstatvfs(dir_fd)
    except OSError as exc:
        raise from_os_error(exc, "look for free space", path) from exc
    free = state.f_bavail * state.f_frsize
    if needed + SPARE > free:
        raise DiskSpaceLow(
            "%d bytes are needed at %s, of which %d are to stay free, but only %d are free; make room there"
            % (needed + SPARE, path, SPARE, free),
            path=path,
            needed=needed + SPARE,
            free=free,
        )


class PackWriter:
    """A pack in the making, used in a ``with`` block: what is not finished by its end has never been.

    :param dir_fd: the directory it is to lie in.
    :param path: how errors name that directory.
    :param known: whether a content need not be stored, because it is elsewhere.
    :param name: of the finished pack; by default the name that its index gives it.
    :param mode: of its file.
    """

    def __init__(
        self,
        dir_fd: int,
        path: str,
        known: Callable[[bytes], bool] = lambda _digest: False,
        name: str = "",
        mode: int = 0o640,
    ) -> None:
        self.dir_fd = dir_fd
        self.path = path
        self.known = known
        self.name = name
        self.mode = mode
        self.rows: Dict[bytes, Tuple[int, int, int, int]] = {}
        self._temporary = ""
        self._fd = -1
        self._buffer = bytearray(MAGIC)
        self._flushed = 0

    def __enter__(self) -> PackWriter:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.abort()

    def reserve(self, needed: int) -> None:
        """:raises DiskSpaceLow: there is no room for so many bytes more."""
        check_space(self.dir_fd, needed, self.path)

    def has(self, digest: bytes) -> bool:
        """Whether a content need not be added: it is in this pack already, or elsewhere."""
        return digest in self.rows or self.known(digest)

    def add_bytes(self, data: bytes) -> str:
        """Add a content; its digest in hexadecimal."""
        digest = hashlib.sha256(data).digest()
        if not self.has(digest):
            self._row(digest, RAW, len(data), len(data))
            self._buffer += HEADER.pack(digest, RAW, len(data), len(data))
            self._buffer += data
            if len(self._buffer) >= PIECE:
                self._flush()
        return digest.hex()

    def add_file(self, fd: int, state: os.stat_result) -> Tuple[str, int]:
        """Add what an open file holds, from its beginning; its digest in hexadecimal, and how many bytes were new.

        :param state: the file's, taken before.
        :raises OSError: the file cannot be read.
        :raises Unsteady: somebody wrote to it meanwhile. Nothing of it is kept.
        """
        found = extents(fd, state)
        if found is None and state.st_size <= PIECE:
            data = read_whole(fd, state.st_size)
            check_steady(fd, state)
            count = len(self.rows)
            return self.add_bytes(data), len(data) if len(self.rows) > count else 0
        return self._stream(fd, state, found)

    def _stream(self, fd: int, state: os.stat_result, found: Optional[Extents]) -> Tuple[str, int]:
        """The same with constant memory; the header is written when the digest is known."""
        self._flush()
        begin = self._flushed
        kind, table = (RAW, b"") if found is None else (SPARSE, extent_table(found))
        found = [(0, state.st_size)] if found is None else found
        stored = len(table) + sum(length for _offset, length in found)
        self.reserve(stored)
        hasher = hashlib.sha256()
        done = 0
        try:
            self._write(bytes(HEADER.size) + table)
            for offset, data in pieces(fd, found):
                hash_zeros(hasher, offset - done)
                hasher.update(data)
                self._write(data)
                done = offset + len(data)
            hash_zeros(hasher, state.st_size - done)
            check_steady(fd, state)
        except BaseException:
            self._truncate(begin)
            raise
        digest = hasher.digest()
        if self.has(digest):
            self._truncate(begin)
            return digest.hex(), 0
        self._write_at(HEADER.pack(digest, kind, state.st_size, stored), begin)
        self.rows[digest] = (kind, state.st_size, stored, begin)
        return digest.hex(), state.st_size

    def add_stored(self, row: Row, read: Callable[[int, int], bytes]) -> None:
        """Copy a content as another pack stores it; the caller has verified it.

        :param read: gives so many bytes at an offset within what is stored.
        """
        digest, kind, logical, stored, _offset = row
        if self.has(digest):
            return
        self._row(digest, kind, logical, stored)
        self._buffer += HEADER.pack(digest, kind, logical, stored)
        at = 0
        while at < stored:
            data = read(min(PIECE, stored - at), at)
            self._buffer += data
            at += len(data)
            if len(self._buffer) >= PIECE:
                self._flush()

    def _row(self, digest: bytes, kind: int, logical: int, stored: int) -> None:
        self.rows[digest] = (kind, logical, stored, self._flushed + len(self._buffer))

    def commit(self, durable: bool = True) -> Optional[str]:
        """Finish the pack; its name, or None when there was nothing to add, and so is no pack."""
        if not self.rows and not self.name:
            self.abort()
            return None
        index = b"".join(
            ROW.pack(digest, kind, logical, stored, offset)
            for digest, (kind, logical, stored, offset) in sorted(self.rows.items())
        )
        at = self._flushed + len(self._buffer)
        self._buffer += index
        self._buffer += FOOTER.pack(at, len(self.rows), hashlib.sha256(index).digest(), MAGIC)
        name = self.name or pack_name(index)
        self._flush()
        try:
            if durable:
                os.fsync(self._fd)
            os.rename(self._temporary, name, src_dir_fd=self.dir_fd, dst_dir_fd=self.dir_fd)
            self._temporary = ""
            if durable:
                sync_directory(self.dir_fd)
        except OSError as exc:
            raise from_os_error(exc, "finish a pack", self.path) from exc
        finally:
            self.abort()
        return name

    def abort(self) -> None:
        """Take back what is not finished."""
        if self._fd >= 0:
            fd, self._fd = self._fd, -1
            os.close(fd)
        if self._temporary:
            discard(self.dir_fd, self._temporary)
            self._temporary = ""
        self._buffer = bytearray(MAGIC)
        self._flushed = 0
        self.rows = {}

    def _flush(self) -> None:
        if self._buffer:
            data, self._buffer = self._buffer, bytearray()
            self._write(data)

    def _write(self, data: Union[bytes, bytearray]) -> None:
        self._write_at(data, self._flushed)
        self._flushed += len(data)

    def _write_at(self, data: Union[bytes, bytearray], offset: int) -> None:
        try:
            if self._fd < 0:
                self._open()
            view = memoryview(data)
            while view:
                done = os.pwrite(self._fd, view, offset)
                view = view[done:]
                offset += done
        except OSError as exc:
            raise from_os_error(exc, "write a pack", self.path) from exc

    def _open(self) -> None:
        name = "%s%d-%s" % (TEMPORARY, os.getpid(), os.urandom(6).hex())
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        self._fd = os.open(name, flags, self.mode, dir_fd=self.dir_fd)
        self._temporary = name
        os.fchmod(self._fd, self.mode)

    def _truncate(self, begin: int) -> None:
        self._flushed = begin
        try:
            os.ftruncate(self._fd, begin)
        except OSError as exc:
            raise from_os_error(exc, "write a pack", self.path) from exc
