# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How old a beat is, and what status that makes. Everything is store time in nanoseconds."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Iterable, Optional

from ..clock import NS, to_ns
from ..settings import Settings
from ..state import OFFLINE, ONLINE, WARNING, Memory, Window

FUTURE_TOLERANCE = 2 * NS
"""A beat stamped later than this after now did not come from the future: the store's clock was set back."""

RANK = {ONLINE: 0, WARNING: 1, OFFLINE: 2}


@dataclass(frozen=True)
class Limits:
    """One machine's thresholds in nanoseconds."""

    interval: int
    warning: int
    offline: int


class LimitsOf:
    """The thresholds of each machine, computed once per check and machine."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.fleet = self._compute("") if not settings.overrides else None
        self.get = lru_cache(maxsize=None)(self._compute)

    def _compute(self, machine_id: str) -> Limits:
        found = self._settings.for_machine(machine_id)
        return Limits(to_ns(found.heartbeat_interval), to_ns(found.warning_after), to_ns(found.offline_after))

    def __call__(self, machine_id: str) -> Limits:
        return self.fleet or self.get(machine_id)


def age_start(
    now: int, received_at: Optional[int], memory: Optional[Memory], windows: Iterable[Window], patience: int
) -> int:
    """The moment a machine's age counts from; never later than ``now``.

    It is the arrival of its last beat. Where that says nothing, because the record is missing or stamped in the future,
    it is the moment at which that was first noticed. Time in which the store was away does not count.

    :param patience: the machine's ``offline_after``; see :func:`_without_absences`.
    """
    if received_at is None or received_at > now + FUTURE_TOLERANCE:
        anchored = memory is not None and memory.anchor_at is not None and memory.anchor_of == received_at
        start = memory.anchor_at if anchored and memory and memory.anchor_at is not None else now
    else:
        start = received_at
    return min(_without_absences(now, start, windows, patience), now)


def _without_absences(now: int, start: int, windows: Iterable[Window], patience: int) -> int:
    """The start of an age, moved on for the times in which the store was away.

    Whoever was silent for less than ``patience`` before such a time has all of it to return afterwards. For whoever was
    silent for longer by then, that time alone does not count: else an absence now and then would hide a loss for ever.
    """
    clock = heard = known = start
    for window in sorted(windows, key=_began):
        if window.until is None:
            return now
        begin = max(window.since, known)
        if window.until <= begin:
            continue
        away = window.until - begin
        clock = window.until if begin - heard < patience else clock + away
        heard, known = heard + away, window.until
    return clock


def _began(window: Window) -> int:
    return window.since


def needs_anchor(now: int, received_at: Optional[int], memory: Optional[Memory]) -> bool:
    """Whether the moment must be remembered at which a missing or impossible record was first noticed."""
    if not out_of_time(now, received_at):
        return False
    if memory is None or memory.anchor_at is None or memory.anchor_of != received_at:
        return True
    return memory.anchor_at > now + FUTURE_TOLERANCE  # the store's clock was set back since


def out_of_time(now: int, received_at: Optional[int]) -> bool:
    """Whether a record's time says nothing: there is no record, or it is stamped in the future."""
    return received_at is None or received_at > now + FUTURE_TOLERANCE


def same_arrival(one: Optional[int], other: Optional[int]) -> bool:
    """Whether two times are those of one beat: of some network file systems a checker learns whole seconds only."""
    if one is None or other is None:
        return one is other
    return one == other or (one // NS == other // NS and 0 in (one % NS, other % NS))


def status_by_age(age: int, limits: Limits) -> str:
    """online below ``warning_after``, warning below ``offline_after``, else offline."""
    if age < limits.warning:
        return ONLINE
    return WARNING if age < limits.offline else OFFLINE
