# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The sync entries that a look opens, holds and lets go of.

Each transition to offline, and each return after one, opens one entry. Whoever works on entries takes the pending ones;
a held one becomes pending or skipped when its incident or the flapping is over, and nothing else holds its machine.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Callable, Container, Dict, Iterable, List, Mapping, Optional

from ..settings import Settings
from ..state import HELD, OFFLINE, ONLINE, PENDING, SKIPPED, Incident, Memory, State, SyncEntry, Transition
from . import mass
from .flapping import holder


def let_go(
    holds: Container[str],
    entries: Iterable[SyncEntry],
    status_of: Callable[[str], str],
    held_by: Callable[[str], Optional[str]],
) -> Dict[str, SyncEntry]:
    """What becomes of the entries that were held by what is over now.

    Of each machine's entries only the newest can still say what is to be done. It becomes pending if it is true, or
    goes over to whatever else holds the machine; all that it overtook is skipped.

    :param holds: what is over: incidents, and machines' flapping.
    :param entries: all there are, in the order in which they were opened.
    :param held_by: what else holds a machine.
    """
    everything = list(entries)
    newest = {entry.machine_id: entry.event_id for entry in everything}
    result: Dict[str, SyncEntry] = {}
    for entry in everything:
        if entry.state != HELD or entry.held_by not in holds:
            continue
        machine = entry.machine_id
        other = held_by(machine)
        if newest[machine] != entry.event_id:
            result[entry.event_id] = replace(entry, state=SKIPPED, reason="overtaken while it was held")
        elif (entry.event == OFFLINE) != (status_of(machine) == OFFLINE):
            reason = "the machine was %s when the hold was over" % status_of(machine)
            result[entry.event_id] = replace(entry, state=SKIPPED, reason=reason)
        elif other is not None:
            result[entry.event_id] = hold_entry(entry, other)
        else:
            result[entry.event_id] = replace(entry, state=PENDING, held_by=None, reason=None)
    return result


def what_holds(
    memory_of: Callable[[str], Optional[Memory]], incidents: Mapping[str, Incident]
) -> Callable[[str], Optional[str]]:
    """A function that tells what holds a machine: its own flapping, or an incident that is going on."""
    held = mass.held_machines(incidents)

    def held_by(machine: str) -> Optional[str]:
        memory = memory_of(machine)
        if memory is not None and memory.flapping:
            return holder(machine)
        return held.get(machine)

    return held_by


def hold_entry(entry: SyncEntry, by: str) -> SyncEntry:
    """The entry, held.

    :param by: an incident, or a machine's flapping.
    """
    return replace(entry, state=HELD, held_by=by, reason="held by %s" % by)


class Ledger:
    """The open entries, with what this look changes in them.

    :param now: the store's time.
    """

    def __init__(self, now: int, state: State, settings: Settings) -> None:
        self._now = now
        self._recorded = state.syncs
        self._auto_sync = settings.auto_sync
        self.changed: Dict[str, SyncEntry] = {}

    def all(self) -> List[SyncEntry]:
        """Every entry, as it is after the changes so far, in the order in which they were opened."""
        return list({**self._recorded, **self.changed}.values())

    def open(self, transition: Transition, before: Optional[Memory]) -> None:
        """The entry that a transition asks for, if it asks for one."""
        back = transition.to_status == ONLINE and before is not None and before.offline_since is not None
        if transition.to_status != OFFLINE and not back:
            return
        state, reason = PENDING, None
        if not self._auto_sync:
            state, reason = SKIPPED, "auto_sync is false"
        elif transition.planned:
            state, reason = SKIPPED, "a planned absence: %s" % transition.cause
        elif transition.held_by is not None:
            state, reason = HELD, "held by %s" % transition.held_by
        self.changed[transition.event_id] = SyncEntry(
            event_id=transition.event_id,
            machine_id=transition.machine_id,
            event=transition.to_status,
            state=state,
            opened_at=self._now,
            reason=reason,
            held_by=transition.held_by if state == HELD else None,
        )

    def hold(self, holders: Mapping[str, str]) -> None:
        """Machines are held from now on: what they asked for before, and nobody has taken up yet, waits too.

        :param holders: machine -> what holds it.
        """
        if not holders:
            return
        for entry in self.all():
            if entry.state == PENDING and entry.machine_id in holders:
                self.changed[entry.event_id] = hold_entry(entry, holders[entry.machine_id])

    def let_go(
        self, holds: Container[str], status_of: Callable[[str], str], held_by: Callable[[str], Optional[str]]
    ) -> None:
        """These holds are over; see :func:`let_go`."""
        self.changed.update(let_go(holds, self.all(), status_of, held_by))
