# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What heartbeat_check says besides its result."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any, Callable, Dict

from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.clock import NS, iso
from ansible_collections.roosync.heartbeat.tests.unit.checker.real import RealFleet


def test_a_clock_that_is_wrong_is_warned_of(run_module: Callable[..., Dict[str, Any]], tmp_path: Path) -> None:
    fleet = RealFleet(tmp_path / "store")
    fleet.beat("web", "db")
    store = str(fleet.root)
    assert not run_module("heartbeat_check", store=store, force=True).get("warnings")
    fleet.beat("web", sent_at=iso(time.time_ns() - 86_400 * NS))
    for force in (True, False):
        shown = run_module("heartbeat_check", store=store, force=force)
        assert shown["cached"] is not force
        (said,) = map(str, shown["warnings"])  # newer versions of ansible-core have each with more about it
        assert re.search(
            r"clocks differ from the store's: web \(-864..\.. s\); put the time service of these hosts", said
        )
