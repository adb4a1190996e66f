# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Locks on files of a directory that a group shares: filelock waits, and the file is opened here.

Several versions of filelock open it by its path, follow a link that somebody of the group has put there, and empty
what it leads to. One that finds no locks on a file system makes do with a file that outlives its holder.
"""

from __future__ import annotations

import errno
import fcntl
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Iterator, Optional

from .atomic import share

if TYPE_CHECKING:
    from filelock import BaseFileLock

HELD_BY_ANOTHER = (errno.EAGAIN, errno.EACCES)
NO_LOCKS = (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS)
"""What a file system without locks answers, such as NFS without a lock daemon."""
_OPEN = os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


@contextmanager
def hold(folder: int, name: str, timeout: float) -> Iterator[bool]:
    """Hold the lock on a file, which is made if it is not there.

    :param folder: a descriptor of its directory.
    :param timeout: for how many seconds to wait for it.
    :returns: False if others hold it. True also where the file system has no locks: they spare work, no more.
    :raises OSError: the file cannot be opened.
    """
    import filelock

    guard = _guard(folder, name)
    held = True
    try:
        guard.acquire(timeout=timeout)
    except filelock.Timeout:
        held = False
    except OSError as exc:
        if exc.errno not in NO_LOCKS:
            raise
    try:
        yield held
    finally:
        guard.release()


def _guard(folder: int, name: str) -> BaseFileLock:
    from filelock import BaseFileLock

    class Guard(BaseFileLock):
        """What it opens is in the folder; its own path is for messages alone."""

        def _acquire(self) -> None:
            self._context.lock_file_fd = _locked(folder, name)

        def _release(self) -> None:
            fd, self._context.lock_file_fd = self._context.lock_file_fd, None
            if fd is not None:
                os.close(fd)

    return Guard("/" + name)


def _locked(folder: int, name: str) -> Optional[int]:
    """A descriptor of the file with the lock on it, or None where another one has it."""
    fd = _open(folder, name)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(fd).st_nlink:
            return fd
        os.close(fd)  # removed meanwhile: that is no longer the file that others lock
    except OSError as exc:
        os.close(fd)
        if exc.errno not in HELD_BY_ANOTHER:
            raise
    return None


def _open(folder: int, name: str) -> int:
    try:
        return os.open(name, _OPEN, dir_fd=folder)
    except FileNotFoundError:
        fd = os.open(name, _OPEN | os.O_CREAT, 0o600, dir_fd=folder)
        share(fd)
        return fd
