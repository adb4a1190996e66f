# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""gzip with a seal: the compressed stream of a backup, and a digest of all its bytes at its end.

gzip's own checksum covers what was compressed, not its header, and nothing says that a file ends where it should. So
the stream is followed by a second, empty member whose extra field holds the SHA-256 of every byte before it. ``gzip``
and ``tar`` read such a file without a word, and a change of any single byte of it is found.
"""

from __future__ import annotations

import hashlib
import struct
import zlib
from typing import Optional

from ..errors import BackupCorrupt
from .crypt import Sink, Source

PIECE = 1 << 20
LEVEL = 6
_SEAL_HEAD = b"\x1f\x8b\x08\x04" + bytes(5) + b"\xff" + struct.pack("<H", 36) + b"RH" + struct.pack("<H", 32)
_SEAL_TAIL = b"\x03\x00" + bytes(8)
SEAL_SIZE = len(_SEAL_HEAD) + 32 + len(_SEAL_TAIL)
MOST_PER_BYTE = 800
FREE_OF_DOUBT = 1 << 30
"""A stream that unpacks to more than this, and to more than MOST_PER_BYTE times its size, is not one of ours."""


class GzipSink:
    """Compresses what is written to it, into ``sink``."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._sum = hashlib.sha256()
        self._packer = zlib.compressobj(LEVEL, zlib.DEFLATED, 16 + zlib.MAX_WBITS)

    def write(self, data: bytes) -> None:
        self._emit(self._packer.compress(data))

    def close(self) -> str:
        """Write what is left, and the seal; the seal's digest."""
        self._emit(self._packer.flush())
        self._sink(_SEAL_HEAD + self._sum.digest() + _SEAL_TAIL)
        return self._sum.hexdigest()

    def _emit(self, data: bytes) -> None:
        if data:
            self._sum.update(data)
            self._sink(data)


class GzipSource:
    """Unpacks a sealed stream piece by piece, never more of it at a time than is asked for."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._sum = hashlib.sha256()
        self._packed = bytearray()
        self._unpacker = zlib.decompressobj(16 + zlib.MAX_WBITS)
        self._ended = False
        self._read = self._unpacked = 0
        self.seal: Optional[str] = None
        """The digest of the whole, once it was read to its end and found to be right."""

    def read(self, size: int) -> bytes:
        """At most ``size`` bytes; ``b""`` at the end, where the seal is checked.

        :raises BackupCorrupt: damaged, truncated, or with something behind its end.
        """
        while not self._unpacker.eof:
            packed = self._unpacker.unconsumed_tail or self._next()
            if not packed:
                raise BackupCorrupt("it is truncated: its end is missing")
            try:
                data = self._unpacker.decompress(packed, size)
            except zlib.error as exc:
                raise BackupCorrupt("it is damaged: %s" % exc) from exc
            if data:
                self._unpacked += len(data)
                if self._unpacked > FREE_OF_DOUBT and self._unpacked > MOST_PER_BYTE * self._read:
                    raise BackupCorrupt("it unpacks to far more than a backup of its size could hold")
                return data
        if self.seal is None:
            self._check_seal()
        return b""

    def _next(self) -> bytes:
        """More of the compressed stream; the last bytes are kept back, because they are the seal."""
        while not self._ended and len(self._packed) <= SEAL_SIZE:
            more = self._source(PIECE)
            self._ended = not more
            self._packed += more
        data = bytes(self._packed[:-SEAL_SIZE]) if len(self._packed) > SEAL_SIZE else b""
        del self._packed[: len(data)]
        self._read += len(data)
        self._sum.update(data)
        return data

    def _check_seal(self) -> None:
        if self._unpacker.unused_data or self._next():
            raise BackupCorrupt("it is damaged: something lies behind its end")
        if bytes(self._packed) != _SEAL_HEAD + self._sum.digest() + _SEAL_TAIL:
            raise BackupCorrupt("it is damaged: its digest is not that of its bytes")
        self.seal = self._sum.hexdigest()
