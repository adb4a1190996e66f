# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The three-way merge of a tree: what the machine has, what the baseline has, and what both had last. Pure.

Each path is decided by itself, as a whole: content, mode, owner, link target and kind count alike. A change of one side
is taken by the other; different changes of both are a conflict, decided by the policy. Two things bind paths together.
A directory that something surviving needs survives. And where one side has a directory and the other a file or link,
that path and everything beneath it are one question with one answer.

Nothing is said of a path that is unknown, or that the tree's patterns leave out: it stays as it is on either side, is
never taken for deleted, and the directories above it stay as well.

The base follows one rule: it moves to where both sides agree, and stays where they do not. So an open conflict is met
again by the next merge, and a sync that was cut off half way is completed by the next one.
"""

from __future__ import annotations

from . import paths
from .manifest import DIRECTORY, Entry, Manifest, same
from .outcome import BASELINE, MACHINE, MANUAL, NEWEST, OPEN, POLICIES, Change, Conflict, Kept, Merge, action
from .structure import complete, groups, root_above

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, Iterable, List, Mapping, Optional, Sequence, Set

    from .spec import TreeSpec

_EXCLUDED = ""
"""Why a path is frozen that the tree's patterns leave out; nobody has to be told."""


def merge(
    base: Manifest,
    mine: Manifest,
    theirs: Manifest,
    policy: str,
    spec: TreeSpec,
    touch_machine: bool = True,
    decided: Optional[Mapping[str, str]] = None,
) -> Merge:
    """Merge what a machine has with the baseline.

    :param base: what both had after the last sync; an empty manifest when there was none.
    :param mine: the machine now, or its last snapshot.
    :param theirs: the baseline now.
    :param policy: one of :data:`POLICIES`. ``newest`` takes the later modification time, an edit before a deletion, and
        the baseline when there is no difference.
    :param touch_machine: False when the machine cannot be changed now: ``new_mine`` is ``mine`` then, and the base
        moves only where the machine already has what the baseline gets.
    :param decided: conflict path -> ``machine`` or ``baseline``: what people said, before any policy.
    """
    if policy not in POLICIES:
        raise ValueError("no such policy: %r" % policy)
    return _Merger(base, mine, theirs, policy, spec, decided or {}, touch_machine).run()


def base_without(merged: Merge, base: Manifest, left: Iterable[str]) -> Manifest:
    """The new base when some of the machine's changes could not be made: for those paths it stays as it was.

    :param base: the one that was merged with.
    :param left: what :attr:`.apply.Applied.left` names.
    """
    stuck = frozenset(left)
    if not stuck:
        return merged.new_base
    entries = {path: entry for path, entry in merged.new_base.entries.items() if not root_above(path, stuck)}
    entries.update((path, entry) for path, entry in base.entries.items() if root_above(path, stuck))
    sides = (merged.new_mine.entries, merged.new_baseline.entries)
    complete(entries, [path for path in entries if root_above(path, stuck)], base.entries, {}, sides)
    return Manifest(merged.new_base.tree, entries)


