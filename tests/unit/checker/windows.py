# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Maintenance windows of a real fleet, for tests: set, ended, moved in time and edited."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any, Dict

from ansible_collections.roosync.heartbeat.plugins.module_utils._engine import maintenance
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.clock import NS, iso, parse_iso
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.maintenance import Request
from ansible_collections.roosync.heartbeat.tests.unit.checker.real import RealFleet

HOUR = 3600.0


def path(fleet: RealFleet, name: str = "work") -> Path:
    return fleet.path / "maintenance" / (name + ".json")


def set_window(fleet: RealFleet, name: str = "work", dry_run: bool = False, **wanted: Any) -> Dict[str, Any]:
    with fleet.open() as store:
        return maintenance.set_window(store, Request(name, **wanted), dry_run)


def end_window(fleet: RealFleet, name: str = "work", dry_run: bool = False) -> Dict[str, Any]:
    with fleet.open() as store:
        return maintenance.end_window(store, name, dry_run)


def shift(fleet: RealFleet, amount: float, name: str = "work") -> None:
    """Move a window in time, as somebody who edits its document does: what waiting would do."""
    document = json.loads(path(fleet, name).read_text())
    for key in ("start", "end"):
        document[key] = iso(parse_iso(document[key]) + round(amount * NS))
    path(fleet, name).write_text(json.dumps(document))


def seconds_from_now(text: str) -> float:
    return (parse_iso(text) - time.time_ns()) / NS


def edit(fleet: RealFleet, **fields: Any) -> None:
    document = json.loads(path(fleet).read_text())
    path(fleet).write_text(json.dumps(dict(document, **fields)))
