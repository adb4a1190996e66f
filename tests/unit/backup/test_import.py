# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Machines of other monitors: the earlier tools' files, plain JSON, plain CSV."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Dict, List

import pytest

from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.backup import foreign, importing
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.errors import InvalidSettings, RestoreFailed
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.fleet import Request, manage
from ansible_collections.roosync.heartbeat.tests.unit.checker.real import RealFleet

WHEN = "2026-01-15T23:30:00.000Z"


def old_machine(name: str, when: str = WHEN, **more: Any) -> Dict[str, Any]:
    """A machine as the earlier tools wrote it."""
    metadata = {"firstSeen": when, "lastUpdated": when, "version": "3.0.0"}
    known = {"machineId": name, "lastHeartbeat": when, "status": "online", "missedHeartbeats": 0, "metadata": metadata}
    return {**known, **more}


def old_state(*names: str) -> Dict[str, Any]:
    statistics = {"totalMachines": len(names), "onlineCount": len(names), "offlineCount": 0, "warningCount": 0}
    return {
        "heartbeats": {name: old_machine(name) for name in names},
        "onlineMachines": list(names),
        "offlineMachines": [],
        "warningMachines": [],
        "statistics": {**statistics, "lastHeartbeatCheck": WHEN},
    }


def take(fleet: RealFleet, src: Path, dry_run: bool = False, **options: Any) -> Dict[str, Any]:
    with fleet.open() as store:
        return importing.run(store, importing.Request(str(src), **options), dry_run)


def actions(found: Dict[str, Any]) -> Dict[str, str]:
    return {entry["machine_id"]: entry["action"] for entry in found["machines"]}


@pytest.fixture
def fleet(tmp_path: Path) -> RealFleet:
    return RealFleet(tmp_path / "store")


@pytest.mark.parametrize("name", ["heartbeat.json", "heartbeats.json", "heartbeat.json.bak-2026-01-15"])
def test_the_earlier_tools_file(fleet: RealFleet, tmp_path: Path, name: str) -> None:
    src = tmp_path / name
    src.write_text(json.dumps(old_state("myia-ai-01", "MYIA-PO-2024"), indent=2))
    assert actions(take(fleet, src, dry_run=True)) == {"myia-ai-01": "imported", "myia-po-2024": "imported"}
    assert not list((fleet.path / "heartbeats").iterdir())
    found = take(fleet, src)
    assert found["changed"]
    assert found["machines"][0]["last_heartbeat"] == "2026-01-15T23:30:00.000000Z"
    checked = fleet.check(include_details=True)
    assert checked["offline"] == ["myia-ai-01", "myia-po-2024"], "they are as dead as they were"
    assert checked["details"][0]["last_heartbeat"] == "2026-01-15T23:30:00.000000Z"
    assert not take(fleet, src)["changed"]


def test_one_file_for_each_machine(fleet: RealFleet, tmp_path: Path) -> None:
    folder = tmp_path / "heartbeats"
    folder.mkdir()
    for name in ("a", "b"):
        (folder / (name + ".json")).write_text(json.dumps(old_machine(name)))
    (folder / "heartbeat-service.json").write_text(json.dumps({"heartbeatInterval": 30000}))
    (folder / "torn.json").write_text('{"machineId": "torn", "lastHe')
    (folder / "empty.json").write_text("")
    found = take(fleet, folder)
    assert actions(found) == {"a": "imported", "b": "imported"}
    assert [entry["machine_id"] for entry in found["failed_machines"]] == ["empty", "torn"]
    assert found["failure"].startswith("2 of 4 machines were not imported: ")
    assert found["error_code"] == "HEARTBEAT_REGISTRATION_FAILED"


def test_columns_and_a_byte_order_mark_count_in_each_file_too(fleet: RealFleet, tmp_path: Path) -> None:
    folder = tmp_path / "heartbeats"
    folder.mkdir()
    (folder / "a.json").write_bytes(b"\xef\xbb\xbf" + json.dumps({"nom": "a", "vu": WHEN}).encode())
    (folder / "b.json").write_text(json.dumps({"nom": "b", "vu": "never"}))
    (folder / "settings.json").write_text(json.dumps({"interval": 30}))
    columns = foreign.Columns("nom", "vu")
    assert actions(take(fleet, folder, columns=columns)) == {"a": "imported", "b": "expected"}


