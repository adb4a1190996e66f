# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Mode, owner, SELinux context and time of what is put into a tree, never wider on the way than at both ends."""

from __future__ import annotations

import errno
import grp
import os
import pwd
import stat
from typing import NamedTuple

from .files import CONTEXT, read_context
from .manifest import DIRECTORY, Entry

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, Optional, Tuple

    from .spec import TreeSpec

_O_PATH = getattr(os, "O_PATH", 0)
_NO_CONTEXT = (errno.ENOTSUP, errno.EPERM, errno.EACCES, errno.EINVAL)
"""Where there is no SELinux, or a policy that does not know the context: the system's own choice stays."""


class Attributes(NamedTuple):
    """Mode and owner, as numbers of this machine, and the context (empty: whatever the system gives)."""

    mode: int
    uid: int
    gid: int
    context: str = ""

    def is_of(self, state: os.stat_result) -> bool:
        return (self.mode, self.uid) == (stat.S_IMODE(state.st_mode), state.st_uid) and self.gid in (-1, state.st_gid)


class NoSuchOwner(Exception):
    """This machine has no user or group of that name, and the number is somebody else's here."""


class Keeper:
    """Knows which attributes an entry gets on this machine.

    :param contexts: whether the tree has SELinux contexts at all.
    """

    def __init__(self, spec: TreeSpec, contexts: bool) -> None:
        self.spec = spec
        self.contexts = contexts
        self._ids: Dict[Tuple[str, str, int], int] = {}

    def wanted(self, entry: Entry, there: Optional[os.stat_result], context: str = "") -> Attributes:
        """What an entry is to have.

        :param there: what it replaces or changes.
        :param context: of that.
        :raises NoSuchOwner: its owner cannot be given here.
        """
        bits = self.spec.mode_bits
        mode = entry.mode & bits
        if there is not None and entry.kind == DIRECTORY and stat.S_ISDIR(there.st_mode):
            mode |= stat.S_IMODE(there.st_mode) & 0o7000 & ~bits  # not ours to change
        uid, gid = os.geteuid(), -1
        if self.spec.owners:
            uid, gid = self._id("user", entry.owner, entry.uid), self._id("group", entry.group, entry.gid)
        elif there is not None:
            uid, gid = there.st_uid, there.st_gid
        return Attributes(mode, uid, gid, (entry.context or context) if self.contexts else "")

    def _id(self, what: str, name: str, number: int) -> int:
        key = (what, name, number)
        if key not in self._ids:
            self._ids[key] = _user(name, number) if what == "user" else _group(name, number)
        return self._ids[key]


def _user(name: str, number: int) -> int:
    if not name:
        return number
    try:
        return pwd.getpwnam(name).pw_uid
    except (KeyError, ValueError):
        pass
    try:
        other = pwd.getpwuid(number).pw_name
    except KeyError:
        return number
    raise NoSuchOwner("there is no user %s here, and %d is %s" % (name, number, other))


def _group(name: str, number: int) -> int:
    if not name:
        return number
    try:
        return grp.getgrnam(name).gr_gid
    except (KeyError, ValueError):
        pass
    try:
        other = grp.getgrgid(number).gr_name
    except KeyError:
        return number
    raise NoSuchOwner("there is no group %s here, and %d is %s" % (name, number, other))


def set_new(fd: int, wanted: Attributes, state: os.stat_result) -> None:
    """Give a file that nobody else can reach yet its attributes. The owner first: giving it away takes setuid off."""
    gid = state.st_gid if wanted.gid == -1 else wanted.gid
    if (state.st_uid, state.st_gid) != (wanted.uid, gid):
        os.fchown(fd, wanted.uid, gid)
    if wanted.context:
        set_context(fd, wanted.context)
    if stat.S_IMODE(state.st_mode) != wanted.mode or (state.st_uid, state.st_gid) != (wanted.uid, gid):
        os.fchmod(fd, wanted.mode)


def set_new_link(dir_fd: int, name: bytes, wanted: Attributes, state: os.stat_result) -> None:
    """The same for a symbolic link, which has no mode."""
    gid = state.st_gid if wanted.gid == -1 else wanted.gid
    if (state.st_uid, state.st_gid) != (wanted.uid, gid):
        os.chown(name, wanted.uid, gid, dir_fd=dir_fd, follow_symlinks=False)
    if wanted.context:
        set_context(b"/proc/self/fd/%d/%s" % (dir_fd, name), wanted.context, follow=False)


def set_context(where: object, context: str, follow: bool = True) -> None:
    """Set a SELinux context, where there is such a thing."""
    raw = context.encode("utf-8", "surrogateescape") + b"\0"
    try:
        os.setxattr(where, CONTEXT, raw, follow_symlinks=follow)  # type: ignore[arg-type]
    except OSError as exc:
        if exc.errno not in _NO_CONTEXT:
            raise


class Handle:
    """An open file or directory whose attributes are changed in place: that very one, whatever its name becomes.

    :raises OSError: of opening it; ELOOP and ENOTDIR when it is not of the kind that is meant.
    """

    def __init__(self, dir_fd: int, name: bytes, is_dir: bool) -> None:
        flags = os.O_NOFOLLOW | os.O_CLOEXEC | (os.O_DIRECTORY if is_dir else 0)
        self._where: object
        try:
            self.fd = self._where = os.open(name, flags | os.O_RDONLY | os.O_NONBLOCK, dir_fd=dir_fd)
        except PermissionError:
            # A file that may be changed, but not be read.
            self.fd = os.open(name, flags | _O_PATH, dir_fd=dir_fd)
            self._where = "/proc/self/fd/%d" % self.fd
        self.state = os.fstat(self.fd)

    def __enter__(self) -> Handle:
        return self

    def __exit__(self, *_exc: object) -> None:
        os.close(self.fd)

    def context(self) -> str:
        return read_context(self._where)

    def change(self, old: Attributes, new: Attributes) -> bool:
        """Go from one set of attributes to another, by what both allow; False when it has neither, nor is between.

        Done again after it was cut off, it goes on from there.
        """
        mode, owner = stat.S_IMODE(self.state.st_mode), (self.state.st_uid, self.state.st_gid)
        between = old.mode & new.mode
        after = (new.uid, owner[1] if new.gid == -1 else new.gid)
        if mode not in (old.mode, between, new.mode) or owner not in ((old.uid, old.gid), after):
            return False
        if owner != after:
            if mode != between:
                os.chmod(self._where, between)  # type: ignore[arg-type]
            os.chown(self._where, *after)  # type: ignore[arg-type]
            mode = between if not between & 0o7000 else -1  # the system may have taken bits off
        if new.context and new.context != self.context():
            set_context(self._where, new.context)
        if mode != new.mode:
            os.chmod(self._where, new.mode)  # type: ignore[arg-type]
        return True

    def set_time(self, mtime_ns: int) -> None:
        if os.fstat(self.fd).st_mtime_ns != mtime_ns:
            os.utime(self._where, ns=(mtime_ns, mtime_ns))  # type: ignore[arg-type]

    def flush(self) -> None:
        if isinstance(self._where, int):
            os.fsync(self._where)
