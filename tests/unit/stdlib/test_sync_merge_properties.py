# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What holds of every merge, whatever two sides did to a tree."""

from __future__ import annotations

from typing import Dict, Optional, Tuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.sync.manifest import Entry, Manifest, same
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.sync.merge import merge
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.sync.outcome import (
    BASELINE,
    MACHINE,
    MANUAL,
    NEWEST,
    OPEN,
    POLICIES,
    Merge,
)
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.sync.spec import TreeSpec
from ansible_collections.roosync.heartbeat.tests.unit.stdlib.synctrees import (
    TREE,
    check_valid,
    contents,
    edited,
    histories,
    kept,
)

Trees = Tuple[Manifest, Manifest, Manifest]
SPEC = TreeSpec(TREE, "/srv/www")
SPECS = st.sampled_from([SPEC, SPEC, SPEC._replace(exclude=("a-b",)), SPEC._replace(include=("a/**", "b"))])
POLICY = st.sampled_from(POLICIES)
AUTOMATIC = st.sampled_from([BASELINE, MACHINE, NEWEST])


def outside(made: Manifest, left_out: Manifest, spec: TreeSpec) -> Dict[str, Entry]:
    """What of a tree a merge may touch."""
    return {
        path: entry
        for path, entry in made.entries.items()
        if not left_out.is_unknown(path) and spec.wanted(path, entry.kind == "d")
    }


@given(histories(), POLICY, SPECS, st.booleans())
def test_what_comes_out_are_trees(trees: Trees, policy: str, spec: TreeSpec, online: bool) -> None:
    merged = merge(*trees, policy, spec, touch_machine=online)
    for made in (merged.new_mine, merged.new_baseline, merged.new_base):
        check_valid(made)
    assert merged.new_mine.unknown == trees[1].unknown
    if not online:
        assert merged.new_mine == trees[1]


@given(histories(), POLICY, SPECS)
def test_no_content_is_lost(trees: Trees, policy: str, spec: TreeSpec) -> None:
    """What is gone from both sides was deleted by one of them and not changed by the other, or is named as kept."""
    base, mine, theirs = trees
    merged = merge(*trees, policy, spec)
    alive = contents(merged.new_mine, merged.new_baseline) | kept(merged)
    for side, other in ((mine, theirs), (theirs, mine)):
        for path, entry in side.entries.items():
            if entry.kind == "d" or entry.content in alive:
                continue
            assert same(entry, base.entries.get(path), spec), "%s was new and is gone" % path
            assert not same(other.entries.get(path), base.entries.get(path), spec)


@given(histories(), POLICY, SPECS)
def test_what_is_unknown_or_not_wanted_stays(trees: Trees, policy: str, spec: TreeSpec) -> None:
    _base, mine, theirs = trees
    merged = merge(*trees, policy, spec)
    for path, entry in theirs.entries.items():
        if mine.is_unknown(path) and MACHINE not in resolutions_above(merged, path):
            assert merged.new_baseline.entries[path] == entry
        if not spec.wanted(path, entry.kind == "d"):
            assert merged.new_baseline.entries[path] == entry
    for path, entry in mine.entries.items():
        if not spec.wanted(path, entry.kind == "d"):
            assert merged.new_mine.entries[path] == entry
    assert not any(mine.is_unknown(path) for path in merged.new_mine.entries)


def resolutions_above(merged: Merge, path: str) -> set:  # type: ignore[type-arg]
    return {c.resolution for c in merged.conflicts if c.whole and path.startswith(c.path + "/")}


@given(histories(with_unknown=False), AUTOMATIC)
def test_without_obstacles_all_agree(trees: Trees, policy: str) -> None:
    merged = merge(*trees, policy, SPEC)
    assert not merged.held
    paths = set(merged.new_mine.entries) | set(merged.new_baseline.entries) | set(merged.new_base.entries)
    for path in paths:
        entry = merged.new_mine.entries.get(path)
        assert same(entry, merged.new_baseline.entries.get(path), SPEC)
        assert same(entry, merged.new_base.entries.get(path), SPEC)


@given(histories(), POLICY, SPECS)
def test_a_second_merge_changes_nothing(trees: Trees, policy: str, spec: TreeSpec) -> None:
    first = merge(*trees, policy, spec)
    second = merge(first.new_base, first.new_mine, first.new_baseline, policy, spec)
    assert second.changes == []
    check_alike(second.new_base, first.new_base, spec)
    still_open = {conflict.path for conflict in first.conflicts if conflict.resolution == OPEN}
    assert {conflict.path for conflict in second.conflicts} == still_open


