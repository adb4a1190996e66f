# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each operation of an apply: done, and undone. Standard library only.

Doing or undoing what is done or undone already changes nothing: what lies in the staging directory tells how far it
got.

Nothing is replaced, removed or changed but what was there when the plan was made. All else belongs to somebody who was
here meanwhile, and is left alone. (Between the look and the change lies one system call. A file that was edited in
place at that very moment is put back.)
"""

from __future__ import annotations

import errno
import os
import stat

from . import steps
from .attributes import Attributes, Handle, set_new
from .beneath import Obstructed, Signature, lstat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, Dict, List, Optional, Tuple

    from .beneath import Beneath
    from .plan import Operation
    from .staging import Staging

CHANGED = "changed meanwhile"
APPEARED = "something appeared there meanwhile"
VANISHED = "removed meanwhile"
TAMPERED = "what was to be put there was changed meanwhile"
NOT_EMPTY = "holds something that is not part of the tree"
_WRONG_KIND = (errno.ENOTDIR, errno.ELOOP, errno.ENOENT, errno.ENXIO)


class Left(Exception):
    """Something was left alone; the text says why."""


class Runner:
    """Does and undoes operations in one tree.

    :ivar left: path -> why it was left alone.
    """

    def __init__(self, tree: Beneath, staging: Staging) -> None:
        self.tree = tree
        self.staging = staging
        self.left: Dict[str, str] = {}
        self.at = ""
        self._ends: Dict[str, Optional[Attributes]] = {}
        self._do: Dict[str, Callable[[Operation], None]] = {
            steps.REMOVE: self._remove,
            steps.REMOVE_DIRECTORY: self._remove_directory,
            steps.NARROW: self._change,
            steps.MAKE_DIRECTORY: self._make_directory,
            steps.PUT: self._put,
            steps.CHANGE: self._change,
            steps.FINISH: self._change,
        }
        self._undo: Dict[str, Callable[[Operation], None]] = {
            steps.REMOVE: self._put_back,
            steps.REMOVE_DIRECTORY: self._make_again,
            steps.NARROW: self._change_back,
            steps.MAKE_DIRECTORY: self._take_directory,
            steps.PUT: self._take_out,
            steps.CHANGE: self._change_back,
            steps.FINISH: self._change_back,
        }

    def do(self, operations: List[Operation]) -> None:
        """All of them, in order.

        :raises OSError: one failed; ``at`` is its path.
        """
        self._ends = {each.path: each.new for each in operations if each.kind == steps.FINISH}
        self._run(operations, self._do)

    def undo(self, operations: List[Operation]) -> None:
        """All of them, the last one first."""
        self._ends = {each.path: each.old for each in operations if each.kind == steps.NARROW}
        self._run(operations[::-1], self._undo)

    def _run(self, operations: List[Operation], table: Dict[str, Callable[[Operation], None]]) -> None:
        for operation in operations:
            self.at = operation.path
            try:
                table[operation.kind](operation)
            except (Left, Obstructed) as exc:
                self.left.setdefault(operation.path, str(exc))

    def _place(self, operation: Operation) -> Tuple[int, bytes, bytes, Optional[os.stat_result]]:
        """The directory, the name in it, the name in the staging directory, and what is there now."""
        fd, name = self.tree.place(operation.path)
        return fd, name, b"%d" % operation.number, lstat(fd, name)

    # Files and links.

    def _put(self, operation: Operation) -> None:
        number, new, old = b"%d" % operation.number, self.staging.new, self.staging.old
        ready = lstat(new, number)
        if ready is None:
            return
        fd, name, _number, now = self._place(operation)
        if operation.staged is not None and not operation.staged.is_of(ready):
            raise Left(TAMPERED)
        if operation.before is None:
            if now is not None:
                raise Left(APPEARED)
        elif not operation.before.is_of(now):
            raise Left(VANISHED if now is None else CHANGED)
        os.rename(number, name, src_dir_fd=new, dst_dir_fd=fd)
        if operation.before is not None and _was_changed(operation.before, lstat(old, number)):
            os.rename(number, name, src_dir_fd=old, dst_dir_fd=fd)
            raise Left(CHANGED)

    def _take_out(self, operation: Operation) -> None:
        number, new, old = b"%d" % operation.number, self.staging.new, self.staging.old
        if lstat(new, number) is not None:
            return
        fd, name, _number, now = self._place(operation)
        ours = operation.staged is not None and operation.staged.is_content_of(now)
        if operation.before is None:
            if ours:
                os.rename(name, number, src_dir_fd=fd, dst_dir_fd=new)
            elif now is not None:
                raise Left(CHANGED)
        elif lstat(old, number) is not None:
            if now is not None and not ours:
                raise Left(CHANGED)
            os.rename(number, name, src_dir_fd=old, dst_dir_fd=fd)

    def _remove(self, operation: Operation) -> None:
        if lstat(self.staging.old, b"%d" % operation.number) is not None:
            return
        fd, name, number, now = self._place(operation)
        if now is None or operation.before is None:
            return
        if not operation.before.is_of(now):
            raise Left(CHANGED)
        os.rename(name, number, src_dir_fd=fd, dst_dir_fd=self.staging.old)
        if not operation.before.is_content_of(lstat(self.staging.old, number)):
            self._put_back(operation)
            raise Left(CHANGED)

    def _put_back(self, operation: Operation) -> None:
        if lstat(self.staging.old, b"%d" % operation.number) is None:
            return
        fd, name, number, now = self._place(operation)
        if now is not None:
            raise Left(APPEARED)
        os.rename(number, name, src_dir_fd=self.staging.old, dst_dir_fd=fd)

    # Directories.

    def _remove_directory(self, operation: Operation) -> None:
        try:
            fd, name, _number, now = self._place(operation)
        except Obstructed:
            return  # gone with the one that it was in
        if now is None or not stat.S_ISDIR(now.st_mode):
            return  # what has come in its place is looked at when something is put there
        try:
            os.rmdir(name, dir_fd=fd)
        except OSError as exc:
            if exc.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.EBUSY):
                raise
            raise Left(NOT_EMPTY) from None

    def _make_again(self, operation: Operation) -> None:
        fd, name, number, now = self._place(operation)
        if now is not None or operation.old is None:
            return
        new = self.staging.new
        if lstat(new, number) is None:
            os.mkdir(number, 0o700, dir_fd=new)
        with Handle(new, number, is_dir=True) as made:
            set_new(made.fd, operation.old, made.state)
            if operation.mtime_ns is not None:
                made.set_time(operation.mtime_ns)
        os.rename(number, name, src_dir_fd=new, dst_dir_fd=fd)

    def _make_directory(self, operation: Operation) -> None:
        number = b"%d" % operation.number
        ready = lstat(self.staging.new, number)
        if ready is None:
            return
        fd, name, _number, now = self._place(operation)
        if operation.staged is not None and operation.staged.inode != ready.st_ino:
            raise Left(TAMPERED)
        if now is not None:
            raise Left(APPEARED)
        os.rename(number, name, src_dir_fd=self.staging.new, dst_dir_fd=fd)

    def _take_directory(self, operation: Operation) -> None:
        if lstat(self.staging.new, b"%d" % operation.number) is not None:
            return
        try:
            now = self._place(operation)[3]
        except Obstructed:
            return
        if now is None or not stat.S_ISDIR(now.st_mode):
            return
        if operation.staged is None or operation.staged.inode != now.st_ino:
            raise Left(CHANGED)
        self._remove_directory(operation)

    # Attributes.

    def _change(self, operation: Operation) -> None:
        self._attributes(operation, back=False)

    def _change_back(self, operation: Operation) -> None:
        self._attributes(operation, back=True)

    def _attributes(self, operation: Operation, back: bool) -> None:
        old, new, is_file = operation.old, operation.new, operation.kind == steps.CHANGE
        if old is None:
            raise AssertionError("old is None")
        if new is None:
            raise AssertionError("new is None")
        try:
            fd, name = self.tree.place(operation.path)
            handle = Handle(fd, name, is_dir=not is_file)
        except OSError as exc:
            if exc.errno not in _WRONG_KIND:
                raise
            if exc.errno == errno.ENOENT and _may_be_gone(operation, back):
                return
            raise Left(VANISHED if exc.errno == errno.ENOENT else CHANGED) from None
        except Obstructed:
            if _may_be_gone(operation, back):
                return
            raise
        with handle:
            if is_file and not _is_only_name_of(operation.before, handle.state):
                raise Left(CHANGED)
            if not is_file and operation.staged is not None and operation.staged.inode != handle.state.st_ino:
                raise Left(CHANGED)
            end = self._ends.get(operation.path)
            begin = new if back else old
            other_was_here = end is not None and end.is_of(handle.state) and not begin.is_of(handle.state)
            if other_was_here and operation.kind == (steps.FINISH if back else steps.NARROW):
                return  # of the two steps that a directory takes, it was the other's turn already
            finish = old if back else new
            if not handle.change(begin, finish):
                raise Left(CHANGED)
            if operation.mtime_ns is not None and not back:
                handle.set_time(operation.mtime_ns)


def _may_be_gone(operation: Operation, back: bool) -> bool:
    """Whether a directory may not be there because another operation has taken it away already."""
    made = operation.kind == steps.FINISH and operation.staged is not None
    return made if back else operation.kind == steps.NARROW


def _was_changed(before: Signature, kept: Optional[os.stat_result]) -> bool:
    """Whether what was replaced had been changed at the last moment; of a copy of it, that cannot be seen."""
    return kept is not None and kept.st_ino == before.inode and not before.is_content_of(kept)


def _is_only_name_of(before: Optional[Signature], state: os.stat_result) -> bool:
    """Whether a file is the one meant, and has no other name, which might lie outside of the tree."""
    return before is not None and before.is_content_of(state) and stat.S_ISREG(state.st_mode) and state.st_nlink == 1
