# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading many files of a tree: each is opened, hashed, added to a pack if there is to be one, and looked at again."""

from __future__ import annotations

import os
import stat
from typing import NamedTuple

from ..errors import errno_name
from .manifest import FILE
from .paths import encode, parent
from .place import open_beneath
from .reading import OPEN_FILE, Unsteady, file_digest, settle

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, Iterable, Iterator, List, Optional, Tuple

    from .found import Row
    from .packing import PackWriter

    Job = Tuple[str, int]
    """A file's path, and the size it had when it was listed."""

ATTEMPTS = 3
CONTEXT = "security.selinux"
UNSTEADY = "unsteady"
TOO_LARGE = "too large"
OTHER_FILE_SYSTEM = "other file system"


class Found(NamedTuple):
    """A file as it was while it was read; or, with a reason, nothing of it."""

    path: str
    reason: str
    digest: str = ""
    size: int = 0
    added: int = 0
    """How many bytes of it were new to the pack."""
    row: Row = (0, 0, 0, 0, FILE, "", 0, 0, 0, 0, "")


class FileReader:
    """Reads files below a root.

    :param device: of the root: what lies on another one is not read.
    :param contexts: whether there are SELinux contexts to be read.
    :param writer: the pack that contents are added to.
    """

    def __init__(
        self,
        root: int,
        device: int,
        max_size: Optional[int] = None,
        contexts: bool = False,
        writer: Optional[PackWriter] = None,
    ) -> None:
        self.root = root
        self.device = device
        self.max_size = max_size
        self.contexts = contexts
        self.writer = writer

    def read_all(self, jobs: Iterable[Job]) -> Iterator[Found]:
        """Read files; those of one directory should come one after the other."""
        directory, dir_fd = "", os.dup(self.root)
        try:
            for path, _size in jobs:
                above = parent(path)
                try:
                    if above != directory:
                        fresh = open_beneath(self.root, above)
                        os.close(dir_fd)
                        directory, dir_fd = above, fresh
                    name = encode(path[len(above) + 1 :] if above else path)
                    yield self._steadily(path, name, dir_fd)
                except OSError as exc:
                    yield Found(path, refused(exc))
        finally:
            os.close(dir_fd)

    def _steadily(self, path: str, name: bytes, dir_fd: int) -> Found:
        for _attempt in range(ATTEMPTS):
            fd = os.open(name, OPEN_FILE, dir_fd=dir_fd)
            try:
                return self._read(path, fd)
            except Unsteady:
                pass
            finally:
                os.close(fd)
        return Found(path, UNSTEADY)

    def _read(self, path: str, fd: int) -> Found:
        state = os.fstat(fd)
        if not stat.S_ISREG(state.st_mode):
            return Found(path, UNSTEADY)
        if state.st_dev != self.device:
            return Found(path, OTHER_FILE_SYSTEM)
        if self.max_size is not None and state.st_size > self.max_size:
            return Found(path, TOO_LARGE)
        settle(state)
        digest, added = self.writer.add_file(fd, state) if self.writer else (file_digest(fd, state), 0)
        context = read_context(fd) if self.contexts else ""
        row = (
            state.st_ino,
            state.st_size,
            state.st_mtime_ns,
            state.st_ctime_ns,
            FILE,
            digest,
            stat.S_IMODE(state.st_mode),
            state.st_uid,
            state.st_gid,
            state.st_nlink,
            context,
        )
        return Found(path, "", digest, state.st_size, added, row)


def refused(exc: OSError) -> str:
    """Why a file could not be read, in a few words. What is gone, or something else by now, was changed meanwhile."""
    name = errno_name(exc)
    return UNSTEADY if name in ("ENOENT", "ENOTDIR", "ELOOP", "EINVAL", "ESTALE") else "unreadable (%s)" % name


def read_context(where: object, follow: bool = True) -> str:
    """The SELinux context of a descriptor or path; empty where there is none."""
    try:
        raw = os.getxattr(where, CONTEXT, follow_symlinks=follow)  # type: ignore[arg-type]
    except OSError:
        return ""
    return raw.rstrip(b"\0").decode("utf-8", "surrogateescape")


def shares(jobs: List[Job], count: int) -> List[List[Job]]:
    """The files in shares of about the same work. Equal contents have equal sizes, and so come into the same share."""
    cost_per_file = 16 << 10
    by_size: Dict[int, int] = {}
    for _path, size in jobs:
        by_size[size] = by_size.get(size, 0) + size + cost_per_file
    loads = [0] * count
    chosen = {}
    for size in sorted(by_size, key=lambda size: (-by_size[size], size)):
        least = loads.index(min(loads))
        chosen[size] = least
        loads[least] += by_size[size]
    divided: List[List[Job]] = [[] for _share in range(count)]
    for job in jobs:
        divided[chosen[job[1]]].append(job)
    return [share for share in divided if share]
