# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading a fleet's directory while it is in use, in an order that makes what is read consistent.

1. ``fleet.json`` and ``checkpoint.json``. A checkpoint never knows of a commit that is not in the journal yet.
2. The journal: every commit up to the newest one when it was listed. Commits never change, so this is a prefix.
3. All other documents, those of ``vault/refs`` too. They are as new as the journal, or newer.
4. The heartbeats, one by one. They are newer than the journal, as they are for a check that comes a little later. Were
   they older, a machine whose return is recorded could look as if it had not come back.
5. ``vault/packs`` last: whatever a document names that was read before is in a pack that is there by now. Upkeep may
   move it into another one while packs are read; then a pack has gone, and all has to be read again.

Every file is replaced as a whole by its writer, so each is read whole from one descriptor. What disappears meanwhile
is left out. Links are not followed, and what is no file is named and left out.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from typing import Dict, Iterator, List, Optional, Tuple

from ..errors import HeartbeatError, from_os_error
from ..stores.atomic import TEMPORARY
from ..stores.base import printable
from .crypt import Source
from .gzipped import PIECE
from .members import DIRECTORY, FILE, HEAD, LEFT_OUT, MANIFEST, PACKS, Member, is_safe, is_too_far, key, most_bytes

MARK = ".restore"
"""The file that marks a fleet as put in place by a restore that has still to tidy up."""
_OWN = (HEAD, MANIFEST, MARK)
_OPEN_DIR = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_OPEN_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_COMMIT = re.compile(r"\d{20}\.json")


