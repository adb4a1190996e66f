# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the last scan of a tree found, so that the next one reads only what has changed since.

A file is taken for unchanged if inode, size, mtime and ctime are: ctime cannot be set back, so an edit that keeps size
and mtime is seen. A file that was changed just before it was read is not remembered: a second change within the same
tick of the clock would look like none (git calls such an entry racy).
"""

from __future__ import annotations

import json
import os
import stat
import zlib
from typing import NamedTuple

from ..stores.atomic import TEMPORARY, discard, read, write_all
from .found import CTIME, GID, UID

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, Optional

    from .found import Row, Scan
    from .owners import Owners
    from .spec import TreeSpec

FORMAT = 2
MAX_BYTES = 1 << 30
NS = 1_000_000_000
LOCAL_SLACK = 2 * NS
"""No local file system has coarser times than this."""
REMOTE_SLACK = 3600 * NS
"""A file server stamps files by a clock of its own, which may be wrong."""
LOCAL = frozenset(
    ("bcachefs", "btrfs", "ext2", "ext3", "ext4", "f2fs", "jfs", "overlay", "ramfs", "tmpfs", "xfs", "zfs")
)
REMOTE = frozenset(("9p", "ceph", "gfs2", "lustre", "nfs", "nfs4", "ocfs2", "virtiofs"))


def latest(file_system: str, scan_ns: int) -> int:
    """Up to which ctime a file is remembered, when the scan began at ``scan_ns``.

    Of file systems that are not known here nothing is remembered: several (FAT, sshfs) make ctime up from mtime.
    """
    if file_system in LOCAL:
        return scan_ns - LOCAL_SLACK
    return scan_ns - REMOTE_SLACK if file_system in REMOTE else -(2**63)


class Last(NamedTuple):
    """What is remembered of a tree."""

    rows: Dict[str, Row]
    digest: str = ""
    """Of its manifest."""
    unknown: Optional[Dict[str, str]] = None
    users: Optional[Dict[str, str]] = None
    groups: Optional[Dict[str, str]] = None


NOTHING = Last({})


def same_names(last: Last, owners: Owners, unknown: Dict[str, str]) -> bool:
    """Whether, besides the rows, all that a manifest is made of is as it was."""
    if last.unknown != unknown or last.users is None or last.groups is None:
        return False
    return all(owners.user(int(uid)) == name for uid, name in last.users.items()) and all(
        owners.group(int(gid)) == name for gid, name in last.groups.items()
    )


def load(path: str, spec: TreeSpec) -> Last:
    """What is remembered of a tree; nothing, if it cannot be relied on."""
    directory, name = os.path.split(os.path.abspath(path))
    try:
        dir_fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return NOTHING
    try:
        found = read(dir_fd, name, MAX_BYTES)
    except OSError:
        return NOTHING
    finally:
        os.close(dir_fd)
    # Whoever can write it can hide changes from the scan.
    if found is None or found[1].st_uid != os.geteuid() or found[1].st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        return NOTHING
    return _parse(found[0], spec)


def _header(spec: TreeSpec, body: bytes) -> Dict[str, object]:
    return {"format": FORMAT, "tree": spec.name, "root": spec.path, "crc": zlib.crc32(body)}


def _parse(data: bytes, spec: TreeSpec) -> Last:
    head, _newline, body = data.partition(b"\n")
    try:
        if json.loads(head) != _header(spec, body):
            return NOTHING
        return Last(*json.loads(body))
    except (ValueError, TypeError, RecursionError):
        return NOTHING


def save(path: str, spec: TreeSpec, found: Scan, latest_ns: int) -> Optional[OSError]:
    """Remember; that it fails costs the next scan time, and nothing else.

    :param latest_ns: what has changed after that is not remembered.
    """
    rows = {path: row for path, row in found.rows.items() if row[CTIME] < latest_ns}
    digest = found.digest if len(rows) == len(found.rows) else ""
    users = {row[UID]: found.owners.user(row[UID]) for row in rows.values()}
    groups = {row[GID]: found.owners.group(row[GID]) for row in rows.values()}
    last = Last(rows, digest, found.unknown, users, groups)  # type: ignore[arg-type]
    body = json.dumps(last, separators=(",", ":"), check_circular=False).encode("ascii")
    head = json.dumps(_header(spec, body)).encode("ascii")
    directory, name = os.path.split(os.path.abspath(path))
    try:
        os.makedirs(directory, mode=0o700, exist_ok=True)
        dir_fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            _replace(dir_fd, name, head + b"\n" + body)
        finally:
            os.close(dir_fd)
    except OSError as exc:
        return exc
    return None


def _replace(dir_fd: int, name: str, data: bytes) -> None:
    """Without fsync: a torn one is seen. Readable by its writer alone, for it has the names of all files."""
    temporary = "%s%d-%s" % (TEMPORARY, os.getpid(), os.urandom(6).hex())
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    fd = os.open(temporary, flags, 0o600, dir_fd=dir_fd)
    try:
        try:
            write_all(fd, data)
        finally:
            os.close(fd)
        os.rename(temporary, name, src_dir_fd=dir_fd, dst_dir_fd=dir_fd)
    except BaseException:
        discard(dir_fd, temporary)
        raise
