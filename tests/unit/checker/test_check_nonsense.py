# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings edited into nonsense, names claimed twice, and clocks that are wrong."""

from __future__ import annotations

import json
import os
import textwrap
import time
from typing import Any

import pytest

from ansible_collections.roosync.heartbeat.plugins.module_utils._engine import conflicts
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.clock import NS, iso
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.errors import (
    IdentityConflict,
    InvalidSettings,
    StoreCorrupt,
)
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.fleet import Request, manage
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.record import Beat
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.register import place
from ansible_collections.roosync.heartbeat.tests.unit.checker.children import run
from ansible_collections.roosync.heartbeat.tests.unit.checker.real import RealFleet


@pytest.fixture
def three(fleet: RealFleet) -> RealFleet:
    fleet.beat("web", "db", "mail")
    fleet.check()
    return fleet


# -- settings ----------------------------------------------------------------------------------------------------


def edit(fleet: RealFleet, **settings: Any) -> None:
    path = fleet.path / "fleet.json"
    path.write_text(json.dumps(dict(json.loads(path.read_text()), settings=settings)))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"warning_after": 5}, "at least 2 x heartbeat_interval"),
        ({"offline_after": 80}, "offline_after"),
        ({"heartbeat_interval": "soon"}, "it must be a number of seconds"),
        ({"heartbeat_interval": -1}, "heartbeat_interval: -1"),
        ({"auto_sync": "yes"}, "true or false"),
        ({"no_such_setting": 1}, "unknown setting no_such_setting"),
        ({"overrides": {"web": {"warning_after": 1}}}, "overrides"),
    ],
)
def test_settings_edited_into_nonsense(three: RealFleet, settings: dict[str, Any], message: str) -> None:
    edit(three, **settings)
    before = three.tree()
    with pytest.raises(InvalidSettings, match=message) as refused:
        three.check()
    assert "heartbeat_fleet" in refused.value.message
    assert refused.value.details["path"] == str(three.path / "fleet.json")
    assert three.tree() == before


def test_heartbeat_fleet_repairs_settings(three: RealFleet) -> None:
    edit(three, warning_after=5, offline_after=300)
    with three.open() as store:
        repaired = manage(store, Request(settings={"warning_after": 100}))
    assert (repaired["changed"], repaired["settings"]["warning_after"]) == (True, 100)
    assert repaired["settings"]["offline_after"] == 300, "what was sane stays"
    assert three.check()["statistics"]["online"] == 3


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "EOF|Expecting value|empty"),
        (b"{", "Expecting|EOF"),
        (b"\x00\xff", "decode|codec"),
        (b"[]", "dictionary|object"),
        (b'{"store_id":"a","store_id":"b","created_at":"x","settings":{},"expected":[]}', "duplicate key 'store_id'"),
        (b'{"store_id":"a","created_at":"x","settings":{"warning_after":90,"warning_after":1}}', "duplicate key"),
        (b'{"created_at":"x"}', "store_id"),
        (b'{"store_id":"a","created_at":"x","expected":["../../x"]}', "impossible machine id"),
        (b'{"store_id":"a","created_at":"x","expected":"web"}', "expected"),
        (b'{"store_id":"a","created_at":"x","more":1}', "more"),
    ],
)
def test_a_fleet_file_that_is_none(three: RealFleet, content: bytes, message: str) -> None:
    (three.path / "fleet.json").write_bytes(content)
    before = three.tree()
    with pytest.raises(StoreCorrupt, match=message) as refused:
        three.check()
    assert str(three.path / "fleet.json") in refused.value.message
    with three.open() as store, pytest.raises(StoreCorrupt):
        manage(store, Request(settings={"warning_after": 100}))
    assert three.tree() == before


# -- two hosts under one name ------------------------------------------------------------------------------------


def refuse(fleet: RealFleet, machine: str, fingerprint: str) -> None:
    """Another host tries to beat under the name of one that does."""
    with fleet.open() as store:
        beat = Beat(machine_id=machine, sequence=1, sent_at=iso(0), fingerprint=fingerprint)
        with pytest.raises(IdentityConflict):
            place(store, beat)


def test_conflicts_are_shown_while_they_go_on(three: RealFleet) -> None:
    three.beat("web", fingerprint="first")
    refuse(three, "web", "second")
    refuse(three, "web", "third")
    found = three.check()
    shown = [(c["machine_id"], c["holder"], c["refused"]) for c in found["identity_conflicts"]]
    assert shown == [("web", "first", "second"), ("web", "first", "third")]
    assert "identity conflict: web" in found["summary"]
    assert found["online"] == ["db", "mail", "web"]
    old = time.time_ns() - 121 * NS
    for document in (three.path / conflicts.FOLDER).iterdir():
        os.utime(document, ns=(old, old))
    assert three.check()["identity_conflicts"] == []
    refuse(three, "web", "second")
    assert [c["refused"] for c in three.check()["identity_conflicts"]] == ["second"]


# -- clocks ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("skew", [600, -600, 86_400, -86_400])
def test_a_machines_own_clock_is_reported_and_never_believed(three: RealFleet, skew: float) -> None:
    three.beat("web", sent_at=iso(time.time_ns() + round(skew * NS)))
    three.beat("db", sent_at=iso(time.time_ns() + 2 * NS))
    found = three.check()
    assert found["online"] == ["db", "mail", "web"]
    assert list(found["clock_skew_ms"]) == ["web"]
    assert found["clock_skew_ms"]["web"] == pytest.approx(skew * 1000, abs=5000)
    three.beat("web")
    assert three.check()["clock_skew_ms"] == {}


def test_a_skew_stays_known_between_the_looks_at_a_large_fleet(fleet: RealFleet) -> None:
    """Of a large fleet only a part is read by each check; what an earlier one found is still reported."""
    fleet.beat(*["m%03d" % n for n in range(70)])
    fleet.check()
    fleet.beat("m065", sent_at=iso(time.time_ns() - 3600 * NS))
    reported = ["m065" in fleet.check()["clock_skew_ms"] for _check in range(8)]
    assert reported[4:] == [True] * 4, "each record is read in turn"
    assert reported == sorted(reported), "once found, it stays reported"
    fleet.beat("m065")
    assert "m065" not in [fleet.check()["clock_skew_ms"] for _check in range(4)][-1]


@pytest.mark.parametrize("clock", [0, 4_000_000_000])
def test_the_checkers_own_clock_changes_nothing(three: RealFleet, clock: int) -> None:
    """A clock that is wrong for the whole process; only what Python reads of it can be faked without shifting the
    times of files along with it."""
    code = """
    import time
    time.time, time.time_ns = lambda: float(%d), lambda: %d * 10**9
    print(json.dumps(check.run_check(store, force=True)))
    """
    three.age("web", 130)
    _status, printed = run(textwrap.dedent(code) % (clock, clock), three.root)
    found = json.loads(printed)
    assert (found["newly_offline"], found["online"]) == (["web"], ["db", "mail"])
    assert three.check()["transitions"] == []
