# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A store that is read-only, full, or closed to this user: a clear error each, and nobody's record suffers."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.errors import HeartbeatError, from_os_error
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.register import register
from ansible_collections.roosync.heartbeat.tests.unit.stdlib.faults import AS_NOBODY, mounted, python
from ansible_collections.roosync.heartbeat.tests.unit.stdlib.support import NEIGHBOURS, Fleet, tree

LOOK = """
store = file.FileStore(sys.argv[1], "default")
answers = {
    "register": outcome(register.register, store, "web1", {"role": "web"}),
    "again": outcome(register.register, store, "neighbour-1", fingerprint="fingerprint of neighbour-1"),
    "document": outcome(store.write, "conflicts/x.json", b"{}"),
    "commit": outcome(store.append_commit, 1, b"{}"),
    "time": outcome(store.now),
    "scan": outcome(lambda: sorted(store.scan().received)),
    "read": outcome(lambda: record.decode(store.read_beat("neighbour-1").data, "neighbour-1").sequence),
}
"""
PRINT = "print(json.dumps(answers))"
WRITES = ("register", "again", "document", "commit", "time")


def test_a_read_only_store_says_so_and_is_still_read(fleet: Fleet) -> None:
    before = tree(fleet.root)
    read_only = mounted('mount --bind "$1" "$1"; mount -o remount,bind,ro "$1"', str(fleet.root))
    answers = python(LOOK + PRINT, str(fleet.root), wrapper=read_only)
    for name in WRITES:
        assert answers[name]["error_code"] == "STORE_UNAVAILABLE", name
        assert answers[name]["errno"] == "EROFS"
        assert answers[name]["msg"].endswith("(EROFS); remount the store read-write")
    assert answers["scan"] == {"result": sorted(NEIGHBOURS)}
    assert answers["read"] == {"result": 1}
    assert tree(fleet.root) == before


BEAT = """
host = os.path.join(sys.argv[2], "host")
conf = config.Config("agent.conf", "store = %s\\nmachine_id = web1\\nstate_dir = %s" % (sys.argv[1], host))
local.prepare_state_dir(host)
answers = [outcome(beater.Beater(conf).beat) for _beat in range(2)]
"""


def test_a_host_beats_though_it_may_not_read_the_settings(shared: Fleet) -> None:
    """Somebody with a umask of his own has edited them; the checks say so."""
    mark = shared.location / "fleet.json"
    mark.chmod(0)
    state = shared.root / "of the host"
    state.mkdir()
    for path in (state, shared.location / "heartbeats", shared.location / "conflicts", shared.location / "locks"):
        path.chmod(0o777)
    answers = python(AS_NOBODY + BEAT + PRINT, str(shared.root), str(state))
    mark.chmod(0o644)
    assert [answer["result"]["sequence"] for answer in answers] == [1, 2]


FILL = """
root, by_bytes = sys.argv[1], sys.argv[2] == "bytes"
store = file.FileStore(root, "default")
store.create()
with open(store.location + "/fleet.json", "w") as mark:
    mark.write("{}")
for name in ("neighbour-1", "neighbour-2"):
    register.register(store, name, fingerprint="fingerprint of " + name)
taken = []
try:
    while True:
        taken.append("%s/filling-%d" % (root, len(taken)))
        with open(taken[-1], "wb", 0) as stream:
            while by_bytes:
                stream.write(bytes(4096))
except OSError as exc:
    assert exc.errno == 28, exc
"""
FREE = """
answers["files"] = sorted(name for folder in file.FOLDERS for name in os.listdir(store.location + "/" + folder))
for name in taken:
    if os.path.exists(name):
        os.unlink(name)
answers["afterwards"] = outcome(register.register, store, "web1")
"""


@pytest.mark.parametrize("filled", ["bytes", "inodes"])
def test_a_full_store_says_so_and_keeps_what_it_has(tmp_path: Path, filled: str) -> None:
    full = mounted('mount -t tmpfs -o size=256k,nr_inodes=40 none "$1"', str(tmp_path))
    answers = python(FILL + LOOK + FREE + PRINT, str(tmp_path), filled, wrapper=full)
    for name in WRITES:
        assert answers[name]["error_code"] == "DISK_SPACE_LOW", name
        assert answers[name]["errno"] == "ENOSPC"
        assert "free space or raise the quota there" in answers[name]["msg"]
    assert answers["scan"] == {"result": sorted(NEIGHBOURS)}
    assert answers["read"] == {"result": 1}
    assert answers["files"] == ["archive", *(name + ".json" for name in sorted(NEIGHBOURS))]
    assert answers["afterwards"]["result"]["is_new_machine"]


