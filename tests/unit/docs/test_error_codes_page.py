# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""docs/error_codes.md: the codes there are, each with a message that is really given."""

from __future__ import annotations

import ast
import errno
import os
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Callable, Dict, Set, Type

import pytest

from ansible_collections.roosync.heartbeat.plugins.module_utils._engine import errors, fleet, look, register, settings
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.agent import local
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.backup import catalogue, create, restore
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.conflicts import conflict_error
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.identity import normalise_machine_id
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.metadata import encode_metadata
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.observe import load_fleet
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.record import Beat
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.stores.file import FileStore
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.sync import (
    carrying,
    guards,
    manifest,
    rolling,
    run,
    trouble,
)
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.sync.refs import Refs
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.sync.session import Request
from ansible_collections.roosync.heartbeat.plugins.modules import heartbeat_register
from ansible_collections.roosync.heartbeat.tests.docs.pages import CHECKOUT, page, rows
from ansible_collections.roosync.heartbeat.tests.docs.session import matches

PAGE = page("error_codes.md")
NOT_IN_USE: Set[str] = set()
FLEET = "/srv/heartbeat/default"
AT = re.compile(r"@\d{8}T\d{6}\.\d{6}Z")


def classes() -> Dict[str, Type[errors.HeartbeatError]]:
    found = [c for c in vars(errors).values() if isinstance(c, type) and issubclass(c, errors.HeartbeatError)]
    return {c.error_code: c for c in found if c is not errors.HeartbeatError}


def made(folder: Path) -> FileStore:
    """A fleet with the machine web-02 in it."""
    store = FileStore(str(folder), "default")
    fleet.manage(store, fleet.Request(expect=["web-02"]))
    return store


def disk_space_low(folder: Path) -> str:
    full = OSError(errno.ENOSPC, "No space left on device")
    return errors.from_os_error(full, "write a heartbeat", FLEET + "/heartbeats/web-01.json").message


def batch(folder: Path) -> str:
    """The module's own words; it is given its parameters, and nothing else of a module is used by them."""
    machines = [{"machine_id": "web-01"}, {"machine_id": "../x"}]
    module = SimpleNamespace(params={"machines": machines, "allow_takeover": False}, check_mode=False)
    return str(heartbeat_register.register_batch(module, made(folder))["failure"])


def identity_conflict(folder: Path) -> str:
    return conflict_error(Beat("web-01", 1, "", fingerprint="0123456789abcdef" * 2), 0, cloned=False).message


def lock_timeout(folder: Path) -> str:
    store, other = made(folder), FileStore(str(folder), "default")
    original, fleet.LOCK_PATIENCE = fleet.LOCK_PATIENCE, 0.1
    try:
        with other.lock("fleet", 1):
            return said(errors.LockTimeout, lambda: fleet.manage(store, fleet.Request(expect=["web-03"])))
    finally:
        fleet.LOCK_PATIENCE = original


def already_running(folder: Path) -> str:
    """Locks of the kernel's tell processes apart, so a real other process holds it."""
    import subprocess
    import sys

    script = "import fcntl, sys; f = open(sys.argv[1], 'w'); fcntl.lockf(f, fcntl.LOCK_EX); f.write('4711'); f.flush();"
    script += "print('held', flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", script, str(folder / local.LOCK)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        return said(errors.ServiceAlreadyRunning, lambda: local.Lock(str(folder)).__enter__())


def corrupt(folder: Path) -> str:
    store = made(folder)
    (folder / "default" / "fleet.json").write_text('{"settings": ')
    return said(errors.StoreCorrupt, lambda: load_fleet(store))


def mass_delete(folder: Path) -> str:
    entries = {
        "%d.html" % number: manifest.Entry(
            "%d.html" % number, manifest.FILE, 0o644, 0, 0, "", "", 1, 0, "%064x" % number
        )
        for number in range(120)
    }
    before, after = manifest.Manifest("www", entries), manifest.Manifest("www", {})
    return said(errors.SyncMassDelete, lambda: guards.refuse_mass_delete(before, after, "web-02"))


def sync_online_failed(folder: Path) -> str:
    denied = PermissionError(errno.EPERM, os.strerror(errno.EPERM))
    return trouble.with_note(trouble.failure(denied, "change", "/srv/www/index.html"), carrying.UNTOUCHED).message


def wait_timeout(folder: Path) -> str:
    store = made(folder)
    register.register(store, "web-02")
    return said(errors.WaitTimeout, lambda: look.wait(store, ["web-02"], "offline", 0, 0.05))


def sync_of(folder: Path, machine_id: str, event: str, error: Type[errors.HeartbeatError]) -> str:
    """What a sync says of web-02, which is online, or of a machine that is not there."""
    store = made(folder)
    register.register(store, "web-02")
    return said(error, lambda: run.check_status(store, machine_id, event))


