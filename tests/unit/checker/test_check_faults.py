# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What lies where a record should be: each is reported, and costs no other machine its status."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path
from typing import Any, Callable

import pytest

from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.check import run_check
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.clock import NS
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.stores.base import Scan
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.stores.file import FileStore
from ansible_collections.roosync.heartbeat.tests.unit.checker.real import RealFleet, kinds

OTHERS = ["db", "dns", "mail", "ntp"]


@pytest.fixture
def five(fleet: RealFleet) -> RealFleet:
    fleet.beat("web", *OTHERS)
    fleet.check()
    return fleet


def problems_of(found: dict[str, Any]) -> dict[str, str]:
    json.dumps(found).encode()
    return {p["path"]: p["what"] for p in found["problems"]}


# -- torn records ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("length", [0, 1, 20, 100, -2])
def test_a_torn_record_is_reported_and_the_machine_keeps_its_status(five: RealFleet, length: int) -> None:
    record = five.record("web")
    record.write_bytes(record.read_bytes()[:length])
    found = five.check()
    assert found["online"] == sorted(["web", *OTHERS])
    assert found["transitions"] == []
    assert list(problems_of(found)) == ["heartbeats/web.json"]
    assert kinds(found) == ["torn_record"]
    assert problems_of(five.check()) == problems_of(found), "as long as it is so"
    five.beat("web")
    assert five.check()["problems"] == []


def test_every_length_of_a_torn_record(five: RealFleet) -> None:
    record = five.record("web")
    whole = record.read_bytes()
    for length in range(0, len(whole) - 1, 7):
        record.write_bytes(whole[:length])
        found = five.check(dry_run=True)
        assert kinds(found) == ["torn_record"], length
        assert found["online"] == sorted(["web", *OTHERS])


def test_a_torn_record_grows_old_like_any_other(five: RealFleet) -> None:
    five.record("web").write_bytes(b'{"machine_id":"web"')
    five.age("web", 130)
    found = five.check()
    assert found["newly_offline"] == ["web"]
    assert kinds(found) == ["torn_record"]
    again = five.check()
    assert again["transitions"] == []


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"\x00\xff\xfe\x80" * 100, "torn or edited"),
        (b'{"machine_id":"web","machine_id":"web","sequence":1,"sent_at":"x"}', "duplicate key"),
        (b'{"machine_id":"db","sequence":1,"sent_at":"x"}', "names another machine"),
        (b"[" * 100_000, "nested"),
        (b" " * 200_000, "larger than"),
        (b'{"machine_id":"web","sequence":-1,"sent_at":"x"}', "sequence"),
    ],
)
def test_other_damage_to_a_record(five: RealFleet, content: bytes, what: str) -> None:
    five.record("web").write_bytes(content)
    found = five.check()
    assert found["online"] == sorted(["web", *OTHERS])
    assert what in problems_of(found)["heartbeats/web.json"]


def test_a_machine_whose_first_record_is_torn_joins_when_it_can_be_read(five: RealFleet) -> None:
    """By its arrival it is there; what it says is not known."""
    five.record("new").write_bytes(b'{"mach')
    found = five.check()
    assert found["newly_online"] == ["new"]
    assert kinds(found) == ["torn_record"]
    five.beat("new")
    assert five.check()["transitions"] == []


# -- no records at all -------------------------------------------------------------------------------------------


def link(path: Path) -> None:
    path.symlink_to(path.parent / "db.json")


def dangling(path: Path) -> None:
    path.symlink_to("/nonexistent/record")


def fifo(path: Path) -> None:
    os.mkfifo(path)


def unix_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listening:
        directory = os.open(path.parent, os.O_RDONLY)  # the path itself may be too long for a socket
        try:
            listening.bind("/proc/self/fd/%d/%s" % (directory, path.name))
        finally:
            os.close(directory)


def directory(path: Path) -> None:
    path.mkdir()


SPECIAL: list[Callable[[Path], None]] = [link, dangling, fifo, unix_socket, directory]


@pytest.mark.parametrize("make", SPECIAL)
def test_something_else_in_the_place_of_a_new_record(five: RealFleet, make: Callable[[Path], None]) -> None:
    make(five.record("strange"))
    found = five.check()
    assert found["online"] == sorted(["web", *OTHERS])
    assert found["transitions"] == []
    assert kinds(found) == ["not_a_record"]
    assert "strange" not in json.dumps([found[s] for s in ("online", "warning", "offline", "unknown")])


@pytest.mark.parametrize("make", SPECIAL)
def test_something_else_in_the_place_of_a_known_record(five: RealFleet, make: Callable[[Path], None]) -> None:
    """The machine's own beats fail or replace it; until then its record is missing, and that is told."""
    five.record("web").unlink()
    make(five.record("web"))
    found = five.check()
    assert found["online"] == sorted(["web", *OTHERS])
    assert "not_a_record" in kinds(found)
    assert five.check()["transitions"] == []


