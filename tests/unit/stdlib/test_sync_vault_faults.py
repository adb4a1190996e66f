# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults and kills at every call that changes a file of the vault: it stays whole, and doing it again gets it done."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Callable, Dict, List, Optional

import pytest

from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.errors import (
    DiskSpaceLow,
    HeartbeatError,
    StoreUnavailable,
)
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.sync import upkeep
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.sync.capture import capture
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.sync.spec import TreeSpec
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.sync.vault import Vault
from ansible_collections.roosync.heartbeat.tests.unit.stdlib import everywhere
from ansible_collections.roosync.heartbeat.tests.unit.stdlib.support import open_descriptors

LIMIT = 1 << 30
DAY = 24 * 3600 * 10**9
BEFORE = [b"was there before", b"and this, too"]
NEW = {"one": b"new", "two": b"newer", "again": b"new"}
LARGE = b"large" * 250_000


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def fill(folder: Path) -> None:
    """A vault with something in it; a tree that is to be captured; a bundle that is to be taken over."""
    template = folder.parent / "template"
    if not template.exists():
        template.mkdir()
        make(template)
    shutil.copytree(str(template), str(folder))
    os.truncate(str(folder / "tree/hole"), 0)
    os.truncate(str(folder / "tree/hole"), 2 << 20)


def make(folder: Path) -> None:
    (folder / "other").mkdir()
    with Vault(str(folder / "vault"), create=True) as vault, vault.writer() as writer:
        for data in BEFORE:
            writer.add_bytes(data)
        writer.commit()
    (folder / "tree").mkdir()
    for name, data in NEW.items():
        (folder / "tree" / name).write_bytes(data)
    (folder / "tree/large").write_bytes(LARGE)
    (folder / "tree/hole").write_bytes(b"")
    with Vault(str(folder / "other/vault"), create=True) as vault:
        with vault.writer() as writer:
            digests = [writer.add_bytes(data) for data in [*NEW.values(), LARGE]]
            writer.commit()
        vault.export(digests, str(folder / "bundle"))


def capturing(folder: Path) -> everywhere.Work:
    def work() -> None:
        with Vault(str(folder / "vault"), create=True) as vault:
            capture(TreeSpec("www", str(folder / "tree")), vault)

    return work


def adopting(folder: Path) -> everywhere.Work:
    def work() -> None:
        with Vault(str(folder / "vault")) as vault:
            vault.adopt(str(folder / "bundle"))

    return work


def exporting(folder: Path) -> everywhere.Work:
    def work() -> None:
        with Vault(str(folder / "vault")) as vault:
            vault.export([sha256(BEFORE[0])], str(folder / "exported"))

    return work


def collecting(folder: Path) -> everywhere.Work:
    with Vault(str(folder / "vault")) as vault, vault.writer() as writer:
        for data in (b"x" * 1000, b"needed", b"y" * 1000):
            writer.add_bytes(data)
        writer.commit()
    for path in (folder / "vault/packs").iterdir():
        then = path.stat().st_mtime_ns - 2 * DAY
        os.utime(str(path), ns=(then, then))

    def work() -> None:
        with Vault(str(folder / "vault")) as vault:
            now = (folder / "bundle").stat().st_mtime_ns
            upkeep.collect(vault, {sha256(data) for data in [*BEFORE, b"needed"]}, now)

    return work


WORKS: Dict[str, Callable[[Path], everywhere.Work]] = {
    "capture": capturing,
    "adopt": adopting,
    "export": exporting,
    "collect": collecting,
}


def check_vault(folder: Path, work: str) -> None:
    """Everything that was there is there, and everything there is what it says."""
    with Vault(str(folder / "vault")) as vault:
        found = upkeep.verify(vault)
        assert found.damaged == {}
        for data in [*BEFORE, *([b"needed"] if work == "collect" else [])]:
            assert vault.read(sha256(data), LIMIT) == data


def check_done(folder: Path, work: str) -> None:
    check_vault(folder, work)
    with Vault(str(folder / "vault")) as vault:
        if work in ("capture", "adopt"):
            for data in [*NEW.values(), LARGE]:
                assert vault.read(sha256(data), LIMIT) == data
        if work == "collect":
            assert vault.missing([sha256(b"x" * 1000)]) != set()
            assert not [name for name in os.listdir(vault.dir_fd) if name.startswith(upkeep.TRASH)]
        if work == "export":
            assert vault.adopt(str(folder / "exported")) == {sha256(BEFORE[0])}


def outcome(work: everywhere.Work) -> Optional[HeartbeatError]:
    """The error that some work ends with."""
    try:
        work()
    except HeartbeatError as exc:
        return exc
    return None


def leftovers(folder: Path) -> List[str]:
    return [str(path) for path in folder.rglob(".tmp-*")]


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EACCES, errno.EROFS])
@pytest.mark.parametrize("name", sorted(WORKS))
def test_no_fault_leaves_anything_half_done(tmp_path: Path, name: str, code: int) -> None:
    """Injected: a disk that fails at a given call cannot be had here."""
    calls = [call for call in everywhere.CALLS if call != "unlink"]
    point = 0
    while True:
        folder = tmp_path / str(point)
        fill(folder)
        work = WORKS[name](folder)
        before = open_descriptors()
        with everywhere.failing(point, code, calls) as made:
            error = outcome(work)
        if error is None:
            check_done(folder, name)
        else:
            assert isinstance(error, DiskSpaceLow if code == errno.ENOSPC else StoreUnavailable)
            assert error.details["errno"] == errno.errorcode[code]
        assert open_descriptors() == before
        assert leftovers(folder) == []
        check_vault(folder, name)
        work()
        check_done(folder, name)
        if len(made) <= point:
            break
        point += 1
    assert point >= 5


@pytest.mark.parametrize("name", sorted(WORKS))
def test_no_kill_leaves_a_vault_that_does_not_verify(tmp_path: Path, name: str) -> None:
    """In a process of its own, which has no threads; it kills copies of itself, for real."""
    code = (
        "from ansible_collections.roosync.heartbeat.tests.unit.stdlib import everywhere, test_sync_vault_faults as t\n"
        "def prepare(folder):\n    t.fill(folder)\n    return t.WORKS[%r](folder)\n"
        "def check(folder, work):\n    t.check_vault(folder, %r)\n    work()\n    t.check_done(folder, %r)\n"
        "everywhere.main(prepare, check)"
    ) % (name, name, name)
    env = dict(os.environ, PYTHONPATH=os.pathsep.join(filter(None, sys.path)))
    argv = [sys.executable, "-c", code, str(tmp_path)]
    points = int(subprocess.run(argv, env=env, stdout=subprocess.PIPE, check=True, timeout=600).stdout)
    # Before and after each: making the file, writing, making it durable, naming it, making the name durable.
    assert points >= 10
