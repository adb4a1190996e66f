# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every playbook in playbooks/ runs in check mode, then for real, then again.

A playbook says with ``vars`` of its play what it starts from (``start``, see fleets.py), and with ``vars`` of each task
in which of the runs that task reports a change (``changed_in``, in none if not said). The extra variables that it gets
are ``store``, a folder of its own, and ``run``, the name of the run.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.roosync.heartbeat.tests.integration.fleets import prepare, snapshot
from ansible_collections.roosync.heartbeat.tests.integration.returned import complaints
from ansible_collections.roosync.heartbeat.tests.integration.runner import CHECKOUT, NAMESPACE, PLAYBOOKS, Ansible

RUNS = {"check": ["--check", "--diff"], "first": [], "again": []}
ALL_PLAYBOOKS = sorted(PLAYBOOKS.glob("*.yml"))


def play_of(playbook: Path) -> dict[str, Any]:
    """The only play of a playbook."""
    (play,) = yaml.safe_load(playbook.read_text(encoding="utf-8"))
    return play


def tasks_of(tasks: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The tasks, those in blocks included."""
    for task in tasks:
        if "block" in task:
            yield from tasks_of(task["block"])
        else:
            yield task


def must_change(play: dict[str, Any], run: str) -> dict[str, bool]:
    """The names of all tasks, and whether each has to report a change in this run."""
    return {task["name"]: run in task.get("vars", {}).get("changed_in", []) for task in tasks_of(play["tasks"])}


@pytest.mark.parametrize("playbook", ALL_PLAYBOOKS, ids=lambda path: path.stem)
def test_playbook(ansible: Ansible, documentation: dict[str, Any], tmp_path: Path, playbook: Path) -> None:
    play = play_of(playbook)
    root = tmp_path / "root"
    store = root / "store"
    if "start" in play["vars"]:
        prepare(store, play["vars"]["start"])
    for name, arguments in RUNS.items():
        expected = must_change(play, name)
        real = "--check" not in arguments
        before = snapshot(root, with_upkeep=not real)
        run = ansible.play(playbook, *arguments, variables={"store": str(store), "run": name})
        assert run.rc == 0, f"{name}:\n{run.output}"
        assert run.complaints == [], f"{name}:\n{run.output}"
        assert {task.name: task.changed for task in run.tasks} == expected, f"{name}:\n{run.output}"
        assert [found for task in run.ours for found in complaints(task, documentation)] == []
        if not (real and any(expected.values())):
            assert snapshot(root, with_upkeep=not real) == before, f"{name} said that it changes nothing, and did"


def test_every_module_is_in_a_playbook() -> None:
    used = {key for path in ALL_PLAYBOOKS for task in tasks_of(play_of(path)["tasks"]) for key in task}
    modules = {NAMESPACE + path.stem for path in (CHECKOUT / "plugins" / "modules").glob("*.py")}
    assert modules - used == set()


def test_a_warning_does_not_go_unseen(ansible: Ansible, tmp_path: Path) -> None:
    """The rule above is worth something only if the tests notice warnings at all."""
    prepare(tmp_path, {})
    metadata = {"notes": "x" * 10_001}
    run = ansible.call("heartbeat_register", store=str(tmp_path), machine_id="web-01", metadata=metadata)
    assert run.rc == 0, run.output
    shown, returned = run.complaints
    assert shown.startswith("[WARNING]: ")
    assert "over 10000 every beat and check gets slower" in returned
