# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Random lives of machines against a simple model of one machine, written down anew from the rules.

Three steady machines keep beating and no number of failures counts as one of the mass, so that each machine's status
is its own affair.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, List, Optional, Tuple

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.settings import Settings
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.state import Commit, fold
from ansible_collections.roosync.heartbeat.tests.unit.checker.sim import Sim, seconds

STEADY = ["steady-1", "steady-2", "steady-3"]
MACHINES = st.sampled_from(["m0", "m1", "m2", "m3"])
RANK = {"online": 0, "warning": 1, "offline": 2}
AHEAD = seconds(2)
Changed = List[Tuple[str, str, str]]


@dataclass
class Model:
    """One machine: what is recorded of it, and the beat that this rests on."""

    status: str
    basis: Optional[int]
    noticed: Optional[Tuple[Optional[int], int]] = None
    """A time that says nothing (none, or one in the future), and when that was first noticed."""
    towards: Optional[str] = None
    count: int = 0

    def look(self, now: int, at: Optional[int], leaving: bool, settings: Settings) -> str:
        """Its status after a check."""
        start = self._start(now, at)
        if start is None:
            return self.status
        if leaving and at is not None and at != self.basis:
            return self._become("offline", at)
        return self._by_age((now - start) / 1e9, at, settings)

    def _start(self, now: int, at: Optional[int]) -> Optional[int]:
        """Where the age counts from; None where an offline machine's record says nothing."""
        if at is not None and at <= now + AHEAD:
            self.noticed = None
            return min(at, now)
        known = self.noticed is not None and self.noticed[0] == at and self.noticed[1] <= now + AHEAD
        if not known:
            if self.status == "offline":
                return None
            self.noticed = (at, now)
        assert self.noticed is not None
        return min(self.noticed[1], now)

    def _by_age(self, age: float, at: Optional[int], settings: Settings) -> str:
        seen = "online" if age < settings.warning_after else "warning" if age < settings.offline_after else "offline"
        if RANK[seen] > RANK[self.status]:
            if seen == "offline" and not self._confirmed("offline", settings.confirm_offline):
                return self._become("warning", at, keep_count=True) if self.status == "online" else self.status
            return self._become(seen, at)
        back = at is not None and at != self.basis and (self.status == "warning" or seen == "online")
        if RANK[seen] < RANK[self.status] and back:
            if self.status == "offline" and not self._confirmed("online", settings.confirm_online):
                return self.status
            return self._become(seen, at)
        self.towards, self.count = None, 0
        return self.status

    def _confirmed(self, towards: str, needed: int) -> bool:
        self.count = self.count + 1 if self.towards == towards else 1
        self.towards = towards
        return self.count >= needed

    def _become(self, status: str, at: Optional[int], keep_count: bool = False) -> str:
        if not keep_count:
            self.towards, self.count = None, 0
        self.status, self.basis = status, at
        return status


class Lives(RuleBasedStateMachine):
    """Machines beat, fall silent, say goodbye, lose their records and are forgotten; the clock moves; checks look."""

    def __init__(self) -> None:
        super().__init__()
        self.sim = Sim()
        self.models: Dict[str, Model] = {}

    @initialize(confirm_offline=st.integers(1, 3), confirm_online=st.integers(1, 2))
    def begin(self, confirm_offline: int, confirm_online: int) -> None:
        self.sim.settings = Settings(
            confirm_offline=confirm_offline, confirm_online=confirm_online, mass_failure_count=10_000
        )
        self.check()

    @rule(machine=MACHINES, age=st.sampled_from([0, 0, 0, 1, 50, 95, 125]))
    def beat(self, machine: str, age: float) -> None:
        self.sim.beat(machine, age=age)

    @rule(machine=MACHINES)
    def beat_ahead_of_the_clock(self, machine: str) -> None:
        self.sim.beat(machine, age=-1000)

    @rule(machine=MACHINES)
    def say_goodbye(self, machine: str) -> None:
        self.sim.beat(machine, leaving="stop")

    @rule(machine=MACHINES)
    def lose_the_record(self, machine: str) -> None:
        self.sim.lose(machine)

    @precondition(lambda self: self.models)
    @rule(data=st.data())
    def forget(self, data: st.DataObject) -> None:
        machine = data.draw(st.sampled_from(sorted(self.models)))
        self.sim.lose(machine)
        del self.models[machine]
        fold(self.sim.state, Commit(self.sim.state.number + 1, self.sim.now, "test", forgotten=[machine]))

    @rule(amount=st.sampled_from([0.001, 1, 20, 40, 89.999, 90, 91, 120, 300, 2000]))
    def time_passes(self, amount: float) -> None:
        self.sim.wait(amount)

    @rule(amount=st.sampled_from([1, 2, 100, 100_000]))
    def the_clock_is_set_back(self, amount: float) -> None:
        self.sim.wait(-amount)

    @rule(warning=st.sampled_from([60.0, 90.0, 400.0]), offline=st.sampled_from([410.0, 120.0, 1000.0]))
    def change_the_limits(self, warning: float, offline: float) -> None:
        settings = dict(vars(self.sim.settings), warning_after=min(warning, offline / 2), offline_after=offline)
        self.sim.settings = Settings(**settings)

    @rule()
    def check(self) -> None:
        self.sim.wait(0.001)  # no two looks are at the same moment, and no two beats
        self.sim.beat(*STEADY)
        expected = self.predicted()
        found = [(t.machine_id, t.from_status, t.to_status) for t in self.sim.check().transitions]
        assert sorted(c for c in found if c[0] not in STEADY) == sorted(expected)

    def predicted(self) -> Changed:
        changed = []
        for machine in sorted({*self.sim.records, *self.models} - {*STEADY}):
            record = self.sim.records.get(machine)
            at = record.received_at if record is not None else None
            leaving = record is not None and record.leaving is not None
            model = self.models.get(machine)
            before = model.status if model is not None else "unknown"
            if model is None:
                self.models[machine] = model = Model("online", None)
                if not leaving and self.sim.settings.confirm_offline > 1:
                    model.towards, model.count = "offline", 99  # a machine joins as what it is
            after = model.look(self.sim.now, at, leaving, self.sim.settings)
            if before == "unknown":
                model.basis, model.towards, model.count = at, None, 0
            if after != before:
                changed.append((machine, before, after))
        return changed

    @invariant()
    def statuses_are_those_of_the_model(self) -> None:
        found = {m: s for m, s in self.sim.statuses().items() if m not in STEADY}
        assert found == {m: model.status for m, model in self.models.items()}


TestLives = Lives.TestCase