def test_a_store_of_another_user_is_read_and_not_written(shared: Fleet) -> None:
    if os.geteuid() != 0:
        for folder in (shared.location, *shared.location.iterdir()):
            folder.chmod(0o555)
    before = tree(shared.root)
    answers = python(AS_NOBODY + LOOK + PRINT, str(shared.root))
    assert tree(shared.root) == before
    for name in WRITES:
        assert answers[name]["error_code"] == "STORE_UNAVAILABLE", name
        assert answers[name]["errno"] == "EACCES"
        assert answers[name]["msg"].endswith(
            "(EACCES); give this user write access to the store (group-writable, setgid directories)"
        )
    assert answers["scan"] == {"result": sorted(NEIGHBOURS)}
    assert answers["read"] == {"result": 1}
    for folder in (shared.location, *shared.location.iterdir()):
        folder.chmod(0o755)


@pytest.mark.parametrize("closed", ["", "heartbeats", "heartbeats/neighbour-1.json"])
def test_what_is_closed_to_this_user_says_so(shared: Fleet, closed: str) -> None:
    path = shared.location / closed
    mode = path.stat().st_mode
    path.chmod(0)
    try:
        answers = python(AS_NOBODY + LOOK + PRINT, str(shared.root))
    finally:
        path.chmod(mode)
    assert answers["read"]["error_code"] == "STORE_UNAVAILABLE"
    assert (answers["read"]["errno"], answers["read"]["path"]) == ("EACCES", str(path).rstrip("/"))
    assert ("result" in answers["scan"]) == closed.endswith(".json")


@pytest.mark.parametrize(
    ("code", "error_code", "advice"),
    [
        ("ENOSPC", "DISK_SPACE_LOW", "free space or raise the quota"),
        ("EDQUOT", "DISK_SPACE_LOW", "free space or raise the quota"),
        ("EROFS", "STORE_UNAVAILABLE", "remount the store read-write"),
        ("EACCES", "STORE_UNAVAILABLE", "give this user write access"),
        ("EPERM", "STORE_UNAVAILABLE", "give this user write access"),
        ("EIO", "STORE_UNAVAILABLE", "look at the file server and the kernel log"),
        ("ESTALE", "STORE_UNAVAILABLE", "check that the store is mounted and answers"),
        ("ETIMEDOUT", "STORE_UNAVAILABLE", "check that the store is mounted and answers"),
        ("EMFILE", "STORE_UNAVAILABLE", "check that the store is mounted and answers"),
        ("ENOTCONN", "STORE_UNAVAILABLE", "check that the store is mounted and answers"),
    ],
)
@pytest.mark.parametrize("call", ["open", "write", "fsync", "rename"])
def test_every_error_of_a_write_becomes_a_clear_one(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch, call: str, code: str, error_code: str, advice: str
) -> None:
    """Injected, for a network share that fails in each of these ways cannot be had here."""
    store = fleet.store()
    register(store, "web1")
    before = tree(fleet.root)
    number, real = getattr(errno, code), os.open

    def fail(*args: Any, **kwargs: Any) -> Any:
        if call == "open" and not args[1] & os.O_CREAT:
            return real(*args, **kwargs)
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, call, fail)
    with pytest.raises(HeartbeatError) as caught:
        register(store, "web1", {"new": True})
    monkeypatch.undo()
    assert caught.value.error_code == error_code
    assert caught.value.details == {"errno": code, "path": str(fleet.record("web1"))}
    assert caught.value.message.startswith("cannot write a heartbeat: ")
    assert advice in caught.value.message
    assert tree(fleet.root) == before


def test_an_error_without_a_number_is_still_explained() -> None:
    error = from_os_error(OSError("odd"), "write a heartbeat", "/srv/x")
    assert error.message == "cannot write a heartbeat: /srv/x: odd (None); check that the store is mounted and answers"