class _Merger:
    """One merge at work. ``differing`` has the only paths that need a thought: all others are alike on all sides."""

    def __init__(
        self,
        base: Manifest,
        mine: Manifest,
        theirs: Manifest,
        policy: str,
        spec: TreeSpec,
        decided: Mapping[str, str],
        touch_machine: bool,
    ) -> None:
        self.spec = spec
        self.policy = policy
        self.decided = decided
        self.touch_machine = touch_machine
        self.base, self.mine, self.theirs = base, mine, theirs
        self.b, self.m, self.t = base.entries, mine.entries, theirs.entries
        self.new_mine: Dict[str, Entry] = dict(self.m)
        self.new_baseline: Dict[str, Entry] = dict(self.t)
        self.new_base: Dict[str, Entry] = dict(self.b)
        self.conflicts: List[Conflict] = []
        self.held: Dict[str, str] = {}
        self.frozen: Dict[str, str] = {}
        self.forgotten: Set[str] = set()
        self.differing = self._differing()

    def run(self) -> Merge:
        self._freeze()
        free = groups([path for path in self.differing if path not in self.frozen], self.m, self.t)
        for group in free:
            if len(group) == 1 and not self._is_structural(group[0]):
                self._decide_one(group[0])
            else:
                self._decide_whole(group)
        complete(self.new_mine, [*self._surviving(self.new_mine), *self.mine.unknown], self.m, self.t)
        complete(self.new_baseline, [*self._surviving(self.new_baseline), *self.theirs.unknown], self.t, self.m)
        if not self.touch_machine:
            self.new_mine = dict(self.m)
        self._move_base(free)
        changes = self._changes(MACHINE, self.m, self.new_mine) + self._changes(BASELINE, self.t, self.new_baseline)
        return Merge(
            Manifest(self.mine.tree, self.new_mine, dict(self.mine.unknown)),
            Manifest(self.mine.tree, self.new_baseline, dict(self.theirs.unknown)),
            Manifest(self.mine.tree, self.new_base),
            changes,
            sorted(self.conflicts),
            self.held,
        )

    def alike(self, one: Optional[Entry], other: Optional[Entry]) -> bool:
        return one == other or same(one, other, self.spec)

    def _differing(self) -> List[str]:
        b, m, t, spec = self.b, self.m, self.t, self.spec
        found = []
        for path in {**b, **m, **t}:
            one, other, last = m.get(path), t.get(path), b.get(path)
            if not ((one == other or same(one, other, spec)) and (one == last or same(one, last, spec))):
                found.append(path)
        return sorted(found)

    # What must not be touched.

    def _freeze(self) -> None:
        # What the base has from the time of other patterns says nothing, least of all that it was deleted.
        outdated = [path for path in self.differing if not self._is_wanted(path, self.b)]
        self.forgotten.update(outdated)
        if outdated:
            self.b = {path: entry for path, entry in self.b.items() if path not in self.forgotten}
        for path in self.differing:
            reason = self._why_frozen(path)
            if reason is None:
                continue
            self.frozen[path] = reason
            if reason == _EXCLUDED:
                self.forgotten.add(path)
            elif not self.alike(self.t.get(path), self.b.get(path)):
                self.held[path] = reason

    def _why_frozen(self, path: str) -> Optional[str]:
        for manifest in (self.mine, self.theirs):
            if manifest.is_unknown(path):
                return _reason(manifest, path)
        if root_above(paths.parent(path), self.frozen):
            return _EXCLUDED  # what lies above is a file outside of the tree for one side
        return None if self._is_wanted(path, self.m) and self._is_wanted(path, self.t) else _EXCLUDED

    def _is_wanted(self, path: str, tree: Dict[str, Entry]) -> bool:
        return path not in tree or self.spec.wanted(path, tree[path].kind == DIRECTORY)

    def _obstacle(self, root: str, loser: Manifest) -> Optional[str]:
        """Why what one side has at a path and beneath it cannot give way; None when it can."""
        within = root + "/"
        for path, reason in loser.unknown.items():
            if path.startswith(within):
                return "%s in it: %s" % (path, reason)
        for path in self.frozen:
            if path.startswith(within) and path in loser.entries:
                return "%s in it is not part of the tree" % path
        return None

    # Deciding.

    def _is_structural(self, path: str) -> bool:
        one, other = self.m.get(path), self.t.get(path)
        return one is not None and other is not None and (one.kind == DIRECTORY) != (other.kind == DIRECTORY)

    def _decide_one(self, path: str) -> None:
        mine, theirs, base = self.m.get(path), self.t.get(path), self.b.get(path)
        if self.alike(mine, theirs):
            return
        if self.alike(mine, base):
            self._take([path], BASELINE)
        elif self.alike(theirs, base):
            self._take([path], MACHINE)
        else:
            self._settle([path], self._winner([path]))

    def _decide_whole(self, group: Sequence[str]) -> None:
        root = group[0]
        if all(self.alike(self.m.get(path), self.b.get(path)) for path in group):
            winner, conflict = BASELINE, False
        elif all(self.alike(self.t.get(path), self.b.get(path)) for path in group):
            winner, conflict = MACHINE, False
        else:
            winner, conflict = self._winner(group), True
        if winner != OPEN:
            obstacle = self._obstacle(root, self.mine if winner == BASELINE else self.theirs)
            if obstacle is not None:
                self.held[root] = obstacle
                winner = OPEN
            elif winner == MACHINE:
                # What is unknown beneath the machine's directory is not of the tree that the base was made of.
                self.forgotten.update(path for path in self.frozen if path.startswith(root + "/"))
        if conflict:
            self._settle(group, winner, whole=True)
        else:
            self._take(group, winner)

    def _winner(self, group: Sequence[str]) -> str:
        """Who decides a conflict; its first path names it."""
        said = self.decided.get(group[0])
        if said in (MACHINE, BASELINE):
            return str(said)
        if self.policy == MANUAL:
            return OPEN
        if self.policy != NEWEST:
            return self.policy
        return MACHINE if self._latest(self.m, group) > self._latest(self.t, group) else BASELINE

    def _latest(self, side: Dict[str, Entry], group: Sequence[str]) -> float:
        """The latest time among the changes that one side made; a deletion is older than anything."""
        times = [side[path].mtime_ns for path in group if path in side and not self.alike(side[path], self.b.get(path))]
        return max(times) if times else float("-inf")

    def _settle(self, group: Sequence[str], winner: str, whole: bool = False) -> None:
        loser, side = (self.m, MACHINE) if winner == BASELINE else (self.t, BASELINE)
        waits = winner == BASELINE and not self.touch_machine
        lost = winner != OPEN and not waits
        kept = tuple(Kept(side, loser[path]) for path in group if path in loser) if lost else ()
        path = group[0]
        sides = (self.m.get(path), self.t.get(path), self.b.get(path))
        self.conflicts.append(Conflict(path, *sides, winner, kept, whole, waits))
        self._take(group, winner)

    def _take(self, group: Sequence[str], winner: str) -> None:
        if winner == OPEN:
            return
        source, target = (self.t, self.new_mine) if winner == BASELINE else (self.m, self.new_baseline)
        _copy(group, source, target)

    # Afterwards.

    def _move_base(self, free: Sequence[Sequence[str]]) -> None:
        if self.forgotten:
            for path in [path for path in self.new_base if root_above(path, self.forgotten)]:
                del self.new_base[path]
        for group in free:
            # A question that is still open keeps its whole base: half of it would make one side look unchanged.
            if all(self.alike(self.new_mine.get(path), self.new_baseline.get(path)) for path in group):
                _copy(group, self.new_mine, self.new_base)
        complete(self.new_base, self._surviving(self.new_base), self.b, {}, (self.new_mine, self.new_baseline))

    def _surviving(self, tree: Dict[str, Entry]) -> List[str]:
        return [path for path in self.differing if path in tree]

    def _changes(self, side: str, before: Dict[str, Entry], after: Dict[str, Entry]) -> List[Change]:
        found = []
        for path in self.differing:
            old, new = before.get(path), after.get(path)
            if old is not new and not self.alike(old, new):
                found.append(Change(path, action(old, new), side, old, new))
        return found


def _copy(group: Sequence[str], source: Dict[str, Entry], target: Dict[str, Entry]) -> None:
    for path in group:
        if path in source:
            target[path] = source[path]
        else:
            target.pop(path, None)


def _reason(manifest: Manifest, path: str) -> str:
    while path not in manifest.unknown:
        path = paths.parent(path)
    return manifest.unknown[path]
