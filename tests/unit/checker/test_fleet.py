# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Managing a fleet: what is asked for is done once, shown before it is done, and undone by nobody else's change."""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.roosync.heartbeat.plugins.module_utils._engine import fleet as fleets
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine import journal
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.clock import parse_iso
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.errors import (
    InvalidMachineId,
    InvalidSettings,
    LockTimeout,
)
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.fleet import Request, manage
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.register import register
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.settings import Settings
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.state import OFFLINE, Commit, Memory
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.stores.file import FileStore
from ansible_collections.roosync.heartbeat.tests.unit.checker.children import run_together, start
from ansible_collections.roosync.heartbeat.tests.unit.checker.real import RealFleet


def test_a_new_fleet(tmp_path: Path) -> None:
    with FileStore(str(tmp_path / "new"), "default") as store:
        made = manage(store, Request(expect=["Web-01"]))
        assert (made["changed"], made["created"]) == (True, True)
        assert made["settings"] == asdict(Settings())
        assert made["expected"] == ["web-01"]
        assert made["diff"]["before"] == {}
        again = manage(store, Request(expect=["web-01"]))
    assert (again["changed"], again["created"]) == (False, False)
    document = json.loads((tmp_path / "new" / "default" / "fleet.json").read_text())
    assert document["settings"] == {}, "only what differs from the defaults is written down"
    assert abs(parse_iso(document["created_at"]) / 1e9 - time.time()) < 60
    assert len(document["store_id"]) == 32


REQUESTS = [
    Request(settings={"warning_after": 100}),
    Request(settings={"heartbeat_interval": 10, "warning_after": 30, "offline_after": 60, "auto_sync": False}),
    Request(settings={"overrides": {"lab-*": {"offline_after": 300}}}),
    Request(settings={"forget_after": 86_400}),
    Request(expect=["a", "B"]),
    Request(forget=["web"]),
    Request(settings={"zone_key": "rack"}, expect=["c"], forget=["db", "never-seen"]),
]


@pytest.mark.parametrize("request_", REQUESTS)
def test_what_is_asked_for_is_done_once(fleet: RealFleet, store: FileStore, request_: Request) -> None:
    fleet.beat("web", "db", "mail")
    fleet.check()
    before = fleet.tree()
    dry = manage(store, request_, dry_run=True)
    assert fleet.tree() == before, "a dry run changes nothing"
    done = manage(store, request_)
    assert done == dry
    assert done["changed"]
    assert done["diff"]["before"] != done["diff"]["after"]
    for key in ("settings", "expected"):
        assert done["diff"]["after"][key] == done[key]
    after = fleet.tree()
    again = manage(store, request_)
    assert not again["changed"]
    assert again["diff"]["before"] == again["diff"]["after"]
    assert {k: v for k, v in fleet.tree().items() if "lock" not in k} == {
        k: v for k, v in after.items() if "lock" not in k
    }


def test_another_interval_is_warned_of_where_machines_beat(fleet: RealFleet, store: FileStore) -> None:
    """The timers that start agents keep the one that was deployed; whom it does not concern is not named."""
    for name in ("lab-1", "web-2"):
        register(store, name)
    lab = {"lab-*": {"heartbeat_interval": 40.0}}
    for settings, warned in (
        ({"warning_after": 100}, ""),
        ({"overrides": lab}, "lab-1 are to beat"),
        ({"heartbeat_interval": 20}, "web-2 are to beat"),
        ({"heartbeat_interval": 20}, ""),
        ({"overrides": {**lab, "db-*": {"heartbeat_interval": 10.0}}}, ""),
    ):
        for dry_run in (True, False):
            warnings = manage(store, Request(settings=settings), dry_run=dry_run)["warnings"]
            assert [text[: len(warned)] for text in warnings] == ([warned] if warned else [])


