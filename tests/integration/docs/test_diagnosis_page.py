# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands of docs/diagnosis.md, typed at a store with the faults that the page shows."""

from __future__ import annotations

from pathlib import Path

from ansible_collections.roosync.heartbeat.tests.docs.pages import page
from ansible_collections.roosync.heartbeat.tests.docs.session import complaints, follow
from ansible_collections.roosync.heartbeat.tests.integration.docs.reader import Reader
from ansible_collections.roosync.heartbeat.tests.integration.fleets import damage, prepare

STORE = "/srv/heartbeat"


def test_its_commands(reader: Reader, tmp_path: Path) -> None:
    root = tmp_path / "srv" / "heartbeat"
    prepare(
        root,
        {
            # Beats that are an hour old by their files say that they are of now: their clocks are let pass.
            "settings": {"clock_skew_warning": 100_000},
            "history": [{"web-01": 1, "web-02": 1, "web-03": 1}, {"web-01": 1, "web-02": 1, "web-03": 3600}],
        },
    )
    damage(root / "default" / "checkpoint.json", "")
    one = page("diagnosis.md")
    typed = follow(one, reader.new_home(tmp_path), reader.environment, {STORE: str(root)})
    assert not (found := complaints(one, typed)), "\n\n".join(found)