CSV = """\
Host Name;Last Check;Address;Rack
web-01;2026-01-31 12:00:00;192.0.2.1;r12
web-02;never;192.0.2.2;
"../x";2026-01-31 12:00:00;;
web-04;yesterday;;
"""


def test_a_csv_of_another_monitor(fleet: RealFleet, tmp_path: Path) -> None:
    src = tmp_path / "hosts.csv"
    src.write_bytes(b"\xef\xbb\xbf" + CSV.encode())
    found = take(fleet, src, utc_offset="+01:00")
    assert actions(found) == {"web-01": "imported", "web-02": "expected"}
    assert [(f["machine_id"], f["error_code"]) for f in found["failed_machines"]] == [
        ("../x", "INVALID_MACHINE_ID"),
        ("web-04", "INVALID_SETTINGS"),
    ]
    checked = fleet.check(include_details=True)
    assert checked["unknown"] == ["web-02"]
    (web,) = [m for m in checked["details"] if m["machine_id"] == "web-01"]
    assert web["last_heartbeat"] == "2026-01-31T11:00:00.000000Z"
    record = json.loads(fleet.record("web-01").read_bytes())
    assert record["metadata"] == {"Address": "192.0.2.1", "Rack": "r12"}


def test_a_time_without_an_offset_is_refused(fleet: RealFleet, tmp_path: Path) -> None:
    (tmp_path / "hosts.csv").write_text(CSV)
    found = take(fleet, tmp_path / "hosts.csv")
    assert "say what such times are meant in with utc_offset" in found["failure"]
    with pytest.raises(InvalidSettings, match="utc_offset"):
        take(fleet, tmp_path / "hosts.csv", utc_offset="CET")


JSON_FORMS: List[Any] = [
    ["web-01", "web-02"],
    [{"name": "web-01", "last_seen": 1769860800}, {"host": "web-02", "lastSeen": 1769860800000}],
    {"web-01": {"timestamp": "1769860800.5"}, "web-02": {}},
    {"machines": [{"id": 1}, {"hostname": "web-02"}]},
    {"hosts": {"web-01": {"last_check": WHEN}}},
]


@pytest.mark.parametrize("form", JSON_FORMS)
def test_plain_json(fleet: RealFleet, tmp_path: Path, form: Any) -> None:
    (tmp_path / "x.json").write_text(json.dumps(form))
    found = take(fleet, tmp_path / "x.json")
    assert found["failed_machines"] == []
    assert found["changed"]


def test_a_mapping_of_names_to_times(fleet: RealFleet, tmp_path: Path) -> None:
    """What is no time fails alone, rather than be expected for ever."""
    src = tmp_path / "x.json"
    src.write_text(
        json.dumps(
            {
                "z-1": "2026-10-01T00:00:00Z",
                "z-2": 1769860800,
                "z-3": None,
                "z-4": "never",
                "z-5": "0001-01-01T00:00:00Z",
                "version": 2,
                "status": "fine",
                "on": True,
                "list": [],
            }
        )
    )
    found = take(fleet, src)
    assert actions(found) == {
        "z-1": "imported",
        "z-2": "imported",
        "z-3": "expected",
        "z-4": "expected",
        "z-5": "expected",
    }
    assert found["machines"][0]["last_heartbeat"] == "2026-10-01T00:00:00.000000Z"
    assert sorted(f["machine_id"] for f in found["failed_machines"]) == ["list", "on", "status", "version"]


def test_values_beside_machines_are_no_machines(fleet: RealFleet, tmp_path: Path) -> None:
    src = tmp_path / "x.json"
    src.write_text(json.dumps({"lastUpdated": WHEN, "statistics": {"online": 2}, "version": 2}))
    with pytest.raises(InvalidSettings, match=r"lastUpdated, statistics, version.*under machines"):
        take(fleet, src)