ODD_NAMES = [
    b"UPPER.json",
    b"with space.json",
    b"..json",
    b"-dash.json",
    b"a..b.json",
    b"dot..json",
    b".json.json",
    b"README",
    b"web.json~",
    b"web.json.bak",
    b"x.j",
    b"new\nline.json",
    "ümlaut.json".encode(),
    b"\xff\xfe.json",
    b"\xff\xfe",
    b"a" * 250 + b".j",
]


@pytest.mark.parametrize("name", ODD_NAMES)
def test_a_file_that_no_machine_can_have(five: RealFleet, name: bytes) -> None:
    path = os.path.join(os.fsencode(five.path), b"heartbeats", name)
    with open(path, "wb") as stream:
        stream.write(five.record("web").read_bytes())
    found = five.check()
    assert found["transitions"] == []
    assert found["statistics"]["total"] == 5
    if not name.startswith(b"."):  # hidden files are nobody's business
        assert kinds(found) == ["not_a_record"]
        assert five.check(force=False)["problems"] == found["problems"], "also when it is returned again"
    json.dumps(found).encode("utf-8")
    assert os.path.exists(path), "left alone"


def test_left_over_temporary_files_are_not_spoken_of(five: RealFleet) -> None:
    (five.path / "heartbeats" / ".tmp-12-abcdef").write_bytes(b"{")
    assert five.check()["problems"] == []


def test_a_machine_with_the_longest_name(five: RealFleet) -> None:
    for length in (250, 251, 253):
        five.beat("a" * length)
    assert five.check()["newly_online"] == ["a" * 250, "a" * 251, "a" * 253]
    five.age("a" * 253, 130)
    assert five.check()["newly_offline"] == ["a" * 253]


# -- records that are gone or impossible -------------------------------------------------------------------------


class Later(FileStore):
    """A fleet whose clock the test moves on."""

    moved = 0.0

    def now(self) -> int:
        return super().now() + round(self.moved * NS)


def test_a_missing_record_is_missed_from_now_on(five: RealFleet) -> None:
    five.record("web").unlink()
    with Later(str(five.root), "default") as store:
        first = found = run_check(store, force=True)
        for _look in range(3):
            assert found["offline"] == []
            store.moved += 50
            for machine in OTHERS:
                five.age(machine, -store.moved)
            found = run_check(store, force=True)
    assert found["offline"] == ["web"]
    (lost,) = [t for t in found["transitions"] if t["to"] == "offline"]
    assert lost["last_heartbeat"] is None
    assert lost["effective_at"] > first["checked_at"]


@pytest.mark.parametrize("ahead", [600, 86_400, 40 * 365 * 86_400])
def test_a_record_stamped_in_the_future_is_neither_offline_nor_online_for_ever(five: RealFleet, ahead: float) -> None:
    five.age("web", -ahead)
    found = five.check()
    assert found["online"] == sorted(["web", *OTHERS])
    assert found["transitions"] == []
    assert five.ledger().state.machines["web"].anchor_at is not None
    assert five.check()["transitions"] == []
    five.beat("web")
    five.check()
    assert five.ledger().state.machines["web"].anchor_at is None
    five.age("web", 130)
    assert five.check()["newly_offline"] == ["web"]


class SlowToList(FileStore):
    """A fleet on a slow share: listing takes ten seconds by the store's clock, and some machines beat meanwhile."""

    took = 0.0

    def scan(self) -> Scan:
        self.took += 10
        for machine in ("web", "db"):
            at = self.now()
            os.utime(os.path.join(self.location, "heartbeats", machine + ".json"), ns=(at, at))
        return super().scan()

    def now(self) -> int:
        return super().now() + round(self.took * NS)


def test_beats_that_come_while_the_fleet_is_listed_are_not_from_the_future(five: RealFleet) -> None:
    with SlowToList(str(five.root), "default") as store:
        found = run_check(store, force=True)
    assert found["transitions"] == []
    assert five.ledger().state.machines == {}, "nothing is to be remembered of machines that are well"


# -- after the commit --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "make", [lambda path: None, lambda path: path.write_text("x"), lambda path: path.symlink_to("x")]
)
def test_a_loss_that_is_recorded_is_named_though_the_conflicts_cannot_be_read(
    five: RealFleet, make: Callable[[Path], None]
) -> None:
    (five.path / "conflicts").rmdir()
    make(five.path / "conflicts")
    five.age("web", 130)
    found = five.check()
    assert found["newly_offline"] == ["web"]
    assert found["identity_conflicts"] == []
    assert kinds(found) == ["conflicts_unread"]
    assert "heartbeat_repair" in problems_of(found)["conflicts"]
    assert found["statistics"]["problems"] == 1
