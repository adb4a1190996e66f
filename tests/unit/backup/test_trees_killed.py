# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A restore of trees that goes wrong at each of its changes, in the store and on the machine."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Dict, List, Tuple

import pytest

from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.sync import entries
from ansible_collections.roosync.heartbeat.tests.unit.backup.dying import (
    ERRORS,
    WAYS,
    endings_of,
    every_step,
    failed,
    say,
)
from ansible_collections.roosync.heartbeat.tests.unit.backup.test_trees import Fleet

Looks = Dict[str, Tuple[object, ...]]


def looks(trees: Fleet) -> Looks:
    """The tree, without the folder in which a change is prepared: whatever is left of that goes next time."""
    found = trees.whole("web")
    return {path: what for path, what in found.items() if path.split("/")[0] != ".roosync-sync"}


def let_the_lease_run_out(trees: Fleet) -> None:
    """What waiting for five minutes would do, after a worker has died."""
    with trees.fleet.open() as store:
        for entry in trees.fleet.ledger().state.syncs.values():
            entries.renew(store, entry, lease=0)


@pytest.mark.parametrize("how", WAYS)
def test_every_change(folder: Path, how: str) -> None:
    """Whatever happens, asking once more restores the tree; and a rollback brings back what was there before."""
    trees = Fleet(folder, "web", "db", "mail")
    trees.put("web", index="hello", a__b="deep", gone="to be deleted")
    trees.sync("web", "capture")
    wanted = looks(trees)
    trees.put("web", index="changed", a__b=None, gone=None, new="newer")
    former = looks(trees)
    live = (trees.fleet.path, folder / "web")
    for path in live:
        shutil.copytree(path, str(path) + ".kept", symlinks=True)
    steps: List[int] = []
    endings: Dict[str, int] = {}

    def prepare() -> None:
        for path in live:
            shutil.rmtree(path)
            shutil.copytree(str(path) + ".kept", path, symlinks=True)

    for step, ended in every_step(lambda: trees.restore("web"), how, prepare):
        steps.append(step)
        endings[ended] = endings.get(ended, 0) + 1
        if failed(ended):
            assert looks(trees) in (former, wanted), step
        let_the_lease_run_out(trees)
        trees.restore("web")
        assert looks(trees) == wanted, step
        assert not os.path.lexists(trees.www("web") / ".roosync-sync"), step
        if how not in ERRORS:
            trees.sync("web", "rollback")
            assert looks(trees) in (former, wanted), step
    say("restore of trees, " + how, steps, endings)
    assert len(steps) > 40
    assert set(endings) <= endings_of(how), endings
