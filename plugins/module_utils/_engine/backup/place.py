# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a fleet is, and the directory beside it in which another one is built; nobody else can look into that one.

The directory of the store is open to the group, so what has a name there may be anybody's. What a restore works in is
opened once, seen to be its own, and from then on reached through the descriptor, whatever lies under the name by then.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from contextlib import ExitStack, contextmanager
from typing import FrozenSet, Iterator, Optional

from .. import mounts
from ..errors import LockTimeout, RestoreFailed, StoreUnavailable, from_os_error
from ..stores.atomic import discard, sync_directory
from ..stores.file import RESTORING, FileStore
from ..stores.locks import hold
from .walk import MARK

LOCK_PATIENCE = 15.0
OPEN_DIR = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_HELD = re.compile(r"/proc/self/fd/\d+")


class Place:
    """Where a fleet is, and where another one is prepared beside it."""

    def __init__(self, store: FileStore) -> None:
        self.target = os.path.realpath(store.location)
        self.root, self.name = os.path.split(self.target)
        self.staging = os.path.join(self.root, RESTORING + self.name)
        self._held = -1

    @property
    def inside(self) -> str:
        """The directory that is prepared: the one that was opened, where there is a ``/proc`` to say so."""
        held = "/proc/self/fd/%d" % self._held
        return held if self._held >= 0 and os.path.isdir(held) else self.staging

    @property
    def new(self) -> str:
        return os.path.join(self.inside, "new")

    @property
    def old(self) -> str:
        return os.path.join(self.inside, "old")

    def check(self) -> None:
        """Whether a fleet can be put here at all.

        :raises StoreUnavailable: the store's directory is not there.
        :raises RestoreFailed: the fleet is a file system of its own, or the store cannot be written.
        """
        try:
            root = os.stat(self.root)
        except OSError as exc:
            if exc.errno in (errno.ENOENT, errno.ENOTDIR):
                raise StoreUnavailable(
                    "there is no directory %s: mount the share that holds it, or make the directory for a new store"
                    % self.root,
                    errno="ENOENT",
                    path=self.root,
                ) from exc
            raise from_os_error(exc, "open the store", self.root) from exc
        if not os.access(self.root, os.W_OK | os.X_OK):
            raise RestoreFailed(
                "a whole fleet is swapped inside %s, and this user cannot write there; run the task with become, or "
                "restore machine by machine" % self.root,
                path=self.root,
            )
        if os.path.lexists(self.target):
            there = os.stat(self.target)
            if not stat.S_ISDIR(there.st_mode) or there.st_dev != root.st_dev or _is_mount(self.target):
                raise RestoreFailed(
                    "%s is a mount point, or no directory, and cannot be swapped; give a store one level up, or "
                    "restore under another name for the fleet" % self.target,
                    path=self.target,
                )
            _check_inside(self.target)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """One restore at a time. Where the file system knows no locks, the directory that is prepared decides."""
        name = os.path.basename(self.staging) + ".lock"
        with ExitStack() as stack:
            stack.callback(self.release)
            try:
                fd = os.open(self.root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
                stack.callback(os.close, fd)
                if not stack.enter_context(hold(fd, name, LOCK_PATIENCE)):
                    raise LockTimeout(
                        "another restore of %s has been running for %d s; wait for it" % (self.target, LOCK_PATIENCE)
                    )
                stack.callback(discard, fd, name)  # it is a lock all the same
            except OSError:
                pass  # no lock to be had here
            yield

    def begin(self) -> None:
        """Make the directory in which the new state is built; nobody else can look into it."""
        os.mkdir(self.staging, 0o700)
        self.hold()
        os.mkdir(self.new, 0o700)

    def hold(self) -> None:
        """Open the directory that is prepared, be it from a moment ago or from a restore that was interrupted.

        :raises RestoreFailed: anybody could have put there what is in it.
        """
        if self._held >= 0:
            return
        try:
            fd = os.open(self.staging, OPEN_DIR)
        except OSError as exc:
            if exc.errno not in (errno.ELOOP, errno.ENOTDIR):
                raise
            raise self._strange() from exc
        try:
            if not self._is_own(os.fstat(fd)):
                raise self._strange()
        except BaseException:
            os.close(fd)
            raise
        self._held = fd

    def release(self) -> None:
        """Close it again."""
        if self._held >= 0:
            os.close(self._held)
        self._held = -1

    def _is_own(self, state: os.stat_result) -> bool:
        """Whether it is a directory of ours that nobody else can enter, as far as the file system keeps that."""
        if state.st_uid == os.geteuid() and not state.st_mode & 0o077:
            return True
        probe = self.staging + ".probe"
        _unlink(probe)
        fd = os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            made = os.fstat(fd)
        finally:
            os.close(fd)
            _unlink(probe)
        return state.st_uid == made.st_uid and bool(made.st_mode & 0o077 or not state.st_mode & 0o077)

    def _strange(self) -> RestoreFailed:
        return RestoreFailed(
            "%s is in the way, and this user's restores did not make it: if another user's restore was interrupted, "
            "run heartbeat_restore as that user; if none was, remove it" % self.staging,
            path=self.staging,
        )

    def in_words(self, text: str) -> str:
        """A text about what is inside, with the path under which people find it."""
        return _HELD.sub(lambda found: self.staging, text)

    def is_interrupted(self) -> bool:
        """Whether a restore was killed between its two renames, so that there is no fleet for the time being."""
        return not os.path.lexists(self.target) and os.path.lexists(self.staging)

    def is_marked(self, folder: str) -> bool:
        """Whether a state has the mark, from whoever made the directory that was prepared."""
        try:
            mark = os.lstat(os.path.join(folder, MARK))
        except (FileNotFoundError, NotADirectoryError):
            return False
        return mark.st_uid == os.stat(self.inside).st_uid

    def mark(self) -> None:
        """Say that the new state is complete."""
        fd = os.open(os.path.join(self.new, MARK), os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
        for folder in (self.new, self.inside, self.root):
            sync(folder)


def _check_inside(fleet: str) -> None:
    """Whether all of a fleet can be swapped: it is in its directory, and this user may bring it over or remove it.

    :raises RestoreFailed: what is only mounted or linked there, or closed to this user, would stay behind.
    """
    _check_open(fleet)
    points = _points()
    for folder, inner, _files in os.walk(fleet):
        for path in (os.path.join(folder, name) for name in inner):
            if os.path.islink(path) or _is_mount(path, points):
                raise RestoreFailed(
                    "%s is a mount point or a link, and a swap would leave it behind; put a directory in its place "
                    "(backups can be elsewhere: give their directory), or restore machine by machine" % path,
                    path=path,
                )
            _check_open(path)


def _points() -> FrozenSet[str]:
    """Where something is mounted. A bind mount of the same file system looks like any other directory there."""
    return frozenset(mount.point for mount in mounts.mounted(mounts.read(mounts.MOUNTINFO)))


def _is_mount(path: str, points: Optional[FrozenSet[str]] = None) -> bool:
    return os.path.ismount(path) or path in (_points() if points is None else points)


def _check_open(folder: str) -> None:
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK) and os.path.lexists(folder):
        raise RestoreFailed(
            "%s is closed to this user, and a swap would leave behind what is in it; run the task with become, or "
            "restore machine by machine" % folder,
            path=folder,
        )


def sync(path: str) -> None:
    """Bring the names in a directory to disk."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        sync_directory(fd)
    finally:
        os.close(fd)


def _unlink(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass
