# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Locks: no file comes to harm by one, they spare work, and where there are none, work goes on."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Callable

import pytest

from ansible_collections.roosync.heartbeat.plugins.module_utils._engine import fleet as fleets
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.backup.swap import Place
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.errors import (
    DiskSpaceLow,
    HeartbeatError,
    StoreUnavailable,
)
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.fleet import Request, manage
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.stores.file import FileStore
from ansible_collections.roosync.heartbeat.tests.unit.checker.children import PRELUDE, environment
from ansible_collections.roosync.heartbeat.tests.unit.checker.real import RealFleet
from ansible_collections.roosync.heartbeat.tests.unit.stdlib.faults import mounted

CHANGE = Request(settings={"warning_after": 100})


@pytest.fixture
def precious(tmp_path: Path) -> Path:
    path = tmp_path / "precious.txt"
    path.write_text("precious")
    path.chmod(0o600)
    return path


def keeps(precious: Path) -> bool:
    return precious.read_text() == "precious" and precious.stat().st_mode & 0o777 == 0o600


def refusal(work: Callable[..., Any], *args: Any) -> HeartbeatError:
    with pytest.raises(HeartbeatError) as caught:
        work(*args)
    return caught.value


# -- links ---------------------------------------------------------------------------------------------------------


def test_a_check_opens_no_lock_through_a_link(fleet: RealFleet, precious: Path) -> None:
    (fleet.path / "locks" / "check.lock").symlink_to(precious)
    fleet.beat("web")
    assert fleet.check()["online"] == ["web"], "a lock spares work, no more"
    assert keeps(precious)


def test_no_fleet_is_changed_through_a_link(fleet: RealFleet, store: FileStore, precious: Path) -> None:
    path = fleet.path / "locks" / "fleet.lock"
    path.unlink()
    path.symlink_to(precious)
    refused = refusal(manage, store, CHANGE)
    assert isinstance(refused, StoreUnavailable)
    assert refused.details == {"errno": "ELOOP", "path": str(path)}
    assert "remove the symbolic link" in refused.message
    assert keeps(precious)


def test_no_restore_takes_its_lock_through_a_link(fleet: RealFleet, store: FileStore, precious: Path) -> None:
    place = Place(store)
    Path(place.staging + ".lock").symlink_to(precious)
    with place.locked():
        assert keeps(precious)
    assert keeps(precious)


def test_a_lock_leaves_what_is_in_its_file(fleet: RealFleet, store: FileStore) -> None:
    path = fleet.path / "locks" / "x.lock"
    path.write_text("a note of somebody's")
    with store.lock("x", 1) as held:
        assert held
    assert path.read_text() == "a note of somebody's"


def test_the_group_may_use_a_lock_whatever_the_umask(fleet: RealFleet, store: FileStore) -> None:
    umask = os.umask(0o077)
    try:
        with store.lock("x", 1) as held:
            assert held
    finally:
        os.umask(umask)
    assert (fleet.path / "locks" / "x.lock").stat().st_mode & 0o777 == 0o664


# -- held, and not held --------------------------------------------------------------------------------------------


def test_one_holds_it_at_a_time(fleet: RealFleet, store: FileStore) -> None:
    with store.lock("x", 1) as first, store.lock("x", 0.1) as second:
        assert (first, second) == (True, False)
    with store.lock("x", 0.1) as again:
        assert again


def test_a_lock_that_was_removed_is_nobodys(fleet: RealFleet, store: FileStore) -> None:
    """Who waits for it must not end up with a file that nobody else can see."""
    path = fleet.path / "locks" / "x.lock"
    with store.lock("x", 1):
        path.unlink()
        with store.lock("x", 1) as other:
            assert other
            assert path.exists()


# -- where there are no locks, and where nothing can be written ------------------------------------------------------


@pytest.mark.parametrize("code", ["ENOLCK", "EOPNOTSUPP", "ENOSYS"])
def test_a_file_system_without_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    """Injected, as NFS without a lock daemon answers; none can be mounted here."""

    def flock(_fd: int, _operation: int) -> None:
        raise OSError(getattr(errno, code), code)

    monkeypatch.setattr(fcntl, "flock", flock)
    started = time.monotonic()
    fleet = RealFleet(tmp_path / "bare")
    with fleet.open() as store:
        assert manage(store, CHANGE)["changed"]
        fleet.beat("web")
        assert fleet.check()["online"] == ["web"]
        with Place(store).locked():
            pass
    assert time.monotonic() - started < fleets.LOCK_PATIENCE, "nobody waits for what cannot be had"
    assert [path for path in (fleet.path / "locks").iterdir() if path.stat().st_size] == [], "nor leaves a mark behind"


@pytest.mark.parametrize(("code", "kind"), [("EACCES", StoreUnavailable), ("ENOSPC", DiskSpaceLow)])
def test_a_lock_file_that_cannot_be_opened_is_nobodys_fault(
    fleet: RealFleet, store: FileStore, monkeypatch: pytest.MonkeyPatch, code: str, kind: type[HeartbeatError]
) -> None:
    real = os.open

    def fail(path: Any, *args: Any, **kwargs: Any) -> int:
        if str(path).endswith(".lock"):
            raise OSError(getattr(errno, code), os.strerror(getattr(errno, code)))
        return real(path, *args, **kwargs)

    monkeypatch.setattr(os, "open", fail)
    refused = refusal(manage, store, CHANGE)
    assert isinstance(refused, kind)
    assert refused.message.startswith("cannot take a lock: %s/locks/fleet.lock: " % fleet.path) or code == "ENOSPC"
    assert "somebody else" not in refused.message
    fleet.beat("web")
    assert fleet.check()["online"] == ["web"]


MANAGE = """
try:
    fleet.manage(store, fleet.Request(settings={"warning_after": 100}))
except errors.HeartbeatError as exc:
    print(json.dumps({"code": exc.error_code, "msg": exc.message, **exc.details}))
"""


def test_a_read_only_store_says_so(fleet: RealFleet) -> None:
    (fleet.path / "locks" / "fleet.lock").unlink()
    read_only = mounted('mount --bind "$1" "$1"; mount -o remount,bind,ro "$1"', str(fleet.root))
    command = [*read_only, sys.executable, "-c", PRELUDE + MANAGE, str(fleet.root)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment(), timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    answer = json.loads(done.stdout)
    assert (answer["code"], answer["errno"]) == ("STORE_UNAVAILABLE", "EROFS")
    assert answer["msg"].endswith("(EROFS); remount the store read-write")
