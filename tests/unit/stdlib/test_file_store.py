# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The directory store: what it answers, what it refuses to take for a store, and what may lie in a record's place."""

from __future__ import annotations

import os
import socket
import stat
import time
from pathlib import Path
from typing import Any, Callable

import pytest

from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.errors import (
    HeartbeatError,
    InvalidSettings,
    StoreUnavailable,
)
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.record import Beat, encode
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.register import register
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.stores import open_store
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.stores.file import FOLDERS, FileStore
from ansible_collections.roosync.heartbeat.tests.unit.stdlib.support import NEIGHBOURS, Fleet, open_descriptors, tree

WEB1 = encode(Beat(machine_id="web1", sequence=1, sent_at="2026-01-31T12:00:00.000000Z"))


def listening(path: str) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)


IN_ITS_PLACE = [
    pytest.param(os.mkdir, "EISDIR", "a directory", id="directory"),
    pytest.param(lambda path: os.symlink(NEIGHBOURS[0] + ".json", path), "ELOOP", "a symbolic link", id="symlink"),
    pytest.param(lambda path: os.symlink("nowhere", path), "ELOOP", "a symbolic link", id="dangling"),
    pytest.param(os.mkfifo, "EISDIR", "a special file", id="fifo"),
    pytest.param(listening, "EISDIR", "a special file", id="socket"),
]


def refusal(work: Callable[..., Any], *args: Any) -> StoreUnavailable:
    with pytest.raises(StoreUnavailable) as caught:
        work(*args)
    assert caught.value.error_code == "STORE_UNAVAILABLE"
    return caught.value


@pytest.mark.parametrize("address", ["/srv/x", "file:///srv/x", "/srv/x/", "/srv/x//"])
def test_a_store_is_addressed_by_its_directory(address: str) -> None:
    store = open_store(address, "eu-1")
    assert (store.root, store.location) == ("/srv/x", "/srv/x/eu-1")


@pytest.mark.parametrize(
    "address", ["", "srv/x", "./x", "~/x", "file://srv/x", "file://", "redis://host/0", "http://x/", "/srv\0x"]
)
def test_other_addresses_are_refused(address: str) -> None:
    with pytest.raises(InvalidSettings, match=r"absolute path|directories only") as caught:
        open_store(address)
    assert caught.value.error_code == "INVALID_SETTINGS"


def test_an_address_with_a_password_is_not_repeated() -> None:
    with pytest.raises(InvalidSettings) as caught:
        open_store("redis://:secret@host/0")
    assert "secret" not in caught.value.message


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../x", "a/b", "Default", "x" * 65, ".x", "-x", "caf\u00e9", "a\0", "a b"]
)
def test_a_fleet_name_is_never_a_path(name: str) -> None:
    with pytest.raises(InvalidSettings, match="use lower case letters, digits"):
        open_store("/srv/x", name)


def test_a_new_store_is_for_its_group_whatever_umask_its_maker_has(tmp_path: Path) -> None:
    root = tmp_path / "srv" / "store"
    before = os.umask(0o077)
    try:
        with FileStore(str(root), "default") as store:
            store.create()
    finally:
        os.umask(before)
    assert stat.S_IMODE(root.parent.stat().st_mode) == 0o755
    folders = [root, root / "default", *(root / "default" / name for name in FOLDERS)]
    assert {stat.S_IMODE(folder.stat().st_mode) for folder in folders} == {0o2775}


@pytest.mark.parametrize("made", ["nothing", "root", "fleet", "folders", "elsewhere"])
def test_a_directory_that_is_no_store_is_left_alone(tmp_path: Path, made: str) -> None:
    """Most likely a share that is not mounted: what is written there now would be hidden later."""
    location = tmp_path / "store/default"
    {
        "nothing": lambda: None,
        "root": (tmp_path / "store").mkdir,
        "fleet": lambda: location.mkdir(parents=True),
        "folders": lambda: (location / "heartbeats").mkdir(parents=True),
        "elsewhere": lambda: (tmp_path / "store/other/heartbeats").mkdir(parents=True),
    }[made]()
    before, descriptors = tree(tmp_path), open_descriptors()
    store = FileStore(str(tmp_path / "store"), "default")
    for work in (
        store.connect,
        store.now,
        store.scan,
        lambda: store.write_beat("web1", WEB1, True),
        lambda: store.write("conflicts/x.json", b"{}"),
        lambda: store.append_commit(1, b"{}"),
        lambda: register(store, "web1"),
    ):
        error = refusal(work)
        assert error.message.startswith("there is no fleet at %s: mount the share that holds it, or create" % location)
        assert error.details == {"errno": "ENOENT", "path": str(location)}
    assert not store.exists()
    assert tree(tmp_path) == before
    assert open_descriptors() == descriptors


