# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A check of a whole fleet, against ``os.scandir`` and ``stat`` of each record in the same directory, all in cache."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from fleets import Fleet
from measure import Figure, Pace, clocked, compare
from spy import shares

from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.check import run_check

YARDSTICK = "os.scandir with stat"
AIM_UNCHANGED = 1.2
AIM_FRESH = 2.0
BLOCKS = 100
"""A hundredth of a fleet falls silent at a time, each time another one: none of them flaps."""


class Checked:
    """A fleet that is checked again and again."""

    def __init__(self, fleet: Fleet) -> None:
        self.fleet = fleet
        self.late = fleet.machines // BLOCKS
        self.block = 0

    def check(self, **expected: int) -> float:
        """Seconds that a check takes, opening the store included; it must find what is expected."""
        found: list[dict[str, Any]] = []
        took = clocked(lambda: self._check(found))
        numbers = {key: found[0]["statistics"][key] for key in expected}
        if numbers != expected or found[0]["problems"]:
            raise RuntimeError("the check says %s, not %s; %s" % (numbers, expected, found[0]["problems"][:3]))
        return took

    def _check(self, found: list[dict[str, Any]]) -> None:
        with self.fleet.open() as store:
            found.append(run_check(store, force=True))

    def listing(self) -> float:
        return clocked(self._list)

    def _list(self) -> None:
        with os.scandir(self.fleet.heartbeats) as entries:
            for entry in entries:
                entry.stat()

    def unchanged(self) -> float:
        """Nothing has beaten since the last check, and nobody is late yet."""
        return self.check(total=self.fleet.machines, online=self.fleet.machines, newly_online=0)

    def all_fresh(self) -> float:
        """Everybody has beaten since the last check."""
        self.fleet.stamp()
        return self.unchanged()

    def newly_late(self) -> float:
        """One in a hundred has gone offline since the last check: this one records it. Then they return."""
        self.block = self.block % (BLOCKS - 1) + 1
        self.fleet.stamp(silent=range(self.block * self.late, (self.block + 1) * self.late))
        took = self.check(newly_offline=self.late, offline=self.late)
        self.fleet.stamp()
        self.check(newly_online=self.late, offline=0)
        return took

    def still_late(self) -> float:
        """One in a hundred is offline, and was so at the last check."""
        return self.check(offline=self.late, newly_offline=0)


def measure(folder: Path, machines: int, pace: Callable[[], Pace]) -> Iterator[Figure]:
    fleet = Fleet(folder, machines)
    fleet.stamp()
    checked = Checked(fleet)
    checked.check(newly_online=machines)
    fleet.read_all()
    work = partial(run_check, force=True)
    figure = partial(_figure, checked, pace)
    yield figure("unchanged", checked.unchanged, AIM_UNCHANGED, shares(fleet, work))
    yield figure("all fresh", checked.all_fresh, AIM_FRESH, "as above")
    fleet.stamp(silent=range(checked.late))
    checked.check(newly_offline=checked.late)
    yield figure("1% offline as before", checked.still_late, None, shares(fleet, work))
    fleet.stamp()
    checked.check(newly_online=checked.late)
    yield figure("1% newly offline", checked.newly_late, None, "opening the late records; the commit of what changed")


def _figure(
    checked: Checked, pace: Callable[[], Pace], what: str, subject: Callable[[], float], aim: float | None, rest: str
) -> Figure:
    name = "check of %d machines, %s" % (checked.fleet.machines, what)
    found = compare({name: subject}, checked.listing, pace())
    return Figure("check", name, YARDSTICK, aim=aim, rest=rest, **found[name])
