# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a check can still say while the store is away: from the journal, or from what this host kept."""

from __future__ import annotations

import json
import os
import shutil
import stat
from pathlib import Path
from typing import Any, Dict, Optional

import pytest

from ansible_collections.roosync.heartbeat.plugins.module_utils._engine import lastknown
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.clock import parse_iso
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.errors import StoreUnavailable
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.fleet import Request, manage
from ansible_collections.roosync.heartbeat.tests.unit.checker.real import RealFleet

STATUSES = {"online": ["a", "b"], "warning": ["late"], "offline": ["web"], "unknown": ["never"]}


@pytest.fixture
def known(fleet: RealFleet) -> RealFleet:
    """A fleet with one machine of each status, as the last check has it."""
    with fleet.open() as store:
        manage(store, Request(expect=["never"]))
    fleet.beat("a", "b", "late", "web")
    fleet.check()
    fleet.age("late", 100)
    fleet.age("web", 500)
    fleet.check()
    return fleet


def away(fleet: RealFleet, **options: Any) -> Dict[str, Any]:
    """A check while the store is away: it must say so, and nothing may be written anywhere near the store."""
    before = fleet.tree()
    with pytest.raises(StoreUnavailable) as caught:
        fleet.check(**options)
    assert fleet.tree() == before
    assert caught.value.error_code == "STORE_UNAVAILABLE"
    found: Dict[str, Any] = caught.value.details
    return found


def cache() -> Path:
    (found,) = Path(os.environ["XDG_CACHE_HOME"], "roosync-heartbeat").iterdir()
    return found


# -- the store is there, and does not work -------------------------------------------------------------------------


def test_from_the_journal_while_the_store_tells_no_time(known: RealFleet) -> None:
    """It can be read, but not asked for its time: no verdict, whatever the records look like by now."""
    checked = known.check()
    shutil.rmtree(known.path / "locks")
    known.age("a", 5000)
    known.age("b", 5000)
    cache().unlink()
    assert away(known)["last_known"] == {"as_of": checked["checked_at"], "statuses": STATUSES}


def test_from_the_journal_before_any_result_was_kept(known: RealFleet) -> None:
    (known.path / "last_check.json").unlink()
    shutil.rmtree(known.path / "locks")
    assert away(known)["last_known"] == {"as_of": None, "statuses": STATUSES}


def test_the_heartbeats_cannot_be_listed(known: RealFleet) -> None:
    (known.path / "heartbeats").rename(known.path / "elsewhere")
    assert away(known)["last_known"]["statuses"] == STATUSES


# -- the store is gone ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("left", ["nothing", "an empty directory", "a directory without the mark"])
def test_from_this_host_while_the_store_is_gone(known: RealFleet, left: str) -> None:
    """As when a share is not mounted: what is beneath it is no store."""
    checked = known.check()
    if left == "a directory without the mark":
        (known.path / "fleet.json").unlink()
    else:
        known.path.rename(known.root.parent / "elsewhere")
        if left == "an empty directory":
            known.path.mkdir()
    details = away(known)
    assert details["last_known"] == {"as_of": checked["checked_at"], "statuses": STATUSES}
    assert details["errno"] == "ENOENT"


def test_the_checks_after_it_find_what_was_there_before(known: RealFleet) -> None:
    number = known.ledger().state.number
    known.path.rename(known.root.parent / "elsewhere")
    for _check in range(3):
        away(known)
    (known.root.parent / "elsewhere").rename(known.path)
    result = known.check()
    assert {s: result[s] for s in STATUSES} == STATUSES
    assert result["transitions"] == []
    assert known.ledger().state.number == number


def test_nothing_is_known_of_a_store_that_was_never_seen(tmp_path: Path) -> None:
    fleet = RealFleet.__new__(RealFleet)
    fleet.root, fleet.path = tmp_path / "store", tmp_path / "store" / "default"
    assert away(fleet)["last_known"] is None
    assert not fleet.root.exists()


def test_check_mode_remembers_nothing(known: RealFleet) -> None:
    cache().unlink()
    known.check(dry_run=True)
    known.path.rename(known.root.parent / "elsewhere")
    assert away(known)["last_known"] is None
    assert away(known, dry_run=True)["last_known"] is None


# -- what is kept --------------------------------------------------------------------------------------------------


def test_it_is_for_the_user_alone(known: RealFleet) -> None:
    kept = cache()
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert stat.S_IMODE(kept.parent.stat().st_mode) == 0o700


