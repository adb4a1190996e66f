# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a sync would do with each tree: everything is read and decided here, and nothing is changed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Dict, List, Mapping, Optional, Tuple

from ..state import OFFLINE
from . import decisions
from .guards import meant, refuse_mass_delete, refuse_mass_delete_here
from .manifest import DIRECTORY, Entry, Manifest
from .merge import base_without, merge
from .outcome import BASELINE, DELETE, MACHINE, OPEN, Change, Conflict, Merge
from .refs import Base, Baseline
from .session import Session
from .spec import TreeSpec
from .structure import root_above


@dataclass(eq=False)
class TreePlan:
    """What is to become of one tree of a machine, and of the fleet's baseline of it."""

    spec: TreeSpec
    base_ref: Optional[Base]
    baseline_ref: Optional[Baseline]
    base: Manifest
    mine: Manifest
    theirs: Manifest
    merged: Merge
    captured: bool = True
    """Whether the machine itself was looked at. If not, its last snapshot stands for it, and it is not touched."""
    host: str = ""
    """The fingerprint of the host that has the machine's tree."""
    turn: int = 0
    """The number of the baseline's next version, should this publish one."""
    in_part: bool = False
    """Whether ``base`` is only a part of what was noted: the rest counts no more, and has to go from there as well."""
    left: Dict[str, str] = field(default_factory=dict)
    """When it has been carried out: path -> why the machine's tree is as it was there."""

    @property
    def machine_changes(self) -> List[Change]:
        return self.merged.changes_of(MACHINE)

    @property
    def baseline_changes(self) -> List[Change]:
        return self.merged.changes_of(BASELINE)

    @property
    def baseline_version(self) -> int:
        """Of the baseline that this was planned with; 0 when there was none."""
        return 0 if self.baseline_ref is None else self.baseline_ref.version

    @property
    def next_version(self) -> int:
        """Of the baseline when this has been carried out."""
        return self.turn if self.baseline_changes else self.baseline_version

    @property
    def changes(self) -> List[Change]:
        """What changes, in the order of the paths."""
        return sorted(self.merged.changes, key=lambda change: (change.path, change.side))

    @property
    def resolved(self) -> List[Conflict]:
        """Those that were decided, and are carried out."""
        return [one for one in self.merged.conflicts if one.resolution != OPEN and not self._waits(one)]

    @property
    def waiting(self) -> List[Conflict]:
        """Those that were decided, and are not carried out yet."""
        return [one for one in self.merged.conflicts if one.resolution != OPEN and self._waits(one)]

    def _waits(self, one: Conflict) -> bool:
        if one.waits or one.resolution == MACHINE or not self.left:
            return one.waits
        within = one.path + "/"
        return bool(root_above(one.path, self.left)) or (one.whole and any(p.startswith(within) for p in self.left))

    @property
    def open(self) -> List[Conflict]:
        return [conflict for conflict in self.merged.conflicts if conflict.resolution == OPEN]

    @property
    def unknown(self) -> Dict[str, str]:
        """What nothing could be said of, and what had to stay as it is because of that."""
        return {**self.mine.unknown, **self.merged.held, **self.left}

    @property
    def made(self) -> List[Change]:
        """Of the changes, those that were made, or will be."""
        if not self.left:
            return self.changes
        return [change for change in self.changes if change.side == BASELINE or not self._is_left(change.path)]

    def _is_left(self, path: str) -> bool:
        """Whether the machine has at a path what it had. Each is named, but where a directory would not give way."""
        above = root_above(path, self.left)
        after = self.merged.new_mine.entries.get(above)
        return above != "" and (above == path or (after is not None and after.kind != DIRECTORY))

    @property
    def new_base(self) -> Manifest:
        """What both sides agree on now."""
        return base_without(self.merged, self.base, self.left)

    @property
    def moves_base(self) -> bool:
        """Whether both sides agree on something that they did not agree on before."""
        return self.base_ref is None or self.in_part or self.new_base.entries != self.base.entries

    @property
    def names_host(self) -> bool:
        """Whether the base says already which host it is of."""
        return self.base_ref is not None and self.host in ("", self.base_ref.host)

    @property
    def does_something(self) -> bool:
        """Whether carrying it out changes anything; an open conflict by itself does not."""
        return bool(self.made) or self.moves_base


def _base(session: Session, spec: TreeSpec, ref: Optional[Base], mine: Optional[Manifest]) -> Tuple[Manifest, bool]:
    """What both sides had, as far as it counts; and whether some of it does not.

    Without a base nothing was ever deleted: what one side does not have, it has yet to get. So it is of a host that has
    taken the name over, and with ``restore`` of each path that the machine does not have.
    """
    base = session.manifest(ref.manifest if ref is not None else None, spec)
    if not session.request.restore:
        return base, False
    there = mine if mine is not None else Manifest(spec.name, {})
    entries = {path: one for path, one in base.entries.items() if path in there.entries or there.is_unknown(path)}
    return Manifest(spec.name, entries), len(entries) < len(base.entries)


def plan_tree(
    session: Session,
    spec: TreeSpec,
    mine: Optional[Manifest],
    touch_machine: bool,
    known: List[decisions.Decision],
    host: str,
) -> TreePlan:
    """Read base and baseline, and merge.

    :param mine: the tree on the machine; None when its directory is not there.
    :param known: decisions about the machine.
    :param host: the fingerprint of the host that has the tree.
    :raises SyncMassDelete: it would take an unmounted disk for a deletion.
    """
    force, machine_id = session.request.force, session.machine_id
    base_ref = session.refs.base(machine_id, spec.name)
    turn = session.refs.baseline_turn(spec.name)
    baseline_ref = session.refs.baseline(spec.name, session.began)
    believed = None if session.is_of_another_host(base_ref, host) else base_ref
    base, in_part = _base(session, spec, believed, mine)
    if believed is not None:
        host = host or believed.host
    theirs = session.manifest(baseline_ref.manifest if baseline_ref is not None else None, spec)
    refuse_mass_delete(meant(base, spec), mine, machine_id, force)
    mine = mine if mine is not None else Manifest(spec.name, {})
    told = decisions.decided(known, mine, theirs, spec)
    merged = merge(base, mine, theirs, session.policy, spec, touch_machine, told)
    refuse_mass_delete_here(mine, merged.new_mine, machine_id, force)
    captured = session.request.event != OFFLINE
    return TreePlan(spec, base_ref, baseline_ref, base, mine, theirs, merged, captured, host, turn, in_part)


def plan_trees(
    session: Session,
    found: Mapping[str, Optional[Manifest]],
    trees: List[TreeSpec],
    touch_machine: bool,
    hosts: Mapping[str, str],
) -> List[TreePlan]:
    """The plans of all trees of a machine. One that cannot be synced stops them all, before anything is changed.

    :param hosts: tree -> the host that had it, where that is known and may not be the one of now.
    """
    known = decisions.load_all(session.store)
    mine = [one for one in known if one.machine_id == session.machine_id]
    return [
        plan_tree(session, spec, found[spec.name], touch_machine, mine, hosts.get(spec.name) or session.host)
        for spec in trees
    ]


def files(changes: List[Change]) -> Tuple[int, int]:
    """How many files and links change, and how many bytes of content come with that."""
    count = size = 0
    for change in changes:
        entry: Optional[Entry] = change.after or change.before
        if entry is not None and entry.kind != DIRECTORY:
            count += 1
            if change.action != DELETE and (change.before is None or change.before.content != entry.content):
                size += entry.size
    return count, size