class Tree:
    """A fleet's directory, be it a whole fleet or what is left of one. Used in a ``with`` block.

    :param strict: a file that cannot be read is an error; otherwise it is named in ``skipped`` and left out.
    """

    def __init__(self, location: str, strict: bool = True) -> None:
        self.location = location
        self.strict = strict
        self.skipped: List[str] = []
        self.newest_commit = 0
        self.gone: List[str] = []
        """Packs that were there when they were listed, and not any more when their turn came."""
        self._names = _Names()
        self._open_path: Optional[str] = None
        self._open_fd = -1
        try:
            self._root = os.open(location, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as exc:
            raise from_os_error(exc, "open the fleet", location) from exc

    def __enter__(self) -> Tree:
        return self

    def __exit__(self, *_exc: object) -> None:
        self._let_go()
        os.close(self._root)

    # -- directories ---------------------------------------------------------------------------------------------

    def folders(self) -> List[Member]:
        """Every directory, the fleet's own first; of those that are left out, the directory alone."""
        found: List[Member] = []
        waiting = [""]
        while waiting:
            folder = waiting.pop()
            try:
                if folder in LEFT_OUT:  # not opened: it may be closed to all but its owner, and nobody looks into it
                    found.append(self._member(folder, DIRECTORY, self._looks(folder)))
                    continue
                fd = self._folder(folder)
                found.append(self._member(folder, DIRECTORY, os.fstat(fd)))
                inner = self._inner(fd, folder)
            except OSError as exc:
                self._failed(exc, folder)
                continue
            waiting.extend(path for path in inner if self._fit(path))
        return sorted(found, key=lambda m: key(m.path, m.kind))

    def _looks(self, folder: str) -> os.stat_result:
        state = os.stat(folder, dir_fd=self._root, follow_symlinks=False)
        if not stat.S_ISDIR(state.st_mode):
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), folder)
        return state

    @staticmethod
    def _inner(fd: int, folder: str) -> List[str]:
        with os.scandir(fd) as entries:
            return [_join(folder, e.name) for e in entries if e.is_dir(follow_symlinks=False)]

    def _folder(self, path: str) -> int:
        """A directory, opened component by component; the last one opened is kept."""
        if not path:
            return self._root
        if path != self._open_path:
            self._let_go()
            fd = os.dup(self._root)
            for part in path.split("/"):
                try:
                    inner = os.open(part, _OPEN_DIR, dir_fd=fd)
                finally:
                    os.close(fd)
                fd = inner
            self._open_path, self._open_fd = path, fd
        return self._open_fd

    def _let_go(self) -> None:
        if self._open_fd >= 0:
            os.close(self._open_fd)
        self._open_path, self._open_fd = None, -1

    def _listed(self, folder: str) -> List[str]:
        """The paths of what is no directory in a folder; nothing for a folder that is not there."""
        try:
            with os.scandir(self._folder(folder)) as entries:
                names = [e.name for e in entries if not e.is_dir(follow_symlinks=False)]
        except OSError as exc:
            self._failed(exc, folder)
            return []
        kept = [_join(folder, n) for n in names if not n.startswith(TEMPORARY) and not (not folder and n in _OWN)]
        return sorted(filter(self._fit, kept), key=key)

    def _fit(self, path: str) -> bool:
        fits = is_safe(path)
        if not fits:
            self.skipped.append("%s: a name that a backup cannot hold" % printable(path))
        return fits

    # -- files, in their order -----------------------------------------------------------------------------------

    def journal(self) -> List[str]:
        """The commits there are at this moment, in order; what else lies in their folders comes after them."""
        found: Dict[str, str] = {}
        others: List[str] = []
        for folder in ("journal", "journal/archive"):  # in this order: commits move from the first to the second
            for path in self._listed(folder):
                name = path.rpartition("/")[2]
                if _COMMIT.fullmatch(name):
                    found[name] = path
                else:
                    others.append(path)
        numbers: List[int] = []
        for name in sorted(found):
            if is_too_far(int(name[:20]), numbers[-1] if numbers else 0):
                self.skipped.append("%s: a number that the journal cannot have come to" % found.pop(name))
            else:
                numbers.append(int(name[:20]))
        self.newest_commit = numbers[-1] if numbers else 0
        for number in _gaps(numbers):  # a listing may miss what is added while it is made; an open does not
            found["%020d.json" % number] = "journal/%020d.json" % number
        return [found[name] for name in sorted(found)] + sorted(others, key=key)

    def paths(self, journal: List[str], folders: List[Member]) -> Iterator[str]:
        """All files in the order in which they are to be read; a folder is listed when its turn comes."""
        yield "fleet.json"
        yield "checkpoint.json"
        yield from journal
        apart = ("journal", "journal/archive", "heartbeats", PACKS, *LEFT_OUT)
        others = [path for folder in folders if folder.path not in apart for path in self._listed(folder.path)]
        yield from sorted((p for p in others if p not in ("fleet.json", "checkpoint.json")), key=key)
        yield from self._listed("heartbeats")
        if any(folder.path == PACKS for folder in folders):
            yield from self._listed(PACKS)

    def read(self, path: str) -> Optional[Tuple[Member, Source, int]]:
        """A file as a member, the function that gives its content, and the descriptor to close afterwards (or -1)."""
        folder, _slash, name = path.rpartition("/")
        try:
            fd = os.open(name, _OPEN_FILE, dir_fd=self._folder(folder))
        except FileNotFoundError:
            if folder == PACKS:
                self.gone.append(path)
            moved = "journal/archive/" + name
            return self.read(moved) if folder == "journal" and _COMMIT.fullmatch(name) else None
        except OSError as exc:
            self._failed(exc, path)
            return None
        kept = -1
        try:
            state = os.fstat(fd)
            if not stat.S_ISREG(state.st_mode) or state.st_size > most_bytes(path):
                self.skipped.append("%s: not a file of a fleet, or too large" % printable(path))
                return None
            if state.st_size > PIECE:
                kept = fd
                return self._member(path, FILE, state, state.st_size), lambda size: os.read(kept, size), kept
            data = os.read(fd, PIECE + 1)[:PIECE]
            return self._member(path, FILE, state, len(data)), lambda size: data, -1
        except OSError as exc:
            self._failed(exc, path)
            return None
        finally:
            if kept < 0:
                os.close(fd)

    def _member(self, path: str, kind: str, state: os.stat_result, size: int = 0) -> Member:
        return Member(
            path=path,
            kind=kind,
            mode=stat.S_IMODE(state.st_mode),
            mtime_ns=state.st_mtime_ns,
            uid=state.st_uid,
            gid=state.st_gid,
            owner=self._names.user(state.st_uid),
            group=self._names.group(state.st_gid),
            size=size,
        )

    def _failed(self, exc: OSError, path: str) -> None:
        """What cannot be read: gone is fine, and a link or a device is only named."""
        if exc.errno == errno.ENOENT:
            return
        odd = exc.errno in (errno.ELOOP, errno.ENXIO, errno.ENODEV, errno.ENOTDIR)
        error: HeartbeatError = from_os_error(exc, "back up", os.path.join(self.location, printable(path)))
        if self.strict and not odd:
            raise error from exc
        self.skipped.append("%s: %s" % (printable(path), "a link, or no file" if odd else exc.strerror))


class _Names:
    """Names of users and groups, each looked up once."""

    def __init__(self) -> None:
        self._users: Dict[int, str] = {}
        self._groups: Dict[int, str] = {}

    def user(self, uid: int) -> str:
        import pwd

        if uid not in self._users:
            try:
                self._users[uid] = pwd.getpwuid(uid).pw_name
            except KeyError:
                self._users[uid] = ""
        return self._users[uid]

    def group(self, gid: int) -> str:
        import grp

        if gid not in self._groups:
            try:
                self._groups[gid] = grp.getgrgid(gid).gr_name
            except KeyError:
                self._groups[gid] = ""
        return self._groups[gid]


def _join(folder: str, name: str) -> str:
    return folder + "/" + name if folder else name


def _gaps(numbers: List[int]) -> Iterator[int]:
    for one, other in zip(numbers, numbers[1:]):
        yield from range(one + 1, min(other, one + 1000))
