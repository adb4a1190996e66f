# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Syncs of machines at the end of a connection: what is carried, and that not all is believed that a machine says."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import sys
from pathlib import Path
from typing import Any, Dict, List

import pytest

from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.errors import (
    DiskSpaceLow,
    InvalidSettings,
    StoreCorrupt,
    SyncOnlineFailed,
)
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.sync import carried, keeping
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.sync import machine as machines
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.sync.carried import CarriedSite
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.sync.packing import SPARE
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.sync.run import run
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.sync.session import Request
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.sync.staging import Staging
from ansible_collections.roosync.heartbeat.tests.unit.checker.trees import Trees


class Connection:
    """See :class:`.carried.Carrier`: to a machine that is a folder of this host, without Ansible."""

    def __init__(self, trees: Trees, machine: str) -> None:
        self.store = str(trees.fleet.root)
        self.machine = machine
        self.root = trees.folder / machine
        self.workdir = self.root / "tmp"
        self.workdir.mkdir(exist_ok=True)
        self.calls: List[str] = []
        self.most = 0
        """How many bundles there were at once."""

    def call(self, **options: Any) -> Dict[str, Any]:
        """As ``heartbeat_tree`` does."""
        self.calls.append(options["op"])
        here = machines.Machine(options["trees"], str(self.root), str(self.root / "state"), str(self.workdir))
        vault = machines.same_store(self.store, "default", options.get("store_id", ""))
        dry_run = options.get("dry_run", False)
        done = here.run(options["op"], options.get("number", 0), options.get("last", {}), vault, dry_run)
        json.dumps(done, ensure_ascii=False).encode("utf-8")  # as Ansible asks for
        return done

    def _count(self) -> None:
        held = [path for path in self.workdir.iterdir() if path.name.startswith("bundle-")]
        self.most = max(self.most, len(held))

    def fetch(self, remote: str, local: str) -> None:
        self._count()
        shutil.copy(remote, local)

    def put(self, local: str, name: str) -> None:
        shutil.copy(local, self.workdir / name)

    def tell(self, text: str) -> None:
        pass


def sync(trees: Trees, connection: Connection, event: str, direct: bool = False, **options: Any) -> Dict[str, Any]:
    request = Request(connection.machine, event, **options)
    with CarriedSite(connection, direct) as site, trees.fleet.open() as store:
        return run(store, request, site, trees.fleet.open)


@pytest.fixture
def trees(tmp_path: Path) -> Trees:
    return Trees(tmp_path, "web", "db", "mail")


def test_contents_are_carried_to_and_fro(trees: Trees) -> None:
    trees.put("web", a="1", b__c="2")
    done = sync(trees, Connection(trees, "web"), "online")
    assert (done["bytes_captured"], done["files_synced"]) == (2, 2)
    connection = Connection(trees, "db")
    sync(trees, connection, "online")
    assert trees.files("db") == {"a": "1", "b/c": "2"}
    assert connection.calls == ["capture", "apply"]
    assert not sync(trees, connection, "online")["changed"]


class Short(Connection):
    """A machine that sends less than it was asked for, and does not say so."""

    def call(self, **options: Any) -> Dict[str, Any]:
        if options["op"] == "bundle":
            wanted = self.workdir / ("wanted-%d" % options["number"])
            wanted.write_text(json.dumps({name: rest[1:] for name, rest in json.loads(wanted.read_text()).items()}))
        return super().call(**options)


def test_a_bundle_without_a_content_that_was_asked_for_is_refused(trees: Trees) -> None:
    trees.put("web", a="1", b="2")
    with pytest.raises(StoreCorrupt, match=r"did not send 1 of the contents of site .*Sync again"):
        sync(trees, Short(trees, "web"), "online")
    assert not list((trees.fleet.path / "vault" / "refs").glob("baseline/*/*"))
    assert sync(trees, Connection(trees, "web"), "online")["baseline"] == {"site": 1}


class Editing(Connection):
    """A machine on which a file is edited after it was looked at."""

    def __init__(self, trees: Trees, machine: str, name: str = "a") -> None:
        super().__init__(trees, machine)
        self.name = name

    def call(self, **options: Any) -> Dict[str, Any]:
        if options["op"] == "bundle":
            (self.root / "www" / self.name).write_text("edited")
        return super().call(**options)


def test_a_file_that_is_edited_before_it_is_carried_is_a_question_for_the_next_sync(trees: Trees) -> None:
    trees.put("web", a="1", b="2")
    done = sync(trees, Editing(trees, "web"), "online")
    assert (done["bytes_captured"], done["files_synced"]) == (1, 1)
    assert [left["path"] for left in done["left_alone"]] == ["a"]
    sync(trees, Connection(trees, "web"), "online")
    trees.sync("db", "online")
    assert trees.files("db") == {"a": "edited", "b": "2"}


def test_what_the_vault_has_lost_is_carried_again(trees: Trees) -> None:
    trees.put("web", a="precious" * 100, b="2")
    sync(trees, Connection(trees, "web"), "online")
    for pack in (trees.fleet.path / "vault" / "packs").glob("*.pack"):
        if b"precious" * 100 in pack.read_bytes():
            pack.unlink()
    with trees.fleet.open() as store:
        assert len(keeping.verify(store)["missing"]) == 2
    connection = Connection(trees, "web")
    assert sync(trees, connection, "online")["bytes_captured"] == 801
    assert connection.calls == ["capture", "bundle"]
    with trees.fleet.open() as store:
        assert keeping.verify(store)["missing"] == []


