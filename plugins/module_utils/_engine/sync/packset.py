# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The packs of one directory, looked at as one: which of them holds a content.

Others add packs and take some away meanwhile, so a list of them is never final: what is not found is looked for again.
"""

from __future__ import annotations

import os

from ..errors import StoreCorrupt, from_os_error
from .pack import ROW, PackReader, is_pack_name, open_pack, pack_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, Iterable, Iterator, List, Optional, Set, Tuple

    from .pack import Row

MAX_OPEN = 256
"""Packs whose files are kept open; of the others only the index is kept."""
FEW = 64
"""After so many questions it is worth its time to put all digests into one table."""


class PackSet:
    """The packs below an open directory.

    :param dir_fd: the directory; it stays the caller's.
    :param path: how errors name it.
    """

    def __init__(self, dir_fd: int, path: str) -> None:
        self.dir_fd = dir_fd
        self.path = path
        self.damaged: Dict[str, StoreCorrupt] = {}
        """Packs that cannot be used, and why."""
        self.distrusted: Set[bytes] = set()
        """Contents that nobody may rely on, although a pack may seem to have them."""
        self._bad: Dict[str, Tuple[int, ...]] = {}
        self._readers: Dict[str, PackReader] = {}
        self._table: Optional[Dict[bytes, str]] = None
        self._questions = 0
        self._listed = False
        self._fresh: Set[str] = set()

    def close(self) -> None:
        for reader in self._readers.values():
            reader.close()
        self._readers = {}
        self._table = None
        self._listed = False

    def names(self) -> List[str]:
        """The packs there are now.

        Listed through a descriptor of its own: a process shares its place in ``dir_fd`` with those it was copied from,
        and of two that list at once each would get a part.
        """
        try:
            fd = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=self.dir_fd)
            try:
                return sorted(filter(is_pack_name, os.listdir(fd)))
            finally:
                os.close(fd)
        except OSError as exc:
            raise from_os_error(exc, "list the vault", self.path) from exc

    def open(self, name: str) -> PackReader:
        """One pack.

        :raises FileNotFoundError: it is gone.
        :raises StoreCorrupt: it is torn, or is not what its name says.
        """
        reader = open_pack(name, self.dir_fd, os.path.join(self.path, name))
        if pack_name(reader.index) != name:
            reader.close()
            raise StoreCorrupt("the pack %s is not the one that its name says" % reader.label, path=reader.label)
        return reader

    def refresh(self) -> bool:
        """Take notice of packs that were added or taken away since; whether any were added."""
        names = set(self.names())
        for gone in set(self._readers) - names:
            self._readers.pop(gone).close()
            self._table = None
        for name in [name for name in self.damaged if name not in names or self._state(name) != self._bad[name]]:
            del self.damaged[name]
        added = sorted(names - set(self._readers) - set(self.damaged))
        for name in added:
            try:
                reader = self.open(name)
            except FileNotFoundError:
                continue
            except StoreCorrupt as exc:
                self.damaged[name] = exc
                self._bad[name] = self._state(name)
                continue
            if len(self._readers) >= MAX_OPEN:
                reader.suspend(lambda name=name: self.open(name))  # type: ignore[misc]
            self._readers[name] = reader
            if self._table is not None:
                self._enter(self._table, name)
        self._listed = True
        return bool(added)

    def _state(self, name: str) -> Tuple[int, ...]:
        """What changes when somebody puts a sound pack into the place of a damaged one."""
        try:
            state = os.stat(name, dir_fd=self.dir_fd, follow_symlinks=False)
        except OSError:
            return ()
        return (state.st_ino, state.st_size, state.st_mtime_ns)

    def holders(self, digest: bytes) -> Iterator[Tuple[PackReader, Row]]:
        """The packs that have a content; at the end, those that came later are looked at, too."""
        tried: Set[str] = set()
        if not self._listed:
            self.refresh()
        while True:
            for name in self._candidates(digest):
                reader = self._readers.get(name)
                if reader is not None and name not in tried:
                    tried.add(name)
                    row = reader.find(digest)
                    if row is not None:
                        try:
                            yield reader, row
                        finally:
                            reader.rest()
            if not self.refresh():
                return

    def _candidates(self, digest: bytes) -> List[str]:
        """Packs to look into: the one that the table names first. With a table, others only where that one has it."""
        self._questions += 1
        if self._table is None and self._questions > FEW:
            table: Dict[bytes, str] = {}
            for name in self._readers:
                self._enter(table, name)
            self._table = table
        if self._table is None:
            return list(self._readers)
        first = self._table.get(digest)
        return [] if first is None else [first, *self._readers]

    def _enter(self, table: Dict[bytes, str], name: str) -> None:
        index = self._readers[name].index
        for at in range(0, len(index), ROW.size):
            table[index[at : at + 32]] = name

    def missing(self, digests: Iterable[str]) -> Set[str]:
        """Those of the contents that no pack has."""
        self.refresh()
        return {digest for digest in digests if not self._has(bytes.fromhex(digest))}

    def _has(self, digest: bytes) -> bool:
        return any(self._readers[name].find(digest) is not None for name in self._candidates(digest))

    def keep(self, digest: bytes) -> bool:
        """Whether a content is there, and so that it stays: its pack counts as new, which upkeep does not touch."""
        if digest in self.distrusted:
            return False
        if not self._listed:
            self.refresh()
        for name in self._candidates(digest):
            if self._readers[name].find(digest) is not None and self._touch(name):
                return True
        return False

    def _touch(self, name: str) -> bool:
        if name not in self._fresh:
            try:
                os.utime(name, dir_fd=self.dir_fd, follow_symlinks=False)
            except (FileNotFoundError, PermissionError):
                # Taken away meanwhile; or somebody else's, whom alone this is allowed: then there will be a copy.
                return False
            except OSError as exc:
                raise from_os_error(exc, "keep a pack", os.path.join(self.path, name)) from exc
            self._fresh.add(name)
        return True
