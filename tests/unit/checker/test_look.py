# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Looking without recording: what is shown, and waiting for it."""

from __future__ import annotations

import threading
import time
from typing import Any, Callable, Iterable

import pytest

from ansible_collections.roosync.heartbeat.plugins.module_utils._engine import look
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.clock import parse_iso
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.errors import (
    InvalidMachineId,
    InvalidSettings,
    StoreUnavailable,
    WaitTimeout,
)
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.fleet import Request, manage
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.look import Question, info, wait
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.record import Missed
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.state import STATUSES
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.stores.file import FileStore
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.sync.run import check_status
from ansible_collections.roosync.heartbeat.tests.unit.checker.real import RealFleet


@pytest.fixture
def fleet(fleet: RealFleet) -> RealFleet:
    """``web-01`` has gone offline, ``db-01`` is late since, ``db-02`` and ``mail`` are well, ``new`` is expected."""
    with fleet.open() as store:
        manage(store, Request(expect=["new", "mail"]))
    fleet.beat("web-01", "db-01", "db-02", "mail", metadata_json='{"role":"any"}')
    fleet.check()
    fleet.age("web-01", 485)
    fleet.check()
    fleet.age("db-01", 100)
    return fleet


def lists(found: dict[str, Any]) -> dict[str, list[str]]:
    return {status: found[status] for status in STATUSES if found[status]}


