# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a restore would change: the backup, as it is read and verified, held against what is there now."""

from __future__ import annotations

import os
from typing import Any, Dict, List, Optional, Set, Tuple

from ..record import MAX_RECORD_BYTES, file_name, machine_id_of
from ..stores.base import printable
from .crypt import Source
from .gzipped import PIECE
from .members import FILE, LEFT_OUT, Member, safe_mode
from .walk import Tree

SHOWN = 100


class Comparison:
    """Takes the members of a backup, and remembers what differs.

    :param location: the fleet's directory, or None if there is nothing.
    :param machine: keep this machine's record, if it comes along.
    """

    def __init__(self, location: Optional[str], machine: Optional[str] = None) -> None:
        self._tree = Tree(location, strict=False) if location is not None else None
        self._left = _files(self._tree) if self._tree is not None else {}
        self._wanted = "heartbeats/" + file_name(machine) if machine is not None else None
        self.record: Optional[Tuple[bytes, int]] = None
        self.fleet_file: Optional[bytes] = None
        self.newest_beat: Optional[int] = None
        self.changed: List[str] = []
        self.added: List[str] = []

    def close(self) -> None:
        if self._tree is not None:
            self._tree.__exit__()

    def take(self, member: Member, content: Source) -> None:
        """One member; see :meth:`.archive.Reader.run`."""
        if member.kind != FILE:
            return
        data: Optional[bytes] = None
        if member.path in (self._wanted, "fleet.json") and member.size <= 64 * MAX_RECORD_BYTES:
            data = b"".join(iter(lambda: content(PIECE), b""))
            if member.path == self._wanted:
                self.record = (data, member.mtime_ns)
            else:
                self.fleet_file = data
        if member.path.startswith("heartbeats/"):
            self.newest_beat = max(self.newest_beat or 0, member.mtime_ns)
        there = self._left.pop(member.path, None)
        if there is None:
            self.added.append(member.path)
        elif there != (member.size, member.mtime_ns, safe_mode(member)) or not self._same(member, content, data):
            self.changed.append(member.path)

    def _same(self, member: Member, content: Source, data: Optional[bytes]) -> bool:
        """Whether the content is the same, piece by piece."""
        found = self._tree.read(member.path) if self._tree is not None else None
        if found is None:
            return False
        _member, current, opened = found
        try:
            if data is not None:
                return current(PIECE) == data
            left = member.size
            while left:
                piece = content(PIECE)
                if piece != _exactly(current, len(piece)):
                    return False
                left -= len(piece)
            return True
        finally:
            if opened >= 0:
                os.close(opened)

    def removed(self, traces: Set[str]) -> List[str]:
        """What is there and not in the backup, but for what an earlier restore of the same backup left as traces."""
        return sorted(path for path in self._left if path not in traces and not path.startswith("reports/restore-"))

    def diff(self, traces: Set[str]) -> Dict[str, Any]:
        """For ``--diff``: the files that differ, those on either side only, and what that means in machines."""
        before: Dict[str, Any] = {"changed": _listing(self.changed), "only_here": _listing(self.removed(traces))}
        after: Dict[str, Any] = {"changed": "as in the backup", "only_in_the_backup": _listing(self.added)}
        return {"before": before if self._tree is not None else {}, "after": after}

    def machines(self, paths: List[str]) -> List[str]:
        """The machines among the files of a list."""
        names = [path.rpartition("/")[2] for path in paths if path.startswith("heartbeats/")]
        return sorted(m for m in map(machine_id_of, names) if m is not None)


def _files(tree: Tree) -> Dict[str, Tuple[int, int, int]]:
    """Every file there is, with what a look at it tells."""
    found: Dict[str, Tuple[int, int, int]] = {}
    folders = tree.folders()
    for path in tree.paths(tree.journal(), folders):
        try:
            state = os.lstat(os.path.join(tree.location, path))
        except OSError:
            continue
        found[path] = (state.st_size, state.st_mtime_ns, state.st_mode & 0o7777)
    return {path: looks for path, looks in found.items() if path.split("/")[0] not in LEFT_OUT}


def _exactly(source: Source, size: int) -> bytes:
    data = b""
    while len(data) < size:
        more = source(size - len(data))
        if not more:
            break
        data += more
    return data


def _listing(paths: List[str]) -> List[str]:
    """A list that stays readable for a large fleet."""
    shown = [printable(path) for path in paths[:SHOWN]]
    return [*shown, "and %d more" % (len(paths) - SHOWN)] if len(paths) > SHOWN else shown
