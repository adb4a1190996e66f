# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Unpacking a backup into a directory that nobody else can look into, with modes, owners and times as they were."""

from __future__ import annotations

import os
from typing import Dict, List, Optional, Tuple

from ..clock import NS
from ..errors import DiskSpaceLow, RestoreFailed
from ..stores import atomic
from ..stores.file import FOLDERS
from .archive import Reader
from .crypt import Source
from .gzipped import PIECE
from .members import DIRECTORY, Member, safe_mode

TIME_TOLERANCE = 2 * NS
"""The coarsest times that a file system keeps."""
_RESERVE = 16 << 20
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def check_space(path: str, reader: Reader) -> None:
    """Whether there is room for a backup that was read to its end.

    :raises DiskSpaceLow: there is not; nothing was written.
    """
    state = os.statvfs(path)
    block = state.f_frsize or 4096
    needed = reader.bytes + (reader.files + reader.folders) * block + _RESERVE
    if state.f_blocks and state.f_bavail * block < needed:
        raise DiskSpaceLow(
            "cannot restore: %d MiB are needed at %s, and %d MiB are free; free space there"
            % (needed >> 20, path, state.f_bavail * block >> 20),
            errno="ENOSPC",
            path=path,
        )
    if state.f_files and state.f_favail < reader.files + reader.folders + 100:
        raise DiskSpaceLow(
            "cannot restore: %d files are to be made at %s, and the file system has room for %d"
            % (reader.files, path, state.f_favail),
            errno="ENOSPC",
            path=path,
        )


class Unpacking:
    """Takes the members of a backup, one by one, into ``folder``, which is there and empty."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self._folders: List[Member] = []
        self._owners = _Owners()

    def take(self, member: Member, content: Source) -> None:
        """One member; see :meth:`.archive.Reader.run`."""
        path = os.path.join(self.folder, member.path)
        if member.kind == DIRECTORY:
            if member.path:
                os.mkdir(path, 0o700)
            self._folders.append(member)
            return
        fd = os.open(path, _CREATE, 0o600)
        try:
            for piece in iter(lambda: content(PIECE), b""):
                atomic.write_all(fd, piece)
            self._dress(fd, member)
            os.fsync(fd)
        finally:
            os.close(fd)

    def _dress(self, fd: int, member: Member) -> None:
        owner = self._owners.of(member)
        if owner is not None:
            os.fchown(fd, *owner)
        os.fchmod(fd, safe_mode(member))
        try:
            os.utime(fd, ns=(member.mtime_ns, member.mtime_ns))
            kept = abs(os.fstat(fd).st_mtime_ns - member.mtime_ns) < TIME_TOLERANCE
        except OverflowError:
            kept = False
        if not kept:
            raise RestoreFailed(
                "the file system does not keep the time of %s, and a machine is as alive as the time of its heartbeat "
                "says; restore to another one" % member.path,
                path=member.path,
            )

    def finish(self) -> None:
        """The folders that every fleet has, then the modes and owners of all of them, the innermost first."""
        there = {member.path for member in self._folders}
        for folder in FOLDERS:
            if folder not in there:
                os.mkdir(os.path.join(self.folder, folder), 0o700)
                self._folders.append(Member(folder, DIRECTORY, atomic.DIR_MODE, uid=-1, gid=-1))
        for member in sorted(self._folders, key=lambda m: m.path, reverse=True):
            path = os.path.join(self.folder, member.path)
            owner = self._owners.of(member)
            if owner is not None:
                os.chown(path, *owner, follow_symlinks=False)
            os.chmod(path, 0o700 if member.path == "backups" else safe_mode(member))
            fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                atomic.sync_directory(fd)
            finally:
                os.close(fd)


class _Owners:
    """Who is to own a file here: by name where the name is known, by number else. Only root can give files away."""

    def __init__(self) -> None:
        self._root = os.geteuid() == 0
        self._groups = set(os.getgroups()) | {os.getegid()}
        self._known: Dict[Tuple[str, int, str, int], Optional[Tuple[int, int]]] = {}

    def of(self, member: Member) -> Optional[Tuple[int, int]]:
        if member.uid < 0:
            return None
        wanted = (member.owner, member.uid, member.group, member.gid)
        if wanted not in self._known:
            self._known[wanted] = self._decide(*wanted)
        return self._known[wanted]

    def _decide(self, owner: str, uid: int, group: str, gid: int) -> Optional[Tuple[int, int]]:
        import grp
        import pwd

        try:
            gid = grp.getgrnam(group).gr_gid if group else gid
        except (KeyError, ValueError):
            pass
        if not self._root:
            return (-1, gid) if gid in self._groups else None
        try:
            uid = pwd.getpwnam(owner).pw_uid if owner else uid
        except (KeyError, ValueError):
            pass
        return uid, gid
