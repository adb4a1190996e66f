# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a drill lets the entry of a user's cron be silent for a while.

The program ``crontab`` is replaced by one that keeps its table in a file: the table of the user who runs the tests is
none of theirs.
"""

from __future__ import annotations

from pathlib import Path

from ansible_collections.roosync.heartbeat.tests.integration.managers import Managers
from ansible_collections.roosync.heartbeat.tests.integration.runner import PLAYBOOKS, Ansible

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
