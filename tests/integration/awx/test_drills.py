# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The job template for drills: what would be done first, and then a drill of one host with a real agent."""

from __future__ import annotations

import json
from pathlib import Path

from ansible_collections.roosync.heartbeat.tests.integration.awx.controller import launch
from ansible_collections.roosync.heartbeat.tests.integration.awx.execution import Execution
from ansible_collections.roosync.heartbeat.tests.integration.drilled import DrilledFleet
from ansible_collections.roosync.heartbeat.tests.integration.runner import Ansible


def test_drill(ansible: Ansible, tmp_path: Path) -> None:
    fleet = DrilledFleet(ansible, tmp_path)
    try:
        fleet.fill("web-02")
        expected = fleet.whole("web-02")
        inventory = json.loads(fleet.inventory.read_text(encoding="utf-8"))
        del inventory["all"]["hosts"]["localhost"]
        execution = Execution(ansible, tmp_path / "jobs", inventory, {})
        answers = {"heartbeat_hosts": "web-02", "heartbeat_drill_destroy": "site"}
        predicted = launch(execution, "heartbeat drill", "--check", answers=answers)
        assert predicted.succeeded, predicted.output
        assert fleet.reports() == []
        job = launch(execution, "heartbeat drill", answers=answers)
        assert job.succeeded, job.output
        assert job.run.complaints == [], job.output
        told = job.artifacts
        assert (told["heartbeat_drill_verdict"], told["heartbeat_drill_machines"]) == ("passed", ["web-02"])
        assert Path(told["heartbeat_drill_page"]).exists()
        assert told["heartbeat_drill_detection"] < told["heartbeat_drill_rto"]
        assert fleet.whole("web-02") == expected
        assert fleet.left_behind() == []
    finally:
        fleet.end()
