# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The roles for the two ends, on real hosts: the one that has the store, and one that checks without Ansible.

The tests of this file build on each other, in the order in which they stand here.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from ansible_collections.roosync.heartbeat.tests.hosts.fleet import (
    GROUPS,
    INTERVAL,
    OFFLINE_AFTER,
    SETTINGS,
    SLACK,
    Fleet,
)
from ansible_collections.roosync.heartbeat.tests.hosts.host import Host, wait_until
from ansible_collections.roosync.heartbeat.tests.hosts.lab import STORE, Lab
from ansible_collections.roosync.heartbeat.tests.hosts.playing import Played, Player
from ansible_collections.roosync.heartbeat.tests.hosts.test_deploy import files

MONITOR = "roosync-heartbeat-monitor"
STATE = f"/var/lib/{MONITOR}"
EXPOSED = 2.0
# Notes what it is told, and whether it has a network: one in which ssh answers.
HOOK = f"""#!/bin/sh
cat >>{STATE}/told
exec python3 -c 'import socket; socket.create_connection(("%s", 22), 5)'
"""


@pytest.fixture(scope="module")
def hosts(lab: Lab) -> list[Host]:
    """The host with the store and the monitor, and one to be lost."""
    made = lab.up(2)
    made[0].write("/usr/local/bin/tell", HOOK % made[0].address)
    made[0].run("chmod 755 /usr/local/bin/tell")
    return made


@pytest.fixture(scope="module")
def before(hosts: list[Host]) -> set[str]:
    return files(hosts[0])


@pytest.fixture(scope="module")
def deployed(lab: Lab, hosts: list[Host], before: set[str], player: Player) -> Iterator[Fleet]:
    """The fleet of both, made by the role."""
    played = store(player, hosts[0])
    assert played.ok().changed
    made = Fleet(lab, hosts, player)
    try:
        yield made
    finally:
        made.close()


def role(player: Player, host: Host, name: str, *arguments: str, **variables: Any) -> Played:
    task = {"name": "The role", "ansible.builtin.include_role": {"name": f"roosync.heartbeat.{name}"}}
    play = {"name": "A role", "hosts": host.name, "gather_facts": False, "become": True, "tasks": [task]}
    return player.play([play], *arguments, **variables)


def store(player: Player, host: Host, **variables: Any) -> Played:
    given = {
        "heartbeat_store_path": STORE,
        "heartbeat_store_group": GROUPS[0],
        "heartbeat_store_mount_point": STORE,
        # From the beginning, because thresholds that are shortened later count only after a while.
        "heartbeat_store_settings": {**SETTINGS, "hold_timeout": 600},
        "heartbeat_store_python": sys.executable,
        # The shared directory is in memory, and small.
        "heartbeat_store_warn_below": "0",
        "heartbeat_store_warn_below_files": 0,
    }
    return role(player, host, "heartbeat_store", **{**given, **variables})


def monitor(player: Player, host: Host, *arguments: str, **variables: Any) -> Played:
    given = {
        "heartbeat_monitor_store": STORE,
        "heartbeat_monitor_interval": INTERVAL,
        "heartbeat_monitor_groups": GROUPS,
        "heartbeat_monitor_python": sys.executable,
        "heartbeat_monitor_virtualenv": "",
        "heartbeat_monitor_hook": ["/usr/local/bin/tell"],
        "heartbeat_monitor_keep": 5,
    }
    return role(player, host, "heartbeat_monitor", *arguments, **{**given, **variables})


def latest(fleet: Fleet) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((fleet.path / "default" / "logs" / "latest.json").read_bytes())
    return found


def test_the_store(fleet: Fleet, player: Player, hosts: list[Host]) -> None:
    assert store(player, hosts[0]).ok().changed == []
    modes = hosts[0].run(f"stat -c '%a %G' {STORE} {STORE}/default {STORE}/default/journal/archive")
    assert modes.split("\n")[:-1] == ["2775 heartbeat"] * 3
    assert hosts[0].run(f"stat -c '%a %G' {STORE}/default/fleet.json") == "664 heartbeat\n"


