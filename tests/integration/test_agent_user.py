# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role makes a user where there is none, and leaves one that was there before alone."""

from __future__ import annotations

import getpass
from pathlib import Path

from ansible_collections.roosync.heartbeat.tests.integration.runner import PLAYBOOKS, Ansible


def test_a_user_who_is_there_keeps_shell_and_home(ansible: Ansible, tmp_path: Path) -> None:
    """In check mode, for the test must not be the one that takes the shell away."""
    variables = {"store": str(tmp_path / "store"), "folder": str(tmp_path), "agent_user": getpass.getuser()}
    run = ansible.play(PLAYBOOKS / "roles" / "agent_user.yml", "--check", variables=variables)
    assert run.rc == 0, run.output
    assert [task.name for task in run.tasks if task.action == "ansible.builtin.user" and task.changed] == []


def test_a_user_who_is_not_there_is_made(ansible: Ansible, tmp_path: Path) -> None:
    variables = {"store": str(tmp_path / "store"), "folder": str(tmp_path), "agent_user": "roosync-not-there"}
    run = ansible.play(PLAYBOOKS / "roles" / "agent_user.yml", "--check", variables=variables)
    assert run.rc == 0, run.output
    (made,) = [task for task in run.tasks if task.action == "ansible.builtin.user" and task.changed]
    assert made.name.endswith("Make the user where there is none")


def test_a_user_of_another_name_is_not_removed(ansible: Ansible, tmp_path: Path) -> None:
    variables = {"store": str(tmp_path / "store"), "folder": str(tmp_path), "agent_user": "daemon", "state": "absent"}
    run = ansible.play(PLAYBOOKS / "roles" / "agent_user.yml", "--check", variables=variables)
    assert run.rc == 0, run.output
    assert [task.name for task in run.tasks if task.action == "ansible.builtin.user" and task.changed] == []
