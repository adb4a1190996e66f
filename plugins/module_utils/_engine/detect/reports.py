# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What machines that beat again say of the writes that failed them: the store's trouble, or their own?

It was the store if most of all that were heard since say so. Not all of those are opened at a look, and those that are
come mostly from the ones in trouble: a rack that lost its network is all there. So the machines that were opened
although nothing is wrong with them, a sample of those that do well, count for all that were not.

It takes three that say so. Where fewer are heard yet and all of them say so, those that fell silent when their writes
began to fail, and have not been heard since, are witnesses as good: nobody in the fleet has beaten in that time.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Container, Dict, List, Mapping, Optional, Tuple

from ..state import State
from .ages import LimitsOf, age_start
from .survey import Sightings
from .witnesses import enough, quiet

LEAST_REPORTS = 3

Weighed = List[Tuple[int, float]]
"""Moments, each with the number of machines it stands for."""


@dataclass
class Agreed:
    """A time in which, by most, the store was away. ``machines`` are those that said so."""

    began: int
    ended: int
    machines: List[str]


@dataclass
class _Heard:
    """The opened machines by what they do: beat again, or are about to be called late."""

    beating: List[str] = field(default_factory=list)
    silent: Dict[str, int] = field(default_factory=dict)
    """With the moment of the last beat."""


def agreed(
    now: int,
    arrivals: Mapping[str, Optional[int]],
    seen: Sightings,
    suspects: Container[str],
    state: State,
    limits: LimitsOf,
) -> Optional[Agreed]:
    """The time of which most say that the store was away, if somebody was silent in it.

    Whoever beats is heard, one that was offline or is new as well: those that come back know of the outage.

    :param arrivals: the last beats of the machines that are not offline.
    :param suspects: those that were opened because something may be wrong with them.
    """
    heard = _heard(now, arrivals, seen, state, limits)
    if not heard.silent or not heard.beating:
        return None
    since_when = max(heard.silent.values())
    weight = _weight(now, arrivals, seen, suspects, heard.beating, limits)
    everybody = 0.0
    names: List[str] = []
    began: Weighed = []
    ended: Weighed = []
    for machine in heard.beating:
        stands_for = 1.0 if machine in suspects else weight
        everybody += stands_for
        start, end = seen[machine].missed_began, seen[machine].missed_ended
        if start is not None and end is not None and end > since_when:
            names.append(machine)
            began.append((start, stands_for))
            ended.append((-min(now, end + limits(machine).interval), stands_for))
    first, last = _most(began, everybody), _most(ended, everybody)
    if first is None or last is None:
        return None
    found = Agreed(first, -last, sorted(names))
    return found if len(names) >= LEAST_REPORTS or _fell_silent(found, heard, state, limits) else None


def _fell_silent(found: Agreed, heard: _Heard, state: State, limits: LimitsOf) -> bool:
    """Whether nobody at all has beaten in that time: all that are heard say so, the others fell silent with them.

    One write that failed, or somebody who was silent before, tells nothing.
    """
    if len(found.machines) < len(heard.beating) or max(heard.silent.values()) > found.began:
        return False
    if found.ended - found.began < max(quiet(limits(machine)) for machine in found.machines):
        return False
    with_them = sum(found.began - at < limits(machine).warning for machine, at in heard.silent.items())
    return enough(len(found.machines) + with_them, state)


def _heard(now: int, arrivals: Mapping[str, Optional[int]], seen: Sightings, state: State, limits: LimitsOf) -> _Heard:
    heard = _Heard()
    for machine, sighting in seen.items():
        at = sighting.received_at
        if at is None:
            continue
        mine = limits(machine)
        start = age_start(now, at, state.machines.get(machine), state.windows, mine.offline)
        if now - start < mine.warning:
            heard.beating.append(machine)
        elif machine in arrivals:
            heard.silent[machine] = min(at, start)  # a stamp in the future says nothing of its beat
    return heard


def _weight(
    now: int,
    arrivals: Mapping[str, Optional[int]],
    seen: Sightings,
    suspects: Container[str],
    beating: List[str],
    limits: LimitsOf,
) -> float:
    """How many machines one of the sample stands for: itself, and its part of those that beat and were not opened."""
    sample = sum(machine not in suspects for machine in beating)
    unopened = sum(
        at is not None and now - at < limits(machine).warning for machine, at in arrivals.items() if machine not in seen
    )
    return 1.0 + unopened / sample if sample else 1.0


def _most(moments: Weighed, everybody: float) -> Optional[int]:
    """The earliest moment by which more than half of everybody is counted; None where they are fewer.

    One machine whose own trouble began long before, or goes on, does not stretch the time of all the others.
    """
    counted = 0.0
    for moment, stands_for in sorted(moments):
        counted += stands_for
        if 2 * counted > everybody:
            return moment
    return None
