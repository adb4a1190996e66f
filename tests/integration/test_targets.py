# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The oldest Python that a managed machine may have, with nothing but its standard library."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils import basic

from ansible_collections.roosync.heartbeat.tests.integration.fleets import prepare
from ansible_collections.roosync.heartbeat.tests.integration.runner import CHECKOUT, PLAYBOOKS, Ansible, task_of
from ansible_collections.roosync.heartbeat.tests.integration.test_playbooks import play_of

TOOLS = CHECKOUT / "tests" / "tools"
# Ours, or what this ansible-core can still manage.
LEAST = basic._PY_MIN if isinstance(basic._PY_MIN, tuple) else (3, 8)
VERSION = "%d.%d" % max((3, 8), LEAST)
LIBRARIES = ("pydantic", "filelock")


@pytest.fixture(scope="module")
def bare_python(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A Python of that version into which nothing was ever installed."""
    found = subprocess.run(
        [str(TOOLS / "find-python.sh"), VERSION], capture_output=True, text=True, check=False, timeout=60
    )
    if found.returncode != 0:
        reason = f"integration: modules on Python {VERSION} (no such Python here)"
        noted = subprocess.run([str(TOOLS / "not-run.sh"), reason], check=False, timeout=60)
        assert noted.returncode == 0, reason
        pytest.skip(reason)
    home = tmp_path_factory.mktemp("bare")
    subprocess.run([found.stdout.strip(), "-m", "venv", "--without-pip", str(home)], check=True, timeout=120)
    python = str(home / "bin" / "python")
    for library in LIBRARIES:
        tried = subprocess.run(
            [python, "-c", f"import {library}"], capture_output=True, text=True, check=False, timeout=60
        )
        assert f"No module named '{library}'" in tried.stderr
    return python


@pytest.mark.parametrize("name", ["register", "agent_install"])
def test_nothing_but_the_standard_library(ansible: Ansible, bare_python: str, tmp_path: Path, name: str) -> None:
    """All that these playbooks do, but for their looks at the fleet."""
    playbook = PLAYBOOKS / f"{name}.yml"
    store = tmp_path / "root" / "store"
    prepare(store, play_of(playbook)["vars"]["start"])
    variables = {"store": str(store), "run": "first", "with_info": False}
    run = ansible.play(playbook, variables=variables, interpreter=bare_python)
    assert run.rc == 0, run.output
    assert run.complaints == []
    done = {task.action for task in run.ours if task.status == "ok"}
    assert done == {f"roosync.heartbeat.heartbeat_{name}"}


def some(option: dict[str, Any]) -> Any:
    value = option.get("choices", ["web-01"])[0]
    return [value] if option["type"] == "list" else value


def test_checkers_ask_for_their_libraries(
    ansible: Ansible, documentation: dict[str, Any], bare_python: str, tmp_path: Path
) -> None:
    checkers = {name: found["doc"] for name, found in documentation.items() if "requirements" in found["doc"]}
    assert checkers
    prepare(tmp_path, {})
    tasks = []
    for name, doc in checkers.items():
        required = {option: some(spec) for option, spec in doc["options"].items() if spec.get("required")}
        task = task_of(name.rsplit(".", 1)[-1], store=str(tmp_path), **required)
        tasks.append(dict(task, ignore_errors=True))
    run = ansible.start_tasks(tasks, interpreter=bare_python).finish()
    assert run.rc == 0, run.output
    assert run.complaints == []
    assert {task.action for task in run.tasks} == set(checkers)
    for task in run.tasks:
        assert task.status == "failed", task.name
        assert task.result["msg"].startswith("Failed to import the required Python library (pydantic >= ")
        assert bare_python in task.result["msg"]
        assert "Traceback" not in task.result["msg"]