def test_a_time_that_cannot_be_kept_fails_alone(
    fleet: RealFleet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the file system makes of it, the machine beside it is imported."""
    real = importing.put_record

    def refusing(store: Any, machine: str, *rest: Any) -> None:
        if machine == "odd":
            raise RestoreFailed("the store does not keep the time of a heartbeat")
        real(store, machine, *rest)

    monkeypatch.setattr(importing, "put_record", refusing)
    (tmp_path / "x.json").write_text(json.dumps([old_machine("odd"), old_machine("web-01")]))
    found = take(fleet, tmp_path / "x.json")
    assert actions(found) == {"web-01": "imported"}
    assert [f["error_code"] for f in found["failed_machines"]] == ["RESTORE_FAILED"]


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"{}", b"7", b"null", b"a,b\n1,2\n", b"\xff\xfe", b'{"a":1,"a":2}', b"[" * 100_000, b"\0" * 50],
)
def test_what_makes_no_sense(fleet: RealFleet, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x").write_bytes(content)
    for kind in ("auto", "json", "csv"):
        with pytest.raises(InvalidSettings, match="src: "):
            take(fleet, tmp_path / "x", format=kind)


@pytest.mark.parametrize("kind", ["auto", "json", "csv"])
def test_an_error_tells_no_line_of_a_file_that_is_something_else(fleet: RealFleet, tmp_path: Path, kind: str) -> None:
    src = tmp_path / "shadow"
    src.write_text("root:$y$j9T$secret:19000:0:99999:7:::\n")
    with pytest.raises(InvalidSettings) as caught:
        take(fleet, src, format=kind)
    assert "secret" not in str(caught.value.as_result()) + caught.value.message


def test_columns_that_could_be_names_are_told(fleet: RealFleet, tmp_path: Path) -> None:
    src = tmp_path / "hosts.csv"
    src.write_text("address,Last seen\nweb-01,now\n")
    with pytest.raises(InvalidSettings, match="it has: address, Last seen"):
        take(fleet, src)


def test_a_column_with_times_that_is_not_there_is_refused(fleet: RealFleet, tmp_path: Path) -> None:
    """A typing error must not make machines whose last heartbeat is known look as if it were not."""
    src = tmp_path / "hosts.csv"
    src.write_text("host,vue\nweb-01,2026-01-31T12:00:00Z\n")
    with pytest.raises(InvalidSettings, match="no column vu "):
        take(fleet, src, columns=foreign.Columns(None, "vu"))


def test_what_is_no_file(fleet: RealFleet, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    for src in (tmp_path / "fifo", tmp_path / "nothing", tmp_path / "store" / "default" / "locks"):
        with pytest.raises(InvalidSettings, match="src: "):
            take(fleet, src)


def test_a_machine_of_our_own_is_never_replaced(fleet: RealFleet, tmp_path: Path) -> None:
    fleet.beat("web-01", age=10**8)
    before = fleet.record("web-01").read_bytes()
    (tmp_path / "x.json").write_text(json.dumps([old_machine("web-01")]))
    found = take(fleet, tmp_path / "x.json")
    assert actions(found) == {"web-01": "kept"}
    assert fleet.record("web-01").read_bytes() == before


def test_a_time_to_come_makes_nobody_look_alive(fleet: RealFleet, tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text(json.dumps([old_machine("web-01", "2099-01-01T00:00:00Z")]))
    found = take(fleet, tmp_path / "x.json")
    assert actions(found) == {"web-01": "expected"}
    assert "has yet to come" in found["warnings"][0]
    assert fleet.check()["unknown"] == ["web-01"]


def test_without_expecting(fleet: RealFleet, tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text(json.dumps([old_machine("web-01")]))
    take(fleet, tmp_path / "x.json", expect=False)
    with fleet.open() as store:
        assert manage(store, Request(), dry_run=True)["expected"] == []


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (1769860800, 1769860800),
        ("1769860800000", 1769860800),
        (1769860800000000, 1769860800),
        (1.5, 1.5),
        (None, None),
        ("never", None),
        ("", None),
        ("1970-01-01T00:00:01+00:00", 1),
        ("1970-01-01 01:00:01+01:00", 1),
        (0, None),
        ("0001-01-01T00:00:00Z", None),
        ("0001-01-01 00:00:00", None),
        ("0000-00-00 00:00:00", None),
        ("1970-01-01T00:00:00Z", None),
    ],
)
def test_moments(value: Any, seconds: Any) -> None:
    assert foreign.moment(value, None) == (None if seconds is None else seconds * 10**9)


@pytest.mark.parametrize(
    "value",
    [True, "soon", [], {}, -1, "1e400", float("nan"), float("inf"), 10**30, "2026-13-45", "1969-12-31T23:59:59Z"],
)
def test_no_moments(value: Any) -> None:
    with pytest.raises(ValueError, match=r"time|offset|before"):
        foreign.moment(value, None)
