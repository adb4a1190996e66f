# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts that take snapshots of their trees by themselves, by systemd or cron, while they go on beating.

The tests of this file build on each other, in the order in which they stand here.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator

import pytest

from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.sync.manifest import Manifest
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.sync.refs import Refs
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.sync.vault import Vault
from ansible_collections.roosync.heartbeat.tests.hosts.fleet import FLEET, INTERVAL, SLACK, UNIT, Fleet
from ansible_collections.roosync.heartbeat.tests.hosts.host import Host
from ansible_collections.roosync.heartbeat.tests.hosts.lab import Lab
from ansible_collections.roosync.heartbeat.tests.hosts.playing import Player

COUNT = 2
EVERY = 3
TREE = "/home/site"
CAPTURE = f"{UNIT}-capture"
CRON_FILE = f"/etc/cron.d/{CAPTURE}"


@pytest.fixture(scope="module")
def hosts(lab: Lab) -> list[Host]:
    return lab.up(COUNT)


@pytest.fixture(scope="module")
def deployed(lab: Lab, hosts: list[Host], player: Player) -> Iterator[Fleet]:
    """A fleet of two that has a site in common. The first host takes snapshots of it."""
    made = Fleet(lab, hosts, player)
    try:
        made.settings(sync_paths={"site": {"path": TREE}})
        for host in hosts:
            host.run(f"mkdir {TREE} && cd {TREE} && echo open >open && echo secret >secret && chmod 600 secret")
        made.deploy()
        yield made
    finally:
        made.close()


def snapshots(fleet: Fleet, host: Host) -> list[Manifest]:
    """The host's snapshots, the oldest first."""
    vault = str(fleet.path / FLEET / "vault")
    with Refs(vault) as refs, Vault(vault, create=True) as opened:
        return [opened.manifest(one.manifest) for one in refs.strict_snapshots(host.name, "site")]


def test_a_change_is_captured_and_no_beat_waits(fleet: Fleet) -> None:
    host, other = fleet.hosts
    with fleet.nobody_else_affected():
        played = fleet.deploy(heartbeat_hosts=host.name, heartbeat_agent_capture_every=EVERY)
        assert played.changed
        assert fleet.deploy(heartbeat_hosts=host.name, heartbeat_agent_capture_every=EVERY).changed == []
        due = EVERY * INTERVAL + SLACK
        fleet.monitor.wait_for(lambda _: bool(snapshots(fleet, host)), due + INTERVAL, "the first snapshot")
        for number in range(3):
            # At once in its place with what is in it: a capture in between would be one more.
            host.run(f"echo {number} >{TREE}.new && mv {TREE}.new {TREE}/new{number}")
            fleet.monitor.wait_for(
                lambda _, name=f"new{number}": name in snapshots(fleet, host)[-1].entries, due, "a snapshot of a change"
            )
        taken = len(snapshots(fleet, host))
        fleet.monitor.watch_for(2 * EVERY * INTERVAL)
        assert len(snapshots(fleet, host)) == taken, "nothing has changed"
    last = snapshots(fleet, host)[-1]
    assert sorted(last.entries) == ["new0", "new1", "new2", "open"]
    assert last.unknown == {"secret": "unreadable (EACCES)"}
    assert snapshots(fleet, other) == []
    assert host.run("systemctl --failed --no-legend") == ""


def test_sandbox(fleet: Fleet) -> None:
    """What systemd itself says: 0 is best, 10 is worst."""
    said = fleet.hosts[0].run(f"systemd-analyze security --no-pager {CAPTURE}.service")
    found = re.search(r"Overall exposure level for \S+: ([0-9.]+)", said)
    assert found is not None, said
    assert float(found.group(1)) <= 2.0, said


def test_an_emptied_tree_does_not_replace_the_last_snapshot(fleet: Fleet) -> None:
    host = fleet.hosts[0]
    before = len(snapshots(fleet, host))
    host.run(f"mount -t tmpfs none {TREE} || (mkdir /home/away && mv {TREE}/* /home/away)")
    with fleet.nobody_else_affected():
        fleet.monitor.wait_for(
            lambda _: host.succeeds(f"journalctl -u {CAPTURE} | grep -q SYNC_MASS_DELETE"),
            2 * EVERY * INTERVAL + SLACK,
            "a capture that is refused",
        )
    assert len(snapshots(fleet, host)) == before
    # Lazily, since a capture may be reading it.
    host.run(f"umount --lazy {TREE} || mv /home/away/* {TREE}")
    host.run(f"systemctl reset-failed; echo back >{TREE}/new0")
    fleet.monitor.wait_for(
        lambda _: len(snapshots(fleet, host)) > before, EVERY * INTERVAL + SLACK, "a snapshot of what is back"
    )


def test_cron(fleet: Fleet) -> None:
    """cron itself starts the capture that is waited for, and the timer is gone."""
    host = fleet.hosts[0]
    one = {"heartbeat_hosts": host.name, "heartbeat_agent_scheduler": "cron", "heartbeat_agent_capture_every": 1}
    minute = {"heartbeat_interval": 60, "warning_after": 130, "offline_after": 200}
    with fleet.nobody_else_affected(host):
        fleet.settings(overrides={host.name: minute})
        assert fleet.deploy(**one).changed
        assert host.succeeds(f"test -e {CRON_FILE} && ! test -e /etc/systemd/system/{CAPTURE}.timer")
        assert fleet.deploy(**one).changed == []
        host.run(f"echo 'seen by cron' >{TREE}/cron")
        fleet.monitor.wait_for(lambda _: "cron" in snapshots(fleet, host)[-1].entries, 60 + SLACK, "a snapshot by cron")
        fleet.settings(overrides={})
        fleet.deploy(heartbeat_hosts=host.name)
        assert host.succeeds(f"! test -e {CRON_FILE} && ! test -e /etc/systemd/system/{CAPTURE}.timer")


def test_remove_leaves_nothing(fleet: Fleet) -> None:
    host = fleet.hosts[0]
    fleet.deploy(heartbeat_hosts=host.name, heartbeat_agent_capture_every=EVERY)
    removed = time.time()
    fleet.play("remove").ok()
    fleet.goes_as_planned(host, removed)
    assert host.run(f"find / -xdev -path /proc -prune -o -path /srv -prune -o -name '{UNIT}*' -print") == ""
    assert host.run("systemctl --failed --no-legend") == ""
    assert not host.succeeds(f"getent passwd {UNIT}")
