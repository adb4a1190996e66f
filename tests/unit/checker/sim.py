# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A fleet in memory: records, a clock that the test moves, and checks that fold their decisions as the journal would.

No store is involved; the look at the records is the one that ``observe`` takes, by the same public functions.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Dict, List, Optional, Tuple

from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.clock import NS
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.detect.planned import Calendar
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.detect.survey import Sighting, survey
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.detect.verdict import Decision, decide
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.settings import Settings
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.state import (
    HELD,
    OFFLINE,
    ONLINE,
    PENDING,
    SKIPPED,
    UNKNOWN,
    WARNING,
    Commit,
    State,
    SyncEntry,
    Transition,
    fold,
)

START = 1_800_000_000 * NS + 1
"""Off any whole second: a store that knows whole seconds only takes all beats of one second for one."""
RANK = {ONLINE: 0, WARNING: 1, OFFLINE: 2}


def seconds(value: float) -> int:
    """Nanoseconds, for readable tests."""
    return round(value * 1000) * (NS // 1000)


@dataclass
class Look:
    """What one look at the records gave to the decision."""

    now: int
    received: Dict[str, int]
    seen: Dict[str, Sighting]
    suspects: List[str]


@dataclass
class Sim:
    """A fleet whose records, time and settings a test changes at will."""

    settings: Settings = field(default_factory=Settings)
    now: int = START
    state: State = field(default_factory=State)
    calendar: Calendar = field(default_factory=Calendar)
    records: Dict[str, Sighting] = field(default_factory=dict)
    commits: List[Commit] = field(default_factory=list)
    event_ids: Dict[str, Transition] = field(default_factory=dict)

    # -- the machines --------------------------------------------------------------------------------------------

    def beat(self, *machines: str, age: float = 0.0, **fields: object) -> None:
        """Machines beat, ``age`` seconds ago; ``fields`` are those of a sighting (``leaving="stop"``)."""
        for machine in machines:
            before = self.records.get(machine)
            sequence = before.sequence + 1 if before is not None else 1
            sighting = Sighting(self.now - seconds(age), boot_id="boot", sequence=sequence)
            self.records[machine] = replace(sighting, **fields)  # type: ignore[arg-type]

    def lose(self, *machines: str) -> None:
        """The records are gone."""
        for machine in machines:
            self.records.pop(machine, None)

    def wait(self, amount: float) -> None:
        """The store's clock moves, backwards too."""
        self.now += seconds(amount)

    # -- the checker ---------------------------------------------------------------------------------------------

    def look(self) -> Look:
        """Survey the arrival times, then open the suspects, the witnesses and (a small fleet) everybody else."""
        received = {m: r.received_at for m, r in self.records.items() if r.received_at is not None}
        first = survey(self.now, received, self.state, self.settings, self.calendar)
        opened = [*first.suspects, *first.witnesses, *sorted(received)]
        seen = {m: self.records.get(m, Sighting(None)) for m in opened}
        goodbyes = [m for m, s in seen.items() if s.leaving is not None and self.state.status_of(m) != OFFLINE]
        return Look(self.now, received, seen, sorted({*first.suspects, *goodbyes}))

    def decide(self, look: Optional[Look] = None) -> Decision:
        """The decision of a check, not recorded."""
        look = look or self.look()
        return decide(look.now, look.received, look.seen, look.suspects, self.state, self.settings, self.calendar)

    def check(self) -> Decision:
        """Decide and record; every rule that holds for any decision is verified on the way."""
        look = self.look()
        decision = self.decide(look)
        before = self.state.copy()
        if not decision.empty:
            commit = decision.commit(before.number + 1, self.now, "sim")
            self.commits.append(commit)
            fold(self.state, commit)
        verify(decision, look, before, self.state, self.settings)
        for transition in decision.transitions:
            assert transition.event_id not in self.event_ids, "one event id for two facts: %r and %r" % (
                self.event_ids[transition.event_id],
                transition,
            )
            self.event_ids[transition.event_id] = transition
        return decision

    def statuses(self) -> Dict[str, str]:
        return {m: self.state.status_of(m) for m in self.state.roster}

    def changes(self) -> List[Tuple[str, str, str]]:
        """Check, and return what changed as (machine, from, to)."""
        return [(t.machine_id, t.from_status, t.to_status) for t in self.check().transitions]


NOTES = ("reboot", "takeover")
"""Events that leave the status as it is."""


def verify(decision: Decision, look: Look, before: State, after: State, settings: Settings) -> None:
    """What is true of every decision, whatever the fleet has been through."""
    numbers = [t.event for t in decision.transitions]
    assert numbers == list(range(before.event + 1, before.event + 1 + len(numbers))), "numbers have gaps"
    assert after.event == before.event + len(numbers)
    changes = [t for t in decision.transitions if t.cause not in NOTES]
    changed = [t.machine_id for t in changes]
    assert len(set(changed)) == len(changed), "two transitions of one machine in one check"
    status = {m: before.status_of(m) for m in {*before.roster, *after.roster}}
    for transition in decision.transitions:
        assert transition.from_status == status[transition.machine_id], "transitions must chain"
        status[transition.machine_id] = transition.to_status
        _verify_transition(transition, look, before)
    assert status == {m: after.status_of(m) for m in status}, "a change of status without a transition"
    wanted = {t.event_id: t for t in decision.transitions if wants_sync(t)}
    opened = {event_id: entry for event_id, entry in decision.syncs.items() if event_id not in before.syncs}
    assert opened.keys() == wanted.keys(), "one sync entry for each transition to offline and back online"
    for event_id, entry in opened.items():
        _verify_entry(entry, wanted[event_id], after, settings)


def wants_sync(transition: Transition) -> bool:
    if transition.cause in NOTES:
        return False
    return transition.to_status == OFFLINE or (transition.from_status == OFFLINE and transition.to_status == ONLINE)


def _verify_transition(transition: Transition, look: Look, before: State) -> None:
    assert transition.to_status != UNKNOWN
    assert transition.detected_at == look.now
    if transition.from_status == transition.to_status:
        assert transition.cause in (*NOTES, "maintenance_over")
    elif transition.from_status != UNKNOWN and RANK[transition.to_status] < RANK[transition.from_status]:
        assert transition.received_at is not None
        assert transition.received_at != before.machines[transition.machine_id].received_at, "back without another beat"


def _verify_entry(entry: SyncEntry, transition: Transition, after: State, settings: Settings) -> None:
    assert (entry.machine_id, entry.event) == (transition.machine_id, transition.to_status)
    if not settings.auto_sync or transition.planned:
        assert entry.state == SKIPPED
        assert entry.reason
    elif transition.held_by is None:
        assert (entry.state, entry.held_by, entry.reason) == (PENDING, None, None)
    elif entry.state == HELD:
        assert entry.held_by == transition.held_by
    else:  # what held it ended in this very look
        assert transition.held_by not in after.incidents
