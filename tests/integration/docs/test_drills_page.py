# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""docs/drills.md: its commands are run on a fleet of real agents, one after the other, and its tables are true."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from dataclasses import fields
from pathlib import Path

import yaml

from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.drill.document import MachineReport
from ansible_collections.roosync.heartbeat.tests.docs.pages import code, page, rows
from ansible_collections.roosync.heartbeat.tests.integration.drilled import DrilledFleet
from ansible_collections.roosync.heartbeat.tests.integration.runner import BIN, CHECKOUT, Ansible

PAGE = page("drills.md")
SOURCE = (CHECKOUT / "playbooks" / "drill.yml").read_text(encoding="utf-8")
# Of other pages: how the store, the trees and the agents are reached.
SHARED = {"heartbeat_monitor", "heartbeat_store", "heartbeat_fleet", "heartbeat_vault", "heartbeat_machine_id"}
SHARED |= {"heartbeat_sync_root", "heartbeat_sync_state_dir"}


def test_the_commands_run(ansible: Ansible, tmp_path: Path) -> None:
    """In the order of the page, with the group that one of them names."""
    commands = [block.text.strip() for block in PAGE.blocks if block.language == "text"]
    assert len(commands) == 3
    fleet = DrilledFleet(ansible, tmp_path)
    try:
        inventory = json.loads(fleet.inventory.read_text(encoding="utf-8"))
        inventory["all"]["children"] = {"web": {"hosts": {"web-02": {}, "web-03": {}}}}
        fleet.inventory.write_text(json.dumps(inventory), encoding="utf-8")
        fleet.fill("web-01")
        expected = fleet.whole("web-01")
        for number, command in enumerate(commands):
            program, *arguments = shlex.split(command.replace("inventory.ini", str(fleet.inventory)))
            done = subprocess.run(
                [str(BIN / program), *arguments],
                env=ansible.environment(),
                cwd=tmp_path,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=600,
                check=False,
            )
            assert done.returncode == 0, done.stdout + done.stderr
            assert len(fleet.reports()) == number, "the first one is in check mode"
        assert fleet.whole("web-01") == expected
        first, second = fleet.reports()
        assert (first["machines"], first["destroys"], first["verdict"]) == (["web-01"], "site", "passed")
        assert second["candidates"] == ["web-02", "web-03"]
        assert second["verdict"] == "passed"
    finally:
        fleet.end()


def test_the_variables_are_those_of_the_playbook() -> None:
    told = {name for row in rows(PAGE.section("In short")) for name in code(row[0])}
    heading = SOURCE.split("# Variables: ")[1].split("\n- name: ")[0]
    assert told == set(re.findall(r"\bheartbeat_\w+", heading)) - SHARED - {"heartbeat_agent"}
    assert all(re.search(rf"\b{name}\b", SOURCE.split("\n- name: ", 1)[1]) for name in told)


def test_the_figures_are_those_of_the_report() -> None:
    told = {name for row in rows(PAGE.section("The report")) for name in code(row[0])}
    assert told < {one.name for one in fields(MachineReport)}
    assert {one.name for one in fields(MachineReport) if one.name.endswith("_seconds")} <= told


def test_the_variables_for_other_agents_are_well_formed() -> None:
    (block,) = [b for b in PAGE.blocks if b.language == "yaml" and b.file_name]
    assert set(yaml.safe_load(block.text)) == {"heartbeat_drill_stop_command", "heartbeat_drill_start_command"}
