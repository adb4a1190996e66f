# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What heartbeat_info shows besides the machines themselves."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable, Dict

from ansible_collections.roosync.heartbeat.tests.unit.checker.trees import Trees


def test_open_decisions(run_module: Callable[..., Dict[str, Any]], tmp_path: Path) -> None:
    """Those of the machines that are asked for, as the module has them that settles them; nothing is changed."""
    trees = Trees(tmp_path, "web", "db", "mail")
    trees.put("web", index="of web")
    trees.put("db", index="of db")
    for machine in ("web", "db"):
        trees.sync(machine, "online")
    store = str(trees.fleet.root)
    assert "decisions" not in run_module("heartbeat_info", store=store)
    before = trees.fleet.tree()
    shown = run_module("heartbeat_info", store=store, include_decisions=True)
    assert trees.fleet.tree() == before
    (found,) = shown["decisions"]
    assert (found["machine_id"], found["path"], found["state"], shown["changed"]) == ("db", "index", "open", False)
    assert run_module("heartbeat_decision", store=store)["decisions"] == [found]
    for machines, count in ((["D*"], 1), (["db"], 1), (["web"], 0)):
        shown = run_module("heartbeat_info", store=store, include_decisions=True, machines=machines)
        assert len(shown["decisions"]) == count
    run_module("heartbeat_decision", store=store, keep="baseline")
    assert run_module("heartbeat_info", store=store, include_decisions=True)["decisions"] == []
