# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Flapping: a machine that goes and comes so often that acting on each change would be the fault itself.

Source of the rule: Nagios' flap detection (21 states, 20 transitions, weighted 0.75 for the oldest to 1.25 for the
newest; on at 30 %, off at 20 %, so that it neither starts nor ends by one change). A slot is one ``offline_after``
long, for a machine can hardly change oftener; the changes counted are those to offline and back.
"""

from __future__ import annotations

from typing import Container, Dict, Iterable, Mapping, Optional

from ..settings import Settings
from ..state import Memory, State
from .ages import LimitsOf

SLOTS = 20
STARTS_AT = 30.0
ENDS_AT = 20.0
# The weights in 76ths, so that a share of exactly 30 % is that: 95/76 is 1.25, and 19 steps of 2/76 less are 0.75.
_NEWEST, _STEP, _WHOLE = 95, 2, 76


def percentage(now: int, changes: Iterable[int], slot: int) -> float:
    """The weighted share of the last twenty slots in which the status changed, in per cent.

    :param changes: store times of changes.
    :param slot: the length of a slot in nanoseconds.
    """
    changed = {(now - at) // slot for at in changes if 0 <= now - at < SLOTS * slot}
    return sum(_NEWEST - index * _STEP for index in changed) * 100 / (SLOTS * _WHOLE)


def is_flapping(now: int, was: bool, changes: Iterable[int], slot: int) -> bool:
    """Whether a machine flaps from now on, given whether it did until now."""
    share = percentage(now, changes, slot)
    return share > ENDS_AT if was else share >= STARTS_AT


def settled(
    now: int,
    state: State,
    memories: Mapping[str, Optional[Memory]],
    changed: Container[str],
    settings: Settings,
) -> Dict[str, Memory]:
    """The machines that flapped and have come to rest, as they were remembered.

    :param memories: what this look has found out already.
    :param changed: the machines that changed in this look; of these it was judged with the change itself.
    """
    limits = LimitsOf(settings)
    found: Dict[str, Memory] = {}
    for machine, memory in sorted(state.machines.items()):
        if not memory.flapping:
            continue
        after = memories.get(machine) or memory
        if machine in changed and after.flapping:
            continue
        if machine in changed or not is_flapping(now, True, memory.changes, limits(machine).offline):
            found[machine] = after
    return found


def holder(machine: str) -> str:
    """How a held entry says that its machine's flapping holds it."""
    return "flapping:" + machine
