# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A machine that has lost its files gets them back from the baseline, and nobody takes them for deleted."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.errors import SyncMassDelete
from ansible_collections.roosync.heartbeat.tests.unit.checker.trees import Trees


@pytest.fixture
def trees(tmp_path: Path) -> Trees:
    """Three machines with the same tree, of which one has just lost a part of it, or all."""
    made = Trees(tmp_path, "web", "db", "mail")
    made.put("web", index="hello", a__b="deep", a__c="deeper", news="today")
    (made.www("web") / "index").chmod(0o640)
    (made.www("web") / "link").symlink_to("index")
    (made.www("web") / "empty").mkdir(mode=0o750)
    for machine in ("web", "db", "mail"):
        made.sync(machine, "online")
    return made


@pytest.mark.parametrize("root_too", [False, True])
def test_all_of_it(trees: Trees, root_too: bool) -> None:
    before = trees.whole("web")
    time = os.stat(trees.www("web") / "news").st_mtime_ns
    shutil.rmtree(trees.www("web"))
    if not root_too:
        trees.www("web").mkdir()
    with pytest.raises(SyncMassDelete):
        trees.sync("web", "online")
    planned = trees.sync("web", "online", restore=True, dry_run=True)
    done = trees.sync("web", "online", restore=True)
    assert planned["plan"] == done["plan"]
    assert {(c["action"], c["side"]) for c in done["plan"]} == {("create", "machine")}
    assert trees.whole("web") == before == trees.whole("db")
    assert os.stat(trees.www("web") / "news").st_mtime_ns == time
    assert not trees.sync("web", "online")["changed"], "it is as any other machine again"
    assert not trees.sync("db", "online")["changed"], "nothing was deleted elsewhere"


def test_a_part_of_it_while_both_sides_go_on(trees: Trees) -> None:
    trees.put("web", a=None, news=None, own="new here")
    trees.put("db", news="tomorrow")
    trees.sync("db", "online")
    done = trees.sync("web", "online", restore=True)
    assert done["conflicts"] == []
    assert trees.files("web") == {
        "index": "hello",
        "link": "hello",
        "a/b": "deep",
        "a/c": "deeper",
        "news": "tomorrow",
        "own": "new here",
    }


def test_it_can_be_taken_back(trees: Trees) -> None:
    trees.put("web", a=None)
    before = trees.whole("web")
    trees.sync("web", "online", restore=True)
    trees.sync("web", "rollback")
    assert trees.whole("web") == before
    assert [c["path"] for c in trees.sync("web", "online")["plan"]] == ["a", "a/b", "a/c"], "as before: deleted"
