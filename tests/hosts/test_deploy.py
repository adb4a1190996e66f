# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The life of a deployment on real hosts: the first time, one more host, again, an upgrade, another scheduler, the end.

The tests of this file build on each other, in the order in which they stand here.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.roosync.heartbeat.tests.hosts.fleet import SLACK, UNIT, Fleet
from ansible_collections.roosync.heartbeat.tests.hosts.host import Host, wait_until
from ansible_collections.roosync.heartbeat.tests.hosts.lab import Lab
from ansible_collections.roosync.heartbeat.tests.hosts.playing import Played, Player

CRON_FILE = "/etc/cron.d/roosync-heartbeat"
UNITS = f"/etc/systemd/system/{UNIT}.timer"
# What changes on a host that is only up: logs, caches, what Ansible itself leaves at home.
VOLATILE = "/proc /sys /dev /run /tmp /var/tmp /var/log /root /home /srv"


def files(host: Host) -> set[str]:
    """Every file of the host, and every user and group."""
    prunes = " -o ".join(f"-path {path}" for path in VOLATILE.split())
    found = host.run(f"find / -xdev \\( {prunes} \\) -prune -o -print; cat /etc/passwd /etc/group")
    return set(found.splitlines())


@pytest.fixture(scope="module")
def before(hosts: list[Host]) -> dict[str, set[str]]:
    """What was on each host before anything was deployed."""
    return {host.name: files(host) for host in hosts}


@pytest.fixture(scope="module")
def first_time(
    lab: Lab, hosts: list[Host], before: dict[str, set[str]], player: Player
) -> Iterator[tuple[Fleet, Played]]:
    """Deployed on all hosts but the last; what the playbook did."""
    made = Fleet(lab, hosts, player, pipelining=False)
    try:
        yield made, made.deploy(heartbeat_hosts=",".join(made.names[:-1]))
    finally:
        made.close()


@pytest.fixture(scope="module")
def deployed(first_time: tuple[Fleet, Played]) -> Fleet:
    return first_time[0]


def test_all_are_online_within_two_intervals(first_time: tuple[Fleet, Played]) -> None:
    fleet, played = first_time
    assert {host for host, _task in played.changed} == set(fleet.names[:-1])
    fleet.online_in_time(played, fleet.hosts[:-1])


def test_check_mode_on_a_host_that_has_nothing(fleet: Fleet, before: dict[str, set[str]]) -> None:
    last = fleet.hosts[-1]
    played = fleet.deploy("--check", "--diff", heartbeat_hosts=last.name)
    assert {host for host, _task in played.changed} == {last.name}
    assert files(last) - before[last.name] == set()


def test_no_python(fleet: Fleet) -> None:
    """A host without any Python is refused with the reason, and nothing is done to it."""
    last = fleet.hosts[-1]
    before = files(last)
    last.run("mkdir /root/away && mv /usr/bin/python3* /root/away")
    try:
        for variables in ({}, {"ansible_python_interpreter": "auto"}):
            played = fleet.play("deploy", heartbeat_hosts=last.name, **variables)
            assert played.rc != 0
            assert "python3" in str(played.failed(last.name).result["msg"]), played.output
            assert played.changed == []
    finally:
        last.run("mv /root/away/* /usr/bin && rmdir /root/away")
    assert files(last) == before


def test_one_more_host(fleet: Fleet) -> None:
    """Only the new one changes, and is online within two intervals of its deployment."""
    last = fleet.hosts[-1]
    since = time.time()
    played = fleet.deploy()
    assert {host for host, _task in played.changed} == {last.name}
    fleet.online_in_time(played, [last])
    assert not fleet.monitor.unwell(fleet.others(last), since)
    look = fleet.monitor.wait_for_status("online", fleet.names, SLACK)
    assert look.result["statistics"]["total"] == len(fleet.names)


@pytest.mark.parametrize("unit", [f"{UNIT}.service", f"{UNIT}-goodbye.service"])
def test_sandbox(fleet: Fleet, unit: str) -> None:
    """What systemd itself says of the units that it runs: 0 is best, 10 is worst."""
    said = fleet.hosts[0].run(f"systemctl is-enabled {UNIT}.timer && systemd-analyze security --no-pager {unit}")
    found = re.search(r"Overall exposure level for \S+: ([0-9.]+)", said)
    assert found is not None, said
    assert float(found.group(1)) <= 2.0, said


def test_the_goodbye_comes_before_the_store_is_unmounted(fleet: Fleet) -> None:
    """Also where no target of systemd's waits for the mount: it is named."""
    after = fleet.hosts[0].run(f"systemctl show --property=After {UNIT}-goodbye.service")
    assert {"srv.mount", "srv-heartbeat.mount"} <= set(after.strip().partition("=")[2].split())


def test_the_goodbye_comes_after_all_that_beats(fleet: Fleet) -> None:
    """At shutdown: what starts first is stopped last."""
    before = fleet.hosts[0].run(f"systemctl show --property=Before {UNIT}-goodbye.service")
    assert {f"{UNIT}.timer", f"{UNIT}.service"} <= set(before.strip().partition("=")[2].split())


def test_again_changes_nothing(fleet: Fleet) -> None:
    """As another user with sudo, too."""
    with fleet.nobody_else_affected():
        assert fleet.deploy(ansible_user="ops").changed == []


def test_upgrade(fleet: Fleet, player: Player) -> None:
    """Another release of the agent: nobody misses a beat, and the sequence goes on."""
    host = fleet.hosts[0]
    (source,) = player.collections.glob("ansible_collections/roosync/heartbeat/plugins/module_utils/_engine/clock.py")
    release = host.run("readlink /usr/lib/roosync-heartbeat/current")
    sequence = fleet.record(host)["sequence"]
    true_text = source.read_text(encoding="utf-8")
    source.write_text(true_text + "\n# another release\n", encoding="utf-8")
    try:
        with fleet.nobody_else_affected():
            fleet.deploy(heartbeat_hosts=host.name)
            assert host.run("readlink /usr/lib/roosync-heartbeat/current") != release
            assert fleet.record(host)["sequence"] > sequence
    finally:
        source.write_text(true_text, encoding="utf-8")


def test_refusals(fleet: Fleet) -> None:
    """What cannot work is refused at deployment, with the reason, and is not found out later."""
    host = fleet.hosts[1]
    one = {"heartbeat_hosts": host.name}
    host.run("mkdir -p /mnt/nothing")
    cases = [
        ({"heartbeat_agent_scheduler": "at"}, "value of heartbeat_agent_scheduler must be one of"),
        ({"heartbeat_agent_scheduler": "cron"}, "cron knows whole minutes"),
        ({"heartbeat_agent_store": "/mnt/nothing"}, "mount the share"),
        ({"heartbeat_agent_store": "/mnt/not-there"}, "/mnt/not-there"),
    ]
    with fleet.nobody_else_affected():
        for variables, reason in cases:
            played = fleet.play("deploy", **one, **variables)
            assert played.rc != 0, variables
            assert reason in str(played.failed(host.name).result), played.output
    host.run("rmdir /mnt/nothing")


def test_a_host_that_cannot_beat(fleet: Fleet) -> None:
    """Its name is taken by a host that beats on: the machine of that name is online, and this host is refused."""
    first, second = fleet.hosts[:2]
    with fleet.nobody_else_affected(second):
        played = fleet.play("deploy", heartbeat_hosts=second.name, heartbeat_agent_machine_id=first.name)
        assert played.rc != 0
        assert f"IDENTITY_CONFLICT: {first.name} is in use" in str(played.failed(second.name).result), played.output
        assert fleet.deploy(heartbeat_hosts=second.name).changed
        fleet.monitor.wait_for_status("online", [second.name], SLACK)


