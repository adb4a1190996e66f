# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Putting a whole fleet in the place of another one: the former state stands, or the new one, wherever it is killed.

The new state is built in ``.restore-<fleet>/new`` beside the fleet, closed to everybody else, complete and on disk.
Its last file is a mark, and then the two directories change places in one step (``renameat2`` with RENAME_EXCHANGE).
From that moment the new state stands. What is left to do is tidying up: bring over backups that were made meanwhile,
delete the former state, remove the mark.

File systems that cannot exchange (network file systems mostly) get two renames. A process that is killed between the
two leaves no fleet under the name: nothing is written there by anybody, agents and checks say STORE_UNAVAILABLE, and
:func:`recover` completes the second rename.

The places of things are the journal of the swap, so :func:`recover` needs no other:

* a mark in the fleet: the swap is done, tidy up;
* no fleet, the former one set aside, a mark in the new one: rename the new one;
* in every other case the new state was not complete: throw it away, the former one stands.
"""

from __future__ import annotations

import ctypes
import errno
import os
import shutil
import stat
from contextlib import ExitStack, contextmanager
from typing import Iterator, Optional

from ..errors import LockTimeout, RestoreFailed, StoreUnavailable, from_os_error
from ..stores.atomic import TEMPORARY, discard, sync_directory
from ..stores.file import FileStore
from ..stores.locks import hold
from .walk import MARK

LOCK_PATIENCE = 15.0
PREFIX = ".restore-"
_AT_FDCWD = -100
_RENAME_EXCHANGE = 2
_CANNOT = (errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP, errno.ENOTTY)
_ATTEMPTS = 5
FINISHED = "finished"
UNDONE = "undone"


class Place:
    """Where a fleet is, and where another one is prepared beside it."""

    def __init__(self, store: FileStore) -> None:
        self.target = os.path.realpath(store.location)
        self.root, self.name = os.path.split(self.target)
        self.staging = os.path.join(self.root, PREFIX + self.name)
        self.new = os.path.join(self.staging, "new")
        self.old = os.path.join(self.staging, "old")

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
            if not stat.S_ISDIR(there.st_mode) or there.st_dev != root.st_dev or os.path.ismount(self.target):
                raise RestoreFailed(
                    "%s is a mount point, or no directory, and cannot be swapped; give a store one level up, or "
                    "restore under another name for the fleet" % self.target,
                    path=self.target,
                )

    @contextmanager
    def locked(self) -> Iterator[None]:
        """One restore at a time. Where the file system knows no locks, the directory that is prepared decides."""
        name = os.path.basename(self.staging) + ".lock"
        with ExitStack() as stack:
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
        os.mkdir(self.new, 0o700)

    def mark(self) -> None:
        """Say that the new state is complete."""
        fd = os.open(os.path.join(self.new, MARK), os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
        _sync(self.new)
        _sync(self.staging)
        _sync(self.root)


def swap(place: Place) -> None:
    """Put the new state in place; the one moment at which anything changes for others."""
    if not os.path.lexists(place.target):
        os.rename(place.new, place.target)
    elif not exchange(place.new, place.target):
        os.rename(place.target, place.old)
        try:
            os.rename(place.new, place.target)
        except BaseException:
            os.rename(place.old, place.target)
            raise


def exchange(one: str, other: str) -> bool:
    """Let two directories change places in one step; False where that is not possible."""
    function = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if function is None:
        return False
    if function(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE) == 0:
        return True
    number = ctypes.get_errno()
    if number in _CANNOT:
        return False
    raise OSError(number, os.strerror(number), other)


def recover(place: Place) -> Optional[str]:
    """Bring what a killed restore left behind to its end: ``finished``, ``undone``, or None if there was nothing.

    :raises RestoreFailed: somebody made another fleet in the meantime; nothing was touched.
    """
    if not os.path.lexists(place.staging):
        _unlink(os.path.join(place.target, MARK))
        return None
    ready = os.path.lexists(os.path.join(place.new, MARK))
    if os.path.lexists(os.path.join(place.target, MARK)):
        tidy_up(place)
        return FINISHED
    if os.path.lexists(place.target) and os.path.lexists(place.old):
        raise RestoreFailed(
            "a restore of %s was interrupted, and another fleet has been made there since; the former one is %s: "
            "move one of the two away, and run heartbeat_restore again" % (place.target, place.old),
            path=place.staging,
        )
    if not os.path.lexists(place.target) and os.path.lexists(place.old):
        os.rename(place.new if ready else place.old, place.target)
        _sync(place.root)
        if ready:
            tidy_up(place)
            return FINISHED
    _remove(place.staging)
    return UNDONE


def tidy_up(place: Place) -> None:
    """After the swap: bring the backups over, delete the former state, remove the mark."""
    _sync(place.root)
    for former in (place.new, place.old):
        _carry(os.path.join(former, "backups"), os.path.join(place.target, "backups"))
    _remove(place.staging)
    _unlink(os.path.join(place.target, MARK))
    _sync(place.root)


def _carry(source: str, target: str) -> None:
    """Move the backups that are not in the new place yet."""
    try:
        names = os.listdir(source)
    except FileNotFoundError:
        return
    for name in names:
        if not name.startswith(TEMPORARY) and not os.path.lexists(os.path.join(target, name)):
            os.rename(os.path.join(source, name), os.path.join(target, name))
    _sync(target)


def link_backups(place: Place) -> None:
    """Let the new state have the backups from the start, where the file system has hard links."""
    source, target = (os.path.join(folder, "backups") for folder in (place.target, place.new))
    try:
        for name in os.listdir(source):
            if not name.startswith(TEMPORARY):
                os.link(os.path.join(source, name), os.path.join(target, name), follow_symlinks=False)
    except OSError:
        return  # no links, or no backups: what is missing is moved after the swap


def _remove(path: str) -> None:
    """Delete a directory; a beat that was on its way into it may need another look."""
    for _attempt in range(_ATTEMPTS):
        try:
            shutil.rmtree(path)
            return
        except FileNotFoundError:
            if not os.path.lexists(path):
                return
        except OSError as exc:
            if exc.errno != errno.ENOTEMPTY:
                raise
    shutil.rmtree(path)


def _unlink(path: str) -> None:
    try:
        os.unlink(path)
    except (FileNotFoundError, NotADirectoryError):
        pass


def _sync(path: str) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        sync_directory(fd)
    finally:
        os.close(fd)
