# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Access to what lies beneath a tree's root, and to nothing else. Standard library only.

Every part of a path is opened by itself, relative to the one before, and no link is followed. So neither a link nor a
directory that is swapped for one leads out of the tree, and a path may be longer than the kernel takes at once. The
directories of the last path stay open; before they are used again, each must still be where it was. Whoever moves a
directory out of the tree between that look and the system call after it takes what is in it along.
"""

from __future__ import annotations

import errno
import os
from typing import NamedTuple

from . import paths
from .place import OPEN_DIR, mounts

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import List, Optional, Tuple

MAX_HELD = 64
"""So many directories stay open at once; what lies deeper is opened anew each time."""
OTHER_FILE_SYSTEM = "on another file system"


class Obstructed(Exception):
    """A path cannot be reached: one of the directories on the way is not there, or is none."""


class Signature(NamedTuple):
    """What tells a file from any other, and from itself after a change. In the order of a scan's signatures."""

    inode: int
    size: int
    mtime_ns: int
    ctime_ns: int

    def is_content_of(self, state: Optional[os.stat_result]) -> bool:
        """Whether this is the same file with the same content, though its name or mode may have changed since."""
        return state is not None and self[:3] == (state.st_ino, state.st_size, state.st_mtime_ns)

    def is_of(self, state: Optional[os.stat_result]) -> bool:
        """Whether nothing at all has happened to the file."""
        return state is not None and self == signature(state)


def signature(state: os.stat_result) -> Signature:
    return Signature(state.st_ino, state.st_size, state.st_mtime_ns, state.st_ctime_ns)


class _Held(NamedTuple):
    name: bytes
    fd: int
    device: int
    inode: int


class Beneath:
    """A tree's root, and the way to what lies beneath it.

    :param fd: of the root; it belongs to this object from now on.
    :param label: the root's path, for messages.
    """

    def __init__(self, fd: int, label: str) -> None:
        self.fd = fd
        self.label = label
        self.device = os.fstat(fd).st_dev
        self.mounts = mounts(fd)[1]
        self._held: List[_Held] = []
        self._deep = -1

    def __enter__(self) -> Beneath:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def close(self) -> None:
        self._release(0)
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def place(self, path: str) -> Tuple[int, bytes]:
        """The descriptor of the directory that an entry is in, and the entry's name there.

        The descriptor is good until the next call.

        :param path: relative to the root.
        :raises Obstructed: there is no such directory, or not on this file system.
        :raises OSError: of opening one.
        """
        *above, name = _parts(path)
        return self._descend(above), name

    def directory(self, path: str) -> int:
        """The descriptor of a directory, ``""`` being the root; see :meth:`place`."""
        return self._descend(_parts(path)) if path else self.fd

    def lstat(self, path: str) -> Optional[os.stat_result]:
        """The state of an entry; None when there is none.

        :raises Obstructed: see :meth:`place`.
        """
        fd, name = self.place(path)
        return lstat(fd, name)

    def label_of(self, path: str) -> str:
        """The whole path of an entry, for a person to look at."""
        return "%s/%s" % (self.label, path) if path else self.label

    def is_other_file_system(self, path: str) -> bool:
        """Whether something is mounted at a path, or at a directory above it."""
        while path and self.mounts:
            if path in self.mounts:
                return True
            path = paths.parent(path)
        return False

    def _descend(self, parts: List[bytes]) -> int:
        kept = self._still_there(parts)
        self._release(kept)
        fd = self._held[-1].fd if self._held else self.fd
        for part in parts[kept:]:
            fd = self._open(part, fd)
        return fd

    def _still_there(self, parts: List[bytes]) -> int:
        """How many of the open directories lead to these parts, and are where they were."""
        above = self.fd
        for count, (held, part) in enumerate(zip(self._held, parts)):
            if held.name != part:
                return count
            state = lstat(above, part)
            if state is None or (state.st_ino, state.st_dev) != (held.inode, held.device):
                return count
            above = held.fd
        return min(len(self._held), len(parts))

    def _open(self, part: bytes, above: int) -> int:
        try:
            fd = os.open(part, OPEN_DIR, dir_fd=above)
        except FileNotFoundError:
            raise Obstructed("the directory it belongs in is not there") from None
        except OSError as exc:
            if exc.errno in (errno.ENOTDIR, errno.ELOOP):
                raise Obstructed("what it belongs in is no directory") from None
            raise
        state = os.fstat(fd)
        if state.st_dev != self.device:
            os.close(fd)
            raise Obstructed(OTHER_FILE_SYSTEM)
        if len(self._held) < MAX_HELD:
            self._held.append(_Held(part, fd, state.st_dev, state.st_ino))
        else:
            if self._deep >= 0:
                os.close(self._deep)
            self._deep = fd
        return fd

    def _release(self, keep: int) -> None:
        if self._deep >= 0:
            os.close(self._deep)
            self._deep = -1
        while len(self._held) > keep:
            os.close(self._held.pop().fd)


def _parts(path: str) -> List[bytes]:
    why = paths.refusal(path)
    if why:
        raise Obstructed("not a path below a root: " + why)
    return paths.encode(path).split(b"/")


def lstat(dir_fd: int, name: bytes) -> Optional[os.stat_result]:
    """The state of what has a name in an open directory; None when nothing has."""
    try:
        return os.stat(name, dir_fd=dir_fd, follow_symlinks=False)
    except FileNotFoundError:
        return None
