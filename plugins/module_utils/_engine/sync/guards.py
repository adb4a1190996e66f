# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What no merge may do by itself: take an unmounted disk for the deletion of everything on it. Pure."""

from __future__ import annotations

from collections import Counter

from ..errors import SyncMassDelete
from .manifest import DIRECTORY, Manifest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import List, Optional

    from .spec import TreeSpec

FEW = 3
"""Below so many lost files, a tree that keeps some of its files is believed."""


def lost_files(before: Manifest, after: Manifest) -> List[str]:
    """The files and links that are there no more, neither at their path nor, moved, anywhere else.

    What is unknown afterwards is not lost. What turned up in one place makes up for one file that went.
    """
    gone = [
        (path, (entry.kind, entry.content))
        for path, entry in before.entries.items()
        if entry.kind != DIRECTORY and path not in after.entries and not after.is_unknown(path)
    ]
    if not gone:
        return []
    turned_up = Counter(
        (entry.kind, entry.content)
        for path, entry in after.entries.items()
        if path not in before.entries or before.entries[path].content != entry.content
    )
    lost = []
    for path, what in gone:
        if turned_up[what]:
            turned_up[what] -= 1
        else:
            lost.append(path)
    return lost


def meant(manifest: Manifest, spec: TreeSpec) -> Manifest:
    """What of a tree its patterns mean now. What they left out since is neither lost nor deleted."""
    entries = {path: one for path, one in manifest.entries.items() if spec.wanted(path, one.kind == DIRECTORY)}
    return Manifest(manifest.tree, entries, manifest.unknown)


def too_many_lost(before: Manifest, after: Manifest) -> Optional[List[str]]:
    """The lost files when they are too many to be believed: all that there were, or more than half and at least three.

    A directory that took the place of a file counts as nothing lost: it was made on purpose.
    """
    lost = lost_files(before, after)
    if not lost:
        return None
    count = sum(entry.kind != DIRECTORY for entry in before.entries.values())
    return lost if len(lost) == count or (len(lost) >= FEW and 2 * len(lost) > count) else None


def refuse_mass_delete(base: Manifest, mine: Optional[Manifest], machine_id: str, force: bool = False) -> None:
    """Stop when a machine's tree has vanished, or has lost most of its files, since the last sync.

    :param mine: the machine now; None when the root of the tree is not there.
    :raises SyncMassDelete: it has, and ``force`` is not set.
    """
    if force or not base.entries:
        return
    if mine is None:
        raise SyncMassDelete(
            "tree %s of %s is not there: its directory is missing (a disk that is not mounted?); nothing was synced. "
            "Bring it back, or set force: true if it is meant to be empty" % (base.tree, machine_id),
            tree=base.tree,
            machine_id=machine_id,
        )
    lost = too_many_lost(base, mine)
    if lost:
        raise _error(BY_MACHINE, base, lost, machine_id)


BY_MACHINE = (
    "tree %s of %s has lost %d of %d files since the last sync (a disk that is not mounted?); nothing was synced. "
    "Bring them back, or set force: true if they are meant to be deleted everywhere"
)
BY_BASELINE = (
    "the baseline of tree %s would delete on %s %d of %d files; nothing was synced. Look at the baseline, or set "
    "force: true if they are meant to be deleted"
)
BY_ROLLBACK = (
    "the rollback of tree %s would delete on %s %d of %d files, and these did not come with the sync; nothing was "
    "taken back. Keep them elsewhere, or set force: true if they are meant to be deleted"
)


def refuse_mass_delete_here(
    mine: Manifest, new_mine: Manifest, machine_id: str, force: bool = False, text: str = BY_BASELINE
) -> None:
    """Stop when a merge would delete most of a machine's files.

    :param new_mine: what the merge makes of ``mine``.
    :raises SyncMassDelete: it would, and ``force`` is not set.
    """
    lost = None if force else too_many_lost(mine, new_mine)
    if lost:
        raise _error(text, mine, lost, machine_id)


def _error(text: str, before: Manifest, lost: List[str], machine_id: str) -> SyncMassDelete:
    count = sum(entry.kind != DIRECTORY for entry in before.entries.values())
    return SyncMassDelete(
        text % (before.tree, machine_id, len(lost), count),
        tree=before.tree,
        machine_id=machine_id,
        lost=len(lost),
        files=count,
        examples=sorted(lost)[:5],
    )
