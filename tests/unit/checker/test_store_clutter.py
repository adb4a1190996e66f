# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever people and tools leave in a store's folders: a check and a look go on all the same."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Callable

import pytest

from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.look import Question, info
from ansible_collections.roosync.heartbeat.tests.unit.checker.real import RealFleet

FOLDERS = ["conflicts", "maintenance", "incidents", "journal", "journal/archive", "locks", "heartbeats"]


def sub_folder(path: Path) -> None:
    path.mkdir()


def dangling_link(path: Path) -> None:
    path.symlink_to("/nonexistent/file")


def fifo(path: Path) -> None:
    os.mkfifo(path)


def empty(path: Path) -> None:
    path.touch()


def binary(path: Path) -> None:
    path.write_bytes(bytes(range(256)))


def list_of_nothing(path: Path) -> None:
    path.write_text("[[]]")


@pytest.mark.parametrize("folder", FOLDERS)
@pytest.mark.parametrize("name", ["notes.json", "notes", "00000000000000000002.json.orig", ".nfs0001", b"\xff.json"])
@pytest.mark.parametrize("make", [sub_folder, dangling_link, fifo, empty, binary, list_of_nothing])
def test_clutter(fleet: RealFleet, folder: str, name: str | bytes, make: Callable[[Path], None]) -> None:
    fleet.beat("web", "db", "mail")
    fleet.check()
    before = fleet.ledger().state
    make(fleet.path / folder / os.fsdecode(name))
    fleet.age("web", 130)
    if (folder, make) != ("heartbeats", empty) and (folder, name) != ("heartbeats", "notes.json"):
        assert fleet.changes() == [("web", "online", "offline")]
        assert fleet.check()["statistics"]["total"] == 3
    with fleet.open() as store:
        found = info(store, Question(include_incidents=True, include_heartbeats=True, events_since=0))
    json.dumps(found).encode("utf-8")
    assert set(before.roster) <= {*found["online"], *found["offline"]}


def test_documents_that_cannot_be_used_are_reported(fleet: RealFleet) -> None:
    fleet.beat("web")
    folder = fleet.path / "maintenance"
    (folder / "sub").mkdir()
    (folder / "link.json").symlink_to("x")
    (folder / "text.json").write_text("no JSON")
    (folder / os.fsdecode(b"\xff.json")).write_text("{}")
    found = fleet.check()
    assert sorted((p["kind"], p["path"]) for p in found["problems"]) == [
        ("bad_maintenance", "maintenance/" + name) for name in ("\\xff.json", "link.json", "sub", "text.json")
    ]