def test_a_dry_run_of_creating_creates_nothing(tmp_path: Path) -> None:
    with FileStore(str(tmp_path / "new"), "default") as store:
        made = manage(store, Request(), dry_run=True)
    assert (made["changed"], made["created"]) == (True, True)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("request_", "error"),
    [
        (Request(settings={"warning_after": 1}), InvalidSettings),
        (Request(settings={"unheard_of": 1}), InvalidSettings),
        (Request(settings={"warning_after": 100}, expect=["../x"]), InvalidMachineId),
        (Request(settings={"warning_after": 100}, forget=["a b"]), InvalidMachineId),
        (Request(settings={"warning_after": 100}, expect=["a"], forget=["A"]), InvalidSettings),
        (Request(settings={"warning_after": 100}, forget_offline=True), InvalidSettings),
    ],
)
def test_nonsense_is_refused_as_a_whole(
    fleet: RealFleet, store: FileStore, request_: Request, error: type[Exception]
) -> None:
    before = (fleet.path / "fleet.json").read_bytes()
    with pytest.raises(error):
        manage(store, request_)
    assert (fleet.path / "fleet.json").read_bytes() == before


def test_nonsense_makes_no_new_fleet(tmp_path: Path) -> None:
    with FileStore(str(tmp_path / "new"), "default") as store, pytest.raises(InvalidSettings):
        manage(store, Request(settings={"warning_after": 1}))
    assert not (tmp_path / "new").exists()


# -- forgetting --------------------------------------------------------------------------------------------------


def test_a_forgotten_machine_is_gone_with_what_waited_for_it(fleet: RealFleet, store: FileStore) -> None:
    fleet.beat("web", "db", "mail", "dns")
    fleet.check()
    fleet.age("web", 130)
    assert len(fleet.check()["pending_syncs"]) == 1
    assert manage(store, Request(forget=["web"], expect=["db"]))["forgotten"] == ["web"]
    assert not fleet.record("web").exists()
    found = fleet.check()
    assert [found[s] for s in ("online", "warning", "offline", "unknown")] == [["db", "dns", "mail"], [], [], []]
    assert found["pending_syncs"] == found["transitions"] == []
    settled = fleet.commit(fleet.ledger().state.number).syncs.values()
    assert [(s.state, s.reason) for s in settled] == [("skipped", "the machine was forgotten")]
    assert manage(store, Request(forget=["web"]))["changed"] is False
    assert fleet.rebuilt().state == fleet.ledger().state


def test_a_forgotten_machine_that_still_beats_joins_again(fleet: RealFleet, store: FileStore) -> None:
    ids = []
    for _round in range(3):
        fleet.sequence = 0  # it counts its beats from the beginning
        fleet.beat("web")
        (joined,) = fleet.check()["transitions"]
        assert (joined["from"], joined["to"]) == ("unknown", "online")
        fleet.age("web", 130)
        (lost,) = fleet.check()["transitions"]
        ids += [joined["event_id"], lost["event_id"]]
        assert manage(store, Request(forget=["web"]))["forgotten"] == ["web"]
    assert len(set(ids)) == 6
    assert fleet.ledger().state.event == 6


def test_an_expected_machine_is_no_longer_expected_when_it_is_forgotten(fleet: RealFleet, store: FileStore) -> None:
    manage(store, Request(expect=["web", "db"]))
    done = manage(store, Request(forget=["web"]))
    assert (done["changed"], done["expected"], done["forgotten"]) == (True, ["db"], [])
    assert fleet.check()["unknown"] == ["db"]


def test_a_machine_that_no_check_has_seen_can_be_forgotten(fleet: RealFleet, store: FileStore) -> None:
    fleet.beat("web")
    assert manage(store, Request(forget=["web"]))["forgotten"] == ["web"]
    assert fleet.check()["online"] == []


def test_forgetting_those_that_are_offline_for_long(fleet: RealFleet, store: FileStore) -> None:
    fleet.beat("web", "db", "mail", "dns", "ntp", "ldap")
    fleet.check()
    fleet.age("web", 4000)
    fleet.age("db", 600)
    fleet.age("mail", 4000)
    fleet.check()
    fleet.beat("mail")  # it is back, and no check has seen that yet
    done = manage(store, Request(settings={"forget_after": 3600}, forget_offline=True))
    assert done["forgotten"] == ["web"]
    assert fleet.record("mail").exists()
    found = fleet.check()
    assert (found["newly_online"], found["offline"]) == (["mail"], ["db"])
    assert not manage(store, Request(forget_offline=True))["changed"]


# -- at once -----------------------------------------------------------------------------------------------------


