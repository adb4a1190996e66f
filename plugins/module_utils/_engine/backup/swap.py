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
from contextlib import ExitStack, contextmanager
from typing import Iterator, Optional, Tuple

from ..errors import RestoreFailed
from ..stores.atomic import TEMPORARY, sync_directory
from .catalogue import FOLDER
from .place import OPEN_DIR, Place, sync
from .walk import MARK

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2
_CANNOT = (errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP, errno.ENOTTY)
_ATTEMPTS = 5
FINISHED = "finished"
UNDONE = "undone"


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

    :raises RestoreFailed: somebody made another fleet in the meantime, or what is left is not of this user's restores;
        nothing was touched.
    """
    if not os.path.lexists(place.staging):
        _unlink(os.path.join(place.target, MARK))
        return None
    place.hold()
    ready = place.is_marked(place.new)
    if place.is_marked(place.target):
        tidy_up(place)
        return FINISHED
    if os.path.lexists(place.target) and os.path.lexists(place.old):
        raise RestoreFailed(
            "a restore of %s was interrupted, and another fleet has been made there since; the former one is %s: "
            "move one of the two away, and run heartbeat_restore again"
            % (place.target, os.path.join(place.staging, "old")),
            path=place.staging,
        )
    if not os.path.lexists(place.target) and os.path.lexists(place.old):
        os.rename(place.new if ready else place.old, place.target)
        sync(place.root)
        if ready:
            tidy_up(place)
            return FINISHED
    _clear(place)
    return UNDONE


def tidy_up(place: Place) -> None:
    """After the swap: bring the backups over, delete the former state, remove the mark."""
    sync(place.root)
    for former in (place.new, place.old):
        _carry(former, place.target)
    _clear(place)
    _unlink(os.path.join(place.target, MARK))
    sync(place.root)


@contextmanager
def _backups(source: str, target: str) -> Iterator[Tuple[int, ...]]:
    """Descriptors of the backups in two states of a fleet; none where one has none. No link is followed to either."""
    with ExitStack() as opened:
        found = []
        try:
            for fleet in (source, target):
                outer = opened.enter_context(_opened(fleet))
                found.append(opened.enter_context(_opened(FOLDER, outer)))
        except OSError as exc:
            if exc.errno not in (errno.ENOENT, errno.ELOOP, errno.ENOTDIR):
                raise
        yield tuple(found) if len(found) == 2 else ()


@contextmanager
def _opened(path: str, outer: Optional[int] = None) -> Iterator[int]:
    fd = os.open(path, OPEN_DIR, dir_fd=outer)
    try:
        yield fd
    finally:
        os.close(fd)


def _carry(former: str, new: str) -> None:
    """Move the backups that are not in the new place yet."""
    with _backups(former, new) as folders:
        if not folders:
            return
        source, target = folders[0], folders[1]
        there = set(os.listdir(target))
        for name in os.listdir(source):
            if not name.startswith(TEMPORARY) and name not in there:
                os.rename(name, name, src_dir_fd=source, dst_dir_fd=target)
        sync_directory(target)


def link_backups(place: Place) -> None:
    """Let the new state have the backups from the start, where the file system has hard links."""
    try:
        with _backups(place.target, place.new) as folders:
            if not folders:
                return
            source, target = folders[0], folders[1]
            for name in os.listdir(source):
                if not name.startswith(TEMPORARY):
                    os.link(name, name, src_dir_fd=source, dst_dir_fd=target, follow_symlinks=False)
    except OSError:
        return  # no links, or no backups: what is missing is moved after the swap


def _clear(place: Place) -> None:
    """Delete the directory that was prepared, with what is left in it."""
    for state in (place.new, place.old):
        _remove(state)
    place.release()
    try:
        os.rmdir(place.staging)
    except FileNotFoundError:
        pass


def _remove(path: str) -> None:
    """Delete a state of a fleet; a beat that was on its way into it may need another look."""
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
