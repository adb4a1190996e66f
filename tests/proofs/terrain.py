# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the proofs share: a fleet whose machines change at random, what must be recorded of that, and what was."""

from __future__ import annotations

import os
import random
import time
from collections import Counter
from pathlib import Path
from typing import Dict, List, NoReturn, Optional, Tuple

from ansible_collections.roosync.heartbeat.plugins.module_utils._engine import documents, journal
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.clock import NS
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.fleet import Request, manage
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.record import Beat, encode, file_name, sent_now
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.state import State, Transition, fold
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.stores.file import FileStore

# Limits so long that no machine changes its status by the time that a proof itself takes.
WARNING_AFTER, OFFLINE_AFTER = 10_000.0, 20_000.0
FRESH, LATE, GONE = 0.0, 15_000.0, 40_000.0
STEADY = ["steady-%d" % n for n in range(4)]
Changed = Tuple[str, str, str]


class ProofFailed(Exception):
    """Something that must never happen has happened."""


def fail(message: str, *values: object) -> NoReturn:
    raise ProofFailed(message % values)


class Terrain:
    """A fleet in a real directory store, changed at random, with a model of what every machine's status must be.

    :param machines: how many machines come and go; a few more keep beating, so that the store is never thought away.
    """

    def __init__(self, root: Path, chance: random.Random, machines: int) -> None:
        self.root = root
        self.chance = chance
        self.names = ["m-%03d" % n for n in range(machines)]
        self.statuses: Dict[str, str] = {}
        self.sequence = 0
        with self.open() as store:
            manage(store, Request({"warning_after": WARNING_AFTER, "offline_after": OFFLINE_AFTER}))

    def open(self) -> FileStore:
        return FileStore(str(self.root), "default")

    def change(self, least: int = 1, most: int = 8) -> List[Changed]:
        """Some machines change; what a check must record of it (by machine: not in the order of events)."""
        expected: List[Changed] = []
        with self.open() as store:
            for name in STEADY:
                expected += self._beat(store, name, FRESH)
            for name in self.chance.sample(self.names, self.chance.randint(least, most)):
                leaving = "stop" if self.chance.random() < 0.15 else None
                expected += self._beat(store, name, self.chance.choice([FRESH, FRESH, LATE, GONE]), leaving)
        return sorted(expected)

    def change_for_sure(self) -> List[Changed]:
        """The same, until there is something to record."""
        expected: List[Changed] = []
        while not expected:
            expected = self.change()
        return expected

    def _beat(self, store: FileStore, name: str, age: float, leaving: Optional[str] = None) -> List[Changed]:
        self.sequence += 1
        beat = Beat(machine_id=name, sequence=self.sequence, sent_at=sent_now(), boot_id="boot", leaving=leaving)
        store.write_beat(name, encode(beat))
        if age:
            at = time.time_ns() - round(age * NS)
            os.utime(self.root / "default" / "heartbeats" / file_name(name), ns=(at, at))
        before = self.statuses.get(name, "unknown")
        after = "offline" if leaving or age == GONE else "warning" if age == LATE else "online"
        if before == "offline" and after == "warning":
            after = before  # late already: that is no return
        self.statuses[name] = after
        return [] if before == after else [(name, before, after)]

    # -- what was recorded ---------------------------------------------------------------------------------------

    def recorded_since(self, event: int) -> List[Transition]:
        with self.open() as store:
            return journal.transitions_since(store, journal.load(store), event)

    def verify(self) -> State:
        """The journal as a whole: numbers, names, chains, statuses, sync entries, and the checkpoint.

        :raises ProofFailed: with what is wrong.
        """
        with self.open() as store:
            ledger, rebuilt = journal.load(store), journal.rebuild(store)
            transitions = journal.transitions_since(store, rebuilt, 0)
            checkpoint = store.read("checkpoint.json")
            commits = [_read(store, number) for number in range(1, rebuilt.state.number + 1)]
        if ledger.problems or rebuilt.problems:
            fail("problems in the journal: %s", ledger.problems + rebuilt.problems)
        if ledger.state != rebuilt.state:
            fail("the checkpoint and the folded journal differ")
        if checkpoint is not None:
            _verify_checkpoint(checkpoint, commits)
        _verify_transitions(transitions)
        found = {machine: rebuilt.state.status_of(machine) for machine in rebuilt.state.roster}
        if found != self.statuses:
            fail("statuses differ: %s", sorted(set(found.items()) ^ set(self.statuses.items())))
        _verify_syncs(transitions, commits)
        return rebuilt.state


def changes(transitions: List[Transition]) -> List[Changed]:
    return sorted((t.machine_id, t.from_status, t.to_status) for t in transitions)


def _read(store: FileStore, number: int) -> documents.Commit:
    found = store.read_commit(number)
    if found is None:
        fail("commit %d is missing", number)
    return documents.load_commit(found.data, number)


def _verify_checkpoint(data: bytes, commits: List[documents.Commit]) -> None:
    checkpoint = documents.load_state(data)
    state = State()
    for commit in commits[: checkpoint.number]:
        fold(state, commit)
    if state != checkpoint:
        fail("the checkpoint is not the journal folded up to commit %d", checkpoint.number)


def _verify_transitions(transitions: List[Transition]) -> None:
    events = [t.event for t in transitions]
    if events != list(range(1, len(events) + 1)):
        fail("event numbers are not 1 to %d: %s", len(events), [e for e, n in Counter(events).items() if n > 1])
    twice = [event_id for event_id, times in Counter(t.event_id for t in transitions).items() if times > 1]
    if twice:
        fail("recorded twice: %s", [t for t in transitions if t.event_id in twice])
    status: Dict[str, str] = {}
    for transition in transitions:
        if transition.from_status != status.get(transition.machine_id, "unknown"):
            fail("a transition is missing before %s", transition)
        status[transition.machine_id] = transition.to_status


def _verify_syncs(transitions: List[Transition], commits: List[documents.Commit]) -> None:
    wanted = {
        t.event_id
        for t in transitions
        if t.to_status == "offline" or (t.from_status == "offline" and t.to_status == "online")
    }
    opened = {event_id for commit in commits for event_id in commit.syncs}
    if opened != wanted:
        fail("sync entries differ from the transitions that ask for one: %s", opened ^ wanted)