def test_changes_made_at_once_are_all_kept(fleet: RealFleet) -> None:
    code = """
    number = int(sys.argv[2])
    fleet.LOCK_PATIENCE = 240.0  # the lock is nobody's in turn: who waits may get it when the others are done
    for turn in range(15):
        fleet.manage(store, fleet.Request(expect=["m-%d-%d" % (number, turn)]))
    """
    run_together(3, code, fleet.root)
    with fleet.open() as store:
        expected = manage(store, Request())["expected"]
    assert expected == sorted("m-%d-%d" % (number, turn) for number in range(3) for turn in range(15))


def test_a_fleet_that_is_made_at_once_is_made_once(tmp_path: Path) -> None:
    code = """
    fleet.LOCK_PATIENCE = 240.0
    made = fleet.manage(store, fleet.Request(expect=["m" + sys.argv[2]]))
    print(json.dumps(made["created"]))
    """
    created = run_together(4, code, tmp_path / "new")
    assert sorted(map(json.loads, created)) == [False, False, False, True]
    with FileStore(str(tmp_path / "new"), "default") as store:
        assert manage(store, Request())["expected"] == ["m0", "m1", "m2", "m3"]


def test_somebody_holds_the_lock(fleet: RealFleet, store: FileStore, monkeypatch: pytest.MonkeyPatch) -> None:
    code = """
    with store.lock("fleet", 1) as held:
        print(held, flush=True)
        sys.stdin.read()
    """
    monkeypatch.setattr(fleets, "LOCK_PATIENCE", 0.3)
    before = (fleet.path / "fleet.json").read_bytes()
    with start(code, fleet.root) as holder:
        try:
            assert holder.stdout is not None
            assert holder.stdout.readline() == "True\n"
            request = Request(settings={"warning_after": 100})
            with pytest.raises(LockTimeout, match=r"somebody else .* remove locks/fleet\.lock") as refused:
                manage(store, request)
            assert str(fleet.path) in refused.value.message
            assert manage(store, request, dry_run=True)["changed"], "looking needs no lock"
            assert (fleet.path / "fleet.json").read_bytes() == before
        finally:
            holder.kill()
    assert manage(store, request)["changed"], "a lock dies with its holder"


def test_forgetting_removes_nothing_outside_the_store(fleet: RealFleet, store: FileStore, tmp_path: Path) -> None:
    """A commit may come from anybody who can write to the store, and names what it likes."""
    (tmp_path / "else.json").write_text("{}")
    ledger = fleet.ledger()
    gone = {"../../../else": Memory(OFFLINE, since=1, event=1, offline_since=1)}
    commit = Commit(ledger.next_number, 1, "somebody of the group", memories=gone)
    assert journal.append(store, ledger, commit, 1)
    done = manage(store, Request(settings={"forget_after": 3600}, forget_offline=True))
    assert done["forgotten"] == ["../../../else"]
    assert (tmp_path / "else.json").exists()
    assert fleet.check()["offline"] == []


def test_who_is_expected_stays_so_when_long_offline(fleet: RealFleet, store: FileStore) -> None:
    fleet.beat("web", "db")
    fleet.check()
    fleet.age("web", 10_000)
    fleet.check()
    request = Request(settings={"forget_after": 3600}, expect=["web"], forget_offline=True)
    done = manage(store, request)
    assert (done["forgotten"], done["expected"]) == (["web"], ["web"])
    assert fleet.check()["unknown"] == ["web"]
    assert not manage(store, request)["changed"]


def test_forgetting_while_checkers_are_at_work(fleet: RealFleet, store: FileStore) -> None:
    names = ["m%02d" % n for n in range(20)]
    fleet.beat(*names)
    fleet.check()
    code = "for turn in range(25): check.run_check(store, force=True)"
    checkers = [start(code, fleet.root) for _number in range(2)]
    try:
        for name in names[:10]:
            manage(store, Request(forget=[name]))
    finally:
        for checker in checkers:
            _out, err = checker.communicate(timeout=300)
            assert checker.returncode == 0, err
    found: dict[str, Any] = fleet.check()
    assert found["online"] == names[10:]
    assert found["statistics"]["total"] == 10
    assert fleet.ledger().state.event == 20, "nobody joined again, nobody was called late"
