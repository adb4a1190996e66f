# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which file system a path is on, and whether that is the one that is meant. Standard library only."""

from __future__ import annotations

import os
import re

from .errors import StoreUnavailable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import FrozenSet, List, Optional

MOUNTINFO = "/proc/self/mountinfo"
FSTAB = "/etc/fstab"
_REMOTE = ("nfs", "cifs", "smb", "ceph", "glusterfs", "fuse.", "9p", "virtiofs", "afs", "lustre", "gpfs", "beegfs")
_ESCAPED = re.compile(r"\\([0-7]{3})")


class Mount:
    """A file system where it is mounted.

    :param point: the directory.
    :param kind: its type, such as ``ext4``.
    :param options: those of this mount and those of the file system.
    """

    def __init__(self, point: str, kind: str, options: FrozenSet[str]) -> None:
        self.point = point
        self.kind = kind
        self.options = options

    @property
    def remote(self) -> bool:
        return self.kind.startswith(_REMOTE)

    @property
    def read_only(self) -> bool:
        return "ro" in self.options


def read(path: str) -> str:
    """A file's text, or nothing where there is none."""
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as stream:
            return stream.read()
    except OSError:
        return ""


def mounted(text: str) -> List[Mount]:
    """All mounts, from the text of ``/proc/self/mountinfo``, in the order in which they were made."""
    found = []
    for line in text.splitlines():
        fields, separator, rest = line.partition(" - ")
        left, right = fields.split(" "), rest.split(" ")
        if separator and len(left) > 5 and len(right) > 2:
            options = frozenset(left[5].split(",") + right[2].split(","))
            found.append(Mount(_unescaped(left[4]), right[0], options))
    return found


def intended(text: str) -> List[str]:
    """Where something is meant to be mounted, from the text of ``/etc/fstab``."""
    lines = [line.split() for line in text.splitlines() if not line.lstrip().startswith("#")]
    return [os.path.normpath(_unescaped(words[1])) for words in lines if len(words) > 2 and words[1].startswith("/")]


def _unescaped(text: str) -> str:
    return _ESCAPED.sub(lambda match: chr(int(match.group(1), 8)), text)


def is_below(path: str, folder: str) -> bool:
    """Whether a path is a folder or lies in it."""
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def mount_of(path: str, mounts: List[Mount]) -> Mount:
    """The file system that a path is on, by its real path; of several on one point the last one."""
    found = Mount("/", "unknown", frozenset())
    for mount in mounts:
        if is_below(path, mount.point) and len(mount.point) >= len(found.point):
            found = mount
    return found


def nearest(path: str) -> str:
    """The path itself, or the nearest folder above it that is there. To look may be what makes an automounter mount."""
    while not os.path.exists(path):
        path = os.path.dirname(path)
    return path


def require(path: str, wanted: Optional[str], mounts: List[Mount], fstab: str) -> None:
    """See that a path is on the file system that is meant, rather than in the empty directory beneath it.

    :param path: a real path.
    :param wanted: the mount point that it has to be on, if one was named.
    :param fstab: the text of ``/etc/fstab``: what it names above the path has to be mounted.
    :raises StoreUnavailable: something is not mounted.
    """
    points = {mount.point for mount in mounts if mount.kind != "autofs"}  # that only waits to mount something
    if wanted is not None and not is_below(path, wanted):
        raise StoreUnavailable(
            "%s does not lie on the mount point %s; name the one above it" % (path, wanted), path=path
        )
    named = [wanted] if wanted is not None else []
    for point in named + [point for point in intended(fstab) if is_below(path, point)]:
        if point not in points:
            raise StoreUnavailable(
                "%s is meant to be a mount point%s, and nothing is mounted there: mount it first, or what is written "
                "would lie beneath the mount" % (point, "" if point == wanted else " by %s" % FSTAB),
                path=point,
            )
