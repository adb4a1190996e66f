# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands of docs/diagnosis.md, typed at a store with the faults that the page shows."""

from __future__ import annotations

from pathlib import Path

import yaml

from ansible_collections.roosync.heartbeat.tests.docs.pages import page
from ansible_collections.roosync.heartbeat.tests.docs.session import complaints, follow
from ansible_collections.roosync.heartbeat.tests.integration.docs.reader import Reader
from ansible_collections.roosync.heartbeat.tests.integration.fleets import damage, prepare

STORE = "/srv/heartbeat"
SLOW = {"heartbeat_interval": 300, "warning_after": 900, "offline_after": 1200}
# As it is without an inventory; and a busy disk is none of the faults that are meant to be found.
LOCALHOST = {
    "ansible_connection": "local",
    "ansible_python_interpreter": "{{ ansible_playbook_python }}",
    "heartbeat_latency_warning": 60,
}


def test_its_commands(reader: Reader, tmp_path: Path) -> None:
    root = tmp_path / "srv" / "heartbeat"
    prepare(
        root,
        {
            # Beats that are an hour old by their files say that they are of now: their clocks are let pass.
            # The others stay online until the last command, though nobody beats for them.
            "settings": {**SLOW, "clock_skew_warning": 100_000},
            "history": [{"web-01": 1, "web-02": 1, "web-03": 1}, {"web-01": 1, "web-02": 1, "web-03": 3600}],
        },
    )
    damage(root / "default" / "checkpoint.json", "")
    one = page("diagnosis.md")
    inventory = tmp_path / "inventory.yml"
    inventory.write_text(yaml.safe_dump({"all": {"hosts": {"localhost": LOCALHOST}}}))
    environment = {**reader.environment, "ANSIBLE_INVENTORY": str(inventory)}
    typed = follow(one, reader.new_home(tmp_path), environment, {STORE: str(root)})
    assert not (found := complaints(one, typed)), "\n\n".join(found)
