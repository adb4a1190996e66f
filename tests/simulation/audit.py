# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The audit of the journal: every commit is read as it lies in the store, and compared with the truth."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np

from ansible_collections.roosync.heartbeat.plugins.module_utils._engine import documents, journal
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.state import DONE, Commit, Transition

from .score import OFFLINE, ONLINE, UNKNOWN, WARNING, Score
from .store import Backing, SimStore
from .world import World

CODES = {"online": ONLINE, "warning": WARNING, "offline": OFFLINE, "unknown": UNKNOWN}


class Audit:
    """Reads what the checkers committed and keeps the books: nothing twice, nothing out of turn, nothing unsaid."""

    def __init__(self, world: World, backing: Backing, score: Score) -> None:
        self.world, self.backing, self.score = world, backing, score
        self.commits = 0
        self.transitions: Counter[str] = Counter()
        self.incidents: Counter[str] = Counter()
        self._event = 0
        self._ids: dict[str, int] = {}
        self._status: dict[str, int] = {}
        self._acted: set[str] = set()
        self._announced: set[str] = set()
        self._planned: set[str] = set()
        self._open_incidents: set[str] = set()

    def read(self) -> None:
        """Read the commits that are new."""
        while True:
            found = self.backing.journal.get(self.commits + 1) or self.backing.archive.get(self.commits + 1)
            if found is None:
                return
            self.commits += 1
            self._commit(documents.load_commit(found.data, self.commits))

    def _commit(self, commit: Commit) -> None:
        for incident_id, incident in commit.incidents.items():
            if incident_id not in self._open_incidents:
                self.incidents[incident.kind] += 1
            self._open_incidents.add(incident_id)
            if incident.closed_at is not None:
                self._open_incidents.discard(incident_id)
        groups: dict[tuple[int, bool], list[int]] = {}
        for transition in commit.transitions:
            self._chain(transition)
            if transition.planned:
                self._planned.add(transition.event_id)
            if transition.from_status == transition.to_status:
                continue  # a reboot or a takeover: recorded, and no change of status
            who = self.world.index[transition.machine_id]
            groups.setdefault((CODES[transition.to_status], transition.planned), []).append(who)
            if transition.to_status == "offline" and transition.event_id not in commit.syncs:
                self.score.lost += 1
                self.score.note("no sync entry for event %d" % transition.event)
        for (status, planned), who in groups.items():
            self.score.say(np.array(who), status, commit.at, planned)

    def _chain(self, t: Transition) -> None:
        """A transition starts where the one before it ended, under the next number, as a fact of its own."""
        self.transitions[t.cause] += 1
        known = self._status.get(t.machine_id, UNKNOWN)
        self._status[t.machine_id] = CODES[t.to_status]
        if t.event != self._event + 1:
            self._wrong(t, t.event <= self._event, "event %d follows %d" % (t.event, self._event))
        self._event = max(self._event, t.event)
        if CODES[t.from_status] != known:
            self._wrong(t, CODES[t.to_status] == known, "it was %d" % known)
        if t.event_id in self._ids:
            self._wrong(t, True, "the same fact as event %d" % self._ids[t.event_id])
        self._ids[t.event_id] = t.event

    def _wrong(self, t: Transition, doubled: bool, why: str) -> None:
        if doubled:
            self.score.doubled += 1
        else:
            self.score.lost += 1
        text = "event %d, %s from %s to %s" % (t.event, t.machine_id, t.from_status, t.to_status)
        self.score.note("%s: %s (%s)" % ("doubled" if doubled else "out of turn", text, why))

    def announced(self, result: dict[str, Any]) -> None:
        """What a check says must be in the journal already, and no other check may have said it."""
        for transition in result["transitions"]:
            if transition["event_id"] in self._announced:
                self.score.doubled += 1
                self.score.note("announced twice: %s" % transition["event_id"])
            self._announced.add(transition["event_id"])
            if self._ids.get(transition["event_id"]) != transition["event"]:
                self.score.lost += 1
                self.score.note("announced, not recorded: %s" % transition["event_id"])

    def compare(self, result: dict[str, Any]) -> None:
        """What a check says of the whole fleet is what is recorded."""
        alone = not self.world.scenario.second  # of two checkers one may speak of a moment earlier than the other
        if alone and len(result["offline"]) != int((self.score.status == OFFLINE).sum()):
            self.score.lost += 1
            self.score.note("%d machines said to be offline, recorded otherwise" % len(result["offline"]))

    def act(self, store: SimStore, result: dict[str, Any]) -> None:
        """The job that follows a check: act on every pending entry, once, and say so in the journal."""
        score, pending = self.score, []
        held = set(result["flapping"])
        held.update(m for i in result["incidents"] if i["kind"] == "mass_failure" for m in i["machines"])
        for entry in result["pending_syncs"]:
            if entry["state"] != "pending":
                continue
            pending.append(entry)
            if entry["event_id"] in self._acted:
                score.doubled += 1
                score.note("acted twice on %s" % entry["event_id"])
            if entry["machine_id"] in held:
                score.held_actions += 1
                score.note("pending under a hold: %s of %s" % (entry["event"], entry["machine_id"]))
            if entry["event_id"] in self._planned and entry["event"] == "offline":
                score.goodbyes_alarmed += 1
                score.note("pending after a goodbye: %s" % entry["machine_id"])
            self._acted.add(entry["event_id"])
        if not pending:
            return
        offline = [self.world.index[e["machine_id"]] for e in pending if e["event"] == "offline"]
        score.act(np.array(offline, dtype=np.int64), store.world.now)
        done = {entry["event_id"] for entry in pending}
        while True:
            ledger = journal.load(store)
            syncs = {e: replace(entry, state=DONE) for e, entry in ledger.state.syncs.items() if e in done}
            if journal.append(
                store, ledger, Commit(ledger.next_number, store.world.now, "sync", syncs=syncs), store.world.now
            ):
                return
