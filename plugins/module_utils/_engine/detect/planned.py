# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Planned absence: maintenance windows. Changes inside one are recorded as planned, raise no alarm and open no sync.

The end of a window starts the clock anew: a machine that is still silent has one ``offline_after`` to return, and only
then is its absence an alarm, once. What was known before the window is not announced again.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import Any, Dict, Iterable, List, Mapping, Optional

from ..patterns import matches


@dataclass(frozen=True)
class Maintenance:
    """A window of planned absence. Times are store time in nanoseconds."""

    window_id: str
    start: int
    end: int
    machines: List[str] = field(default_factory=list)
    """Machine ids or patterns; empty: chosen by metadata alone."""
    metadata: Dict[str, Any] = field(default_factory=dict)
    """Top-level metadata values that a machine must have, all of them."""
    duration: Optional[int] = None
    """A flexible window lasts this long from a machine's own start within ``start`` and ``end``; None: fixed."""
    reason: str = ""
    created_at: int = 0

    @property
    def last_end(self) -> int:
        """After this moment the window can cover nothing any more."""
        return self.end + (self.duration or 0)

    @property
    def key(self) -> str:
        """The window as it is now: a change gives another key, and so does another window of the same name."""
        what = [self.created_at, self.start, self.end, self.duration, self.machines, self.metadata]
        return "%s:%s" % (
            self.window_id,
            hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()[:16],
        )


def covers(window: Maintenance, machine: str, metadata: Optional[Mapping[str, Any]]) -> bool:
    """Whether a window is meant for a machine.

    :param metadata: as the machine's last readable beat has it, None when there is none.
    """
    if window.machines and not any(_same(machine, pattern) for pattern in window.machines):
        return False
    if window.metadata:
        return metadata is not None and all(
            key in metadata and _is_or_has(metadata[key], value) for key, value in window.metadata.items()
        )
    return bool(window.machines)


def _same(machine: str, pattern: str) -> bool:
    return machine == pattern or matches(machine, pattern)


def _is_or_has(found: Any, wanted: Any) -> bool:
    """A list of groups matches by any of its members."""
    return _alike(found, wanted) or (isinstance(found, list) and any(_alike(item, wanted) for item in found))


def _alike(found: Any, wanted: Any) -> bool:
    """Plain values are compared as text: from a template or an inventory, a number may come as either."""
    if isinstance(found, (dict, list)) or isinstance(wanted, (dict, list)):
        return bool(found == wanted)
    return str(found) == str(wanted)


@dataclass(frozen=True)
class Cover:
    """A planned absence: until when, and by which window (its key; None for one that was taken away)."""

    planned_by: Optional[str]
    until: int


class Calendar:
    """All windows that can still matter, asked machine by machine."""

    def __init__(self, windows: Iterable[Maintenance] = ()) -> None:
        self.windows = sorted(windows, key=lambda w: (w.start, w.window_id))
        self._keys = {window.window_id: window.key for window in self.windows}

    def cover(
        self, machine: str, metadata: Optional[Mapping[str, Any]], at: int, flexible: bool = True
    ) -> Optional[Cover]:
        """The window that covers a change of this machine at ``at``; of several, the one that ends last.

        :param flexible: whether flexible windows count; one begins by the absence itself, and only once.
        """
        best: Optional[Cover] = None
        for window in self.windows:
            if not window.start <= at < window.end or not (flexible or window.duration is None):
                continue
            until = window.end if window.duration is None else at + window.duration
            if (best is None or until > best.until) and covers(window, machine, metadata):
                best = Cover(self._keys[window.window_id], until)
        return best

    def clock_start(self, machine: str, metadata: Optional[Mapping[str, Any]], start: int, now: int) -> int:
        """Where the machine's age counts from: the end of the last window that it was silent in, if that is later."""
        for window in self.windows:
            ended_since = window.duration is None and start < window.end <= now
            if ended_since and covers(window, machine, metadata):
                start = window.end
        return start

    def excuses(self, machine: str, metadata: Optional[Mapping[str, Any]], now: int, patience: int) -> bool:
        """Whether silence of this machine is no surprise: it is in a window, or was one less than ``patience`` ago."""
        if not self.windows:
            return False
        return (
            self.cover(machine, metadata, now) is not None
            or self.clock_start(machine, metadata, now - patience, now) > now - patience
        )

    def changed(self, planned_by: Optional[str]) -> bool:
        """Whether the window was changed, ended early, or replaced by another of its name.

        One whose document is gone or damaged is not: what was recorded by it stands.
        """
        if planned_by is None:
            return False
        return self._keys.get(planned_by.partition(":")[0], planned_by) != planned_by

    def review(
        self,
        machine: str,
        metadata: Optional[Mapping[str, Any]],
        since: int,
        plan: Cover,
        patience: int,
        now: int,
    ) -> Cover:
        """A planned absence as the windows have it now.

        :param since: when the machine went offline.
        :param plan: the absence as it was recorded.
        :param patience: how long the machine has, after a window, to return. Another window that covers the end of
            that time goes on from there.
        """
        if self.changed(plan.planned_by):
            found = self.cover(machine, metadata, since) or self.cover(machine, metadata, now, flexible=False)
            plan = found or Cover(None, min(plan.until, now))
        while now - plan.until >= patience:
            further = self.cover(machine, metadata, plan.until + patience, flexible=False)
            if further is None:
                break
            plan = further
        return plan