def test_a_check_that_finds_nothing_new_renews_the_time_alone(known: RealFleet) -> None:
    before = cache().stat().st_ino
    checked = known.check()
    assert checked["transitions"] == []
    assert cache().stat().st_ino == before, "the statuses are not written again"
    with known.open() as store:
        found = lastknown.recall(store.location)
    assert found == {"as_of": checked["checked_at"], "statuses": STATUSES}


def test_whoever_is_expected_newly_is_unknown(known: RealFleet) -> None:
    """No commit tells of that; it follows from the settings."""
    with known.open() as store:
        manage(store, Request(expect=["another"]))
        known.check()
        found = lastknown.recall(store.location)
    assert found is not None
    assert found["statuses"]["unknown"] == ["another", "never"]


def test_another_store_in_the_same_place(known: RealFleet) -> None:
    """Its journal counts from one again, and comes by the same number."""
    number = known.ledger().state.number
    shutil.rmtree(known.root)
    fresh = RealFleet(known.root)
    fresh.beat("x")
    fresh.check()
    while fresh.ledger().state.number < number:
        fresh.beat("x%d" % fresh.sequence)
        fresh.check()
    assert fresh.ledger().state.number == number
    fresh.path.rename(known.root.parent / "elsewhere")
    statuses = away(fresh)["last_known"]["statuses"]
    assert statuses["online"][0] == "x"
    assert statuses["offline"] == []


def test_each_fleet_has_its_own(tmp_path: Path) -> None:
    one, two = RealFleet(tmp_path / "one"), RealFleet(tmp_path / "two")
    for fleet, machine in ((one, "a"), (two, "b")):
        fleet.beat(machine)
        fleet.check()
    shutil.rmtree(one.root)
    shutil.rmtree(two.root)
    assert [away(f)["last_known"]["statuses"]["online"] for f in (one, two)] == [["a"], ["b"]]


def kept_as(change: str) -> Optional[bytes]:
    head, body = cache().read_bytes().split(b"\n", 1)
    statuses = json.loads(body)
    return {
        "empty": b"",
        "half": head + b"\n" + body[: len(body) // 2],
        "no json": head + b"\nonline: a\n",
        "a status less": head + b"\n" + json.dumps({"online": []}).encode(),
        "no lists": head + b"\n" + json.dumps(dict.fromkeys(statuses, 7)).encode(),
        "no object": head + b"\n[]\n",
        "no time": b"x" * 60 + b"\n" + body,
        "no text": b"\xff\xfe" * 40,
    }[change]


@pytest.mark.parametrize(
    "change", ["empty", "half", "no json", "a status less", "no lists", "no object", "no time", "no text"]
)
def test_what_is_damaged_is_not_shown(known: RealFleet, change: str) -> None:
    cache().write_bytes(kept_as(change) or b"")
    known.path.rename(known.root.parent / "elsewhere")
    assert away(known)["last_known"] is None


def test_a_check_replaces_what_is_damaged(known: RealFleet) -> None:
    cache().write_bytes(b"nonsense")
    known.check()
    known.path.rename(known.root.parent / "elsewhere")
    assert away(known)["last_known"]["statuses"] == STATUSES


def test_names_that_no_machine_can_have_are_left_out(known: RealFleet) -> None:
    head, body = cache().read_bytes().split(b"\n", 1)
    statuses = dict(json.loads(body), online=["a", "../x", "<b>", 7, "b"])
    cache().write_bytes(head + b"\n" + json.dumps(statuses).encode())
    known.path.rename(known.root.parent / "elsewhere")
    assert away(known)["last_known"]["statuses"] == STATUSES


@pytest.mark.parametrize("obstacle", ["a file", "a directory", "a link"])
def test_a_host_that_cannot_keep_it_checks_all_the_same(known: RealFleet, tmp_path: Path, obstacle: str) -> None:
    kept = cache()
    victim = tmp_path / "victim"
    victim.write_text("precious")
    if obstacle == "a file":
        shutil.rmtree(kept.parent)
        kept.parent.write_text("in the way")
    else:
        kept.unlink()
        kept.mkdir() if obstacle == "a directory" else kept.symlink_to(victim)
    assert known.check()["offline"] == ["web"]
    assert victim.read_text() == "precious"


def test_the_time_is_the_stores(known: RealFleet) -> None:
    found = parse_iso(known.check()["checked_at"])
    with known.open() as store:
        kept = lastknown.recall(store.location)
        assert kept is not None
        assert parse_iso(kept["as_of"]) == found <= store.now()