def not_online(folder: Path) -> str:
    store = made(folder)
    register.register(store, "web-02")
    record = folder / "default" / "heartbeats" / "web-02.json"
    os.utime(record, (record.stat().st_mtime - 500,) * 2)
    return said(errors.MachineNotOnline, lambda: run.check_status(store, "web-02", "online"))


def backup_not_found(folder: Path) -> str:
    return said(errors.BackupNotFound, lambda: rolling.last_sync(Refs(str(folder)), "web-02"))


def backup_corrupt(folder: Path) -> str:
    store = made(folder)
    backup = catalogue.find("/", "default", create.run(store, create.Request())["backup"]["location"])
    Path(backup.path).write_bytes(Path(backup.path).read_bytes()[:500])
    return AT.sub("@20260131T120000.123456Z", said(errors.BackupCorrupt, lambda: catalogue.verify(backup, None)))


def restore_failed(folder: Path) -> str:
    store = made(folder)
    create.run(store, create.Request())
    register.register(store, "web-02")
    return said(errors.RestoreFailed, lambda: restore.run(store, restore.Request()))


PROVOKED: Dict[str, Callable[[Path], str]] = {
    "BACKUP_CORRUPT": backup_corrupt,
    "BACKUP_NOT_FOUND": backup_not_found,
    "DISK_SPACE_LOW": disk_space_low,
    "HEARTBEAT_REGISTRATION_FAILED": batch,
    "IDENTITY_CONFLICT": identity_conflict,
    "INVALID_MACHINE_ID": lambda folder: said(errors.InvalidMachineId, lambda: normalise_machine_id("../x")),
    "INVALID_METADATA": lambda folder: said(
        errors.InvalidMetadata, lambda: encode_metadata({"disks": [0, 0, {"size": {1}}]})
    ),
    "INVALID_SETTINGS": lambda folder: said(
        errors.InvalidSettings, lambda: settings.from_mapping({"warning_after": 45.0})
    ),
    "LOCK_TIMEOUT": lock_timeout,
    "MACHINE_NOT_OFFLINE": lambda folder: sync_of(folder, "web-02", "offline", errors.MachineNotOffline),
    "MACHINE_NOT_ONLINE": not_online,
    "MACHINE_UNKNOWN": lambda folder: sync_of(folder, "web-99", "online", errors.MachineUnknown),
    "RESTORE_FAILED": restore_failed,
    "SERVICE_ALREADY_RUNNING": already_running,
    "STORE_CORRUPT": corrupt,
    "STORE_UNAVAILABLE": lambda folder: said(
        errors.StoreUnavailable, lambda: FileStore(str(folder), "default").connect()
    ),
    "SYNC_MASS_DELETE": mass_delete,
    "SYNC_OFFLINE_FAILED": lambda folder: run.failure(Request("web-02", "offline"), "it went wrong").message,
    "SYNC_ONLINE_FAILED": sync_online_failed,
    "WAIT_TIMEOUT": wait_timeout,
}


def said(error: Type[errors.HeartbeatError], provoke: Callable[[], object]) -> str:
    with pytest.raises(error) as raised:
        provoke()
    return raised.value.message


def example(code: str) -> str:
    """The message that the page shows for a code."""
    section = PAGE.section(code)
    (shown,) = [block.text for block in PAGE.blocks if "```text\n%s```" % block.text in section]
    return shown


def test_the_page_has_the_codes_that_there_are() -> None:
    headings = [line[3:] for line in PAGE.text.splitlines() if line.startswith("## ")]
    assert headings == sorted(classes())
    listed = [row[0] for row in rows(PAGE.text) if row[0].startswith("[")]
    assert listed == ["[%s](#%s)" % (code, code.lower()) for code in headings]


@pytest.mark.parametrize("code", sorted(set(classes()) - NOT_IN_USE))
def test_messages_are_real(code: str, tmp_path: Path) -> None:
    given = PROVOKED[code](tmp_path).replace(str(tmp_path / "default"), FLEET)
    shown = example(code)
    # Nobody waits in this test for a lock to be held long enough, or for a machine to be lost.
    given = given.replace("for 0 s;", "for 15 s;")
    given = given.replace("offline within 0 s: web-02 (online)", "online within 10 s: web-02 (offline)")
    assert matches(shown, given + "\n"), given


def test_what_is_said_not_to_be_in_use_is_not() -> None:
    names = {classes()[code].__name__ for code in NOT_IN_USE}
    used = {
        node.id
        for path in (CHECKOUT / "plugins").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Name)
    }
    assert not names & used
    assert all("Nothing in this version returns it" in PAGE.section(code) for code in NOT_IN_USE)
