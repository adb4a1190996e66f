# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What comes out of a merge: the trees as they should be, what that changes, and where two sides disagreed."""

from __future__ import annotations

from typing import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, List, Optional, Tuple

    from .manifest import Entry, Manifest

MANUAL = "manual"
BASELINE = "baseline"
MACHINE = "machine"
NEWEST = "newest"
POLICIES = (MANUAL, BASELINE, MACHINE, NEWEST)
"""What decides a conflict: a person, the baseline, the machine, or the later change."""
OPEN = "open"
"""The resolution of a conflict that is left to a person: each side keeps what it has."""

CREATE = "create"
REPLACE = "replace"
ATTRIBUTES = "attributes"
DELETE = "delete"


class Change(NamedTuple):
    """One path that becomes different on one side."""

    path: str
    action: str
    """``create``, ``replace`` (other content, target or kind), ``attributes`` (mode, owner, context) or ``delete``."""
    side: str
    """``machine`` or ``baseline``: who is changed."""
    before: Optional[Entry]
    after: Optional[Entry]


class Kept(NamedTuple):
    """An entry that lost a conflict. Its content stays in the vault, under ``entry.content``."""

    side: str
    """Whose it was: ``machine`` or ``baseline``."""
    entry: Entry


class Conflict(NamedTuple):
    """A path that both sides changed differently."""

    path: str
    mine: Optional[Entry]
    theirs: Optional[Entry]
    base: Optional[Entry]
    resolution: str
    """``baseline``, ``machine``, or ``open``."""
    kept: Tuple[Kept, ...]
    """What lost, with everything that lay beneath it; empty where the loser is a deletion, and while it is open or
    waits."""
    whole: bool = False
    """One side has a directory here and the other has none: the path was decided with all that lies beneath it."""
    waits: bool = False
    """The baseline won, but the machine cannot be changed now: its next sync has to carry it out."""


class Merge(NamedTuple):
    """The outcome of a three-way merge.

    Outside of open conflicts, ``held`` paths and unknown ones the three trees are alike in all that is synced.
    """

    new_mine: Manifest
    """The machine's tree as it should be; its unknown paths are the machine's."""
    new_baseline: Manifest
    new_base: Manifest
    """What both sides agree on now; where they do not, what they agreed on last."""
    changes: List[Change]
    conflicts: List[Conflict]
    held: Dict[str, str]
    """Path -> why a change that the other side made is not made here: something there must not be touched."""

    def changes_of(self, side: str) -> List[Change]:
        """The changes of one side, ``machine`` or ``baseline``."""
        return [change for change in self.changes if change.side == side]


def action(before: Optional[Entry], after: Optional[Entry]) -> str:
    """What turning one entry into another is called."""
    if before is None:
        return CREATE
    if after is None:
        return DELETE
    return ATTRIBUTES if (before.kind, before.content) == (after.kind, after.content) else REPLACE
