# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One machine's verdict: which status it has now, and what has to be remembered while that is not certain."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import Optional, Tuple

from ..settings import Settings
from ..state import OFFLINE, ONLINE, UNKNOWN, WARNING, Memory, State
from .ages import RANK, Limits, age_start, needs_anchor, out_of_time, same_arrival, status_by_age
from .planned import Calendar, Cover
from .survey import Sighting


@dataclass(frozen=True)
class Change:
    """One machine's change of status, before it has a number."""

    machine_id: str
    from_status: str
    to_status: str
    effective_at: int
    cause: str
    planned: bool = False
    planned_by: Optional[str] = None
    planned_until: Optional[int] = None

    @property
    def alarming(self) -> bool:
        """An absence that nobody planned, of a machine that was known."""
        return self.to_status == OFFLINE and not self.planned and self.from_status != UNKNOWN


def event_id(change: Change, sighting: Sighting) -> str:
    """The name of a fact: the same change on the same beat has the same name, whoever finds it.

    A beat is named by its arrival too: a forgotten machine that joins again, or a record that is copied back, repeats
    boot and sequence. Where there is no record, the deadline is the same for every checker.
    """
    fact = [change.machine_id, sighting.boot_id, str(sighting.sequence), change.from_status, change.to_status]
    fact.append(str(change.effective_at if sighting.received_at is None else sighting.received_at))
    if change.from_status == change.to_status:
        fact.append(change.cause)
    return hashlib.sha256("|".join(fact).encode()).hexdigest()[:32]


Verdict = Tuple[Optional[Change], Optional[Memory]]
"""The change and the memory to build the new one on, or None and what to remember instead."""


