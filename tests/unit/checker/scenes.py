# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Scenes that the tests of planned absence, flapping and incidents have in common, played on :class:`.sim.Sim`."""

from __future__ import annotations

from typing import Any, Dict, List, Optional

from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.detect.planned import Calendar, Maintenance
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.settings import Settings
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.state import SyncEntry, Transition
from ansible_collections.roosync.heartbeat.tests.unit.checker.sim import Sim, seconds

OTHERS = ("a", "b", "c", "d")
"""Machines that nothing happens to."""


def fleet(*machines: str, settings: Optional[Settings] = None, **fields: Dict[str, Any]) -> Sim:
    """A fleet in which all these machines have just beaten and joined.

    :param fields: machine id -> fields of its sighting.
    """
    sim = Sim(settings or Settings())
    for machine in machines:
        sim.beat(machine, **fields.get(machine, {}))
    sim.check()
    return sim


def numbered(count: int, prefix: str = "m") -> List[str]:
    return ["%s%02d" % (prefix, n) for n in range(count)]


def go_on(sim: Sim, amount: float, *silent: str) -> List[Transition]:
    """Time passes, everybody beats on but the silent ones, and a check is made.

    They beat this very moment, but for the last of them: beats are spread over an interval, in any fleet.
    """
    sim.wait(amount)
    beating = [m for m, record in sim.records.items() if m not in silent and record.leaving is None]
    for machine in beating:
        record = sim.records[machine]
        keep = {"metadata_json": record.metadata_json, "boot_id": record.boot_id}
        keep.update(previous_boot_id=record.previous_boot_id, took_over=record.took_over)
        sim.beat(machine, age=min(20.0, amount) if machine == beating[-1] else 0.0, **keep)
    return sim.check().transitions


def told(transitions: List[Transition]) -> List[str]:
    """Changes in short: ``web online>offline silence``, with a ``+`` for planned ones."""
    return [
        "%s %s>%s %s%s" % (t.machine_id, t.from_status, t.to_status, t.cause, "+" if t.planned else "")
        for t in transitions
    ]


def entries(sim: Sim, machine: Optional[str] = None) -> List[SyncEntry]:
    """The sync entries that are open, oldest first."""
    return [e for e in sim.state.syncs.values() if machine in (None, e.machine_id)]


def states(sim: Sim, machine: str) -> List[str]:
    """A machine's open sync entries in short: ``offline pending``."""
    return ["%s %s" % (e.event, e.state) for e in entries(sim, machine)]


def window(sim: Sim, begin: float, end: float, *machines: str, name: str = "work", **fields: Any) -> Maintenance:
    """A maintenance window, its times in seconds from now; it is put into the calendar, in place of its namesake."""
    found = Maintenance(
        name, sim.now + seconds(begin), sim.now + seconds(end), list(machines), created_at=sim.now, **fields
    )
    sim.calendar = Calendar([w for w in sim.calendar.windows if w.window_id != name] + [found])
    return found
