# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The examples of every module run, and return what the module says that it returns."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.roosync.heartbeat.tests.integration.fleets import prepare
from ansible_collections.roosync.heartbeat.tests.integration.returned import complaints, results_of
from ansible_collections.roosync.heartbeat.tests.integration.runner import CHECKOUT, NAMESPACE, Ansible

MODULES = sorted(path.stem for path in (CHECKOUT / "plugins" / "modules").glob("*.py"))
# The fleet that the examples are about. Four of six offline are a mass failure, which checks warn of.
# Without another beat, each is what it is until the last of the examples has run.
SLOW = {"heartbeat_interval": 300, "warning_after": 900, "offline_after": 1200}
START = {
    "settings": SLOW,
    "history": [
        {"web-01": 1, "web-02": 1, "web-03": 1, "web-07": 1, "lab-1": 1, "lab-2": 1},
        {"web-01": 1, "web-02": 1, "web-03": 5000, "web-07": 5000, "lab-1": 5000, "lab-2": 5000},
    ],
}
# No drill is played during an incident.
CALM = {"settings": SLOW, "history": [{"web-01": 1, "web-02": 1, "web-03": 1}]}
# Files that the examples read.
FILES = {
    "root/srv/shop/index.html": "the shop",
    "srv/roosync/heartbeat.json": '{"heartbeats": {"old-1": {"lastHeartbeat": "2026-01-15T23:30:00Z"}}}',
    "srv/export/hosts.csv": "Host Name,Last Check\nold-2,2026-01-15 23:30:00\n",
}
# What such a fleet is warned of: it has an incident, and one example changes its interval. Long lines are broken.
EXPECTED = ("incident mass-", "are to beat at")
# Examples that are meant to fail for such a fleet, and what they then say.
FAIL = {
    "Take that back": "no sync of web-01 has left a backup: none has changed anything, or create_backup was false",
    "Check in a scheduled job that turns red when a machine is offline": "4 offline: lab-1, lab-2, web-03, web-07",
    "Diagnose in a scheduled job that turns red, with more space and more patience": (
        "24 checks: 22 ok, 1 warning, 1 failed: machines_offline, incidents"
    ),
}
# Paths that are only looked at.
LOOKED_AT = {"host_id", "mount_point"}
# Paths that mean something else when they are not given.
AS_GIVEN = {"src"}


def moved(tasks: list[dict[str, Any]], options: dict[str, Any], folder: Path) -> list[dict[str, Any]]:
    """The examples, with everything that they would write into this machine in a folder of the test.

    :param options: of each module, by the module's full name.
    """
    for task in tasks:
        for part in ("block", "rescue", "always"):
            moved(task.get(part, []), options, folder)
        for module in set(task) & set(options):
            given = task[module]
            given["store"] = str(folder / "store")
            for option, settings in options[module].items():
                if settings["type"] == "path" and option not in LOOKED_AT | AS_GIVEN - set(given):
                    given[option] = str(folder / "root" / given.get(option, option).lstrip("/"))
            if "timeout" in options[module]:
                given["timeout"] = 5
            task["ignore_errors"] = task["name"] in FAIL
    return tasks


@pytest.mark.parametrize("name", MODULES)
def test_examples(ansible: Ansible, documentation: dict[str, Any], tmp_path: Path, name: str) -> None:
    prepare(tmp_path / "store", CALM if name == "heartbeat_drill" else START)
    for path, content in FILES.items():
        (tmp_path / "root" / path).parent.mkdir(parents=True)
        (tmp_path / "root" / path).write_text(content)
    options = {module: found["doc"]["options"] for module, found in documentation.items()}
    run = ansible.start_tasks(moved(yaml.safe_load(documentation[NAMESPACE + name]["examples"]), options, tmp_path))
    run = run.finish()
    assert run.rc == 0, run.output
    assert [found for found in run.complaints if not any(text in found for text in EXPECTED)] == []
    assert any(results_of(task) for task in run.tasks if task.action == NAMESPACE + name), "nothing was really run"
    failed = {task.name: task.result["msg"] for task in run.tasks if task.status == "failed"}
    assert failed == {task.name: FAIL[task.name] for task in run.ours if task.name in FAIL}
    assert [found for task in run.ours for found in complaints(task, documentation)] == []


def test_examples_that_are_meant_to_fail_are_there(documentation: dict[str, Any]) -> None:
    text = "".join(found["examples"] for found in documentation.values())
    assert [name for name in FAIL if name not in text] == []
