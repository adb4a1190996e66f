# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reboots and takeovers: the host behind a name is not the one, or not in the boot, that was seen before.

A beat says it itself (``previous_boot_id``, ``took_over``), so only machines to which it ever happened are remembered.
"""

from __future__ import annotations

from typing import Dict, Optional

from ..state import State
from .survey import Sighting, Sightings

REBOOT = "reboot"
TAKEOVER = "takeover"
_SHOWN = 8


def tag(sighting: Sighting) -> str:
    """Which boot of which host a beat came from, shortened to what tells two apart."""
    return "%s:%s" % (sighting.boot_id.replace("-", "")[:_SHOWN], sighting.fingerprint[:_SHOWN])


def news(seen: Sightings, state: State) -> Dict[str, str]:
    """The machines whose host rebooted or changed since that was last recorded, with the cause."""
    found = {}
    for machine, sighting in seen.items():
        if machine in state.roster:
            cause = _cause(sighting, state.hosts.get(machine))
            if cause is not None:
                found[machine] = cause
    return found


def has_past(sighting: Sighting) -> bool:
    """Whether the beat tells of an earlier boot, or of another host that had the name."""
    return bool(sighting.previous_boot_id) or sighting.took_over is not None


def _cause(sighting: Sighting, recorded: Optional[str]) -> Optional[str]:
    if not has_past(sighting):
        return None
    now = tag(sighting)
    if recorded is None:
        return TAKEOVER if sighting.took_over is not None else REBOOT
    if recorded == now:
        return None
    return REBOOT if recorded.partition(":")[2] == now.partition(":")[2] else TAKEOVER
