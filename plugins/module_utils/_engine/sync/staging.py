# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The staging directory below a tree's root: where an apply gets ready, and what it leaves if it is cut off.

::

    .roosync-sync/          0700, of the user that syncs; no scan looks into it
        new/<n>             verified contents, links and directories, with their final attributes
        old/<n>             what is replaced or removed: a hard link to it, or a copy
        plan                what is to be done; that it is there means that everything above is on disk
        undo                the same plan, on its way back

Without a plan, nothing in the tree has been touched yet, or everything is done: what is left is thrown away.
"""

from __future__ import annotations

import os
import stat

from ..errors import SyncOnlineFailed
from ..stores.atomic import write_all
from .beneath import lstat
from .durable import flush_directory
from .paths import STAGING
from .place import OPEN_DIR

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import List, Optional, Tuple

PLAN = b"plan"
UNDO = b"undo"
_TORN = b"plan.tmp"
_NAME = STAGING.encode("ascii")
_NEW, _OLD = b"new", b"old"
_CREATE = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class Staging:
    """An open staging directory.

    :ivar new: descriptor of ``new``.
    :ivar old: descriptor of ``old``.
    """

    def __init__(self, root: int, label: str) -> None:
        self.root = root
        self.label = label + "/" + STAGING
        self.fd = self.new = self.old = -1

    def __enter__(self) -> Staging:
        return self

    def __exit__(self, *_exc: object) -> None:
        for fd in (self.new, self.old, self.fd):
            if fd >= 0:
                os.close(fd)
        self.fd = self.new = self.old = -1

    def find(self) -> bool:
        """Open what an interrupted apply has left; False when there is nothing.

        :raises SyncOnlineFailed: what is there is not of this engine's making.
        """
        if lstat(self.root, _NAME) is None:
            return False
        self.fd = self._own(_NAME, self.root)
        for name in os.listdir(self.fd):
            if os.fsencode(name) not in (PLAN, UNDO, _TORN, _NEW, _OLD):
                raise self._strange("it holds %r" % name)
        self.new, self.old = self._numbered(_NEW), self._numbered(_OLD)
        return True

    def _numbered(self, name: bytes) -> int:
        """Open ``new`` or ``old``; -1 when it is not there."""
        if lstat(self.fd, name) is None:
            return -1
        fd = self._own(name, self.fd)
        if not all(inner.isdigit() for inner in os.listdir(fd)):
            os.close(fd)
            raise self._strange("%s in it holds more than numbers" % name.decode())
        return fd

    def _own(self, name: bytes, above: int) -> int:
        """Open a directory of this user's that nobody else can enter.

        Whoever owns the root can put another one in the place of what was made there a moment ago; not in there.
        """
        try:
            fd = os.open(name, OPEN_DIR, dir_fd=above)
        except NotADirectoryError:
            raise self._strange("%s is no directory" % name.decode()) from None
        state = os.fstat(fd)
        if state.st_uid != os.geteuid() or stat.S_IMODE(state.st_mode) & 0o077:
            why = "%s belongs to somebody else, or is open to others"
        elif state.st_dev != os.fstat(self.root).st_dev:
            why = "%s is on another file system"
        else:
            return fd
        os.close(fd)
        raise self._strange(why % name.decode())

    def _strange(self, why: str) -> SyncOnlineFailed:
        return SyncOnlineFailed(
            "%s is in the way: %s, so it is not the work of an interrupted sync. Move it away, then sync again"
            % (self.label, why),
            path=self.label,
        )

    def make(self) -> None:
        """Make it anew; there is none.

        :raises SyncOnlineFailed: somebody has put something else into its place already.
        """
        os.mkdir(_NAME, 0o700, dir_fd=self.root)
        self.fd = self._own(_NAME, self.root)
        os.fchmod(self.fd, 0o700)  # no setgid bit of the root's, and whatever the umask is
        for name in (_NEW, _OLD):
            os.mkdir(name, 0o700, dir_fd=self.fd)
        self.new, self.old = self._own(_NEW, self.fd), self._own(_OLD, self.fd)

    def create(self, number: int, old: bool = False) -> int:
        """A new file, open for reading and writing, and for nobody else to open."""
        return os.open(b"%d" % number, _CREATE, 0o600, dir_fd=self.old if old else self.new)

    def write_plan(self, data: bytes) -> None:
        """Put the plan in place. When this returns, it and all that was staged before is on disk."""
        flush_directory(self.new)
        flush_directory(self.old)
        fd = os.open(_TORN, _CREATE, 0o600, dir_fd=self.fd)
        try:
            write_all(fd, data)
            os.fsync(fd)
        finally:
            os.close(fd)
        os.rename(_TORN, PLAN, src_dir_fd=self.fd, dst_dir_fd=self.fd)
        flush_directory(self.fd)
        flush_directory(self.root)

    def read_plan(self, limit: int) -> Optional[Tuple[bytes, bool]]:
        """The plan, and whether it is on its way back; None when there is none."""
        for name, undoing in ((UNDO, True), (PLAN, False)):
            if lstat(self.fd, name) is None:
                continue
            fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=self.fd)
            try:
                state = os.fstat(fd)
                if not stat.S_ISREG(state.st_mode) or state.st_size > limit or self.new < 0 or self.old < 0:
                    raise self._strange("its plan is no file, or is too long, or alone")
                pieces: List[bytes] = []
                while True:
                    piece = os.read(fd, 1 << 20)
                    if not piece:
                        return b"".join(pieces), undoing
                    pieces.append(piece)
            finally:
                os.close(fd)
        return None

    def turn_back(self) -> None:
        """From now on the plan is undone, whatever happens."""
        os.rename(PLAN, UNDO, src_dir_fd=self.fd, dst_dir_fd=self.fd)
        flush_directory(self.fd)

    def end(self) -> None:
        """The plan is done, or undone, and that is on disk."""
        for name in (PLAN, UNDO):
            if lstat(self.fd, name) is not None:
                os.unlink(name, dir_fd=self.fd)
        flush_directory(self.fd)

    def discard(self) -> None:
        """Take it away, with all that is in it. There is no plan in it any more."""
        if lstat(self.fd, _TORN) is not None:
            os.unlink(_TORN, dir_fd=self.fd)
        for name, fd in ((_NEW, self.new), (_OLD, self.old)):
            if fd >= 0:
                for inner in os.listdir(fd):
                    _take_away(fd, os.fsencode(inner))
                os.rmdir(name, dir_fd=self.fd)
        os.rmdir(_NAME, dir_fd=self.root)


def _take_away(dir_fd: int, name: bytes) -> None:
    state = lstat(dir_fd, name)
    if state is not None and stat.S_ISDIR(state.st_mode):
        os.rmdir(name, dir_fd=dir_fd)
    elif state is not None:
        os.unlink(name, dir_fd=dir_fd)
