# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The agent of one user without root, on a real host: by the user's own systemd, then by the user's crontab.

The tests of this file build on each other, in the order in which they stand here.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from ansible_collections.roosync.heartbeat.tests.hosts.fleet import INTERVAL, SLACK, Fleet
from ansible_collections.roosync.heartbeat.tests.hosts.host import Host
from ansible_collections.roosync.heartbeat.tests.hosts.lab import Lab
from ansible_collections.roosync.heartbeat.tests.hosts.playing import Player
from ansible_collections.roosync.heartbeat.tests.hosts.test_deploy import files

USER = "ops"
OWN = f"XDG_RUNTIME_DIR=/run/user/$(id -u {USER}) runuser -u {USER} --"
HOME = f"/home/{USER}"


@pytest.fixture(scope="module")
def host(lab: Lab) -> Host:
    """One host on which users have a systemd of their own, as everywhere but in a container as small as ours."""
    (one,) = lab.up(1)
    # What libpam-systemd would do, which the hosts do without.
    one.write(
        "/etc/systemd/system/user@.service.d/runtime.conf", "[Service]\nEnvironment=XDG_RUNTIME_DIR=/run/user/%i\n"
    )
    one.run("systemctl unmask systemd-logind.service && systemctl start systemd-logind.service")
    one.run(f"usermod --append --groups heartbeat {USER}")
    return one


@pytest.fixture(scope="module")
def deployed(lab: Lab, host: Host, player: Player) -> Iterator[Fleet]:
    """A fleet of that host, without an agent so far; what is played is played as the user, who does not use sudo."""
    made = Fleet(lab, [host], player)
    host.run("mv /etc/sudoers.d /etc/sudoers.off")
    try:
        yield made
    finally:
        made.close()


def own(**variables: object) -> dict[str, object]:
    return {"ansible_user": USER, "heartbeat_agent_scope": "user", **variables}


def test_without_leave_to_stay(fleet: Fleet, host: Host) -> None:
    """Who may not let services run without a login is told so, and by whom it can be changed."""
    played = fleet.play("deploy", **own())
    assert played.rc != 0
    assert "loginctl enable-linger ops" in played.failed(host.name).result["msg"]


def test_by_systemd(fleet: Fleet, host: Host) -> None:
    host.run(f"loginctl enable-linger {USER}")
    before = files(host)
    assert fleet.deploy(**own()).changed
    fleet.monitor.wait_for_status("online", [host.name], 2 * INTERVAL + SLACK)
    since = time.time()
    assert fleet.deploy(**own()).changed == []
    sequence = fleet.record(host)["sequence"]
    fleet.monitor.wait_for(lambda _: fleet.record(host)["sequence"] > sequence + 2, SLACK, "further beats")
    assert not fleet.monitor.unwell([host.name], since)
    assert files(host) == before, "something was written outside of the user's home"
    assert host.run(f"stat -c %U {fleet.store}/default/heartbeats/{host.name}.json").strip() == USER


def test_stop_says_goodbye(fleet: Fleet, host: Host) -> None:
    stopped = time.time()
    fleet.play("stop", **own()).ok()
    gone = fleet.monitor.wait_for_change(host.name, "offline", stopped, SLACK)
    assert (gone.cause, gone.planned) == ("goodbye", True)
    assert fleet.play("stop", **own()).ok().changed == []


def test_by_cron(fleet: Fleet, host: Host) -> None:
    """cron itself starts the beat that is waited for, from the user's own crontab."""
    fleet.settings(heartbeat_interval=60, warning_after=130, offline_after=200)
    cron = own(heartbeat_agent_scheduler="cron")
    assert fleet.deploy(**own()).changed
    assert fleet.deploy(**cron).changed
    assert fleet.deploy(**cron).changed == []
    assert "quick.py" in host.run(f"crontab -l -u {USER}")
    assert not host.succeeds(f"{OWN} systemctl --user is-active roosync-heartbeat.timer")
    sequence = fleet.record(host)["sequence"]
    fleet.monitor.wait_for(lambda _: fleet.record(host)["sequence"] > sequence, 60 + SLACK, "a beat by cron")


def test_remove(fleet: Fleet, host: Host) -> None:
    removed = time.time()
    fleet.play("remove", **own()).ok()
    gone = fleet.monitor.wait_for_change(host.name, "offline", removed, SLACK)
    assert (gone.cause, gone.planned) == ("goodbye", True)
    assert host.run(f"find {HOME} -name '*roosync*' -not -path '{HOME}/.ansible/*'") == ""
    assert "quick.py" not in host.run(f"crontab -l -u {USER} || :")
    assert fleet.play("remove", **own()).ok().changed == []
