# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The job templates for syncs: a machine that is back takes what the others have, and gives it back again."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from ansible_collections.roosync.heartbeat.tests.integration.awx.controller import launch
from ansible_collections.roosync.heartbeat.tests.integration.awx.execution import Execution, Job
from ansible_collections.roosync.heartbeat.tests.integration.fleets import prepare
from ansible_collections.roosync.heartbeat.tests.integration.runner import Ansible

# web-01 was lost and came back, and then web-02, of which no check knows yet.
START: dict[str, Any] = {
    "settings": {
        "warning_after": 3600,
        "offline_after": 7200,
        "sync_paths": {"site": {"path": "/www", "machines": ["web-*"]}},
    },
    "history": [{"web-01": 1, "web-02": 1}, {"web-01": 10_000, "web-02": 10_000}, {"web-01": 1}],
    "beats": {"web-02": 1},
}


def inventory(root: Path) -> dict[str, Any]:
    here = {
        "heartbeat_store": str(root / "store"),
        "heartbeat_sync_root": str(root / "{{ inventory_hostname }}"),
        "heartbeat_sync_state_dir": str(root / "{{ inventory_hostname }}" / "state"),
        "ansible_connection": "local",
        "ansible_python_interpreter": sys.executable,
    }
    return {"all": {"hosts": {"web-01": {}, "web-02": {}}, "vars": here}}


def test_sync_and_rollback(ansible: Ansible, tmp_path: Path) -> None:
    root = tmp_path / "root"
    prepare(root / "store", START)
    for machine in ("web-01", "web-02"):
        (root / machine / "www").mkdir(parents=True)
    (root / "web-01" / "www" / "index.html").write_text("of web-01")
    copy = root / "web-02" / "www" / "index.html"
    execution = Execution(ansible, tmp_path / "jobs", inventory(root), {})

    def job(name: str, *arguments: str, **answers: Any) -> Job:
        done = launch(execution, f"heartbeat {name}", *arguments, answers=answers)
        assert done.succeeded, done.output
        assert done.run.complaints == [], done.output
        return done

    job("check")
    planned = job("sync", "--check", heartbeat_hosts="all")
    assert planned.hosts("changed") == {"web-01", "web-02"}
    assert not copy.exists()
    # One after the other, so that the first one's file is in the baseline when the second one comes.
    for machine in ("web-01", "web-02"):
        told = job("sync", heartbeat_hosts=machine).artifacts
        assert int(told.pop("heartbeat_decisions")) == 0  # ansible-core 2.16 makes a string of it
        assert told == {"heartbeat_saved": [], "heartbeat_synced": [machine], "heartbeat_failed": []}
    assert copy.read_text() == "of web-01"
    job("rollback", "--check", heartbeat_hosts="web-02")
    assert copy.exists()
    told = job("rollback", heartbeat_hosts="web-02").artifacts
    assert told == {"heartbeat_rolled_back": ["web-02"]}
    assert not copy.exists()