def test_a_store_that_is_not_mounted(player: Player, hosts: list[Host]) -> None:
    """By what the role was told, and by what the host's own table says."""
    host = hosts[0]
    away = {"heartbeat_store_path": "/mnt/share/heartbeat"}
    played = store(player, host, heartbeat_store_mount_point="/mnt/share", **away)
    assert "nothing is mounted there" in played.failed(host.name).result["msg"]
    host.run("echo 'server:/share /mnt/share nfs noauto 0 0' >>/etc/fstab")
    played = store(player, host, heartbeat_store_mount_point="", **away)
    assert "/mnt/share is meant to be a mount point by /etc/fstab" in played.failed(host.name).result["msg"]
    assert not host.succeeds("test -e /mnt/share")
    host.run("sed -i /share/d /etc/fstab")


def test_check_mode_of_the_monitor(fleet: Fleet, player: Player, hosts: list[Host], before: set[str]) -> None:
    assert monitor(player, hosts[0], "--check", "--diff").ok().changed
    assert files(hosts[0]) - before == set()


def test_the_monitor_checks(fleet: Fleet, player: Player, hosts: list[Host]) -> None:
    """By its own user, in its sandbox, every second; a loss is told to the hook, which has a network."""
    host, lost = hosts
    fleet.deploy()
    assert monitor(player, host).ok().changed
    assert monitor(player, host).ok().changed == []
    first = latest(fleet)["checked_at"]
    fleet.monitor.wait_for(lambda _: latest(fleet)["checked_at"] > first, 2 * INTERVAL + SLACK, "a check by systemd")
    assert host.run(f"stat -c %U {STORE}/default/logs/latest.json").strip() == MONITOR
    assert sorted(latest(fleet)["online"]) == fleet.names
    lost.kill()
    told = f"cat {STATE}/told 2>/dev/null || :"
    fleet.monitor.wait_for(lambda _: lost.name in host.run(told), OFFLINE_AFTER + 2 * SLACK, "the hook")
    (line,) = host.run(told).splitlines()
    assert json.loads(line)["newly_offline"] == [lost.name]
    logs = fleet.path / "default" / "logs"
    # For a moment, until it has cleared away the oldest, each check leaves one more.
    wait_until(lambda: len(list(logs.glob("check-*.json"))) == 5, "five results are kept")
    # The hook ended well, or it would have been told again.
    assert host.run("systemctl --failed --no-legend") == ""


@pytest.mark.parametrize("unit", [MONITOR, "roosync-heartbeat", "roosync-heartbeat-goodbye"])
def test_the_units_are_exposed_as_little_as_can_be(fleet: Fleet, hosts: list[Host], unit: str) -> None:
    table = hosts[0].run(f"systemd-analyze security --no-pager {unit}.service")
    exposure = re.search(r"Overall exposure level for \S+: ([\d.]+)", table)
    assert exposure is not None, table
    assert float(exposure.group(1)) <= EXPOSED


def test_the_monitor_by_cron_and_away(fleet: Fleet, player: Player, hosts: list[Host], before: set[str]) -> None:
    host = hosts[0]
    cron = {"heartbeat_monitor_scheduler": "cron", "heartbeat_monitor_interval": 60}
    assert monitor(player, host, **cron).ok().changed
    assert monitor(player, host, **cron).ok().changed == []
    assert not host.succeeds(f"systemctl is-active {MONITOR}.timer")
    first = latest(fleet)["checked_at"]
    fleet.monitor.wait_for(lambda _: latest(fleet)["checked_at"] > first, 60 + SLACK, "a check by cron")
    assert monitor(player, host, heartbeat_monitor_state="absent").ok().changed
    fleet.play("remove", heartbeat_hosts=host.name).ok()
    # What the hook of this test wrote is not the monitor's to take away.
    host.run(f"rm -r {STATE}")
    assert files(host) - before == set()
    assert (fleet.path / "default" / "logs" / "latest.json").exists()
    assert monitor(player, host, heartbeat_monitor_state="absent").ok().changed == []