@pytest.mark.parametrize("place", ["store", "store/default"])
def test_a_file_is_no_store(tmp_path: Path, place: str) -> None:
    (tmp_path / place).parent.mkdir(exist_ok=True)
    (tmp_path / place).write_bytes(b"precious")
    store = FileStore(str(tmp_path / "store"), "default")
    error = refusal(register, store, "web1")
    assert error.details["errno"] == "ENOTDIR"
    assert error.message.endswith("(ENOTDIR); name a directory as the store")
    assert (tmp_path / place).read_bytes() == b"precious"
    with pytest.raises(StoreUnavailable):
        store.exists()


def test_a_store_whose_folders_are_missing_says_which(fleet: Fleet) -> None:
    (fleet.location / "locks").rmdir()
    error = refusal(fleet.store().now)
    assert error.details == {"errno": "ENOENT", "path": str(fleet.location / "locks")}
    assert error.message.endswith("(ENOENT); make it with heartbeat_repair")


def test_a_folder_that_is_a_link_is_not_followed(fleet: Fleet, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (fleet.location / "conflicts").rmdir()
    (fleet.location / "conflicts").symlink_to(tmp_path / "elsewhere")
    refusal(fleet.store().write, "conflicts/x.json", b"{}")
    assert list((tmp_path / "elsewhere").iterdir()) == []


@pytest.mark.parametrize("folder", ["", "logs", "journal", "journal/archive"])
def test_no_fleet_is_made_through_a_link(tmp_path: Path, folder: str) -> None:
    """Everybody in the store's group can put one there, and root would open for them what it leads to."""
    victim, location = tmp_path / "victim", tmp_path / "store/default"
    victim.mkdir(mode=0o700)
    planted = location / folder
    planted.parent.mkdir(parents=True)
    planted.symlink_to(victim)
    with FileStore(str(tmp_path / "store"), "default") as store:
        error = refusal(store.create)
        assert not store.exists()
    assert error.details == {"errno": "ELOOP", "path": str(planted)}
    assert "remove the symbolic link" in error.message
    assert stat.S_IMODE(victim.stat().st_mode) == 0o700
    assert list(victim.iterdir()) == []


def test_a_fleet_is_made_for_its_group_whatever_the_umask(tmp_path: Path) -> None:
    umask = os.umask(0o077)
    try:
        with FileStore(str(tmp_path / "a/store"), "default") as store:
            store.create()
            store.create()
    finally:
        os.umask(umask)
    made = [tmp_path / "a/store/default" / folder for folder in ("", *FOLDERS)]
    assert {stat.S_IMODE(path.stat().st_mode) for path in made} == {0o2775}


def test_a_share_that_goes_away_under_an_open_store_is_not_mistaken_for_the_directory_beneath(fleet: Fleet) -> None:
    """An open store works through descriptors: it writes into the share it knows, not into what has its path now."""
    store = fleet.store()
    store.now()
    store.write_beat("web1", WEB1)
    away = fleet.root.with_name("away")
    fleet.root.rename(away)
    fleet.root.mkdir()
    store.write_beat("web1", WEB1)
    assert list(fleet.root.iterdir()) == []
    fleet.root.rmdir()
    away.rename(fleet.root)


def test_a_beat_is_received_at_the_time_of_its_file(fleet: Fleet) -> None:
    store = fleet.store()
    earliest = store.now()
    first = store.write_beat("web1", WEB1, first=True)
    assert store.write_beat("web1", WEB1, first=True) is None
    again = store.write_beat("web1", WEB1)
    assert earliest <= first <= again <= store.now()
    found = store.read_beat("web1")
    assert (found.data, found.received_at) == (WEB1, again)
    assert store.scan().received["web1"] == again
    assert abs(store.now() - time.time_ns()) < 60e9


@pytest.mark.parametrize(("make", "errno_name", "what"), IN_ITS_PLACE)
def test_what_lies_in_a_records_place_is_reported_and_followed_by_nobody(
    fleet: Fleet, make: Callable[[str], None], errno_name: str, what: str
) -> None:
    make(str(fleet.record("web1")))
    before, store = tree(fleet.root), fleet.store()
    error = refusal(store.read_beat, "web1")
    assert error.details == {"errno": errno_name, "path": str(fleet.record("web1"))}
    assert "remove" in error.message
    refusal(register, store, "web1", {"role": "web"})
    assert store.write_beat("web1", WEB1, first=True) is None
    scan = store.scan()
    assert ("web1.json", what) in scan.oddities
    assert sorted(scan.received) == sorted(NEIGHBOURS)
    assert tree(fleet.root) == before


@pytest.mark.parametrize(
    "name",
    ["notes.txt", "WEB1.json", "web1.json.bak", "x.j", "caf\u00e9.json", "a b.json", "..json.json", ".hidden.json"],
)
def test_other_files_among_the_records_harm_nobody(fleet: Fleet, name: str) -> None:
    store = fleet.store()
    (fleet.location / "heartbeats" / name).write_bytes(b"something else")
    scan = store.scan()
    assert set(NEIGHBOURS) <= set(scan.received)
    assert "web1" not in scan.received
    assert register(store, "web1")["is_new_machine"]


def test_a_name_that_is_no_text_harms_nobody(fleet: Fleet) -> None:
    store = fleet.store()
    path = os.fsencode(str(fleet.location)) + b"/heartbeats/\xff\xfe.json"
    with open(path, "wb"):
        assert set(NEIGHBOURS) <= set(store.scan().received)


def test_documents_come_back_with_the_time_they_were_written(fleet: Fleet) -> None:
    store = fleet.store()
    assert store.read("conflicts/x.json") is None
    earliest = store.now()
    store.write("conflicts/x.json", b"{}")
    stamped = store.read_stamped("conflicts/x.json")
    assert stamped.data == b"{}"
    assert earliest <= stamped.received_at <= store.now()
    assert store.names("conflicts") == ["x.json"]
    assert store.delete("conflicts/x.json")
    assert not store.delete("conflicts/x.json")


def test_a_store_lets_go_of_everything_it_opened(fleet: Fleet) -> None:
    descriptors = open_descriptors()
    with FileStore(str(fleet.root), "default") as store:
        for work in (store.now, store.scan, lambda: store.names("conflicts"), lambda: store.read("journal/x.json")):
            work()
        for make in (
            lambda: store.read("nowhere/x"),
            lambda: store.delete("nowhere/x"),
            lambda: store.names("nowhere"),
        ):
            refusal(make)
        opened = open_descriptors()
        register(store, "web1")
        register(store, "web1")
        assert open_descriptors() == opened
    assert open_descriptors() == descriptors


def test_a_closed_store_opens_again(fleet: Fleet) -> None:
    store = fleet.store()
    store.now()
    store.close()
    store.close()
    assert store.exists()
    assert set(store.scan().received) == set(NEIGHBOURS)


def test_every_failure_is_one_of_ours(fleet: Fleet) -> None:
    """Also for names that no caller should use; ``OSError`` reaches nobody."""
    store = fleet.store()
    for work in (
        lambda: store.read("fleet.json/x"),
        lambda: store.read("nowhere/x.json"),
        lambda: store.write("x" * 300, b""),
        lambda: store.delete("heartbeats"),
        lambda: store.names("fleet.json"),
        lambda: store.write_beat("x" * 300, b""),
    ):
        with pytest.raises(HeartbeatError):
            work()
    assert store.read_beat("x" * 300) is None, "no machine has such a name"
