# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a drill lets the entry of cron be silent for a while.

The program ``crontab`` is replaced by one that keeps its table in a file, and the folder of the host's own entries is
another one for the modules alone: what the machine that runs the tests has there is none of theirs.
"""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path

from ansible_collections.roosync.heartbeat.tests.integration.managers import Managers
from ansible_collections.roosync.heartbeat.tests.integration.runner import PLAYBOOKS, Ansible, Run
from ansible_collections.roosync.heartbeat.tests.unit.stdlib.faults import mounted, root_only

OURS = "#Ansible: roosync heartbeat\n* * * * * umask 0002; python3 -I -S '/home/a b/quick.py' '100\\%'\n"
OTHERS = "MAILTO=\"\"\n0 4 * * * echo 'other' #drill: not ours\n#Ansible: roosync heartbeat check\n5 * * * * check\n"


def test_the_entry_is_a_comment_for_a_while_and_then_as_it_was(ansible: Ansible, tmp_path: Path) -> None:
    managers = Managers(tmp_path)
    managers.bring("crontab")
    table = tmp_path / "table"
    table.write_text(OTHERS + OURS + "# the end\n")
    found = {"PATH": managers.path}
    run = ansible.play(
        PLAYBOOKS / "roles" / "agent_interrupt.yml", variables={"table": str(table), "environment_of_cron": found}
    )
    assert run.rc == 0, run.output
    assert run.complaints == []
    heading, entry = OURS.splitlines(keepends=True)
    assert (tmp_path / "table.interrupted").read_text() == f"{OTHERS}{heading}#drill: {entry}# the end\n"
    assert table.read_text() == OTHERS + OURS + "# the end\n"


def cut_off(ansible: Ansible, folder: Path, instead: str) -> Run:
    """An entry of the host's cron is hidden by a drill, which gets no further; and what is done then."""
    root_only()
    managers = Managers(folder / "managers")
    managers.bring("crontab")
    entries = folder / "cron.d"
    entries.mkdir()
    (entries / "roosync-heartbeat").write_text("* * * * * root beat\n")
    python = folder / "python"
    command = shlex.join([*mounted('mount --bind "$1" /etc/cron.d', str(entries)), sys.executable])
    python.write_text(f'#!/bin/sh\nexec {command} "$@"\n')
    python.chmod(0o755)
    path = f"{managers.programs}:{os.environ['PATH']}"
    playbook = PLAYBOOKS / "roles" / "agent_cut_off.yml"
    variables = {"instead": instead, "heartbeat_common__cron_lacks": ":"}
    run = ansible.play(playbook, variables=variables, interpreter=str(python), PATH=path)
    assert (run.rc, run.complaints) == (0, []), run.output
    return run


def test_a_drill_that_was_cut_off_leaves_no_former_entry(ansible: Ansible, tmp_path: Path) -> None:
    """The next drill would not hide the one in use, and in the end put the former one in its place."""
    cut_off(ansible, tmp_path, "schedule")
    assert [path.name for path in (tmp_path / "cron.d").iterdir()] == ["roosync-heartbeat"]
    assert "*/5 * * * * root umask 0002; beat" in (tmp_path / "cron.d" / "roosync-heartbeat").read_text()


def test_an_agent_can_be_stopped_after_a_drill_that_was_cut_off(ansible: Ansible, tmp_path: Path) -> None:
    """That nobody hides it again, and that it says goodbye."""
    run = cut_off(ansible, tmp_path, "unschedule")
    assert list((tmp_path / "cron.d").iterdir()) == []
    assert run.result("See whether there is a goodbye to be said")["heartbeat_common__cron_removed"] is True