@given(histories(), POLICY, SPECS)
def test_a_merge_cut_off_after_publishing_is_completed(trees: Trees, policy: str, spec: TreeSpec) -> None:
    """The baseline is published and the machine not yet changed, or changed and its base not yet written."""
    base, mine, _theirs = trees
    whole = merge(*trees, policy, spec)
    for reached in (mine, whole.new_mine):
        again = merge(base, reached, whole.new_baseline, policy, spec)
        if policy == NEWEST:  # of three times, not two: what a merge took may lose to what lay there before
            continue
        check_alike(again.new_mine, whole.new_mine, spec)
        check_alike(again.new_baseline, whole.new_baseline, spec)


def check_alike(one: Manifest, other: Manifest, spec: TreeSpec) -> None:
    for path in set(one.entries) | set(other.entries):
        assert same(one.entries.get(path), other.entries.get(path), spec), path


@given(histories(), AUTOMATIC, SPECS)
def test_offline_then_online_ends_where_online_alone_does(trees: Trees, policy: str, spec: TreeSpec) -> None:
    _base, mine, _theirs = trees
    offline = merge(*trees, policy, spec, touch_machine=False)
    assert not offline.changes_of(MACHINE)
    online = merge(offline.new_base, mine, offline.new_baseline, policy, spec)
    direct = merge(*trees, policy, spec)
    check_alike(online.new_mine, direct.new_mine, spec)
    check_alike(online.new_baseline, direct.new_baseline, spec)


@given(histories(), POLICY, SPECS)
def test_changes_are_the_whole_difference(trees: Trees, policy: str, spec: TreeSpec) -> None:
    _base, mine, theirs = trees
    merged = merge(*trees, policy, spec)
    for side, before, after in ((MACHINE, mine, merged.new_mine), (BASELINE, theirs, merged.new_baseline)):
        tree = dict(before.entries)
        for change in merged.changes_of(side):
            assert tree.get(change.path) == change.before
            if change.after is None:
                del tree[change.path]
            else:
                tree[change.path] = change.after
        check_alike(Manifest(TREE, tree), after, spec)


@given(histories(with_unknown=False), POLICY, st.data())
def test_what_people_decide_is_done(trees: Trees, policy: str, data: st.DataObject) -> None:
    _base, mine, theirs = trees
    conflicts = merge(*trees, MANUAL, SPEC).conflicts
    said = {conflict.path: data.draw(st.sampled_from([MACHINE, BASELINE])) for conflict in conflicts}
    merged = merge(*trees, policy, SPEC, decided=said)
    assert {conflict.path: conflict.resolution for conflict in merged.conflicts} == said
    for path, winner in said.items():
        expected: Optional[Entry] = (mine if winner == MACHINE else theirs).entries.get(path)
        if expected is not None:
            assert merged.new_mine.entries.get(path) == merged.new_baseline.entries.get(path) == expected


class Fleet(RuleBasedStateMachine):
    """Three machines that are edited, and synced in any order, online or offline, with automatic policies."""

    def __init__(self) -> None:
        super().__init__()
        self.baseline = Manifest(TREE, {})
        self.machines = {name: (Manifest(TREE, {}), Manifest(TREE, {})) for name in ("web1", "web2", "web3")}
        self.ever = contents()
        self.vault = contents()

    def sync(self, name: str, policy: str, online: bool = True) -> Merge:
        base, mine = self.machines[name]
        self.vault |= contents(mine)
        merged = merge(base, mine, self.baseline, policy, SPEC, touch_machine=online)
        assert kept(merged) <= self.vault
        self.baseline = merged.new_baseline
        self.machines[name] = (merged.new_base, merged.new_mine)
        return merged

    @rule(name=st.sampled_from(["web1", "web2", "web3"]), data=st.data())
    def edit(self, name: str, data: st.DataObject) -> None:
        base, mine = self.machines[name]
        self.machines[name] = (base, data.draw(edited(mine)))

    @rule(name=st.sampled_from(["web1", "web2", "web3"]), policy=POLICY, online=st.booleans())
    def sync_one(self, name: str, policy: str, online: bool) -> None:
        self.sync(name, policy, online)
        assert not self.sync(name, policy, online).changes

    @invariant()
    def nothing_is_gone(self) -> None:
        self.ever |= self.vault
        held = contents(self.baseline, *(mine for _base, mine in self.machines.values()))
        assert contents(self.baseline) <= self.vault
        assert held | self.vault >= self.ever

    @rule(policy=AUTOMATIC)
    def settle(self, policy: str) -> None:
        for _round in range(2):
            for name in self.machines:
                self.sync(name, policy)
        for name, (_base, mine) in self.machines.items():
            check_alike(mine, self.baseline, SPEC)
            assert not self.sync(name, policy).changes


TestFleet = Fleet.TestCase


def test_there_are_only_four_policies() -> None:
    with pytest.raises(ValueError, match="no such policy: 'mine'"):
        merge(Manifest(TREE, {}), Manifest(TREE, {}), Manifest(TREE, {}), "mine", SPEC)
