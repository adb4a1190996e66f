# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An unmounted disk is no deletion, and what could not be applied does not move the base."""

from __future__ import annotations

from typing import Optional

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.errors import SyncMassDelete
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.sync.guards import (
    refuse_mass_delete,
    refuse_mass_delete_here,
    too_many_lost,
)
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.sync.manifest import Manifest
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.sync.merge import base_without, merge
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.sync.outcome import MACHINE, POLICIES
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.sync.spec import TreeSpec
from ansible_collections.roosync.heartbeat.tests.unit.stdlib.synctrees import (
    TREE,
    check_valid,
    directory,
    file,
    histories,
    link,
    manifest,
)


def files(count: int, first: int = 0) -> Manifest:
    return manifest(*(file("%d" % number, "content %d" % number) for number in range(first, first + count)))


@pytest.mark.parametrize(
    ("before", "kept", "refused"),
    [
        (1, 1, False),
        (1, 0, True),
        (2, 0, True),
        (2, 1, False),
        (4, 2, False),
        (4, 1, True),
        (5, 2, True),
        (100, 50, False),
        (100, 49, True),
    ],
)
def test_how_many_may_be_lost(before: int, kept: int, refused: bool) -> None:
    assert bool(too_many_lost(files(before), files(kept))) == refused


def test_directories_that_stay_do_not_save_a_tree() -> None:
    before = manifest(directory("d"), file("d/f", "f"), link("d/l", "x"))
    assert too_many_lost(before, manifest(directory("d"))) == ["d/f", "d/l"]


def test_what_was_moved_or_became_unknown_is_not_lost() -> None:
    before = manifest(directory("d"), *(file("d/%d" % number, "content %d" % number) for number in range(9)))
    moved = manifest(directory("e"), *(file("e/%d" % number, "content %d" % number) for number in range(9)))
    assert too_many_lost(before, moved) is None
    assert too_many_lost(before, manifest(unknown={"d": "unreadable (EACCES)"})) is None


def test_each_lost_file_counts_though_another_one_has_the_same_content() -> None:
    before = manifest(directory("d"), *(file("d/%d" % number, "") for number in range(51)))
    assert too_many_lost(before, manifest(directory("d"), file("d/50", ""))) == ["d/%d" % n for n in range(50)]
    moved = manifest(directory("e"), *(file("e/%d" % number, "") for number in range(51)))
    assert too_many_lost(before, moved) is None
    half = manifest(directory("e"), *(file("e/%d" % number, "") for number in range(25)))
    assert len(too_many_lost(before, half) or []) == 26
    onto = manifest(file("a", "x"), file("b", "y"))
    assert too_many_lost(onto, manifest(file("b", "x"))) is None, "a was moved onto b"


@pytest.mark.parametrize("mine", [None, manifest()], ids=["vanished", "emptied"])
def test_a_tree_that_is_gone_stops_the_sync(mine: Optional[Manifest]) -> None:
    with pytest.raises(SyncMassDelete, match="set force: true") as caught:
        refuse_mass_delete(files(10), mine, "web1")
    assert caught.value.details["machine_id"] == "web1"
    assert caught.value.details["tree"] == TREE
    refuse_mass_delete(files(10), mine, "web1", force=True)
    refuse_mass_delete(manifest(), mine, "web1")


def test_a_baseline_that_is_gone_stops_it_too() -> None:
    with pytest.raises(SyncMassDelete, match="would delete on web1 10 of 10 files") as caught:
        refuse_mass_delete_here(files(10), manifest(), "web1")
    assert caught.value.details["lost"] == 10
    assert caught.value.details["examples"] == ["0", "1", "2", "3", "4"]
    refuse_mass_delete_here(files(10), manifest(), "web1", force=True)
    refuse_mass_delete_here(files(10), files(6), "web1")


@settings(max_examples=40)
@given(histories(), st.sampled_from(POLICIES), st.data())
def test_the_base_stays_where_nothing_could_be_done(trees: tuple, policy: str, data: st.DataObject) -> None:  # type: ignore[type-arg]
    base, mine, theirs = trees
    spec = TreeSpec(TREE, "/srv/www")
    merged = merge(base, mine, theirs, policy, spec)
    changed = sorted({change.path for change in merged.changes_of(MACHINE)})
    left = data.draw(st.lists(st.sampled_from(changed), unique=True)) if changed else []
    made = base_without(merged, base, left)
    check_valid(made)
    for path in set(base.entries) | set(made.entries) | set(merged.new_base.entries):
        below = any(path == one or path.startswith(one + "/") for one in left)
        if below:
            assert made.entries.get(path) == base.entries.get(path)
        elif not any(one.startswith(path + "/") for one in left):
            assert made.entries.get(path) == merged.new_base.entries.get(path)
