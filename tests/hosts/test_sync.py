# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What machines have in common outlives the loss of one of them, on real hosts: over ssh, with what Debian has.

The tests of this file build on each other, in the order in which they stand here.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from typing import Any

import pytest

from ansible_collections.roosync.heartbeat.tests.hosts.fleet import INTERVAL, OFFLINE_AFTER, SLACK, Fleet
from ansible_collections.roosync.heartbeat.tests.hosts.host import Host
from ansible_collections.roosync.heartbeat.tests.hosts.lab import Lab
from ansible_collections.roosync.heartbeat.tests.hosts.playing import Played, Player

COUNT = 3
TREE = "/srv/site"
Whole = dict[str, tuple[Any, ...]]

pytestmark = pytest.mark.usefixtures("deployed")


@pytest.fixture(scope="module")
def hosts(lab: Lab) -> list[Host]:
    return lab.up(COUNT)


@pytest.fixture(scope="module")
def deployed(lab: Lab, hosts: list[Host], player: Player) -> Iterator[Fleet]:
    """A fleet of three that has a site in common. It was written on the first, and the others took it over."""
    made = Fleet(lab, hosts, player)
    try:
        made.settings(sync_paths={"site": {"path": TREE, "machines": ["hb-*"]}})
        made.deploy()
        hosts[0].run(
            f"mkdir -p {TREE}/conf.d {TREE}/empty && cd {TREE} && umask 022 && "
            "for n in captured disputed dropped reviewed; do echo first >conf.d/$n; done; "
            "chmod 750 empty; ln -s conf.d/captured link; echo key >secret; chmod 600 secret; "
            "chown www-data:backup secret; chown -h 1234:4321 link; truncate -s 8M sparse; "
            r"printf x >$(printf 'name\377')"
        )
        for host in hosts:
            host.run(f"mkdir -p {TREE}")
            sync(made, host, "online")
        yield made
    finally:
        made.close()


def call(fleet: Fleet, host: Host, module: str, **options: Any) -> dict[str, Any]:
    """One task on one host; its result."""
    task = {"name": "Call", f"roosync.heartbeat.{module}": {"store": str(fleet.path), **options}}
    play = {"name": "Call a module", "hosts": host.name, "gather_facts": False, "tasks": [task]}
    return result(fleet.player.play([play]).ok(), host, "Call")


def sync(fleet: Fleet, host: Host, event: str) -> dict[str, Any]:
    return call(fleet, host, "heartbeat_sync", event=event, machine_id=host.name)


def result(played: Played, host: Host, name: str) -> dict[str, Any]:
    (found,) = [task.result for task in played.tasks if (task.host, task.name) == (host.name, name)]
    return found


def whole(host: Host) -> Whole:
    """Every entry of the tree on a host, with all that counts."""
    top = host.root / TREE[1:]
    found: Whole = {}
    for path in sorted(top.rglob("*")):
        state = path.lstat()
        content: Any = os.readlink(path) if path.is_symlink() else None
        if stat.S_ISREG(state.st_mode):
            content = path.read_bytes()
        found[str(path.relative_to(top))] = (state.st_mode, state.st_uid, state.st_gid, content)
    return found


def test_one_site_on_all(hosts: list[Host]) -> None:
    first, *others = (whole(host) for host in hosts)
    assert len(first) == 10, sorted(first)
    assert all(other == first for other in others)
    sparse = (hosts[1].root / TREE[1:] / "sparse").stat()
    assert sparse.st_size == 8 << 20
    assert sparse.st_blocks * 512 < 1 << 20, "the hole was not kept"