def test_events_of_others_do_not_count_towards_the_most_that_are_shown(
    store: FileStore, fleet: RealFleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(look, "MAX_EVENTS", 2)
    fleet.beat("app-1", "app-2", "app-3")
    fleet.check()
    found = info(store, Question(machines=["web-*"], events_since=0))
    assert [(e["machine_id"], e["to"]) for e in found["events"]] == [("web-01", "online"), ("web-01", "offline")]
    assert len(info(store, Question(events_since=0))["events"]) == 2


def test_a_look_shows_this_moment_and_records_nothing(fleet: RealFleet, store: FileStore) -> None:
    before = fleet.tree()
    found = info(store, Question())
    assert fleet.tree() == before
    assert lists(found) == {
        "online": ["db-02", "mail"],
        "warning": ["db-01"],
        "offline": ["web-01"],
        "unknown": ["new"],
    }
    assert found["statistics"] == {"online": 2, "warning": 1, "offline": 1, "unknown": 1, "total": 5}
    assert (found["live"], found["last_event"]) == (True, 5)
    assert found["expected"] == ["mail", "new"]
    assert [(s["machine_id"], s["state"]) for s in found["pending_syncs"]] == [("web-01", "pending")]
    assert abs(parse_iso(found["as_of"]) / 1e9 - time.time()) < 60


def test_each_machine_in_detail(store: FileStore, fleet: RealFleet) -> None:
    machines = {m["machine_id"]: m for m in info(store, Question())["machines"]}
    assert sorted(machines) == ["db-01", "db-02", "mail", "new", "web-01"]
    web, late, new = machines["web-01"], machines["db-01"], machines["new"]
    assert (web["status"], web["expected"], web["missed_heartbeats"]) == ("offline", False, 16)
    assert web["metadata"] == {"role": "any"}
    assert web["offline_since"] == web["since"]
    assert "heartbeat" not in web
    assert late["status"] == "warning"
    assert parse_iso(late["warning_since"]) == parse_iso(late["last_heartbeat"]) + 90 * 10**9
    assert (new["status"], new["expected"], new["last_heartbeat"]) == ("unknown", True, None)
    assert "metadata" not in new


@pytest.mark.parametrize(
    ("question", "shown", "unknown"),
    [
        (Question(machines=["db-*"]), ["db-01", "db-02"], []),
        (Question(machines=["DB-01", "mail", "nobody"]), ["db-01", "mail"], ["nobody"]),
        (Question(machines=["nobody-*"]), [], []),
        (Question(machines=["*-0[12]"], statuses=["offline", "online"]), ["db-02", "web-01"], []),
        (Question(statuses=["unknown"]), ["new"], []),
        (Question(machines=["new"], statuses=["online"]), [], []),
    ],
)
def test_filters(store: FileStore, fleet: RealFleet, question: Question, shown: list[str], unknown: list[str]) -> None:
    found = info(store, question)
    assert sorted(m for names in lists(found).values() for m in names) == shown
    assert sorted(m["machine_id"] for m in found["machines"]) == shown
    assert found["unknown_machines"] == unknown
    assert found["statistics"]["total"] == 5, "the numbers are those of the fleet"


def test_heartbeats_as_they_were_sent(store: FileStore, fleet: RealFleet) -> None:
    (mail,) = info(store, Question(machines=["mail"], include_heartbeats=True))["machines"]
    assert (mail["heartbeat"]["sequence"], mail["heartbeat"]["boot_id"]) == (4, "boot")
    assert mail["heartbeat"]["missed"] is None


def test_without_details_no_record_is_opened(store: FileStore, fleet: RealFleet) -> None:
    fleet.beat("db-01")  # nobody is late, and nobody needs a second look
    fleet.record("mail").write_bytes(b"{")
    found = info(store, Question(machines=["mail"], include_details=False))
    assert "machines" not in found
    assert found["problems"] == []
    found = info(store, Question(machines=["mail"]))
    assert [p["kind"] for p in found["problems"]] == ["torn_record"]
    assert "metadata" not in found["machines"][0]


@pytest.mark.parametrize(("since", "events"), [(0, [1, 2, 3, 4, 5]), (3, [4, 5]), (5, []), (99, [])])
def test_events_since_a_number(store: FileStore, fleet: RealFleet, since: int, events: list[int]) -> None:
    found = info(store, Question(events_since=since))
    assert [e["event"] for e in found["events"]] == events
    assert "events" not in info(store, Question())


@pytest.mark.parametrize("count", [5, 120])
@pytest.mark.parametrize("question", [Question(), Question(machines=["m-00*"]), Question(["m-001"], ["offline"])])
def test_a_goodbye_counts_at_once(fleet: RealFleet, store: FileStore, count: int, question: Question) -> None:
    """It is in the record, which is read before anything is said of the machine."""
    fleet.beat(*["m-%03d" % number for number in range(count)])
    fleet.check()
    fleet.beat("m-001", leaving="stop")
    found = info(store, question)
    assert "m-001" in found["offline"]
    (shown,) = [m for m in found["machines"] if m["machine_id"] == "m-001"]
    assert (shown["status"], shown["planned"]) == ("offline", True)
    assert wait(store, ["m-001"], "offline", timeout=0, delay=1)["looks"] == 1
    check_status(store, "m-001", "offline")


def test_who_is_asked_for_proves_nothing_of_the_others(fleet: RealFleet, store: FileStore) -> None:
    """Its rack had trouble of its own; that all of the rack is read makes it no sample of the fleet."""
    rack, rest = ["r-%03d" % n for n in range(40)], ["s-%03d" % n for n in range(160)]
    fleet.beat(*rack, *rest)
    fleet.check()
    missed = Missed(count=4, began_ms=110_000, ended_ms=8_000, why="STORE_UNAVAILABLE")
    fleet.beat(*rack, missed=missed)
    fleet.beat(*rest[1:])
    fleet.age(rest[0], 125)
    assert info(store, Question(machines=["r-*", rest[0]]))["offline"] == [rest[0]]


def test_events_of_some_machines(store: FileStore, fleet: RealFleet) -> None:
    found = info(store, Question(machines=["web-*"], events_since=0))
    assert [(e["machine_id"], e["to"]) for e in found["events"]] == [("web-01", "online"), ("web-01", "offline")]


def test_no_store_to_look_at(fleet: RealFleet, store: FileStore) -> None:
    fleet.root.rename(fleet.root.with_name("gone"))
    with pytest.raises(StoreUnavailable):
        info(store, Question())


# -- waiting -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("machines", "status"),
    [(["mail", "DB-02"], "online"), (["web-01"], "offline"), (["db-01"], "warning"), (["new", "nobody"], "unknown")],
)
def test_what_is_so_already_is_not_waited_for(
    store: FileStore, fleet: RealFleet, machines: list[str], status: str
) -> None:
    found = wait(store, machines, status, timeout=0, delay=5)
    assert (found["machines"], found["looks"]) == (sorted(m.lower() for m in machines), 1)


