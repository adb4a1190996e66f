# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a tree holds now. A scan looks at every entry, but reads only the files that have changed since the last one.

It goes through directory descriptors and follows no link, so a directory that is replaced by a link meanwhile leads
nowhere. It stays on one file system. What it cannot tell (a file that cannot be read, or is being written to) it names,
so that nobody takes it for deleted.
"""

from __future__ import annotations

import gc
import os
import stat
import sys
import time

from ..errors import DiskSpaceLow
from . import seen
from .files import OTHER_FILE_SYSTEM, TOO_LARGE, FileReader, read_context, refused
from .found import CTIME, INODE, KIND, MTIME, SIZE, Scan
from .manifest import DIRECTORY, FILE, LINK, LINK_MODE
from .owners import Owners
from .paths import MAX_PATH, STAGING, decode, encode
from .place import OPEN_DIR, TreeUnreadable, mounts, open_root
from .sharing import read_files

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, List, Optional, Tuple

    from .found import Row
    from .packing import PackWriter
    from .spec import TreeSpec

MAX_DEPTH = 256
_PLAIN_NAMES = sys.getfilesystemencoding().lower().replace("-", "") == "utf8"
_SPECIAL = {
    stat.S_IFIFO: "special (fifo)",
    stat.S_IFSOCK: "special (socket)",
    stat.S_IFBLK: "special (block device)",
    stat.S_IFCHR: "special (character device)",
}


def scan(
    spec: TreeSpec,
    cache: Optional[str] = None,
    open_writer: Optional[Callable[[], PackWriter]] = None,
) -> Scan:
    """Look at a tree.

    :param cache: file in which this machine remembers what it has read; None: read everything.
    :param open_writer: makes the pack that what is read is also added to.
    :raises TreeUnreadable: nothing can be said of the tree.
    :raises HeartbeatError: of writing the pack, if there is to be one.
    """
    root = open_root(spec.path)
    if root is None:
        return Scan(spec.name, Owners(), vanished=True)
    collecting = gc.isenabled()
    # Very many small objects, none of them garbage.
    gc.disable()
    try:
        return _Walk(spec, root, cache, open_writer).run()
    finally:
        if collecting:
            gc.enable()
        os.close(root)


class _TooLong(Exception):
    """There is a path beneath a directory that no manifest can name."""


class _Walk:
    """One scan on its way."""

    def __init__(
        self,
        spec: TreeSpec,
        root: int,
        cache: Optional[str],
        open_writer: Optional[Callable[[], PackWriter]],
    ) -> None:
        self.spec = spec
        self.root = root
        self.cache = cache
        self.open_writer = open_writer
        self.device = os.fstat(root).st_dev
        self.began = time.time_ns()
        self.contexts = bool(read_context(root))
        self.file_system, self.mounts = mounts(root)
        self.found = Scan(spec.name, Owners())
        self.rows = self.found.rows
        self.unknown = self.found.unknown
        self.pending: List[Tuple[str, int]] = []
        self.last = seen.load(cache, spec) if cache else seen.NOTHING
        self.seen = self.last.rows
        self.changes = 0
        self.selective = bool(spec.include or spec.exclude)
        self.include, self.exclude = spec.globs()

    def run(self) -> Scan:
        """Look at everything."""
        try:
            self._directory(self.root, "", 1, not self.spec.include)
        except OSError as exc:
            raise TreeUnreadable(
                "cannot list the tree %s: %s; give this user access to it" % (self.spec.path, exc.strerror),
                exc,
                path=self.spec.path,
            ) from exc
        self._read()
        owners = self.found.owners
        if self.changes or len(self.rows) != len(self.seen) or not seen.same_names(self.last, owners, self.unknown):
            if self.cache:
                latest = seen.latest(self.file_system, self.began)
                seen.save(self.cache, self.spec, self.found, latest)
        else:
            self.found.known_digest = self.last.digest
        return self.found

    def _directory(self, fd: int, prefix: str, depth: int, taken: bool) -> None:
        """Look at what is in a directory, and beneath.

        :param prefix: its path with ``/`` at the end; empty for the root.
        :param taken: whether all in it belongs to the tree, if it is not excluded.
        """
        rows, remembered, limit = self.rows, self.seen, self.spec.max_file_size
        for name in os.listdir(fd):
            text = name if _PLAIN_NAMES else decode(os.fsencode(name))
            path = prefix + text
            try:
                state = os.stat(name, dir_fd=fd, follow_symlinks=False)
            except FileNotFoundError:
                continue
            except OSError as exc:
                self.unknown[path] = refused(exc)
                continue
            mode = state.st_mode
            is_dir = stat.S_ISDIR(mode)
            if text == STAGING or (self.selective and not self._wanted(path, is_dir, taken)):
                continue
            if state.st_dev != self.device or path in self.mounts:
                self.unknown[path] = OTHER_FILE_SYSTEM
            elif len(path) > MAX_PATH // 4 and len(encode(path)) > MAX_PATH:
                raise _TooLong
            else:
                row = remembered.get(path)
                if (
                    row is not None
                    and row[CTIME] == state.st_ctime_ns
                    and row[INODE] == state.st_ino
                    and row[SIZE] == state.st_size
                    and row[MTIME] == state.st_mtime_ns
                    and not (limit is not None and row[KIND] == FILE and row[SIZE] > limit)
                ):
                    rows[path] = row
                else:
                    row = None
                if is_dir:
                    self._below(fd, name, path, state, depth, taken)
                elif row is None:
                    self._changed(fd, name, path, state)
        if self._count() > self.spec.max_entries:
            raise TreeUnreadable(
                "the tree %s has more than %d entries; exclude some, or raise its max_entries"
                % (self.spec.path, self.spec.max_entries),
                path=self.spec.path,
            )

    def _wanted(self, path: str, is_dir: bool, taken: bool) -> bool:
        if self.exclude.matches(path, is_dir):
            return False
        return taken or self.include.matches(path, is_dir) or (is_dir and self.include.may_hold(path))

    def _count(self) -> int:
        return len(self.rows) + len(self.pending) + len(self.unknown)

    def _changed(self, fd: int, name: str, path: str, state: os.stat_result) -> None:
        """Something new, or other than it was; but no directory."""
        kind = stat.S_IFMT(state.st_mode)
        if kind == stat.S_IFREG:
            if self.spec.max_file_size is not None and state.st_size > self.spec.max_file_size:
                self.unknown[path] = TOO_LARGE
            else:
                self.pending.append((path, state.st_size))
                self.changes += 1
        elif kind == stat.S_IFLNK:
            try:
                target = decode(os.fsencode(os.readlink(name, dir_fd=fd)))
            except OSError as exc:
                self.unknown[path] = refused(exc)
                return
            context = read_context("/proc/self/fd/%d/%s" % (fd, name), follow=False) if self.contexts else ""
            self.rows[path] = _row(state, LINK, LINK_MODE, target, context)
            self.changes += 1
        else:
            self.unknown[path] = _SPECIAL.get(kind, "special")

    def _below(self, fd: int, name: str, path: str, state: os.stat_result, depth: int, taken: bool) -> None:
        """A directory and what is beneath it."""
        if depth == MAX_DEPTH:
            self._forget(path)
            self.unknown[path] = "too deep"
            return
        taken = taken or self.include.matches(path, True)
        self.rows.setdefault(path, _NO_ROW)
        before = self._count()
        try:
            below = os.open(name, OPEN_DIR, dir_fd=fd)
            try:
                if self.rows[path] is _NO_ROW:
                    context = read_context(below) if self.contexts else ""
                    self.rows[path] = _row(state, DIRECTORY, stat.S_IMODE(state.st_mode), "", context)
                    self.changes += 1
                self._directory(below, path + "/", depth + 1, taken)
            finally:
                os.close(below)
        except OSError as exc:
            self._forget(path)
            self.unknown[path] = refused(exc)
        except _TooLong:
            self._forget(path)
            self.unknown[path] = "path too long"
        # On the way to something included, but there was nothing.
        if not taken and self._count() == before:
            self.rows.pop(path, None)

    def _forget(self, path: str) -> None:
        """Take back what was found of a directory: of all of it nothing can be said."""
        within = path + "/"
        for below in [key for key in self.rows if key == path or key.startswith(within)]:
            del self.rows[below]
        for below in [key for key in self.unknown if key.startswith(within)]:
            del self.unknown[below]
        self.pending = [job for job in self.pending if not job[0].startswith(within)]

    def _read(self) -> None:
        """The files that have to be read."""
        for found in read_files(self._reader, self.pending, self._writer()):
            self.found.files_read += 1
            self.found.bytes_read += found.size
            self.found.bytes_added += found.added
            if found.reason:
                self.unknown[found.path] = found.reason
            else:
                self.rows[found.path] = found.row

    def _reader(self, writer: Optional[PackWriter]) -> FileReader:
        return FileReader(self.root, self.device, self.spec.max_file_size, self.contexts, writer)

    def _writer(self) -> Optional[Callable[[], PackWriter]]:
        """What contents are added to while they are read. If there may not be room for all of them, they are only
        hashed: who captures the tree then knows what is really new, and how much room that needs."""
        if self.open_writer is not None:
            try:
                with self.open_writer() as writer:
                    writer.reserve(sum(size for _path, size in self.pending))
            except DiskSpaceLow:
                return None
        return self.open_writer


def _row(state: os.stat_result, kind: str, mode: int, content: str, context: str) -> Row:
    return (
        state.st_ino,
        state.st_size,
        state.st_mtime_ns,
        state.st_ctime_ns,
        kind,
        content,
        mode,
        state.st_uid,
        state.st_gid,
        1,
        context,
    )


_NO_ROW: Row = (0, 0, 0, 0, "", "", 0, 0, 0, 0, "")
