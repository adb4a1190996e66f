# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a tree lies: its root opened without following any link, and the mounts at and below it."""

from __future__ import annotations

import errno
import os

from ..errors import SyncOnlineFailed, errno_name
from .paths import decode, encode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Optional, Set, Tuple

OPEN_DIR = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
PASS_DIR = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
"""A directory on the way need not be readable."""
MOUNTS = "/proc/self/mountinfo"


class TreeUnreadable(SyncOnlineFailed):
    """The tree as a whole cannot be looked at. (What stands in the way of a single file never raises this.)"""


def open_root(path: str) -> Optional[int]:
    """A descriptor of a tree's root; None when it is not there.

    No link is followed on the way: who may replace a directory on it could lead a sync anywhere.

    :raises TreeUnreadable: it is there, but cannot be opened, or is no directory.
    """
    fd = os.open("/", PASS_DIR)
    try:
        return open_beneath(fd, path.strip("/"))
    except FileNotFoundError:
        return None
    except OSError as exc:
        name = errno_name(exc)
        if exc.errno in (errno.ELOOP, errno.ENOTDIR):
            advice = "a part of it is a symbolic link or no directory; declare the real path of the directory meant"
        else:
            advice = "%s (%s); give this user access to it" % (exc.strerror, name)
        raise TreeUnreadable("cannot open the tree %s: %s" % (path, advice), path=path, errno=name) from exc
    finally:
        os.close(fd)


def open_beneath(root: int, path: str) -> int:
    """A descriptor of a directory below the root, every part of its path opened without following links.

    :param path: without empty parts; the root itself is ``""``.
    :raises OSError: one of them is not there, or no directory.
    """
    parts = path.split("/") if path else ["."]
    fd = root
    try:
        for part in parts[:-1]:
            fd, above = os.open(encode(part), PASS_DIR, dir_fd=fd), fd
            if above != root:
                os.close(above)
        return os.open(encode(parts[-1]), OPEN_DIR, dir_fd=fd)
    finally:
        if fd != root:
            os.close(fd)


def mounts(root: int) -> Tuple[str, Set[str]]:
    """The type of the root's file system, and the paths below the root where something else is mounted.

    Also the same file system again, which has the same device number (a bind mount). Unknown is ``("", set())``.
    """
    try:
        place = os.readlink(b"/proc/self/fd/%d" % root)
        with open(MOUNTS, "rb") as stream:
            lines = stream.read().split(b"\n")
    except OSError:
        return "", set()
    here, kind = b"", ""
    beneath = set()
    within = place.rstrip(b"/") + b"/"
    for line in lines:
        before, _separator, after = line.partition(b" - ")
        fields = before.split(b" ")
        if len(fields) < 5 or not after:
            continue
        point = _unescape(fields[4])
        if point.startswith(within):
            beneath.add(decode(point[len(within) :]))
        elif len(point) >= len(here) and within.startswith(point.rstrip(b"/") + b"/"):
            here, kind = point, decode(after.split(b" ")[0])
    return kind, beneath


def _unescape(field: bytes) -> bytes:
    """The kernel writes space, tab, newline and backslash in a path as three octal digits."""
    first, *rest = field.split(b"\\")
    return first + b"".join(bytes([int(part[:3], 8)]) + part[3:] for part in rest)
