# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Values as YAML and templates hand them over, which is not always as people wrote them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

from ansible_collections.roosync.heartbeat.tests.integration.fleets import prepare
from ansible_collections.roosync.heartbeat.tests.integration.runner import Ansible


def test_times_without_quotes(ansible: Ansible, tmp_path: Path) -> None:
    """YAML takes them for times, so they do not reach the module as they were written."""
    prepare(tmp_path, {})
    run = ansible.call(
        "heartbeat_maintenance",
        store=str(tmp_path),
        name="rack-12",
        machines=["web-01"],
        start=datetime(2099, 1, 31, 22, tzinfo=timezone(timedelta(hours=1))),
        end=datetime(2099, 2, 1, 2, tzinfo=UTC),
    )
    assert run.rc == 0, run.output
    assert run.complaints == []
    window = run.result("heartbeat_maintenance")["window"]
    assert (window["start"], window["end"]) == ("2099-01-31T21:00:00.000000Z", "2099-02-01T02:00:00.000000Z")


def test_one_name_instead_of_a_list(ansible: Ansible, tmp_path: Path) -> None:
    prepare(tmp_path, {"beats": {"web-01": 1, "web-02": 1}})
    run = ansible.call("heartbeat_wait", store=str(tmp_path), machines="web-01,web-02", timeout="30")
    assert run.rc == 0, run.output
    assert run.result("heartbeat_wait")["machines"] == ["web-01", "web-02"]


def test_numbers_as_text(ansible: Ansible, tmp_path: Path) -> None:
    """As inventories in INI form, and ansible-core's templates before 2.19, have them."""
    override = {"heartbeat_interval": "60", "warning_after": "180.5", "offline_after": "300"}
    run = ansible.call("heartbeat_fleet", store=str(tmp_path), hold_timeout="600", overrides={"lab-*": override})
    assert run.rc == 0, run.output
    settings = run.result("heartbeat_fleet")["settings"]
    assert settings["hold_timeout"] == 600
    assert settings["overrides"] == {"lab-*": {name: float(number) for name, number in override.items()}}


def test_words_for_numbers(ansible: Ansible, tmp_path: Path) -> None:
    run = ansible.call("heartbeat_fleet", store=str(tmp_path), overrides={"lab-*": {"offline_after": "long"}})
    assert run.rc == 2, run.output
    assert run.result("heartbeat_fleet")["error_code"] == "INVALID_SETTINGS"
    assert "overrides[lab-*].offline_after: 'long' is refused: it must be a number of seconds" in run.output


def test_a_status_that_does_not_exist(ansible: Ansible, tmp_path: Path) -> None:
    run = ansible.call("heartbeat_info", store=str(tmp_path), status=["dead"])
    assert run.rc == 2, run.output
    assert "must be one or more of: online, warning, offline, unknown" in run.output