class Judge:
    """Judges machines one by one.

    :param now: the store's time.
    :param state: what is recorded, with the windows of outages as they hold from now on.
    :param calendar: maintenance windows.
    """

    def __init__(self, now: int, state: State, settings: Settings, calendar: Calendar) -> None:
        self.now = now
        self.state = state
        self.settings = settings
        self.calendar = calendar

    def judge(self, machine: str, sighting: Sighting, limits: Limits) -> Verdict:
        """One machine, by its record as it was read."""
        memory = self.state.machines.get(machine)
        believed = self.state.status_of(machine)
        at = sighting.received_at
        if believed == UNKNOWN and at is None:
            return None, None  # its record was taken away between the scan and the look
        if needs_anchor(self.now, at, memory):
            if believed == OFFLINE:
                return None, memory  # nothing to count towards
            base = memory or Memory(status=believed, since=self.now, event=0, received_at=at)
            memory = replace(base, anchor_at=self.now, anchor_of=at)
        elif memory is not None and memory.anchor_at is not None and not out_of_time(self.now, at):
            memory = replace(memory, anchor_at=None, anchor_of=None)  # the record is there again
        memory = self._reviewed(machine, sighting, memory, limits)
        start = age_start(self.now, at, memory, self.state.windows, limits.offline)
        if self.calendar.windows:
            start = self.calendar.clock_start(machine, sighting.metadata, start, self.now)
        status = status_by_age(self.now - start, limits)
        if (
            sighting.leaving is not None
            and at is not None
            and (believed != OFFLINE or memory is None or not same_arrival(at, memory.received_at))
        ):
            return self._goodbye(machine, believed, sighting, at, memory)
        if believed == UNKNOWN:
            cause = "first_beat" if status == ONLINE else "first_seen_late"
            joined = Change(machine, believed, status, deadline(status, start, limits), cause)
            return (joined if status == ONLINE else self._covered(joined, sighting)), memory
        if RANK[status] < RANK[believed]:
            return self._better(machine, believed, status, at, memory, deadline(status, start, limits))
        if RANK[status] > RANK[believed]:
            return self._worse(machine, believed, status, sighting, memory, limits, start)
        return self._same(machine, status, memory, limits)

    def _better(
        self, machine: str, believed: str, status: str, at: Optional[int], memory: Optional[Memory], effective: int
    ) -> Verdict:
        """Only another beat brings a machine back: not longer thresholds, not a window, not the clock.

        While the store is away there is no verdict; that beat is from before.
        """
        if memory is None or at is None or (believed == OFFLINE and status != ONLINE):
            return None, unconfirmed(memory)
        if same_arrival(at, memory.received_at):
            return None, unconfirmed(memory)
        if any(w.until is None for w in self.state.windows):
            return None, unconfirmed(memory)
        if believed == OFFLINE:
            counted = _counted(memory, status)
            if counted.confirmations < self.settings.confirm_online:
                return None, counted
        return Change(machine, believed, status, effective, "beat"), unconfirmed(memory)

    def _worse(
        self,
        machine: str,
        believed: str,
        status: str,
        sighting: Sighting,
        memory: Optional[Memory],
        limits: Limits,
        start: int,
    ) -> Verdict:
        """Towards offline, with as many looks as ``confirm_offline`` asks for; a warning needs no confirmation."""
        if status == OFFLINE and self.settings.confirm_offline > 1:
            base = memory or Memory(status=believed, since=start, event=0)
            counted = _counted(base, OFFLINE)
            if counted.confirmations < self.settings.confirm_offline:
                if believed == ONLINE:  # checks far apart skip the warning by age; it is late all the same
                    return self._silent(machine, believed, WARNING, sighting, limits, start), counted
                return None, counted
        return self._silent(machine, believed, status, sighting, limits, start), unconfirmed(memory)

    def _silent(
        self, machine: str, believed: str, status: str, sighting: Sighting, limits: Limits, start: int
    ) -> Change:
        """The change of a machine that fell silent; a planned one where a maintenance window covers it."""
        change = Change(machine, believed, status, deadline(status, start, limits), "silence")
        covered = self._covered(change, sighting)
        return replace(covered, cause="maintenance") if covered.planned else change

    def _goodbye(self, machine: str, believed: str, sighting: Sighting, at: int, memory: Optional[Memory]) -> Verdict:
        """The machine was stopped on purpose. Inside a maintenance window it is expected back when that is over."""
        if memory is not None and believed == OFFLINE:  # it was never back; its goodbye must not bring it back
            return None, replace(memory, received_at=at, planned=True, confirming=None, confirmations=0)
        change = Change(machine, believed, OFFLINE, min(at, self.now), "goodbye", planned=True)
        return self._covered(change, sighting), unconfirmed(memory)

    def _covered(self, change: Change, sighting: Sighting) -> Change:
        """The change, planned where a maintenance window covers the moment at which it took effect."""
        if not self.calendar.windows:
            return change
        cover = self.calendar.cover(change.machine_id, sighting.metadata, change.effective_at)
        if cover is None:
            return change
        return replace(change, planned=True, planned_by=cover.planned_by, planned_until=cover.until)

    def _reviewed(self, machine: str, sighting: Sighting, memory: Optional[Memory], limits: Limits) -> Optional[Memory]:
        """The memory of a planned absence, as the windows have it now."""
        if memory is None or memory.status != OFFLINE or memory.planned_until is None:
            return memory
        plan = Cover(memory.planned_by, memory.planned_until)
        plan = self.calendar.review(machine, sighting.metadata, memory.since, plan, limits.offline, self.now)
        return replace(memory, planned_by=plan.planned_by, planned_until=plan.until)

    def _same(self, machine: str, status: str, memory: Optional[Memory], limits: Limits) -> Verdict:
        """Nothing changed, but for an absence that was planned and has gone on for longer than that."""
        if status == OFFLINE and memory is not None and memory.planned_until is not None:
            due = memory.planned_until + limits.offline
            if due <= self.now:
                return Change(machine, OFFLINE, OFFLINE, due, "maintenance_over"), memory
        return None, unconfirmed(memory)


def _counted(memory: Memory, towards: str) -> Memory:
    count = memory.confirmations + 1 if memory.confirming == towards else 1
    return replace(memory, confirming=towards, confirmations=count)


def unconfirmed(memory: Optional[Memory]) -> Optional[Memory]:
    """The memory without a count that came to nothing."""
    if memory is not None and memory.confirming is not None:
        return replace(memory, confirming=None, confirmations=0)
    return memory


def deadline(status: str, start: int, limits: Limits) -> int:
    """When the change took effect: the deadline that passed, or the beat that brought the machine back."""
    return start + {ONLINE: 0, WARNING: limits.warning, OFFLINE: limits.offline}[status]
