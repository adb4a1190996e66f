# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A store that this user may not use in full. Permissions hold for users who are not root: root becomes one here."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any, Iterator

import pytest

from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.errors import StoreUnavailable
from ansible_collections.roosync.heartbeat.tests.unit.checker.children import run
from ansible_collections.roosync.heartbeat.tests.unit.checker.real import RealFleet

# What is imported late is imported before the user changes, who may not see the checkout.
AS_ANOTHER_USER = """
with FileStore(sys.argv[2], "default") as warm:
    fleet.manage(warm, fleet.Request())
    check.run_check(warm)
    look.info(warm, look.Question())
os.environ["XDG_CACHE_HOME"] = "/nonexistent"  # this user has checked nothing yet
if os.geteuid() == 0:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
try:
    print(json.dumps(%s))
except errors.HeartbeatError as exc:
    print(json.dumps({"code": exc.error_code, "msg": exc.message, **exc.details}))
"""


@pytest.fixture
def open_to_all() -> Iterator[RealFleet]:
    """A fleet that other users can reach: the folders of tests are closed to them. ``web`` is offline, if asked."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        root.chmod(0o755)
        fleet = RealFleet(root / "store")
        fleet.root.chmod(0o755)
        fleet.beat("web", "db", "mail")
        fleet.check()
        try:
            yield fleet
        finally:
            for path in (fleet.path, *fleet.path.rglob("*")):
                path.chmod(0o755)


def as_another_user(fleet: RealFleet, tmp_path: Path, expression: str) -> dict[str, Any]:
    _status, printed = run(AS_ANOTHER_USER % expression, fleet.root, tmp_path / "warm")
    answer: dict[str, Any] = json.loads(printed)
    return answer


def closed(fleet: RealFleet, *folders: str, mode: int = 0o555) -> None:
    """Folders (all without names) in which nobody may write, and the lists below them too."""
    for path in [fleet.path / f for f in folders] or [fleet.path, *(p for p in fleet.path.rglob("*") if p.is_dir())]:
        path.chmod(mode)


CHECK = "check.run_check(store, force=True)"
INFO = "look.info(store, look.Question())"


def test_without_the_stores_time_there_is_no_verdict(open_to_all: RealFleet, tmp_path: Path) -> None:
    open_to_all.age("web", 130)
    closed(open_to_all, "locks")
    found = as_another_user(open_to_all, tmp_path, CHECK)
    assert (found["code"], found["errno"]) == ("STORE_UNAVAILABLE", "EACCES")
    assert "write access" in found["msg"]
    assert found["last_known"]["statuses"]["online"] == ["db", "mail", "web"]
    assert found["last_known"]["as_of"] is not None
    assert not open_to_all.commit_path(2).exists()


def test_a_fleet_that_cannot_be_changed_says_why_at_once(open_to_all: RealFleet, tmp_path: Path) -> None:
    change = "fleet.manage(store, fleet.Request(settings={'warning_after': 100}))"
    found = as_another_user(open_to_all, tmp_path, change)
    assert (found["code"], found["errno"]) == ("STORE_UNAVAILABLE", "EACCES")
    assert found["path"] == str(open_to_all.path / "locks" / "fleet.lock")
    assert "write access" in found["msg"]


def test_what_cannot_be_recorded_is_not_said(open_to_all: RealFleet, tmp_path: Path) -> None:
    open_to_all.path.chmod(0o777)
    closed(open_to_all, "locks", mode=0o777)
    closed(open_to_all, "journal")
    assert as_another_user(open_to_all, tmp_path, CHECK)["online"] == ["db", "mail", "web"], "nothing to record"
    open_to_all.age("web", 130)
    found = as_another_user(open_to_all, tmp_path, CHECK)
    assert (found["code"], found["errno"]) == ("STORE_UNAVAILABLE", "EACCES")
    assert "transitions" not in found
    assert found["last_known"]["statuses"]["online"] == ["db", "mail", "web"]
    closed(open_to_all, "journal", mode=0o777)
    assert as_another_user(open_to_all, tmp_path, CHECK)["newly_offline"] == ["web"]


@pytest.mark.parametrize("folder", ["journal", "heartbeats", "."])
def test_a_folder_that_cannot_be_read(open_to_all: RealFleet, tmp_path: Path, folder: str) -> None:
    closed(open_to_all, folder, mode=0o000)
    found = as_another_user(open_to_all, tmp_path, CHECK)
    assert (found["code"], found["errno"]) == ("STORE_UNAVAILABLE", "EACCES")
    if folder == "journal":
        assert found["last_known"] is None


def test_a_record_that_cannot_be_read_is_that_machines_own_trouble(open_to_all: RealFleet, tmp_path: Path) -> None:
    open_to_all.path.chmod(0o777)
    closed(open_to_all, "locks", "journal", "incidents", mode=0o777)
    open_to_all.record("web").chmod(0o000)
    found = as_another_user(open_to_all, tmp_path, CHECK)
    assert found["online"] == ["db", "mail", "web"]
    assert [(p["kind"], p["machine_id"]) for p in found["problems"]] == [("torn_record", "web")]
    open_to_all.age("web", 130)
    assert as_another_user(open_to_all, tmp_path, CHECK)["newly_offline"] == ["web"], "its arrival is still seen"


def test_a_look_at_a_read_only_store_shows_what_is_recorded(open_to_all: RealFleet, tmp_path: Path) -> None:
    open_to_all.age("web", 130)
    open_to_all.check()
    open_to_all.age("db", 130)
    closed(open_to_all)
    found = as_another_user(open_to_all, tmp_path, INFO)
    assert found["live"] is False
    assert (found["online"], found["offline"]) == (["db", "mail"], ["web"]), "the recorded statuses"
    assert found["last_event"] == 4
    closed(open_to_all, mode=0o777)
    found = as_another_user(open_to_all, tmp_path, INFO)
    assert found["live"] is True
    assert (found["online"], found["offline"]) == (["mail"], ["db", "web"]), "as it is at this moment"


def test_while_the_store_is_away_this_host_remembers(fleet: RealFleet) -> None:
    fleet.beat("web", "db", "mail")
    fleet.check()
    fleet.age("web", 130)
    checked = fleet.check()
    fleet.root.rename(fleet.root.with_name("unmounted"))
    for _time in range(2):
        with pytest.raises(StoreUnavailable) as away:
            fleet.check()
        known = away.value.details["last_known"]
        assert known["statuses"]["offline"] == ["web"]
        assert known["as_of"] == checked["checked_at"]
        assert not fleet.root.exists()
    (fleet.path).mkdir(parents=True)  # the empty folder beneath a share that is not mounted
    with pytest.raises(StoreUnavailable) as away:
        fleet.check()
    assert "mount the share" in away.value.message
    assert os.listdir(fleet.path) == []
