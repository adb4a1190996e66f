# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which sync entry may be taken, by whom, and for how long."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Dict, List, Optional

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.roosync.heartbeat.plugins.module_utils._engine import journal
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.clock import NS
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.errors import LockTimeout, StoreUnavailable
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.settings import Settings
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.state import (
    DONE,
    FAILED,
    HELD,
    OFFLINE,
    ONLINE,
    PENDING,
    RUNNING,
    SKIPPED,
    Commit,
    Incident,
    Memory,
    State,
    SyncEntry,
    Window,
)
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.stores.file import FileStore
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.sync import entries
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.sync.entries import Wanted, ask, finish, take
from ansible_collections.roosync.heartbeat.tests.unit.checker.real import RealFleet

ANY = Wanted()
SYNC = Settings()


def opened(store: FileStore, *given: SyncEntry, **fields: Any) -> None:
    """Commit entries, as a check does."""
    ledger = journal.load(store)
    commit = Commit(ledger.next_number, store.now(), "test", syncs={e.event_id: e for e in given}, **fields)
    assert journal.append(store, ledger, commit, commit.at)


def entry(event_id: str, machine: str, at: int = 1, state: str = PENDING, **fields: Any) -> SyncEntry:
    return SyncEntry(event_id, machine, fields.pop("event", ONLINE), state, at, **fields)


def found(store: FileStore) -> Dict[str, SyncEntry]:
    return journal.load(store).state.syncs


def taken(store: FileStore, wanted: Wanted = ANY, settings: Settings = SYNC) -> Optional[str]:
    claimed = take(store, settings, wanted)
    return claimed.event_id if claimed is not None else None


def test_oldest_first_and_one_at_a_time_for_each_machine(store: FileStore) -> None:
    opened(store, entry("e3", "web", 3), entry("e1", "web", 1), entry("e2", "db", 2))
    first = take(store, SYNC, ANY)
    assert first is not None
    assert (first.event_id, first.state, first.attempts) == ("e1", RUNNING, 1)
    assert first.lease_until is not None
    assert 0 < first.lease_until - store.now() <= entries.LEASE
    assert found(store)["e1"] == first
    assert taken(store) == "e2", "web is being worked on"
    assert taken(store) is None
    assert finish(store, first, DONE)
    assert "e1" not in found(store)
    assert taken(store) == "e3"


def test_what_failed_is_taken_again_by_the_next_worker(store: FileStore) -> None:
    opened(store, entry("e1", "web"))
    first = take(store, SYNC, ANY)
    assert first is not None
    assert finish(store, first, FAILED, "no route to host")
    left = found(store)["e1"]
    assert (left.state, left.reason, left.claimed_by, left.attempts) == (FAILED, "no route to host", None, 1)
    assert taken(store, Wanted(passed=frozenset({"e1"}))) is None, "this worker had it already"
    again = take(store, SYNC, ANY)
    assert again is not None
    assert (again.event_id, again.attempts) == ("e1", 2)
    assert finish(store, again, SKIPPED, "overtaken")
    assert found(store) == {}


def test_an_expired_lease_is_taken_over_and_the_late_worker_changes_nothing(store: FileStore) -> None:
    opened(store, entry("e1", "web"))
    late = take(store, SYNC, ANY, lease=1)
    assert late is not None
    heir = take(store, SYNC, ANY)
    assert heir is not None
    assert heir.claimed_by != late.claimed_by
    assert not entries.renew(store, late)
    assert not finish(store, late, DONE)
    assert found(store)["e1"] == heir
    assert entries.renew(store, heir)
    assert finish(store, heir, DONE)
    assert not finish(store, heir, DONE)


@pytest.mark.parametrize("state", [HELD, DONE, SKIPPED])
def test_what_is_held_or_over_is_not_taken(store: FileStore, state: str) -> None:
    opened(store, entry("e1", "web", state=state))
    assert taken(store) is None


def test_nothing_is_taken_where_auto_sync_is_off(store: FileStore) -> None:
    opened(store, entry("e1", "web"))
    assert taken(store, settings=Settings(auto_sync=False)) is None
    assert taken(store) == "e1"


