# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a scan found: a tree as rows, from which its manifest is made only if somebody asks for it.

When nothing has changed nobody does: then the digest that was worked out the last time says all.
"""

from __future__ import annotations

from . import manifest as manifests
from .manifest import FILE, Entry, Manifest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, Final, List, Optional, Tuple

    from .owners import Owners

    Row = Tuple[int, int, int, int, str, str, int, int, int, int, str]
    """Inode, size, mtime, ctime, kind, content, mode, uid, gid, number of links, SELinux context."""
    Signature = Tuple[int, int, int, int]

INODE: Final = 0
SIZE: Final = 1
MTIME: Final = 2
CTIME: Final = 3
KIND: Final = 4
UID: Final = 7
GID: Final = 8
LINKS: Final = 9
MAX_NS = 2**63 - 1


class Scan:
    """A tree at a moment.

    :ivar vanished: the root is not there at all.
    :ivar files_read: how many files were read, and ``bytes_read`` of them.
    :ivar bytes_added: how many of those were new to the pack they were added to.
    """

    def __init__(self, tree: str, owners: Owners, vanished: bool = False) -> None:
        self.tree = tree
        self.owners = owners
        self.vanished = vanished
        self.rows: Dict[str, Row] = {}
        self.unknown: Dict[str, str] = {}
        self.files_read = 0
        self.bytes_read = 0
        self.bytes_added = 0
        self.known_digest = ""
        """Of the manifest, when it is the same as the last time."""
        self._manifest: Optional[Manifest] = None
        self._data: Optional[bytes] = None

    @property
    def manifest(self) -> Manifest:
        """The tree; its ``unknown`` says what could not be looked at, and why."""
        if self._manifest is None:
            self._manifest = self._make()
        return self._manifest

    @property
    def data(self) -> bytes:
        """The manifest as bytes, as it was found."""
        if self._data is None:
            self._data = manifests.dump(self.manifest)
        return self._data

    @property
    def digest(self) -> str:
        """Of the manifest, as it was found."""
        return self.known_digest or manifests.digest(self.data)

    @property
    def signatures(self) -> Dict[str, Signature]:
        """Path -> inode, size, mtime and ctime as they were, to see whether something was changed since."""
        return {path: (row[0], row[1], row[2], row[3]) for path, row in self.rows.items()}

    def _make(self) -> Manifest:
        entries: Dict[str, Entry] = {}
        make, user, group = Entry._make, self.owners.user, self.owners.group
        links = self._links()
        for path, row in self.rows.items():
            _inode, size, mtime_ns, _ctime, kind, content, mode, uid, gid, count, context = row
            if not -MAX_NS <= mtime_ns <= MAX_NS:
                mtime_ns = min(max(mtime_ns, -MAX_NS), MAX_NS)
            if kind != FILE:
                size = 0
            number = links.get(path, 0) if count > 1 else 0
            entries[path] = make(
                (path, kind, mode, uid, gid, user(uid), group(gid), size, mtime_ns, content, number, context)
            )
        return Manifest(self.tree, entries, dict(self.unknown))

    def _links(self) -> Dict[str, int]:
        """The groups of hard links, numbered in the order of their first paths."""
        paths: Dict[int, List[str]] = {}
        for path, row in self.rows.items():
            if row[LINKS] > 1 and row[KIND] == FILE:
                paths.setdefault(row[INODE], []).append(path)
        groups = sorted(sorted(group) for group in paths.values() if len(group) > 1)
        return {path: number for number, group in enumerate(groups, 1) for path in group}
