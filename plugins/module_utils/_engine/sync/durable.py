# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When what was written is on the disk. Standard library only.

One flush of the whole file system costs as much as a few dozen of single files, so many files are flushed by that. It
counts only where the kernel reports a failed write-back to it (Linux 5.8); else, and where it is not to be had, each
file is flushed by itself.
"""

from __future__ import annotations

import os

from ..stores.atomic import sync_directory

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, Optional

FEW = 64
"""Up to so many files are flushed one by one: the file system may be busy with what others write."""


def syncfs(fd: int) -> None:
    """Flush the file system that a descriptor is on.

    :raises OSError: something could not be written since the descriptor was opened.
    """
    call = _syncfs()
    if call is None:
        raise AssertionError("call is None")
    call(fd)


def has_syncfs() -> bool:
    """Whether :func:`syncfs` is there, and tells when it fails."""
    return _syncfs() is not None


def flush_one_by_one(count: int) -> bool:
    """Whether so many files are better flushed each by itself."""
    return count <= FEW or not has_syncfs()


def flush_directory(fd: int) -> None:
    """Flush the names in a directory, where the file system knows how."""
    sync_directory(fd)


_found: Optional[Callable[[int], None]] = None
_looked = False


def _syncfs() -> Optional[Callable[[int], None]]:
    global _found, _looked
    if not _looked:
        _found, _looked = _look(), True
    return _found


def _look() -> Optional[Callable[[int], None]]:
    try:
        release = os.uname().release.split(".")
        if (int(release[0]), int(release[1])) < (5, 8):
            return None
        import ctypes

        function = ctypes.CDLL(None, use_errno=True).syncfs
    except (ImportError, OSError, AttributeError, ValueError, IndexError):
        return None

    def call(fd: int) -> None:
        if function(ctypes.c_int(fd)) != 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code))

    return call
