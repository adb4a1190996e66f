# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Contents on their way into a tree, and what they replace on its way into safety. Standard library only.

Everything is verified here, and gets its final mode and owner, in a directory that nobody else can enter.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat

from ..errors import SyncOnlineFailed
from ..stores.atomic import write_all
from . import paths
from .attributes import Attributes, set_new, set_new_link
from .beneath import Obstructed, Signature, lstat, signature
from .manifest import FILE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, Dict, Optional

    from .beneath import Beneath
    from .manifest import Entry, Manifest
    from .staging import Staging

    Fetch = Callable[[str, int], Optional[bool]]

PIECE = 1 << 20
READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
# What a file system without hard links answers, or a kernel that forbids them for files of others.
_NO_LINKS = frozenset((errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EXDEV))


class Contents:
    """Stages files and links.

    :param before: the tree: a content that it has anywhere is copied from there.
    :param fetch: writes a content, by its digest, to an empty file.
    :param flush: flush each file by itself.
    :ivar written: how many bytes were staged.
    """

    def __init__(self, tree: Beneath, staging: Staging, before: Manifest, fetch: Fetch, flush: bool) -> None:
        self.tree = tree
        self.staging = staging
        self.fetch = fetch
        self.flush = flush
        self.written = 0
        self._here: Dict[str, str] = {
            entry.content: path for path, entry in before.entries.items() if entry.kind == FILE and entry.size
        }

    def link(self, entry: Entry, wanted: Attributes, number: int) -> Signature:
        """Stage a symbolic link."""
        fd, name = self.staging.new, b"%d" % number
        os.symlink(paths.encode(entry.content), name, dir_fd=fd)
        set_new_link(fd, name, wanted, os.stat(name, dir_fd=fd, follow_symlinks=False))
        os.utime(name, ns=(entry.mtime_ns, entry.mtime_ns), dir_fd=fd, follow_symlinks=False)
        return signature(os.stat(name, dir_fd=fd, follow_symlinks=False))

    def file(self, entry: Entry, wanted: Attributes, number: int) -> Signature:
        """Stage a file.

        :raises SyncOnlineFailed: what was fetched is not the content that was asked for.
        """
        fd = self.staging.create(number)
        try:
            self._fill(fd, entry)
            set_new(fd, wanted, os.fstat(fd))
            os.utime(fd, ns=(entry.mtime_ns, entry.mtime_ns))
            if self.flush:
                os.fsync(fd)
            state = os.fstat(fd)
        finally:
            os.close(fd)
        self.written += state.st_size
        return signature(state)

    def _fill(self, fd: int, entry: Entry) -> None:
        path = self._here.get(entry.content)
        if path is not None:
            if self._copy_from_tree(path, fd) and digest_of(fd) == entry.content:
                return
            os.ftruncate(fd, 0)
            os.lseek(fd, 0, os.SEEK_SET)
        if not self.fetch(entry.content, fd) and digest_of(fd) != entry.content:
            label = self.tree.label_of(entry.path)
            raise SyncOnlineFailed(
                "the content that came for %s is not %s; nothing was changed. Verify the vault, then sync again"
                % (label, entry.content),
                path=label,
            )

    def _copy_from_tree(self, path: str, fd: int) -> bool:
        try:
            place, name = self.tree.place(path)
            source = os.open(name, READ, dir_fd=place)
        except (Obstructed, OSError):
            return False
        try:
            if not stat.S_ISREG(os.fstat(source).st_mode):
                return False
            copy(source, fd)
            return True
        finally:
            os.close(source)

    def keep(self, path: str, number: int) -> Optional[Signature]:
        """Keep what is about to be replaced: a second name for it, or a copy where there can be none.

        :returns: its signature, with the ctime that it has now; None when it is gone.
        """
        place, name = self.tree.place(path)
        try:
            os.link(name, b"%d" % number, src_dir_fd=place, dst_dir_fd=self.staging.old, follow_symlinks=False)
        except OSError as exc:
            if exc.errno not in _NO_LINKS:
                raise
            self._keep_copy(place, name, number)
        state = lstat(place, name)
        return None if state is None else signature(state)

    def _keep_copy(self, place: int, name: bytes, number: int) -> None:
        state = os.stat(name, dir_fd=place, follow_symlinks=False)
        had = Attributes(stat.S_IMODE(state.st_mode), state.st_uid, state.st_gid)
        times = (state.st_mtime_ns, state.st_mtime_ns)
        old, kept = self.staging.old, b"%d" % number
        if stat.S_ISLNK(state.st_mode):
            os.symlink(os.readlink(name, dir_fd=place), kept, dir_fd=old)
            set_new_link(old, kept, had, os.stat(kept, dir_fd=old, follow_symlinks=False))
            os.utime(kept, ns=times, dir_fd=old, follow_symlinks=False)
            return
        source = os.open(name, READ, dir_fd=place)
        try:
            fd = self.staging.create(number, old=True)
            try:
                copy(source, fd)
                set_new(fd, had, os.fstat(fd))
                os.utime(fd, ns=times)
                os.fsync(fd)
            finally:
                os.close(fd)
        finally:
            os.close(source)


def copy(source: int, target: int) -> None:
    """Copy a file's bytes into an empty one; what is all zeros becomes a hole."""
    at = 0
    while True:
        data = os.pread(source, PIECE, at)
        if not data:
            os.ftruncate(target, at)
            return
        if data.count(0) != len(data):
            os.lseek(target, at, os.SEEK_SET)
            write_all(target, data)
        at += len(data)


def digest_of(fd: int) -> str:
    """SHA-256 of what a file holds, in hexadecimal."""
    hasher = hashlib.sha256()
    at = 0
    while True:
        data = os.pread(fd, PIECE, at)
        if not data:
            return hasher.hexdigest()
        hasher.update(data)
        at += len(data)
