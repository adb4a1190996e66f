# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The directory of a store, and a fleet's folders in it: there, and for their group to write into.

What :class:`.stores.file.FileStore` needs is that everybody may make, rename and remove files in each folder, and read
each file: folders are 2775, so that what is made in them belongs to their group, and files are 664. Backups that their
owner has closed to others stay so. Inside of the store no link is followed: everybody in the group can make one.
Standard library only.
"""

from __future__ import annotations

import errno
import os
import stat

from .errors import InvalidSettings, from_os_error
from .stores.atomic import DIR_MODE, FILE_MODE, make_path
from .stores.file import FOLDERS, MARK, PRIVATE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, Optional

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def group_id(name: str) -> int:
    """The number of a group.

    :raises InvalidSettings: there is no such group.
    """
    import grp

    try:
        return grp.getgrgid(int(name)).gr_gid if name.isdigit() else grp.getgrnam(name).gr_gid
    except (KeyError, ValueError, OverflowError):
        raise InvalidSettings("group %.80r is not there; make it first, or name another one" % name) from None


def is_private(folder: str, state: os.stat_result) -> bool:
    """Whether a folder is meant to be closed to the group: that of backups, when their owner has closed it."""
    return folder == PRIVATE and not state.st_mode & 0o077


class Premises:
    """A store's directory and the folders of one of its fleets.

    :param root: the store's directory.
    :param fleet: the fleet's name.
    :param gid: the group that is to own them; None leaves them to whom they belong.
    :param dry_run: say what would be done.
    """

    def __init__(self, root: str, fleet: str, gid: Optional[int], dry_run: bool) -> None:
        self.root = root
        self.fleet = fleet
        self._gid = gid
        self._dry_run = dry_run
        self.before: Dict[str, Optional[str]] = {}
        self.after: Dict[str, Optional[str]] = {}
        self.kept: List[str] = []
        """What the file system did not let be changed, though it said that it did."""

    @property
    def changed(self) -> bool:
        return self.before != self.after

    def diff(self) -> Dict[str, Any]:
        return {"before": _lines(self.before), "after": _lines(self.after)}

    def prepare(self) -> None:
        """Make the directory if it is not there, and mend what is.

        :raises HeartbeatError: something cannot be made or changed.
        """
        try:
            if not os.path.isdir(self.root):
                self._make_root()
            fd = os.open(self.root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as exc:
            if self._dry_run and isinstance(exc, FileNotFoundError):
                return
            raise from_os_error(exc, "make the store's directory", self.root) from exc
        try:
            self._mend(fd, self.root, DIR_MODE)
            self._mend_fleet(fd)
        finally:
            os.close(fd)

    def _make_root(self) -> None:
        self.before[self.root], self.after[self.root] = None, self._wanted(DIR_MODE, None)
        if not self._dry_run:
            make_path(self.root)

    def _mend_fleet(self, root_fd: int) -> None:
        """Only of a fleet that is there: nothing but heartbeat_fleet starts one."""
        fds = {"": _open(self.fleet, root_fd)}
        try:
            mark = _open_file(MARK, fds[""])
            if fds[""] < 0 or mark < 0:
                return
            fds[MARK] = mark
            self._mend(fds[""], os.path.join(self.root, self.fleet), DIR_MODE)
            self._mend(mark, os.path.join(self.root, self.fleet, MARK), FILE_MODE)
            for folder in FOLDERS:
                parent, name = os.path.split(folder)
                fd = fds[folder] = _open(name, fds[parent]) if fds[parent] >= 0 else -1
                if fd >= 0 and not is_private(folder, os.fstat(fd)):
                    self._mend(fd, os.path.join(self.root, self.fleet, folder), DIR_MODE)
        finally:
            for fd in fds.values():
                if fd >= 0:
                    os.close(fd)

    def _mend(self, fd: int, path: str, mode: int) -> None:
        """Give one folder or file its group and its mode."""
        state = os.fstat(fd)
        had = _shown(state)
        wanted = self._wanted(mode, state)
        if had == wanted:
            return
        self.before.setdefault(path, had)
        if not self._dry_run:
            try:
                if self._gid is not None and state.st_gid != self._gid:
                    os.fchown(fd, -1, self._gid)  # first, for it takes the setgid bit away
                os.fchmod(fd, mode)
            except OSError as exc:
                raise from_os_error(exc, "give the store's group its rights", path) from exc
            has = _shown(os.fstat(fd))
            if has != wanted:
                self.kept.append(path)
            wanted = has
        self.after[path] = wanted
        if self.before[path] == wanted:
            del self.before[path], self.after[path]

    def _wanted(self, mode: int, state: Optional[os.stat_result]) -> str:
        gid = self._gid if self._gid is not None else state.st_gid if state is not None else os.getegid()
        return "%04o, group %d" % (mode, gid)


def _shown(state: os.stat_result) -> str:
    return "%04o, group %d" % (stat.S_IMODE(state.st_mode), state.st_gid)


def _lines(found: Dict[str, Optional[str]]) -> str:
    return "".join("%s: %s\n" % (path, what) for path, what in sorted(found.items()) if what is not None)


def _open(name: str, parent: int) -> int:
    """A folder that is one; -1 for anything else."""
    try:
        return os.open(name, _FOLDER, dir_fd=parent)
    except OSError as exc:
        if exc.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
            return -1
        raise from_os_error(exc, "open a folder of the store", name) from exc


def _open_file(name: str, parent: int) -> int:
    if parent < 0:
        return -1
    try:
        fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=parent)
    except OSError as exc:
        if exc.errno in (errno.ENOENT, errno.ELOOP, errno.ENXIO):
            return -1
        raise from_os_error(exc, "open the fleet's file", name) from exc
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        return -1
    return fd
