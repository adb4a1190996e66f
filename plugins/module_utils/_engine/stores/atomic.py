# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that are there whole or not at all, relative to an open directory. Standard library only.

Every replacement is: temporary file in the same directory, write, fsync, rename. Every creation that must not
overwrite is the same with ``link`` in place of ``rename``, which is atomic on local and on network file systems.
No link is followed, because everybody in the store's group can make one.
"""

from __future__ import annotations

import errno
import os
import stat
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Optional, Tuple

TEMPORARY = ".tmp-"
FILE_MODE = 0o664
DIR_MODE = 0o2775
IN_THE_MAKING = b"\n"
"""First byte of a file that was not created in one step: if it is torn, its writer may still be at it."""
MAKING_LIMIT = 30.0
# What a file system without hard links answers to link().
_NO_LINKS = frozenset((errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EXDEV))


def make_path(path: str) -> None:
    """Make a folder, and those above it that are missing, for everybody to read, whatever umask this process has."""
    missing = []
    path = os.path.join(os.getcwd(), path)
    while not os.path.isdir(path):
        missing.append(path)
        path = os.path.dirname(path)
    for folder in reversed(missing):
        try:
            os.mkdir(folder)
        except FileExistsError:
            if not os.path.isdir(folder):
                raise
            continue  # somebody else was first
        os.chmod(folder, stat.S_IMODE(os.stat(folder).st_mode) & ~0o022 | 0o755)


def write_temporary(dir_fd: int, data: bytes, durable: bool = True) -> Tuple[str, int]:
    """A new temporary file with ``data`` on disk; its name, and its mtime as the file server stamped it."""
    name = "%s%d-%s" % (TEMPORARY, os.getpid(), os.urandom(6).hex())
    started = time.monotonic()
    fd = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, FILE_MODE, dir_fd=dir_fd)
    try:
        try:
            write_all(fd, data)
            if durable:
                os.fsync(fd)
            # After the fsync, so that a network client no longer answers with a time of its own.
            stamp = share(fd)
        finally:
            os.close(fd)
        if time.monotonic() - started > MAKING_LIMIT:
            # What it says is of a time long gone: its writer must look again, and say that the store hung.
            raise OSError(errno.ETIMEDOUT, "the store took too long to write", name)
    except BaseException:
        discard(dir_fd, name)
        raise
    return name, stamp


def share(fd: int) -> int:
    """Give the group its rights, whatever umask this process has; the file's mtime.

    root on a hardened host writes what the agents' users must read.
    """
    state = os.fstat(fd)
    if FILE_MODE & ~state.st_mode:
        try:
            os.fchmod(fd, FILE_MODE)
        except OSError:
            pass  # a file system that knows one mode only
    return state.st_mtime_ns


def write_all(fd: int, data: bytes) -> None:
    """``write`` until all is written: a short write is no error, and no success either."""
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def discard(dir_fd: int, name: str) -> None:
    """Remove a file; that it is gone already is fine, and a failure here must not hide the first one."""
    try:
        os.unlink(name, dir_fd=dir_fd)
    except OSError:
        pass


def replace(dir_fd: int, name: str, data: bytes, durable: bool = True) -> int:
    """Put ``data`` under ``name``, whatever was there; returns the new mtime in nanoseconds."""
    temporary, stamp = write_temporary(dir_fd, data, durable)
    try:
        os.rename(temporary, name, src_dir_fd=dir_fd, dst_dir_fd=dir_fd)
    except BaseException:
        discard(dir_fd, temporary)
        raise
    return stamp


def create(dir_fd: int, name: str, data: bytes) -> Optional[int]:
    """Put ``data`` under ``name`` only if nothing is there: the mtime, or None when somebody else was first."""
    temporary, stamp = write_temporary(dir_fd, data)
    try:
        os.link(temporary, name, src_dir_fd=dir_fd, dst_dir_fd=dir_fd, follow_symlinks=False)
    except FileExistsError:
        # A network file system may lose the answer to a link that it has made: then the name is our own file.
        return stamp if _same_file(dir_fd, temporary, name) else None
    except OSError as exc:
        if exc.errno not in _NO_LINKS:
            raise
        return _create_exclusive(dir_fd, name, data)
    finally:
        discard(dir_fd, temporary)
    return stamp


def _same_file(dir_fd: int, one: str, other: str) -> bool:
    try:
        first = os.stat(one, dir_fd=dir_fd, follow_symlinks=False)
        second = os.stat(other, dir_fd=dir_fd, follow_symlinks=False)
    except OSError:
        return False
    return (first.st_dev, first.st_ino) == (second.st_dev, second.st_ino)


def _create_exclusive(dir_fd: int, name: str, data: bytes) -> Optional[int]:
    """The same where there are no hard links; a crash in the middle leaves a torn file for readers to see.

    Readers pass a torn file over when it is older than :data:`MAKING_LIMIT` allows (twice that, to be sure), so a
    writer that took longer must take its file back: somebody may have gone on without it.
    """
    started = time.monotonic()
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        fd = os.open(name, flags, FILE_MODE, dir_fd=dir_fd)
    except FileExistsError:
        return None
    try:
        write_all(fd, IN_THE_MAKING + data)
        os.fsync(fd)
        if time.monotonic() - started > MAKING_LIMIT:
            raise OSError(errno.ETIMEDOUT, "the store took too long to write", name)
        return share(fd)
    except OSError:
        discard(dir_fd, name)
        raise
    finally:
        os.close(fd)


def read(dir_fd: int, name: str, limit: int) -> Optional[Tuple[bytes, os.stat_result]]:
    """A file's bytes and its state, taken from one open descriptor; None when it is not there.

    :param limit: the most bytes to read; a longer file comes back ``limit + 1`` bytes long.
    :raises OSError: ELOOP for a symbolic link, EISDIR for anything else that is no regular file.
    """
    try:
        fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=dir_fd)
    except FileNotFoundError:
        return None
    except OSError as exc:
        if exc.errno in (errno.ENXIO, errno.ENODEV):  # a socket, or a device that is not there
            raise OSError(errno.EISDIR, "not a regular file", name) from exc
        raise
    try:
        state = os.fstat(fd)
        if not stat.S_ISREG(state.st_mode):
            raise OSError(errno.EISDIR, "not a regular file", name)
        data = os.read(fd, min(limit, state.st_size) + 1)
        while len(data) != state.st_size and len(data) <= limit:
            more = os.read(fd, limit + 1 - len(data))
            if not more:
                break
            data += more
        return data, state
    finally:
        os.close(fd)


def make_folder(dir_fd: int, name: str) -> int:
    """A descriptor of a directory, which is made if it is not there; the group may write into one that is ours.

    :raises OSError: ELOOP for a symbolic link, ENOTDIR for anything else that is no directory.
    """
    try:
        os.mkdir(name, dir_fd=dir_fd)
    except FileExistsError:
        pass
    try:
        fd = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=dir_fd)
    except NotADirectoryError as exc:
        if stat.S_ISLNK(os.stat(name, dir_fd=dir_fd, follow_symlinks=False).st_mode):
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), name) from exc
        raise
    try:
        if os.fstat(fd).st_uid == os.geteuid():
            os.fchmod(fd, DIR_MODE)
    except BaseException:
        os.close(fd)
        raise
    return fd


def sync_directory(dir_fd: int) -> None:
    """fsync a directory, where the file system knows how."""
    try:
        os.fsync(dir_fd)
    except OSError as exc:
        if exc.errno not in (errno.EINVAL, errno.EBADF, errno.ENOTSUP):
            raise