def test_only_what_is_wanted(store: FileStore) -> None:
    opened(store, entry("e1", "web", event=OFFLINE), entry("e2", "db"), entry("e3", "mail", event=OFFLINE))
    assert taken(store, Wanted(event=ONLINE)) == "e2"
    assert taken(store, Wanted(machine_id="mail")) == "e3"
    assert taken(store, Wanted(machine_id="web", event=ONLINE)) is None


def mass_failure(*machines: str) -> Incident:
    return Incident("mass-1", "mass_failure", 1, 1, machines=list(machines))


BLOCKED: List[Dict[str, Any]] = [
    {"incidents": {"mass-1": mass_failure("web")}},
    {"memories": {"web": Memory(ONLINE, 1, 1, flapping=True)}},
    {"windows": [Window(1, None, "outage-1")], "incidents": {"outage-1": Incident("outage-1", "outage", 1, 1)}},
]


@pytest.mark.parametrize("fields", BLOCKED, ids=["mass failure", "flapping", "store outage"])
def test_nothing_is_taken_of_a_machine_that_is_held(store: FileStore, fields: Dict[str, Any]) -> None:
    opened(store, entry("e1", "web"), **fields)
    assert taken(store) is None
    with pytest.raises(LockTimeout, match="web is not synced now"):
        ask(store, "web", ONLINE)


def test_a_mass_failure_of_others_holds_nobody_else(store: FileStore) -> None:
    opened(store, entry("e1", "web"), entry("e2", "db"), incidents={"mass-1": mass_failure("db")})
    assert taken(store) == "e1"
    assert taken(store) is None


def test_nothing_is_taken_while_the_store_is_away(fleet: RealFleet, store: FileStore) -> None:
    opened(store, entry("e1", "web"))
    moved = fleet.path.rename(fleet.path.with_name("away"))
    with fleet.open() as away, pytest.raises(StoreUnavailable):
        take(away, SYNC, ANY)
    moved.rename(fleet.path)
    assert taken(store) == "e1"


def test_who_asks_gets_the_entry_that_waits(store: FileStore) -> None:
    opened(store, entry("e1", "web", 1), entry("e2", "web", 2, state=FAILED), entry("e3", "web", 3, event=OFFLINE))
    claimed = ask(store, "web", ONLINE)
    assert claimed.event_id == "e2"
    with pytest.raises(LockTimeout, match=r"web is being synced by .*; try again later"):
        ask(store, "web", OFFLINE)


def test_who_asks_without_an_entry_gets_one(store: FileStore) -> None:
    claimed = ask(store, "web", ONLINE)
    assert claimed.event_id.startswith("asked-")
    assert found(store) == {claimed.event_id: claimed}
    assert finish(store, claimed, DONE)
    assert found(store) == {}


def test_a_machine_that_was_forgotten_takes_the_claim_with_it(store: FileStore) -> None:
    claimed = ask(store, "web", ONLINE)
    opened(store, replace(claimed, state=SKIPPED))
    assert not finish(store, claimed, FAILED)
    assert found(store) == {}


ENTRIES = st.lists(
    st.builds(
        SyncEntry,
        event_id=st.integers(0, 50).map("e{}".format),
        machine_id=st.sampled_from(["web", "db", "mail"]),
        event=st.sampled_from([OFFLINE, ONLINE]),
        state=st.sampled_from([PENDING, RUNNING, FAILED, HELD]),
        opened_at=st.integers(0, 5),
        lease_until=st.integers(0, 10),
    ),
    unique_by=lambda e: e.event_id,
)


@given(ENTRIES, st.integers(0, 10), st.sets(st.sampled_from(["web", "db"])))
def test_whatever_the_state(given_entries: List[SyncEntry], now: int, held: set[str]) -> None:
    state = State(syncs={e.event_id: e for e in given_entries}, incidents={"mass-1": mass_failure(*held)})
    offered = list(entries.candidates(state, SYNC, ANY, now))
    assert offered == sorted(offered, key=lambda e: (e.opened_at, e.event_id))
    running = {e.machine_id for e in given_entries if e.state == RUNNING and (e.lease_until or 0) > now}
    expected = {
        e.event_id
        for e in given_entries
        if e.state != HELD and e.machine_id not in held and e.machine_id not in running
    }
    assert {e.event_id for e in offered} == expected


def test_a_lease_outlasts_two_attempts_to_renew_it() -> None:
    assert entries.LEASE >= 60 * NS
