# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The job template for restores, asked for trees: they come back on their host, and on another one that replaces it."""

from __future__ import annotations

import shutil
from pathlib import Path

from ansible_collections.roosync.heartbeat.tests.integration.awx.controller import launch
from ansible_collections.roosync.heartbeat.tests.integration.awx.execution import Execution
from ansible_collections.roosync.heartbeat.tests.integration.awx.test_syncing import START, inventory
from ansible_collections.roosync.heartbeat.tests.integration.fleets import prepare
from ansible_collections.roosync.heartbeat.tests.integration.runner import Ansible


def test_restoring_trees(ansible: Ansible, tmp_path: Path) -> None:
    root = tmp_path / "root"
    prepare(root / "store", START)
    pages = [root / machine / "www" / "index.html" for machine in ("web-01", "web-02")]
    for page in pages:
        page.parent.mkdir(parents=True)
    pages[0].write_text("of web-01")
    execution = Execution(ansible, tmp_path / "jobs", inventory(root), {})
    assert launch(execution, "heartbeat sync", answers={"heartbeat_hosts": "web-01"}).succeeded
    shutil.rmtree(pages[0].parent)
    asked = {
        "heartbeat_confirm": "yes",
        "heartbeat_backup_name": "latest",
        "heartbeat_snapshot": "latest",
        "heartbeat_restore_from": "web-01",
    }
    for page, machine in zip(pages, ("web-01", "web-02"), strict=True):
        answers = {**asked, "heartbeat_hosts": machine}
        planned = launch(execution, "heartbeat restore", "--check", answers=answers)
        assert planned.succeeded, planned.output
        assert not page.exists()
        done = launch(execution, "heartbeat restore", answers=answers)
        assert done.succeeded, done.output
        assert done.run.complaints == [], done.output
        assert page.read_text() == "of web-01"
        assert done.artifacts["heartbeat_restored_machines"] == [machine]
        assert [Path(report).exists() for report in done.artifacts["heartbeat_reports"]] == [True]
    refused = launch(
        execution, "heartbeat restore", answers={**asked, "heartbeat_hosts": "web-01", "heartbeat_confirm": "no"}
    )
    assert refused.status == "failed"
