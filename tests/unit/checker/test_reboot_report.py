# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A reboot or a takeover of a machine that stays online is an event, and no return of anybody."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict

import pytest

from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.check import run_check
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.fleet import Request, manage
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.register import register
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.stores.file import FileStore


@pytest.mark.parametrize(
    ("beat", "cause"),
    [
        ({"fingerprint": "first host", "boot": "second boot"}, "reboot"),
        ({"fingerprint": "second host", "boot": "another boot", "allow_takeover": True}, "takeover"),
    ],
)
def test_the_event_is_recorded_and_nobody_is_newly_online(tmp_path: Path, beat: Dict[str, Any], cause: str) -> None:
    with FileStore(str(tmp_path / "store"), "default") as store:
        manage(store, Request())
        register(store, "web-01", fingerprint="first host", boot="first boot")
        assert run_check(store, force=True)["newly_online"] == ["web-01"]
        register(store, "web-01", **beat)
        found = run_check(store, force=True)
    assert [t["cause"] for t in found["transitions"]] == [cause]
    assert found["newly_online"] == []
    assert found["statistics"]["newly_online"] == 0
    assert found["summary"] == "1 machine: 1 online"
