# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A file's content, read in pieces from an open descriptor: with its holes, and only if nobody writes to it."""

from __future__ import annotations

import errno
import hashlib
import os
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Iterator, List, Optional, Tuple

    Extents = List[Tuple[int, int]]
    """Where there is data: offset and length, in order."""

PIECE = 1 << 20
ZEROS = bytes(PIECE)
MAX_EXTENTS = 65_536
"""A file of more pieces than this is taken with its holes filled."""
TICK_NS = 20_000_000
"""Two writes closer than this may leave the same ctime: kernels stamp by a clock that advances in such steps."""
OPEN_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class Unsteady(Exception):
    """The file changed while it was read."""


def settle(state: os.stat_result) -> None:
    """Let the clock of file times move on, if a file was written to just now: else a write could go unnoticed."""
    if -TICK_NS < time.time_ns() - state.st_ctime_ns < TICK_NS:
        time.sleep(TICK_NS / 1e9)


def check_steady(fd: int, state: os.stat_result) -> None:
    """:raises Unsteady: the file is no longer as ``state`` says."""
    now = os.fstat(fd)
    if (now.st_size, now.st_mtime_ns, now.st_ctime_ns) != (state.st_size, state.st_mtime_ns, state.st_ctime_ns):
        raise Unsteady


def read_whole(fd: int, size: int) -> bytes:
    """All of a small file.

    :raises Unsteady: it has more or fewer bytes.
    """
    data = os.read(fd, size + 1)
    while len(data) < size:
        more = os.read(fd, size + 1 - len(data))
        if not more:
            break
        data += more
    if len(data) != size:
        raise Unsteady
    return data


def extents(fd: int, state: os.stat_result) -> Optional[Extents]:
    """Where a file has data; None when it has no holes, or its file system does not tell."""
    size = state.st_size
    if state.st_blocks * 512 >= size:
        return None
    found: Extents = []
    at = 0
    try:
        while at < size:
            try:
                begin = os.lseek(fd, at, os.SEEK_DATA)
            except OSError as exc:
                if exc.errno != errno.ENXIO:
                    raise
                break
            at = min(os.lseek(fd, begin, os.SEEK_HOLE), size)
            if begin >= at or len(found) == MAX_EXTENTS:
                return None
            found.append((begin, at - begin))
    except OSError as exc:
        if exc.errno in (errno.EINVAL, errno.ENOTSUP, errno.ENOSYS):
            return None
        raise
    return None if found == [(0, size)] else found


def pieces(fd: int, found: Extents) -> Iterator[Tuple[int, bytes]]:
    """The data of a file, piece by piece, each with its offset.

    :raises Unsteady: the file ends earlier.
    """
    for at, length in found:
        end = at + length
        while at < end:
            data = os.pread(fd, min(PIECE, end - at), at)
            if not data:
                raise Unsteady
            yield at, data
            at += len(data)


def hash_zeros(hasher: Any, count: int) -> None:
    """Feed a hole to a hash."""
    while count > 0:
        hasher.update(ZEROS if count >= PIECE else ZEROS[:count])
        count -= PIECE


def file_digest(fd: int, state: os.stat_result) -> str:
    """SHA-256 of what a file holds, in hexadecimal, with constant memory.

    :raises Unsteady: somebody wrote to it meanwhile.
    """
    size = state.st_size
    if size <= PIECE:
        digest = hashlib.sha256(read_whole(fd, size)).hexdigest()
    else:
        hasher = hashlib.sha256()
        done = 0
        found = extents(fd, state)
        for at, data in pieces(fd, [(0, size)] if found is None else found):
            hash_zeros(hasher, at - done)
            hasher.update(data)
            done = at + len(data)
        hash_zeros(hasher, size - done)
        digest = hasher.hexdigest()
    check_steady(fd, state)
    return digest
