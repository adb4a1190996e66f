# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Putting what is in a directory aside, and back. Standard library only.

Everything goes through descriptors of directories, and no link is followed. Nothing that is there is ever replaced.
"""

from __future__ import annotations

import os
import stat

from ..errors import InvalidSettings
from ..sync.paths import STAGING, decode
from ..sync.place import open_root

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import List, Mapping, Optional, Set

    from ..sync.manifest import Entry

_OPEN = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class PutBack:
    """What came of putting back.

    :ivar moved: how many entries were put back.
    :ivar kept: where the rest still is: something else is in its place, or it is not certain that it may go.
    """

    def __init__(self) -> None:
        self.moved = 0
        self.kept: Optional[str] = None
        self.left: List[str] = []


def put_aside(path: str, aside: str) -> int:
    """Move everything that is in a directory into a new one beside it.

    :returns: how many entries.
    :raises InvalidSettings: a file system is mounted there, so that names alone cannot be changed; nothing was moved.
    """
    root = _opened(path)
    above = _opened(os.path.dirname(aside))
    try:
        device = os.fstat(root).st_dev
        itself = os.fstat(above).st_dev != device
        names = sorted(name for name in os.listdir(root) if name != STAGING and not itself)
        mounted = [name for name in names if os.stat(name, dir_fd=root, follow_symlinks=False).st_dev != device]
        if mounted or itself:
            raise InvalidSettings(
                "a file system is mounted at %s, so that what is there cannot be put aside; let the drill destroy its "
                "scratch tree, or another tree" % os.path.join(path, *mounted[:1])
            )
        name = os.path.basename(aside)
        os.mkdir(name, 0o700, dir_fd=above)
        target = os.open(name, _OPEN, dir_fd=above)
        try:
            for name in names:
                os.rename(name, name, src_dir_fd=root, dst_dir_fd=target)
            os.fsync(target)
            os.fsync(root)
        finally:
            os.close(target)
        return len(names)
    finally:
        os.close(root)
        os.close(above)


def put_back(aside: str, path: str, alike: Mapping[str, Entry], gone: Set[str]) -> PutBack:
    """Move back what was put aside, but for what has come back otherwise.

    :param alike: what is there again just as it was before, by its relative path: what was put aside of it can go, if
        nobody has gone on writing to it.
    :param gone: relative paths that stay empty if they are, because somebody has removed what had come back.
    """
    done = PutBack()
    source = open_root(aside)
    if source is None:
        return done
    above, root = -1, -1
    try:
        root = _opened(path)
        _merge(source, root, "", alike, gone, done)
        os.fsync(root)
        if done.left:
            done.kept = aside
            return done
        above = _opened(os.path.dirname(aside))
        os.rmdir(os.path.basename(aside), dir_fd=above)
    finally:
        for fd in (source, above, root):
            if fd >= 0:
                os.close(fd)
    return done


def _opened(path: str) -> int:
    fd = open_root(path)
    if fd is None:
        raise FileNotFoundError(2, os.strerror(2), path)
    return fd


def _merge(source: int, target: int, prefix: str, alike: Mapping[str, Entry], gone: Set[str], done: PutBack) -> None:
    """What is in one directory goes into another, wherever nothing is in its place."""
    for name in sorted(os.listdir(source)):
        path = prefix + decode(os.fsencode(name))
        there = _lstat(name, target)
        here = os.stat(name, dir_fd=source, follow_symlinks=False)
        if there is None:
            if path in gone:
                done.left.append(path)  # a person may want to look
                continue
            os.rename(name, name, src_dir_fd=source, dst_dir_fd=target)
            done.moved += 1
        elif stat.S_ISDIR(here.st_mode) and stat.S_ISDIR(there.st_mode):
            _merge_directory(source, target, name, path, alike, gone, done)
        elif path in alike and not _written(here, alike[path]):
            os.unlink(name, dir_fd=source)
        else:
            done.left.append(path)


def _merge_directory(
    source: int, target: int, name: str, path: str, alike: Mapping[str, Entry], gone: Set[str], done: PutBack
) -> None:
    inner, other = os.open(name, _OPEN, dir_fd=source), -1
    try:
        other = os.open(name, _OPEN, dir_fd=target)
        _merge(inner, other, path + "/", alike, gone, done)
        empty = not os.listdir(inner)
    finally:
        os.close(inner)
        if other >= 0:
            os.close(other)
    if empty:
        os.rmdir(name, dir_fd=source)


def _lstat(name: str, dir_fd: int) -> Optional[os.stat_result]:
    try:
        return os.stat(name, dir_fd=dir_fd, follow_symlinks=False)
    except FileNotFoundError:
        return None


def _written(here: os.stat_result, entry: Entry) -> bool:
    """Whether a file was changed after it was put aside, by who had it open."""
    return stat.S_ISREG(here.st_mode) and (here.st_size, here.st_mtime_ns) != (entry.size, entry.mtime_ns)
