# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether what is in a tree is still what was captured. Standard library only."""

from __future__ import annotations

import os
import stat

from . import paths
from .beneath import OTHER_FILE_SYSTEM, lstat, signature
from .contents import READ, digest_of
from .manifest import DIRECTORY, LINK
from .operations import CHANGED, VANISHED, Left

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Optional, Tuple

    from .beneath import Beneath
    from .manifest import Entry


def unchanged(tree: Beneath, entry: Entry, known: Optional[Tuple[int, int, int, int]]) -> os.stat_result:
    """The state of an entry in the tree.

    :param known: its signature when it was captured. If that fits, nothing more has to be asked; else its content is
        read.
    :raises Left: it is not what it was, or on another file system.
    """
    if tree.is_other_file_system(entry.path):
        raise Left(OTHER_FILE_SYSTEM)
    fd, name = tree.place(entry.path)
    state = lstat(fd, name)
    if state is None:
        raise Left(VANISHED)
    if entry.kind == DIRECTORY:
        same = stat.S_ISDIR(state.st_mode) and _has_mode_and_owner(entry, state)
    elif known is not None and tuple(known) == tuple(signature(state)):
        same = True
    elif entry.kind == LINK:
        same = stat.S_ISLNK(state.st_mode) and os.readlink(name, dir_fd=fd) == paths.encode(entry.content)
        same = same and (state.st_uid, state.st_gid) == (entry.uid, entry.gid)
    else:
        same = stat.S_ISREG(state.st_mode) and state.st_size == entry.size and _has_mode_and_owner(entry, state)
        same = same and _has_content(fd, name, entry, state)
    if not same:
        raise Left(CHANGED)
    return state


def _has_mode_and_owner(entry: Entry, state: os.stat_result) -> bool:
    return (stat.S_IMODE(state.st_mode), state.st_uid, state.st_gid) == (entry.mode, entry.uid, entry.gid)


def _has_content(fd: int, name: bytes, entry: Entry, state: os.stat_result) -> bool:
    source = os.open(name, READ, dir_fd=fd)
    try:
        return digest_of(source) == entry.content and signature(os.fstat(source)) == signature(state)
    finally:
        os.close(source)
