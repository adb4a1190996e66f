# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What binds the paths of a tree together in a merge: directories are needed by what lies in them. Pure."""

from __future__ import annotations

from . import paths
from .manifest import DIRECTORY, Entry

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Container, Dict, Iterable, List, Mapping, Sequence


def groups(differing: Sequence[str], mine: Mapping[str, Entry], theirs: Mapping[str, Entry]) -> List[List[str]]:
    """The paths that are decided together, each group led by its topmost path.

    Most are alone. Where one side has a directory and the other has something else, everything beneath goes along: it
    exists on one side only, so that all of it is among the differing paths.

    :param differing: in order, so that what lies above comes first.
    """
    found: Dict[str, List[str]] = {}
    roots = set()
    for path in differing:
        one, other = mine.get(path), theirs.get(path)
        if one is not None and other is not None and (one.kind == DIRECTORY) != (other.kind == DIRECTORY):
            roots.add(path)
    for path in differing:
        found.setdefault((root_above(path, roots) if roots else "") or path, []).append(path)
    return list(found.values())


def root_above(path: str, roots: Container[str]) -> str:
    """Which of some paths a path is, or lies beneath; ``""`` for none."""
    while path and path not in roots:
        path = paths.parent(path)
    return path


def complete(
    tree: Dict[str, Entry],
    needing: Iterable[str],
    own: Mapping[str, Entry],
    other: Mapping[str, Entry],
    differ_from: Sequence[Mapping[str, Entry]] = (),
) -> None:
    """Give a tree the directories back that something in it needs.

    :param tree: changed in place.
    :param needing: paths whose directories may be missing.
    :param own: where a directory is taken from.
    :param other: where it is taken from else.
    :param differ_from: where neither has one: the entries that the new one must differ from, so that it decides
        nothing.
    """
    for path in needing:
        above = paths.parent(path)
        while above:
            there = tree.get(above)
            if there is not None and there.kind == DIRECTORY:
                break
            found = own.get(above)
            if found is None or found.kind != DIRECTORY:
                found = other.get(above)
            if found is None or found.kind != DIRECTORY:
                found = _placeholder(above, [side[above] for side in differ_from if above in side])
            tree[above] = found
            above = paths.parent(above)


def _placeholder(path: str, differing: Sequence[Entry]) -> Entry:
    """A directory that is like none of those, which both sides therefore seem to have changed."""
    modes = {entry.mode & 0o777 for entry in differing if entry.kind == DIRECTORY}
    mode = min(set(range(len(modes) + 1)) - modes)
    return Entry(path, DIRECTORY, mode, 0, 0, "", "", 0, 0, "")
