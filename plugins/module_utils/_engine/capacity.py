# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How much room there is where a directory store lies: free space, free files, and quotas. Standard library only.

The limits of a project (XFS, ext4) and of a data set (ZFS) show in the free space itself. Quotas of users and groups do
not; the program ``quota`` knows them, of NFS servers too. What cannot be found out is said, not passed over.
"""

from __future__ import annotations

import os

from . import programs
from .errors import DiskSpaceLow

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Iterable, List, Optional, Tuple

    from .mounts import Mount

QUOTA = "quota"
QUOTA_PATIENCE = 30.0
_BLOCK = 1024
_QUOTA_OPTIONS = {
    "user": frozenset(("usrquota", "uquota", "quota", "uqnoenforce")),
    "group": frozenset(("grpquota", "gquota", "gqnoenforce")),
}
# Their limits, if there are any, are part of the free space, or there are none by user or group.
_NO_QUOTAS = frozenset(("tmpfs", "ramfs", "overlay", "squashfs", "vfat", "exfat", "zfs"))


class Limits:
    """Below what it is refused, and below what it is warned of; 0 for no limit.

    :param refuse_bytes: the least free space.
    :param refuse_files: the least number of files that can still be made.
    """

    def __init__(self, refuse_bytes: int, warn_bytes: int, refuse_files: int, warn_files: int) -> None:
        self.refuse = {"bytes": refuse_bytes, "files": refuse_files}
        self.warn = {"bytes": warn_bytes, "files": warn_files}


def measure(path: str, mount: Mount, users: Iterable[str], groups: Iterable[str]) -> Dict[str, Any]:
    """The room at a path.

    :param path: something that is there.
    :param mount: the file system that it is on.
    :param users: whose quotas count.
    :returns: ``bytes_free`` and ``files_free`` (None where there is no such limit), ``quotas``, ``unchecked``.
    """
    found = os.statvfs(path)
    quotas, unchecked = quotas_at(mount, users, groups)
    return {
        "bytes_total": found.f_blocks * found.f_frsize,
        "bytes_free": found.f_bavail * found.f_frsize,
        # Some file systems make files until the space is used up.
        "files_free": found.f_favail if found.f_files else None,
        "quotas": quotas,
        "unchecked": unchecked,
    }


def judge(path: str, room: Dict[str, Any], limits: Limits) -> List[str]:
    """What is to be warned of.

    :raises DiskSpaceLow: there is less room than the least.
    """
    warnings = []
    for what, left, of in _rooms(room):
        if left < limits.refuse[what]:
            raise DiskSpaceLow(
                "%s left at %s%s, and at least %s are wanted; free space, raise the quota, or lower the limit"
                % (_amount(left, what), path, of, _amount(limits.refuse[what], what)),
                path=path,
            )
        if left < limits.warn[what]:
            warnings.append("%s left at %s%s" % (_amount(left, what), path, of))
    for quota in room["quotas"]:
        for what in ("bytes", "files"):
            if 0 < quota[what + "_soft"] < quota[what + "_used"]:
                warnings.append(
                    "the quota of %(kind)s %(name)s is used up, and its time of grace has begun" % quota
                    + " (%s of %s)" % (_amount(quota[what + "_used"], what), _amount(quota[what + "_soft"], what))
                )
    return warnings


def _rooms(room: Dict[str, Any]) -> Iterable[Tuple[str, int, str]]:
    """Everything that may run out: of what, how much is left, and by whose quota."""
    for what in ("bytes", "files"):
        if room[what + "_free"] is not None:
            yield what, room[what + "_free"], ""
        for quota in room["quotas"]:
            if quota[what + "_limit"]:
                left = max(0, quota[what + "_limit"] - quota[what + "_used"])
                yield what, left, " by the quota of %(kind)s %(name)s" % quota


def _amount(number: int, what: str) -> str:
    if what == "files":
        return "%d files" % number
    for unit, size in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if number >= size:
            return "%.1f %s" % (number / size, unit)
    return "%d bytes" % number


# -- quotas ------------------------------------------------------------------------------------------------------


def quotas_at(mount: Mount, users: Iterable[str], groups: Iterable[str]) -> Tuple[List[Dict[str, Any]], List[str]]:
    """The quotas of users and groups on a file system, and what could not be found out about them."""
    wanted = [(kind, name) for kind, names in (("user", users), ("group", groups)) for name in names]
    if mount.kind in _NO_QUOTAS or not wanted:
        return [], []
    if not mount.kind.startswith("nfs"):
        if mount.remote or mount.kind == "btrfs":
            why = "quotas on %s (%s) cannot be asked for from here; look at its server" % (mount.point, mount.kind)
            return [], [why if mount.remote else "quota groups of btrfs are not looked at (%s)" % mount.point]
        wanted = [(kind, name) for kind, name in wanted if _QUOTA_OPTIONS[kind] & mount.options]
    quotas, unchecked = [], []
    for kind, name in wanted:
        try:
            quota = _ask(mount.point, kind, name)
        except (OSError, ValueError, programs.TookTooLong) as exc:
            unchecked.append("the quota of %s %s on %s: %s" % (kind, name, mount.point, _why(exc)))
            continue
        if quota is not None:
            quotas.append(dict(quota, kind=kind, name=name))
    return quotas, unchecked


def _why(exc: Exception) -> str:
    if isinstance(exc, FileNotFoundError):
        return "the program quota is not installed"
    if isinstance(exc, programs.TookTooLong):
        return "the program quota had no answer within %d s" % QUOTA_PATIENCE
    return str(exc)


def _ask(point: str, kind: str, name: str) -> Optional[Dict[str, int]]:
    """One quota, as the program knows it; None if there is none."""
    options = ["--no-wrap", "--raw-grace", "--verbose", "--show-mntpoint", "--hide-device"]
    command = [QUOTA, *options, "--" + kind, "--", name]
    # Its exit status only says whether a quota is used up.
    done = programs.run(command, QUOTA_PATIENCE, more_environment={"LC_ALL": "C"})
    lines = done.output.decode("utf-8", "surrogateescape").splitlines()
    if not lines:
        said = done.errors.decode("utf-8", "replace").strip().splitlines()
        raise ValueError(said[-1][:200] if said else "the program quota said nothing")
    return parse(lines, point)


def parse(lines: Iterable[str], point: str) -> Optional[Dict[str, int]]:
    """The numbers of one file system in what ``quota`` prints, in bytes and files."""
    for line in lines:
        cells = line.rsplit(None, 8)
        if len(cells) != 9 or cells[0].strip() != point:
            continue
        numbers = [int(cell.rstrip("*")) for cell in cells[1:]]
        return {
            "bytes_used": numbers[0] * _BLOCK,
            "bytes_soft": numbers[1] * _BLOCK,
            "bytes_limit": numbers[2] * _BLOCK,
            "files_used": numbers[4],
            "files_soft": numbers[5],
            "files_limit": numbers[6],
        }
    return None
