# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether there is room for what an apply is going to stage: asked before, not found out on the way."""

from __future__ import annotations

import os

from ..errors import DiskSpaceLow
from .manifest import FILE
from .steps import CHANGE, MAKE_DIRECTORY, PUT, Step

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import List, Mapping

    from .beneath import Beneath

_MARGIN = 1 << 20
"""Left free beyond what is needed, for directories and the plan."""


def check_space(tree: Beneath, todo: List[Step], sizes: Mapping[str, int]) -> None:
    """:raises DiskSpaceLow: what has to be staged does not fit."""
    free = os.fstatvfs(tree.fd)
    block = free.f_frsize or 4096
    space, inodes = _MARGIN, 0
    for step in todo:
        if step.kind in (PUT, MAKE_DIRECTORY) and step.after is not None:
            inodes += 1
            size = step.after.size if step.after.kind == FILE else 0
            space += -(-min(size, sizes.get(step.after.content, size)) // block) * block
        elif step.kind == CHANGE and step.after is not None and step.after.link:
            inodes += 1
            space += -(-step.after.size // block) * block
    if inodes and space > free.f_bavail * block:
        raise DiskSpaceLow(
            "%s needs %d more bytes, and %d are free; nothing was changed. Free space there, then sync again"
            % (tree.label, space, free.f_bavail * block),
            path=tree.label,
            needed=space,
            free=free.f_bavail * block,
        )
    if free.f_files and inodes > free.f_favail:
        raise DiskSpaceLow(
            "%s needs %d more inodes, and %d are free; nothing was changed. Remove files there, then sync again"
            % (tree.label, inodes, free.f_favail),
            path=tree.label,
            needed=inodes,
            free=free.f_favail,
        )
