# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Registering: new and again, dry runs, batches of which some fail, damaged records, and clocks that are wrong."""

from __future__ import annotations

import time
from typing import Any, Callable, List

import pytest

from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.clock import parse_iso
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.errors import (
    HeartbeatRegistrationFailed,
    StoreUnavailable,
)
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.record import Beat, encode
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.register import register, register_many
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.stores.file import FileStore
from ansible_collections.roosync.heartbeat.tests.unit.stdlib.support import Fleet, tree

DAY = 86_400
DAMAGE: List[Callable[[bytes], bytes]] = [
    lambda data: b"",
    lambda data: data[: len(data) // 2],
    lambda data: b"\n" + data[: len(data) // 2],  # as a file system without hard links may leave it
    lambda data: b"\0" * len(data),
    lambda data: b"\x7fELF\x02\x01\x01\0\xff",
    lambda data: data.replace(b'"web1"', b'"neighbour-1"'),
    lambda data: data * 2,
    lambda data: data + b" " * 200_000,
    lambda data: b'{"machine_id":"web1","sequence":1,"sent_at":"","latency_ms":%s}' % (b"9" * 400),
]


def test_a_machine_is_new_once(fleet: Fleet) -> None:
    store = fleet.store()
    earliest = store.now()
    first = register(store, "Web1", {"role": "web"})
    assert first["machine_id"] == "web1"
    assert (first["is_new_machine"], first["sequence"], first["status"]) == (True, 1, "online")
    assert earliest // 1_000 <= parse_iso(first["received_at"]) // 1_000 <= store.now() // 1_000
    assert first["latency_ms"] > 0
    assert abs(first["clock_skew_ms"]) < 60_000
    assert first["warnings"] == []
    assert fleet.beat("web1").metadata == {"role": "web"}

    again = register(store, "web1")
    assert (again["is_new_machine"], again["sequence"]) == (False, 2)
    assert fleet.beat("web1").metadata == {}


def test_sequences_count_on_over_connections(fleet: Fleet) -> None:
    assert [register(fleet.store(), "web1")["sequence"] for _time in range(5)] == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("damage", DAMAGE, ids=range(len(DAMAGE)))
def test_a_damaged_record_is_healed_by_the_next_beat(fleet: Fleet, damage: Callable[[bytes], bytes]) -> None:
    store = fleet.store()
    register(store, "web1", fingerprint="a")
    fleet.record("web1").write_bytes(damage(fleet.record("web1").read_bytes()))
    answer = register(store, "web1", {"healed": True}, fingerprint="a")
    assert (answer["is_new_machine"], answer["sequence"]) == (False, 1)
    assert fleet.beat("web1").metadata == {"healed": True}


def test_the_highest_sequence_a_record_can_hold_is_not_the_end(fleet: Fleet) -> None:
    """Only a hand could have written it; what follows must be a record all the same."""
    store = fleet.store()
    fleet.record("web1").write_bytes(encode(Beat("web1", 2**63 - 1, "")))
    for _time in range(3):
        register(store, "web1")
        assert fleet.beat("web1").machine_id == "web1"


def test_a_record_that_comes_and_goes_is_an_error_in_the_end(fleet: Fleet) -> None:
    """A stand-in for somebody who cleans the store: whenever it is written, a record is there; when read, none."""
    store = fleet.store()
    store.read_beat = lambda machine_id: None  # type: ignore[method-assign]
    register(store, "web1")
    with pytest.raises(HeartbeatRegistrationFailed, match="is something cleaning the store") as caught:
        register(store, "web1")
    assert caught.value.error_code == "HEARTBEAT_REGISTRATION_FAILED"
    assert caught.value.details == {"machine_id": "web1"}


@pytest.mark.parametrize("prepare", ["nothing", "a record", "another host's old record", "a torn record"])
def test_a_dry_run_says_what_would_be_and_writes_nothing(fleet: Fleet, prepare: str) -> None:
    store = fleet.store()
    if prepare != "nothing":
        register(store, "web1", fingerprint="b" if "another" in prepare else "a")
        fleet.age("web1", 3_600)
    if "torn" in prepare:
        fleet.record("web1").write_bytes(b"torn")
    before = tree(fleet.root)
    would = register(store, "web1", {"role": "web"}, fingerprint="a", dry_run=True)
    assert tree(fleet.root) == before
    really = register(store, "web1", {"role": "web"}, fingerprint="a")
    for key in ("machine_id", "status", "is_new_machine", "sequence", "warnings"):
        assert would[key] == really[key]


def test_a_dry_run_of_a_batch_writes_nothing(fleet: Fleet) -> None:
    before = tree(fleet.root)
    answer = register_many(fleet.store(), [{"machine_id": "web1"}, {"machine_id": "../x"}], dry_run=True)
    assert tree(fleet.root) == before
    assert [m["machine_id"] for m in answer["registered"]] == ["web1"]
    assert [m["error_code"] for m in answer["failed_machines"]] == ["INVALID_MACHINE_ID"]


def test_the_bad_ones_of_a_batch_fail_alone(fleet: Fleet) -> None:
    store = fleet.store()
    register(store, "held", fingerprint="another host")
    fleet.record("linked").symlink_to("neighbour-1.json")
    machines: List[Any] = [
        {"machine_id": "web1", "metadata": {"n": 1}},
        {"machine_id": "../../etc/passwd"},
        {"machine_id": "web2", "metadata": {"f": print}},
        {},
        {"machine_id": None},
        {"machine_id": 7},
        {"machine_id": "x" * 254},
        {"machine_id": "held"},
        {"machine_id": "linked"},
        {"machine_id": "web3", "metadata": {"x": "y" * 70_000}},
        {"machine_id": "WEB1", "metadata": {"n": 2}},
        {"machine_id": "web4", "metadata": None},
        "nonsense",
        None,
        ["web5"],
        {"machine_id": "web6", "meta": {"n": 1}, 7: 8},
    ]
    answer = register_many(store, machines)
    assert [(m["machine_id"], m["sequence"]) for m in answer["registered"]] == [("web1", 1), ("web1", 2), ("web4", 1)]
    failed = answer["failed_machines"]
    assert [(m["index"], m["error_code"]) for m in failed] == [
        (1, "INVALID_MACHINE_ID"),
        (2, "INVALID_METADATA"),
        (3, "INVALID_MACHINE_ID"),
        (4, "INVALID_MACHINE_ID"),
        (5, "INVALID_MACHINE_ID"),
        (6, "INVALID_MACHINE_ID"),
        (7, "IDENTITY_CONFLICT"),
        (8, "STORE_UNAVAILABLE"),
        (9, "INVALID_METADATA"),
        (12, "INVALID_MACHINE_ID"),
        (13, "INVALID_MACHINE_ID"),
        (14, "INVALID_MACHINE_ID"),
        (15, "INVALID_METADATA"),
    ]
    assert failed[9]["msg"] == "'nonsense' is no machine; give a dictionary with machine_id and metadata"
    assert failed[12]["machine_id"] == "web6"
    assert not fleet.record("web6").exists()
    assert failed[0]["machine_id"] == "../../etc/passwd"
    assert failed[1]["path"] == "metadata.f"
    assert all(m["msg"] and len(m["machine_id"]) <= 80 for m in failed)
    assert fleet.beat("web1").metadata == {"n": 2}
    assert fleet.beat("held").fingerprint == "another host"


def test_a_batch_without_a_store_keeps_nothing(tmp_path: Any) -> None:
    with pytest.raises(StoreUnavailable):
        register_many(FileStore(str(tmp_path), "default"), [{"machine_id": "web1"}])
    assert list(tmp_path.iterdir()) == []


def test_an_empty_batch_is_no_error(fleet: Fleet) -> None:
    assert register_many(fleet.store(), []) == {"registered": [], "failed_machines": []}


@pytest.mark.parametrize("ahead", [600, -600, DAY, -DAY, 50 * 365 * DAY])
def test_a_wrong_clock_is_reported_and_decides_nothing(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch, ahead: int
) -> None:
    """The host's clock is put ahead for this process only: setting it would set it for all."""
    store, real = fleet.store(), time.time_ns
    earliest = store.now()
    monkeypatch.setattr(time, "time_ns", lambda: real() + ahead * 1_000_000_000)
    answer = register(store, "web1")
    monkeypatch.undo()
    assert abs(answer["clock_skew_ms"] - ahead * 1_000) < 60_000
    received_at = store.read_beat("web1").received_at
    assert earliest <= received_at <= store.now()
    assert parse_iso(answer["received_at"]) == received_at // 1_000 * 1_000
    assert abs(parse_iso(fleet.beat("web1").sent_at) - received_at - ahead * 1_000_000_000) < 60_000_000_000
    assert register(store, "web1")["sequence"] == 2
