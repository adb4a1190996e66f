# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever happens to a fleet: nothing acts on a machine that is held, and what it came to is acted on once."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Callable, Dict, List, Set

from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.detect import flapping, mass
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.incidents import release_commit
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.journal import Ledger
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.settings import Settings
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.state import (
    CLOSED_SYNC_STATES,
    DONE,
    HELD,
    OFFLINE,
    PENDING,
    SKIPPED,
    Commit,
    State,
    SyncEntry,
    fold,
)
from ansible_collections.roosync.heartbeat.tests.unit.checker.scenes import go_on, window
from ansible_collections.roosync.heartbeat.tests.unit.checker.sim import Sim, seconds

NAMES = ["m%d" % n for n in range(7)]


def holds(state: State) -> Dict[str, Set[str]]:
    """What holds machines -> which ones."""
    found = {i.incident_id: set(i.machines) for i in state.incidents.values() if i.kind == mass.KIND}
    found.update({flapping.holder(m): {m} for m, memory in state.machines.items() if memory.flapping})
    return found


def held_machines(state: State) -> Set[str]:
    return set().union(*holds(state).values())


@dataclass
class Story:
    """A fleet with somebody who works on what is pending, and a book of every entry there ever was."""

    sim: Sim = field(default_factory=lambda: Sim(Settings(hold_timeout=1500, zone_key="site")))
    silent: Set[str] = field(default_factory=set)
    book: Dict[str, SyncEntry] = field(default_factory=dict)

    def begin(self) -> None:
        for machine in NAMES:
            self.sim.beat(machine, metadata_json='{"site": "%s"}' % ("east" if machine < "m3" else "west"))
        self.check(0)

    # -- what may happen -------------------------------------------------------------------------------------------

    def check(self, amount: float) -> None:
        """Time passes, everybody beats who is not silent, and a check is made."""
        before = self.sim.state.copy()
        go_on(self.sim, amount, *self.silent)
        self.enter(self.sim.commits[-1] if self.sim.state.number > before.number else Commit(0, 0, ""))
        self.verify(before)

    def flap(self, machines: Set[str], times: int) -> None:
        for _time in range(times):
            self.silent |= machines
            self.check(130)
            self.silent -= machines
            self.check(5)

    def goodbye(self, machines: Set[str]) -> None:
        self.sim.beat(*machines, leaving="stop")
        self.check(1)

    def work(self) -> None:
        """Somebody acts on all that is pending."""
        done = {e.event_id: replace(e, state=DONE) for e in self.sim.state.syncs.values() if e.state == PENDING}
        self.commit(Commit(self.sim.state.number + 1, self.sim.now, "worker", syncs=done))

    def release(self) -> None:
        """A person lets go of the mass failures."""
        for incident in [i for i in self.sim.state.incidents.values() if i.kind == mass.KIND]:
            self.commit(release_commit(Ledger(self.sim.state), incident, self.sim.now, "person"))

    def commit(self, commit: Commit) -> None:
        before = self.sim.state.copy()
        fold(self.sim.state, commit)
        self.enter(commit)
        self.verify(before)

    # -- what must hold --------------------------------------------------------------------------------------------

    def enter(self, commit: Commit) -> None:
        for event_id, entry in commit.syncs.items():
            assert event_id not in self.book or self.book[event_id].state not in CLOSED_SYNC_STATES, "closed is closed"
            self.book[event_id] = entry

    def verify(self, before: State) -> None:
        state = self.sim.state
        held, was_held = held_machines(state), held_machines(before)
        for entry in state.syncs.values():
            assert entry.state in (PENDING, HELD)
            assert (entry.state == HELD) == (entry.machine_id in held), "held if and only if the machine is"
            if entry.state == HELD:
                assert entry.machine_id in holds(state).get(str(entry.held_by), ()), "held by what is over: %r" % entry
        assert self.book.keys() >= state.syncs.keys()
        for machine in was_held - held:
            self.verify_settled(machine)

    def verify_settled(self, machine: str) -> None:
        """At the moment at which nothing holds a machine any more, its newest entry is pending, if it is still true."""
        everything = [e for e in self.book.values() if e.machine_id == machine]
        pending = [e for e in everything if e.state == PENDING]
        assert len(pending) <= 1
        offline = self.sim.state.status_of(machine) == OFFLINE
        if not everything:
            return
        newest = everything[-1]
        assert pending in ([], [newest])
        assert not pending or (newest.event == OFFLINE) == offline
        if not pending:
            assert newest.state == DONE or (newest.state == SKIPPED and "planned" in (newest.reason or ""))

    def end(self) -> None:
        """Everybody is well for so long that nothing can be held any more."""
        self.silent.clear()
        for machine, record in list(self.sim.records.items()):
            self.sim.records[machine] = replace(record, leaving=None)
        for _step in range(60):
            self.check(60)
        assert held_machines(self.sim.state) == set()
        assert {e.state for e in self.book.values()} <= {PENDING, SKIPPED, DONE}
        assert sorted(self.sim.statuses().items()) == [(m, "online") for m in NAMES]


Step = Callable[[Story], None]
some = st.sets(st.sampled_from(NAMES), min_size=1)
few = st.sets(st.sampled_from(NAMES), min_size=1, max_size=2)


def fall_silent(machines: Set[str]) -> Step:
    return lambda story: story.silent.update(machines)


def return_(machines: Set[str]) -> Step:
    def step(story: Story) -> None:
        story.silent -= machines
        for machine in machines:
            story.sim.records[machine] = replace(story.sim.records[machine], leaving=None)

    return step


def maintain(machines: Set[str], begin: float, end: float, duration: float) -> Step:
    def step(story: Story) -> None:
        name = "w%d" % (end % 3)
        length = {"duration": seconds(duration)} if duration else {}
        window(story.sim, begin, end, *sorted(machines), name=name, **length)

    return step


steps: List[st.SearchStrategy[Step]] = [
    st.builds(lambda amount: lambda story: story.check(amount), st.sampled_from([1, 20, 60, 100, 130, 400])),
    st.builds(fall_silent, some),
    st.builds(return_, some),
    st.builds(lambda who, times: lambda story: story.flap(who, times), few, st.integers(1, 9)),
    st.builds(lambda who, times: lambda story: story.flap(who, times), some, st.integers(1, 4)),
    st.builds(lambda who: lambda story: story.goodbye(who), few),
    st.builds(
        maintain, some, st.sampled_from([-100, 0, 100]), st.sampled_from([130, 500, 1201]), st.sampled_from([0, 300])
    ),
    st.just(lambda story: story.work()),
    st.just(lambda story: story.release()),
    st.just(lambda story: story.check(3000)),
]


@given(st.lists(st.one_of(*steps), max_size=30))
def test_nothing_acts_on_a_machine_that_is_held(story: List[Step]) -> None:
    told = Story()
    told.begin()
    for step in story:
        step(told)
        told.check(1)
    told.end()


def test_the_stories_are_about_something() -> None:
    """The property would hold for a fleet that never flaps as well."""
    told = Story()
    told.begin()
    told.flap({"m0"}, 9)
    assert list(holds(told.sim.state)) == ["flapping:m0"]
    told.silent |= {"m1", "m2", "m3", "m4"}
    told.check(130)
    assert len(held_machines(told.sim.state)) == 5
    told.end()
