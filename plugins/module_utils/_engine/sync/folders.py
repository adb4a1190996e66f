# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Folders of the vault, for their owner and the group of the store, and for nobody else. Standard library only."""

from __future__ import annotations

import errno
import os
import stat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Optional

DIR_MODE = 0o2770


def make_folder(path: str, dir_fd: Optional[int] = None) -> None:
    """Make a folder where there is none."""
    try:
        os.mkdir(path, DIR_MODE & 0o777, dir_fd=dir_fd)
    except FileExistsError:
        return
    if stat.S_IMODE(os.stat(path, dir_fd=dir_fd).st_mode) == DIR_MODE:
        return
    try:
        # The umask has left something out, or there is no setgid bit yet, which folders take over from those above.
        os.chmod(path, DIR_MODE, dir_fd=dir_fd)
    except OSError as exc:
        # Not allowed to a service with RestrictSUIDSGID, nor on every file system.
        if exc.errno not in (errno.EPERM, errno.ENOTSUP):
            raise
