# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What check mode says is what the real run then does, and ``--diff`` shows it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible_collections.roosync.heartbeat.tests.integration.fleets import prepare, snapshot
from ansible_collections.roosync.heartbeat.tests.integration.runner import Ansible

# What says when a look was taken or how long it took differs from run to run.
OF_THE_RUN = ("diff", "checked_at", "invocation")
OF_THE_LOOK = ("detected_at", "opened_at")
# Long, so that nothing but what is meant is late or lost, however slowly the tasks come.
SLOW = {"heartbeat_interval": 300, "warning_after": 900, "offline_after": 7200}


def outcome(result: dict[str, Any]) -> dict[str, Any]:
    """A check's result without what has to differ between two runs."""
    kept: dict[str, Any] = {}
    for name, value in result.items():
        if name == "statistics":
            kept[name] = {key: number for key, number in value.items() if key != "duration_ms"}
        elif name in ("transitions", "pending_syncs"):
            kept[name] = [{key: item for key, item in entry.items() if key not in OF_THE_LOOK} for entry in value]
        elif name not in OF_THE_RUN:
            kept[name] = value
    return kept


def test_a_check_in_check_mode_is_a_check(ansible: Ansible, tmp_path: Path) -> None:
    """In a fleet that was never checked before, so that nothing is there that a check would leave behind."""
    prepare(tmp_path, {"settings": SLOW, "beats": {"web-01": 1, "web-02": 1000, "web-03": 1}, "expect": ["web-04"]})
    before = snapshot(tmp_path)
    predicted = ansible.call("heartbeat_check", "--check", store=str(tmp_path))
    assert snapshot(tmp_path) == before
    real = ansible.call("heartbeat_check", store=str(tmp_path))
    assert (predicted.rc, real.rc) == (0, 0), predicted.output + real.output
    first, second = predicted.result("heartbeat_check"), real.result("heartbeat_check")
    assert len(first["transitions"]) == 3
    assert outcome(first) == outcome(second)


def test_a_look_leaves_nothing_behind(ansible: Ansible, tmp_path: Path) -> None:
    prepare(tmp_path, {"settings": SLOW, "beats": {"web-01": 1, "web-02": 1000}})
    before = snapshot(tmp_path)
    run = ansible.call("heartbeat_info", store=str(tmp_path), include_heartbeats=True, events_since=0)
    assert run.rc == 0, run.output
    assert run.result("heartbeat_info")["warning"] == ["web-02"]
    assert snapshot(tmp_path) == before


def test_the_diff_of_settings(ansible: Ansible, tmp_path: Path) -> None:
    prepare(tmp_path, {"settings": {"hold_timeout": 1800.0}})
    run = ansible.call("heartbeat_fleet", "--check", "--diff", store=str(tmp_path), hold_timeout=600, expect=["web-01"])
    assert run.rc == 0, run.output
    lines = [line.strip() for line in run.output.splitlines()]
    assert '-        "hold_timeout": 1800.0,' in lines
    assert '+        "hold_timeout": 600.0,' in lines
    assert '+        "web-01"' in lines


def test_the_diff_of_statuses(ansible: Ansible, tmp_path: Path) -> None:
    prepare(tmp_path, {"history": [{"web-01": 1, "web-02": 1}], "beats": {"web-02": 5000}})
    run = ansible.call("heartbeat_check", "--diff", store=str(tmp_path), force=True)
    assert run.rc == 0, run.output
    lines = run.output.splitlines()
    assert "-web-02: online" in lines
    assert "+web-02: offline" in lines


def test_no_diff_unless_asked(ansible: Ansible, tmp_path: Path) -> None:
    """A diff of a large fleet's settings would only make every result larger."""
    prepare(tmp_path, {})
    run = ansible.call("heartbeat_fleet", store=str(tmp_path), hold_timeout=600)
    assert run.rc == 0, run.output
    assert run.result("heartbeat_fleet")["changed"]
    assert "diff" not in run.result("heartbeat_fleet")
