# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A store on a network file system, and what can happen to it: seven hosts, one of them the file server."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

import pytest

from ansible_collections.roosync.heartbeat.plugins.module_utils._engine import journal
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.state import Transition
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.stores.file import FileStore
from ansible_collections.roosync.heartbeat.tests.hosts.checking import RemoteChecker
from ansible_collections.roosync.heartbeat.tests.hosts.fleet import (
    FLEET,
    OFFLINE_AFTER,
    SLACK,
    UNIT,
    Fleet,
)
from ansible_collections.roosync.heartbeat.tests.hosts.host import Host, wait_until
from ansible_collections.roosync.heartbeat.tests.hosts.lab import Lab
from ansible_collections.roosync.heartbeat.tests.hosts.playing import Player

EXPORT = "/export"
STORE = "/net/heartbeat"
LONG = 2 * OFFLINE_AFTER


@pytest.fixture(scope="module")
def server(lab: Lab) -> Host:
    """The file server; it does not beat."""
    server, *clients = lab.up(7)
    server.mount_small_disk(EXPORT, "8m")
    for client in clients:
        # Where the mount is to be, a local directory that the agent may write to.
        client.run(f"install -d -m 2775 -g heartbeat {STORE}")
        client.mount_sshfs(server, EXPORT, STORE)
    return server


@pytest.fixture(scope="module")
def deployed(lab: Lab, server: Host, player: Player) -> Iterator[Fleet]:
    """Six hosts with the store on the server; the monitor sees the server's own files, whatever the network does."""
    made = Fleet(lab, lab.hosts[1:], player, STORE, Path(f"{server.root}{EXPORT}"))
    try:
        made.deploy()
        yield made
    finally:
        made.close()


def nobody_is_called_offline(fleet: Fleet, since: float) -> None:
    """All beat again, and nobody was offline in the meantime."""
    fleet.monitor.wait_for_status("online", fleet.names, SLACK)
    # One full offline_after more: a verdict that the outage only delayed would come now.
    fleet.monitor.watch_for(OFFLINE_AFTER)
    fallen = [t for t in fleet.monitor.changes(since) if t.after == "offline"]
    assert not fallen, fallen
    assert not any(look.result.get("offline") for look in fleet.monitor.looks if look.at > since)


def test_server_cut_off(fleet: Fleet, server: Host) -> None:
    """Nobody can write for longer than ``offline_after``: an outage of the store, and of no machine."""
    since = fleet.wait_until_well()
    with server.cut_off():
        fleet.monitor.watch_for(LONG)
    nobody_is_called_offline(fleet, since)
    kinds = {i["kind"] for look in fleet.monitor.looks if look.at > since for i in look.result.get("incidents", ())}
    assert kinds == {"store_outage"}


def test_full(fleet: Fleet, server: Host) -> None:
    """No beat fits any more. The protocol has no word for it: the hosts learn that the write failed."""
    since = fleet.wait_until_well()
    with server.full(EXPORT):
        fleet.monitor.watch_for(LONG)
        assert all(fleet.missed(host) for host in fleet.hosts)
    nobody_is_called_offline(fleet, since)


def test_read_only(fleet: Fleet, server: Host) -> None:
    since = fleet.wait_until_well()
    with server.read_only(EXPORT):
        fleet.monitor.watch_for(LONG)
        assert fleet.monitor.looks[-1].error == "STORE_UNAVAILABLE"
        assert all(fleet.missed(host) for host in fleet.hosts)
    nobody_is_called_offline(fleet, since)


def test_client_cut_off(fleet: Fleet) -> None:
    """One host without its network is that host's own trouble."""
    host = fleet.hosts[1]
    with fleet.nobody_else_affected(host) as well:
        with host.cut_off():
            fleet.goes_offline(host, time.time(), well)
            healed = time.time()
        back = fleet.monitor.wait_for_change(host.name, "online", healed, SLACK)
        assert (back.before, back.cause) == ("offline", "beat")
        assert fleet.record(host)["missed"]["count"] > 0


@contextmanager
def unmounted(host: Host, server: Host) -> Iterator[None]:
    """Somebody unmounts the store."""
    host.unmount(STORE)
    yield


@contextmanager
def lost(host: Host, server: Host) -> Iterator[None]:
    """The connection breaks for good, and the mount goes with it."""
    with host.cut_off(server):
        yield
        assert not host.succeeds(f"mountpoint -q {STORE}")


@pytest.mark.parametrize("disappears", [unmounted, lost])
def test_mount_disappears(
    fleet: Fleet, server: Host, disappears: Callable[[Host, Host], AbstractContextManager[None]]
) -> None:
    """The agent must not go on in the empty directory below the mount, though it may write there."""
    host = fleet.hosts[2]
    host.unmount(STORE)
    assert host.succeeds(f"setpriv --reuid {UNIT} --init-groups test -w {STORE}")
    host.mount_sshfs(server, EXPORT, STORE, reconnect=False)
    with fleet.nobody_else_affected(host) as well:
        try:
            with disappears(host, server):
                fleet.goes_offline(host, time.time(), well)
                assert host.run(f"ls -A {STORE}") == ""
                assert fleet.missed(host)
        finally:
            mounted = time.time()
            host.unmount(STORE)
            host.mount_sshfs(server, EXPORT, STORE)
        fleet.comes_back(host, mounted)


def test_what_the_file_system_lacks(fleet: Fleet) -> None:
    """On sshfs a lock excludes only programs of one host, and times have whole seconds: what the next test is about."""
    one, other = fleet.hosts[:2]
    file = f"{STORE}/lock"
    one.run(f"systemd-run --quiet --unit lock-holder flock {file} sleep infinity")
    try:
        wait_until(lambda: not one.succeeds(f"flock --nonblock {file} true"), "the lock is held")
        assert other.succeeds(f"flock --nonblock {file} true")
    finally:
        one.run(f"systemctl stop lock-holder; rm {file}")
    times = other.run(f"stat --format %.Y {STORE}/{FLEET}/heartbeats/*.json").split()
    assert len(times) == len(fleet.hosts)
    assert all(float(text).is_integer() for text in times), times


def test_two_checkers(fleet: Fleet, server: Host, player: Player) -> None:
    """Two hosts check over a file system on which locks exclude nobody, and the monitor does: each fact counts once."""
    victim = fleet.hosts[5]
    fleet.wait_until_well()
    before = fleet.monitor.looks[-1].result["last_event"]

    def recorded() -> list[Transition]:
        with FileStore(str(fleet.path), FLEET) as store:
            return journal.transitions_since(store, journal.load(store), before)

    def losses() -> int:
        return sum(t.to_status == "offline" for t in recorded())

    with RemoteChecker(fleet.hosts[0], player, STORE) as one, RemoteChecker(fleet.hosts[1], player, STORE) as other:
        for turn in range(3):
            # The first loss is for the two alone to find: else the monitor might be first every time.
            with fleet.monitor.resting() if turn == 0 else nullcontext():
                victim.kill()
                wait_until(lambda turn=turn: losses() > turn, "the loss is recorded")
            victim.start()
            victim.mount_sshfs(server, EXPORT, STORE)
            fleet.monitor.wait_for_status("online", [victim.name], SLACK)
    remote = one.events + other.events
    told = remote + [(t.event, t.event_id) for t in fleet.monitor.changes() if t.event > before]
    assert sorted(told) == sorted((t.event, t.event_id) for t in recorded())
    assert len({event_id for _event, event_id in told}) == len(told)
    assert remote, "nothing was shown of two checkers"