def test_another_scheduler_and_back(fleet: Fleet) -> None:
    """systemd, cron, stopped, systemd: each time the other one's entry goes. cron itself starts the beat waited for."""
    host = fleet.hosts[-1]
    one = {"heartbeat_hosts": host.name}
    minute = {"heartbeat_interval": 60, "warning_after": 130, "offline_after": 200}
    with fleet.nobody_else_affected(host):
        fleet.settings(overrides={host.name: minute})
        host.run("systemctl stop cron.service")
        played = fleet.play("deploy", heartbeat_agent_scheduler="cron", **one)
        host.run("systemctl start cron.service")
        assert "no program of cron is running" in str(played.failed(host.name).result), played.output
        assert host.succeeds(f"test -e {UNITS} && ! test -e {CRON_FILE} && systemctl is-active {UNIT}.timer")
        # As a user with sudo: here a task becomes the agent's user, which may read no other user's files.
        assert fleet.deploy(heartbeat_agent_scheduler="cron", ansible_user="ops", **one).changed
        assert host.succeeds(f"test -e {CRON_FILE} && ! test -e {UNITS} && ! systemctl is-active {UNIT}.timer")
        assert fleet.deploy(heartbeat_agent_scheduler="cron", **one).changed == []
        sequence = fleet.record(host)["sequence"]
        fleet.monitor.wait_for(lambda _: fleet.record(host)["sequence"] > sequence, 60 + SLACK, "a beat by cron")
        stopped = time.time()
        fleet.play("stop", heartbeat_agent_scheduler="cron", ansible_user="ops", **one).ok()
        fleet.goes_as_planned(host, stopped)
        fleet.settings(overrides={})
        assert fleet.deploy(heartbeat_agent_scheduler="systemd", **one).changed
        assert host.succeeds(f"test -e {UNITS} && ! test -e {CRON_FILE} && systemctl is-active {UNIT}.timer")
        fleet.monitor.wait_for_status("online", [host.name], SLACK)


def test_stop_says_goodbye(fleet: Fleet) -> None:
    host = fleet.hosts[2]
    with fleet.nobody_else_affected(host):
        stopped = time.time()
        fleet.play("stop", heartbeat_hosts=host.name).ok()
        fleet.goes_as_planned(host, stopped)
        assert fleet.play("stop", heartbeat_hosts=host.name).ok().changed == []
        started = time.time()
        fleet.deploy(heartbeat_hosts=host.name)
        fleet.comes_back(host, started)


def test_nothing_beats_after_the_goodbye(fleet: Fleet) -> None:
    """Not even a beat that had begun before, and takes its time."""
    host = fleet.hosts[4]
    record = f"{fleet.store}/default/heartbeats/{host.name}.json"
    drop_in = f"/etc/systemd/system/{UNIT}.service.d/slow.conf"
    waits = f"until grep -q leaving...stop {record}; do sleep 0.02; done"
    with fleet.nobody_else_affected(host):
        host.write(drop_in, f"[Service]\nExecStartPre=/bin/sh -c '{waits}'\n")
        host.run("systemctl daemon-reload")
        try:
            wait_until(lambda: "start-pre" in host.run(f"systemctl show {UNIT}.service"), "a beat has begun")
            fleet.play("stop", heartbeat_hosts=host.name).ok()
            assert fleet.record(host)["leaving"] == "stop"
        finally:
            host.run(f"rm -r {drop_in.rpartition('/')[0]}; systemctl daemon-reload")
        fleet.deploy(heartbeat_hosts=host.name)
        fleet.monitor.wait_for_status("online", [host.name], SLACK)


def test_a_goodbye_that_cannot_be_said(fleet: Fleet) -> None:
    """It is told, and nothing of the units is left as failed."""
    host = fleet.hosts[3]
    with fleet.nobody_else_affected(host):
        host.run("echo nonsense >>/etc/roosync-heartbeat/agent.conf")
        played = fleet.play("stop", heartbeat_hosts=host.name).ok()
        assert f"The goodbye of {host.name} could not be said" in played.output
        assert "INVALID_SETTINGS: /etc/roosync-heartbeat/agent.conf" in played.output
        assert host.run("systemctl --failed --no-legend") == ""
        fleet.deploy(heartbeat_hosts=host.name)
        fleet.monitor.wait_for_status("online", [host.name], SLACK)


def test_remove_leaves_nothing(fleet: Fleet, before: dict[str, set[str]]) -> None:
    removed = time.time()
    fleet.play("remove").ok()
    for host in fleet.hosts:
        fleet.goes_as_planned(host, removed)
        assert files(host) - before[host.name] == set()
        assert host.run("systemctl --failed --no-legend") == ""
    assert fleet.play("remove").ok().changed == []
    assert Path(fleet.path, "default", "fleet.json").exists()
