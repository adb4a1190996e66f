# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which steps turn one tree into another, and in which order. Pure: the same for a plan that is only shown.

Files and links go first, the deepest first, then directories; then new directories come, the topmost first, then files
and links, each replaced in one step. Directories whose attributes change get the narrower of both modes before anything
is put into them, and the final ones last of all.
"""

from __future__ import annotations

from typing import NamedTuple

from .manifest import DIRECTORY, FILE, Entry, Manifest, same

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import List, Optional, Set

    from .spec import TreeSpec

REMOVE = "remove"
REMOVE_DIRECTORY = "remove-directory"
NARROW = "narrow"
MAKE_DIRECTORY = "make-directory"
PUT = "put"
CHANGE = "change"
FINISH = "finish"


class Step(NamedTuple):
    """One step, before it is known what it meets."""

    kind: str
    path: str
    before: Optional[Entry]
    after: Optional[Entry]


def steps(before: Manifest, after: Manifest, spec: TreeSpec) -> List[Step]:
    """What has to be done. Nothing where nothing is known on either side."""
    removals: List[Step] = []
    directories: List[Step] = []
    puts: List[Step] = []
    attributes: List[Step] = []
    for path in sorted({**before.entries, **after.entries}):
        old, new = before.entries.get(path), after.entries.get(path)
        if old == new or same(old, new, spec) or before.is_unknown(path) or after.is_unknown(path):
            continue
        was_dir = old is not None and old.kind == DIRECTORY
        is_dir = new is not None and new.kind == DIRECTORY
        if old is not None and new is not None and was_dir and is_dir:
            attributes.append(Step(CHANGE, path, old, new))
            continue
        if old is not None and new is not None and old.kind == new.kind == FILE and old.content == new.content:
            puts.append(Step(CHANGE, path, old, new))
            continue
        if old is not None and (new is None or was_dir or is_dir):
            removals.append(Step(REMOVE_DIRECTORY if was_dir else REMOVE, path, old, None))
            old = None
        if new is not None:
            (directories if is_dir else puts).append(Step(MAKE_DIRECTORY if is_dir else PUT, path, old, new))
    narrowing = [step._replace(kind=NARROW) for step in attributes]
    # A directory goes after all that is in it, and its final mode comes when nothing in it has to be touched any more.
    finishing = [step._replace(kind=FINISH) for step in sorted([*directories, *attributes], key=_path, reverse=True)]
    return [*narrowing, *reversed(removals), *directories, *puts, *finishing]


def _path(step: Step) -> str:
    return step.path


def needed(before: Manifest, after: Manifest, spec: TreeSpec) -> Set[str]:
    """The contents that have to be fetched to turn one tree into the other: those that it has nowhere now."""
    here = {entry.content for entry in before.entries.values() if entry.kind == FILE}
    return {
        step.after.content
        for step in steps(before, after, spec)
        if step.kind == PUT and step.after is not None and step.after.kind == FILE
    } - here
