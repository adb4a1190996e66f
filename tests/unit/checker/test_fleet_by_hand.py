# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a person who manages a fleet by hand relies on: the order of overrides, and answers that name the next step."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Iterator

import pytest

from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.check import run_check
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.errors import InvalidSettings, WaitTimeout
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.fleet import Request, manage
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.look import wait
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.observe import load_fleet
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.settings import Settings
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.stores.file import FileStore

LAB, ALL = {"warning_after": 70.0}, {"warning_after": 80.0}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[FileStore]:
    with FileStore(str(tmp_path / "store"), "default") as made:
        yield made


def warning_after(store: FileStore, machine: str) -> float:
    """By the file in the store, as every agent and checker reads it."""
    return load_fleet(store).settings.for_machine(machine).warning_after


def test_of_two_patterns_the_earlier_wins_also_after_it_was_stored(store: FileStore) -> None:
    manage(store, Request({"overrides": {"lab-*": LAB, "*": ALL}}))
    assert warning_after(store, "lab-1") == 70
    assert warning_after(store, "web-1") == 80


def test_another_order_of_patterns_is_a_change(store: FileStore) -> None:
    manage(store, Request({"overrides": {"lab-*": LAB, "*": ALL}}))
    assert manage(store, Request({"overrides": {"*": ALL, "lab-*": LAB}}))["changed"]
    assert warning_after(store, "lab-1") == 80
    assert not manage(store, Request({"overrides": {"*": ALL, "lab-*": LAB}}))["changed"]


def test_forgetting_without_a_limit_says_what_to_give(store: FileStore) -> None:
    manage(store, Request())
    with pytest.raises(InvalidSettings, match=r"forget_after: say after how many seconds"):
        manage(store, Request(forget_offline=True))


def test_a_wait_in_vain_says_where_to_look(store: FileStore) -> None:
    manage(store, Request(expect=["web-01"]))
    with pytest.raises(WaitTimeout, match=r"web-01 \(unknown\); heartbeat_info shows"):
        wait(store, ["web-01"], "online", 0, 0.05)


def test_a_limit_that_is_missing_makes_no_fleet(store: FileStore) -> None:
    with pytest.raises(InvalidSettings, match=r"forget_after: say after how many seconds"):
        manage(store, Request(forget_offline=True))
    assert not store.exists()


def by_hand(store: FileStore, **values: object) -> None:
    manage(store, Request())
    document = json.loads(store.read("fleet.json") or b"")
    store.write("fleet.json", json.dumps(dict(document, **values)).encode())


def test_an_unknown_setting_is_dropped_with_a_word(store: FileStore) -> None:
    """That is what a check advises, which works by no settings that it does not know."""
    by_hand(store, settings={"warning_afterr": 5, "offline_after": 300})
    with pytest.raises(InvalidSettings, match=r"unknown setting warning_afterr.*; correct them with heartbeat_fleet"):
        load_fleet(store)
    done = manage(store, Request())
    assert done["changed"]
    assert done["warnings"] == ["fleet.json had an unknown setting, which is dropped: warning_afterr"]
    assert load_fleet(store).settings.offline_after == 300
    assert not manage(store, Request())["changed"]
    with pytest.raises(InvalidSettings, match="unknown setting warning_afterr"):
        manage(store, Request({"warning_afterr": 5}))


def test_a_machine_that_is_expected_twice_is_one(store: FileStore) -> None:
    by_hand(store, expected=["zz", "zz"])
    assert run_check(store)["statistics"]["unknown"] == 1


def test_what_a_fleet_need_not_have_can_be_taken_away(store: FileStore) -> None:
    manage(store, Request({"zone_key": "rack", "forget_after": 3600, "keep_snapshots_for": 60}))
    done = manage(store, Request({"zone_key": "", "forget_after": 0, "keep_snapshots_for": 0}))
    assert done["changed"]
    assert done["settings"] == asdict(Settings())