def test_a_wait_in_vain_names_who_is_missing(store: FileStore, fleet: RealFleet) -> None:
    before = fleet.tree()
    began = time.monotonic()
    with pytest.raises(WaitTimeout, match=r"db-01 \(warning\), nobody \(unknown\), web-01 \(offline\)") as missed:
        wait(store, ["web-01", "db-01", "mail", "nobody"], "online", timeout=0.3, delay=0.05)
    assert 0.3 <= time.monotonic() - began < 60
    assert missed.value.details["missing"] == {"db-01": "warning", "nobody": "unknown", "web-01": "offline"}
    assert fleet.tree() == before


def test_a_wait_for_many_names_a_few(store: FileStore, fleet: RealFleet) -> None:
    with pytest.raises(WaitTimeout, match="and 95 more") as missed:
        wait(store, ["x%03d" % n for n in range(100)], "online", timeout=0, delay=1)
    assert len(missed.value.details["missing"]) == 100


@pytest.mark.parametrize(
    ("machines", "error"), [([], InvalidSettings), (["../x"], InvalidMachineId), ([""], InvalidMachineId)]
)
def test_nonsense_is_not_waited_for(store: FileStore, machines: list[str], error: type[Exception]) -> None:
    with pytest.raises(error):
        wait(store, machines, "online", timeout=5, delay=1)


class Happenings:
    """A wait's own looks make things happen: after each, the next of these is done."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, steps: Iterable[Callable[[], object]]) -> None:
        self.steps = list(steps)
        monkeypatch.setattr(time, "sleep", self._sleep)

    def _sleep(self, _seconds: float) -> None:
        if self.steps:
            self.steps.pop(0)()


def test_a_wait_sees_a_machine_return(store: FileStore, fleet: RealFleet, monkeypatch: pytest.MonkeyPatch) -> None:
    Happenings(monkeypatch, [lambda: None, lambda: fleet.beat("web-01")])
    assert wait(store, ["web-01", "mail"], "online", timeout=60, delay=1)["looks"] == 3
    assert fleet.check()["newly_online"] == ["web-01"], "the wait has recorded nothing"


def test_a_wait_outlasts_an_outage(store: FileStore, fleet: RealFleet, monkeypatch: pytest.MonkeyPatch) -> None:
    mark, hidden = fleet.path / "fleet.json", fleet.path / "hidden"
    away = fleet.root.with_name("away")
    steps = [
        lambda: mark.rename(hidden),  # no fleet there
        lambda: fleet.root.rename(away),  # nothing there at all
        lambda: fleet.path.mkdir(parents=True),  # the empty folder beneath an unmounted share
        lambda: (fleet.path.rmdir(), fleet.root.rmdir(), away.rename(fleet.root)),
        lambda: hidden.rename(mark),
        lambda: fleet.beat("web-01"),
    ]
    Happenings(monkeypatch, steps)
    assert wait(store, ["web-01"], "online", timeout=60, delay=1)["looks"] == 7


def test_a_wait_that_ends_in_an_outage_says_so(store: FileStore, fleet: RealFleet) -> None:
    (fleet.path / "fleet.json").rename(fleet.path / "hidden")
    with pytest.raises(WaitTimeout, match="the store cannot be asked: there is no fleet") as missed:
        wait(store, ["web-01"], "online", timeout=0.1, delay=0.05)
    assert missed.value.details["cause_code"] == "STORE_UNAVAILABLE"


def test_a_wait_in_real_time(store: FileStore, fleet: RealFleet, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing replaced, only listened to: another thread lets the machine beat once this one waits."""
    pause, waits = time.sleep, threading.Event()

    def listened(seconds: float) -> None:
        waits.set()
        pause(seconds)

    def beat() -> None:
        if waits.wait(60):
            fleet.beat("web-01")

    monkeypatch.setattr(time, "sleep", listened)
    other = threading.Thread(target=beat)
    other.start()
    try:
        found = wait(store, ["web-01"], "online", timeout=60, delay=0.05)
    finally:
        other.join()
    assert found["looks"] >= 2
    assert 0.05 <= found["elapsed"] < 60
