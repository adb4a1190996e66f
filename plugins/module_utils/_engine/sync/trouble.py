# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an error of the system means when a tree is changed, and what to do about it. Standard library only."""

from __future__ import annotations

import errno

from ..errors import DiskSpaceLow, HeartbeatError, SyncOnlineFailed, errno_name

_NO_SPACE = (errno.ENOSPC, errno.EDQUOT)
_ADVICE = {
    errno.EACCES: "give this user write access to it, or run as root",
    errno.EPERM: "an immutable file or directory (see lsattr), or an owner that only root can give: "
    "run as root, or set owners: false for the tree",
    errno.EROFS: "remount the file system read-write",
    errno.EIO: "look at the disk and the kernel log",
    errno.EXDEV: "exclude what is mounted inside of the tree",
    errno.EMFILE: "raise the limit of open files",
}


def failure(exc: OSError, doing: str, path: str) -> HeartbeatError:
    """The error for a system call that failed while a tree was changed.

    :param doing: what was attempted, as a verb phrase.
    :param path: absolute, for a person to look at.
    """
    name = errno_name(exc)
    if exc.errno in _NO_SPACE:
        return DiskSpaceLow(
            "cannot %s: no space left at %s (%s); free space or raise the quota there, then sync again"
            % (doing, path, name),
            errno=name,
            path=path,
        )
    return SyncOnlineFailed(
        "cannot %s: %s: %s (%s); %s, then sync again"
        % (doing, path, exc.strerror or exc, name, _ADVICE.get(exc.errno or 0, "look at it")),
        errno=name,
        path=path,
    )


def with_note(exc: HeartbeatError, note: str) -> HeartbeatError:
    """The same error, which also says what has become of the tree."""
    return type(exc)("%s (%s)" % (exc.message, note), **exc.details)