@pytest.mark.parametrize("direct", [False, True])
def test_a_dry_run_leaves_nothing_behind(trees: Trees, direct: bool) -> None:
    trees.put("web", a="1", b="2")
    sync(trees, Connection(trees, "db"), "online")
    before = (trees.fleet.tree(), snapshot(trees.folder / "web"))
    connection = Connection(trees, "web")
    planned = sync(trees, connection, "online", direct, dry_run=True)
    assert (planned["changed"], planned["files_synced"]) == (True, 2)
    for path in connection.workdir.iterdir():
        path.unlink()
    connection.workdir.rmdir()
    assert (trees.fleet.tree(), snapshot(trees.folder / "web")) == before


@pytest.mark.parametrize("direct", [False, True])
def test_a_dry_run_does_not_end_a_sync_that_was_cut_off(trees: Trees, direct: bool) -> None:
    trees.put("web", a="1", b="2", c="3")
    trees.sync("web", "online")
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        real = Staging.write_plan

        def write_and_die(staging: Staging, data: bytes) -> None:
            real(staging, data)
            os.kill(os.getpid(), signal.SIGKILL)

        Staging.write_plan = write_and_die  # type: ignore[method-assign]
        try:
            trees.sync("mail", "online")
        finally:
            os._exit(1)
    assert os.waitpid(child, 0)[1] == signal.SIGKILL
    before = snapshot(trees.www("mail"))
    assert (trees.www("mail") / ".roosync-sync" / "plan").exists()
    sync(trees, Connection(trees, "mail"), "online", direct, dry_run=True)
    assert snapshot(trees.www("mail")) == before


def snapshot(folder: Path) -> Dict[str, Any]:
    """Every file below a folder, with what changes when somebody writes there."""
    found = {}
    for path in sorted(folder.rglob("*")):
        state = path.lstat()
        found[str(path.relative_to(folder))] = (state.st_ino, state.st_size, state.st_mtime_ns, state.st_ctime_ns)
    return found


@pytest.mark.parametrize("dry_run", [True, False])
def test_a_tree_that_holds_the_store_of_the_machine_is_refused(tmp_path: Path, dry_run: bool) -> None:
    """The connection leads to the host that has the store."""
    trees = Trees(tmp_path, "web", "db", "mail", sync_paths={"site": {"path": "/store"}})
    connection = Connection(trees, "web")
    connection.root = tmp_path
    with pytest.raises(InvalidSettings, match="holds the store itself"):
        sync(trees, connection, "online", direct=True, dry_run=dry_run)


def test_a_machine_keeps_one_bundle_at_a_time(trees: Trees, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(carried, "BUNDLE_BYTES", 1000)
    trees.put("web", **{"f%d" % number: str(number) * 600 for number in range(5)})
    connection = Connection(trees, "web")
    sync(trees, connection, "online")
    assert connection.calls.count("bundle") == 5
    assert connection.most == 1


def test_names_of_any_bytes_come_back(tmp_path: Path) -> None:
    """Of what was left alone, and of what was edited before it could be carried."""
    trees = Trees(tmp_path, "web", "db", "mail", sync_paths={"site": {"path": "/www", "exclude": ["*.tmp"]}})
    odd = os.fsdecode(b"d\xff")
    trees.put("web", **{odd + "__a": "1", "b": "2", "c": "3"})
    for machine in ("web", "db"):
        sync(trees, Connection(trees, machine), "online")
    trees.put("web", **{odd: None})
    sync(trees, Connection(trees, "web"), "online")
    trees.put("db", **{odd + "__mine.tmp": "4"})
    left = [(one["path"], one["reason"]) for one in sync(trees, Connection(trees, "db"), "online")["left_alone"]]
    assert left == [("d\\xff", "holds something that is not part of the tree")]
    trees.put("web", a="1", **{odd: "5"})
    done = sync(trees, Editing(trees, "web", odd), "online")
    assert [(one["path"], one["reason"]) for one in done["left_alone"]] == [("d\\xff", "unsteady")]


class NoRoom(Connection):
    """Where this runs, there is no room for what comes from the machine."""

    def fetch(self, remote: str, local: str) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), local)


@pytest.mark.parametrize("options", [{"event": "capture"}, {"event": "online", "dry_run": True}, {"event": "online"}])
def test_trouble_with_files_on_the_way_is_told(trees: Trees, options: Dict[str, Any]) -> None:
    trees.put("web", a="1")
    with pytest.raises(SyncOnlineFailed, match=r"/manifest-site: No space left on device"):
        sync(trees, NoRoom(trees, "web"), **options)


class Full(Connection):
    """A machine that has room for what is sent to it, or just not."""

    free = 0

    def call(self, **options: Any) -> Dict[str, Any]:
        return dict(super().call(**options), free=self.free)


def test_what_does_not_fit_is_not_sent(trees: Trees) -> None:
    trees.put("web", a="1" * 5000, b="2" * 5000, same="of both")
    trees.put("db", same="of both")
    with (trees.www("web") / "hole").open("wb") as stream:
        stream.truncate(1 << 28)
    sync(trees, Connection(trees, "web"), "online")
    full = Full(trees, "db")
    full.free = SPARE + 9_000
    with pytest.raises(DiskSpaceLow, match=r"1\d{4} bytes are to be sent to db, .* Make room there"):
        sync(trees, full, "online")
    assert trees.files("db") == {"same": "of both"}
    assert not list(full.workdir.glob("sent-*"))
    full.free = SPARE + 12_000
    sync(trees, full, "online")
    assert (trees.www("db") / "hole").stat().st_size == 1 << 28
