# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading files in several processes: hashing in two is twice as fast, where threads gain nothing.

Each process has its own share of the files and its own pack. A child does nothing but read, write its pack and say
what it found.
"""

from __future__ import annotations

import os
import sys
from functools import partial

from ..errors import SyncOnlineFailed
from ..forked import Child
from .files import Found, shares

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, List, Optional

    from .files import FileReader, Job
    from .packing import PackWriter

WORTH_A_PROCESS = 8 << 20
"""Bytes of files that make another process worth its start; a file counts for at least 16 KiB."""
MOST = 2
"""More processes than this are not faster on the disks that most machines have, and take from others' work."""


def read_files(
    make_reader: Callable[[Optional[PackWriter]], FileReader],
    jobs: List[Job],
    open_writer: Optional[Callable[[], PackWriter]],
) -> List[Found]:
    """Read files, in as many processes as it pays to; what was found of each, in any order.

    :param make_reader: what reads them, into the given pack.
    :param open_writer: makes a pack.
    """
    parts = shares(jobs, processes(jobs))
    died = SyncOnlineFailed("a process that was reading files was ended; run it again")
    children = [Child(partial(_read, make_reader, part, open_writer), died) for part in parts[1:]]
    try:
        found = _read(make_reader, parts[0], open_writer) if parts else []
        for child in children:
            found.extend(Found(*row) for row in child.result())
    finally:
        for child in children:
            child.end()
    return found


def processes(jobs: List[Job]) -> int:
    """How many processes are to share the work. A process with threads cannot safely be copied."""
    work = sum(max(size, 16 << 10) for _path, size in jobs)
    threading = sys.modules.get("threading")
    if work < 2 * WORTH_A_PROCESS or (threading is not None and threading.active_count() > 1):
        return 1
    return min(MOST, len(os.sched_getaffinity(0)), work // WORTH_A_PROCESS)


def _read(
    make_reader: Callable[[Optional[PackWriter]], FileReader],
    jobs: List[Job],
    open_writer: Optional[Callable[[], PackWriter]],
) -> List[Found]:
    if open_writer is None:
        return list(make_reader(None).read_all(jobs))
    with open_writer() as writer:
        found = list(make_reader(writer).read_all(jobs))
        writer.commit()
    return found
