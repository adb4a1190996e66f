# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose common silence tells that the store was away, and how many of them it takes.

A witness is a machine that beat until the others fell silent as well. One alone has a trouble of its own, two may share
one, so that the fleet must have three machines at least. One that is away on purpose is still of the fleet, though no
witness; one that is lost is neither.
"""

from __future__ import annotations

from ..state import OFFLINE, State
from .ages import Limits

LEAST_FLEET = 3
LEAST_WITNESSES = 2


def enough(witnesses: int, state: State, leaving: int = 0) -> bool:
    """Whether so many witnesses prove something.

    :param leaving: machines that have said goodbye, which is not recorded yet.
    """
    away = sum(memory.status == OFFLINE and memory.planned for memory in state.machines.values())
    return witnesses >= LEAST_WITNESSES and witnesses + leaving + away >= LEAST_FLEET


def quiet(limits: Limits) -> int:
    """How long nobody beats before that is no chance: whoever is well has beaten since, whatever its phase.

    Not as long as a warning takes: whoever lost a beat of its own before the store went would be offline by then.
    """
    return limits.interval * 3 // 2