def test_a_loss_is_saved(fleet: Fleet, hosts: list[Host]) -> None:
    """What was captured before the kill is in the baseline after it; what was edited later is on the disk alone."""
    lost, other, _third = hosts
    lost.run(f"echo 'on the lost one, captured' >{TREE}/conf.d/captured")
    assert sync(fleet, lost, "capture")["snapshots"] == 1
    lost.run(f"echo 'on the lost one, not captured' >{TREE}/conf.d/disputed; sync")
    with fleet.nobody_else_affected(lost):
        killed = lost.kill()
        fleet.goes_offline(lost, killed)
    # The hosts that are up, and the monitor, which works for the one that is not.
    saved = fleet.play("sync", heartbeat_hosts=other.name).ok()
    done = result(saved, other, "Save what the lost machines had")
    assert [(one["machine_id"], one["event"], one["files_synced"]) for one in done["syncs"]] == [
        (lost.name, "offline", 1)
    ]
    assert fleet.play("sync", heartbeat_hosts=other.name).ok().changed == []

    sync(fleet, other, "online")
    assert (other.root / TREE[1:] / "conf.d/captured").read_text() == "on the lost one, captured\n"
    other.run(
        f"cd {TREE} && echo 'on the other' >conf.d/disputed && rm conf.d/dropped && chmod 640 conf.d/reviewed && "
        "chown root:adm secret && echo new >added && rmdir empty"
    )
    assert sync(fleet, other, "online")["files_synced"] == 5


def test_a_return_catches_up(fleet: Fleet, hosts: list[Host]) -> None:
    """Everything is taken over but what both sides have changed: that is a decision, and both keep theirs."""
    back, other, third = hosts
    back.start()
    fleet.monitor.wait_for_status("online", [back.name], INTERVAL + OFFLINE_AFTER + SLACK)
    before = whole(back)

    planned = fleet.play("sync", "--check", "--diff").ok()
    assert whole(back) == before
    played = fleet.play("sync").ok()
    name = "Bring a returned machine up to date"
    done = result(played, back, name)
    assert result(planned, back, name)["plan"] == done["plan"]
    assert sorted((step["path"], step["action"]) for step in done["plan"] if step["side"] == "machine") == [
        ("added", "create"),
        ("conf.d/dropped", "delete"),
        ("conf.d/reviewed", "attributes"),
        ("empty", "delete"),
        ("secret", "attributes"),
    ]
    assert (done["decisions_created"], done["conflicts_resolved"]) == (1, 0)
    assert done["offline_duration"] > 0
    mine, theirs = whole(back), whole(other)
    assert mine.pop("conf.d/disputed")[3] == b"on the lost one, not captured\n"
    assert theirs.pop("conf.d/disputed")[3] == b"on the other\n"
    assert mine == theirs
    assert fleet.play("sync").ok().changed == []

    rolled = fleet.play("rollback", heartbeat_hosts=back.name).ok()
    assert rolled.changed == [(back.name, "Bring the trees back to what they were before")]
    assert whole(back) == before, "every byte, mode and owner"
    # Forward again, by hand this time.
    sync(fleet, back, "online")
    assert whole(third) != whole(back)


def test_a_decision_is_carried_out(fleet: Fleet, hosts: list[Host]) -> None:
    back, other, third = hosts
    task = {
        "name": "Decide",
        "roosync.heartbeat.heartbeat_decision": {
            "store": str(fleet.path),
            "tree": "site",
            "keep": "machine",
        },
    }
    decide = {"name": "Decide", "hosts": "localhost", "gather_facts": False, "tasks": [task]}
    fleet.player.play([decide]).ok()
    for host in (back, other, third):
        sync(fleet, host, "online")
    assert whole(back) == whole(other) == whole(third)
    assert whole(other)["conf.d/disputed"][3] == b"on the lost one, not captured\n"
    for host in hosts:
        assert not sync(fleet, host, "online")["changed"]


def test_a_replacement_gets_what_the_lost_one_had(fleet: Fleet, hosts: list[Host]) -> None:
    """From the last snapshot: first on the same host, whose tree is gone, then on another one."""
    lost, replacement, _third = hosts
    lost.run(f"echo 'only here' >{TREE}/own && chmod 604 {TREE}/own")
    sync(fleet, lost, "capture")
    expected = whole(lost)
    lost.run(f"rm -r {TREE}/* && echo damaged >{TREE}/secret")
    restored = call(fleet, lost, "heartbeat_restore", machine_id=lost.name, snapshot="latest")
    assert restored["changed"]
    assert whole(lost) == expected
    assert not call(fleet, lost, "heartbeat_restore", machine_id=lost.name, snapshot="latest")["changed"]
    assert whole(replacement) != expected
    options = {"machine_id": lost.name, "to_machine_id": replacement.name, "snapshot": "latest"}
    assert call(fleet, replacement, "heartbeat_restore", **options)["changed"]
    assert whole(replacement) == expected
