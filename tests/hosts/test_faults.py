# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What happens to hosts, and what the fleet's monitor makes of it."""

from __future__ import annotations

import time

from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.fleet import Request, manage
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.stores.file import FileStore
from ansible_collections.roosync.heartbeat.tests.hosts.fleet import LATE, OFFLINE_AFTER, SLACK, UNIT, Fleet
from ansible_collections.roosync.heartbeat.tests.hosts.lab import STORE

PROBED = "probed"
# Seconds, in which a host that is up answers on a busy machine as well.
BOUND = 20


def test_kill(fleet: Fleet) -> None:
    host = fleet.hosts[1]
    with fleet.nobody_else_affected(host):
        fleet.goes_offline(host, host.kill())
        started = time.time()
        host.start()
        fleet.comes_back(host, started)


def test_freeze(fleet: Fleet) -> None:
    """A frozen host goes offline, and thaws without a trace of it but the return."""
    host = fleet.hosts[2]
    with fleet.nobody_else_affected(host) as well:
        with host.frozen():
            fleet.goes_offline(host, time.time(), well)
            thawed = time.time()
        fleet.comes_back(host, thawed)


def test_stopped_timer(fleet: Fleet) -> None:
    """Somebody stops the timer by hand: the host is up, and does not beat."""
    host = fleet.hosts[3]
    with fleet.nobody_else_affected(host) as well:
        host.run(f"systemctl stop {UNIT}.timer")
        try:
            fleet.goes_offline(host, time.time(), well)
        finally:
            started = time.time()
            host.run(f"systemctl start {UNIT}.timer")
        fleet.comes_back(host, started)


def test_recover(fleet: Fleet) -> None:
    """The schedule of one host is gone: the playbook that looks after a fleet brings it back, and touches no other."""
    host = fleet.hosts[3]
    with fleet.nobody_else_affected(host) as well:
        host.run(f"systemctl disable --now {UNIT}.timer && rm /etc/systemd/system/{UNIT}.timer")
        fleet.goes_offline(host, time.time(), well)
        started = time.time()
        played = fleet.play("recover").ok()
        assert {name for name, _task in played.changed} == {host.name}
        fleet.comes_back(host, started)
    assert fleet.play("recover").ok().changed == []


def test_shutdown(fleet: Fleet) -> None:
    """A clean shutdown says goodbye: offline at once, and as planned."""
    host = fleet.hosts[4]
    with fleet.nobody_else_affected(host):
        down = time.time()
        host.shut_down()
        fleet.goes_as_planned(host, down)
        started = time.time()
        host.start()
        fleet.comes_back(host, started)


def test_reboot(fleet: Fleet) -> None:
    """A reboot is a goodbye, a return and the news of another boot."""
    host = fleet.hosts[5]
    with fleet.nobody_else_affected(host):
        down = time.time()
        host.reboot()
        fleet.monitor.wait_for(
            lambda look: any(t.machine_id == host.name and t.cause == "reboot" for t in fleet.monitor.changes(down)),
            SLACK,
            f"{host.name} has rebooted",
        )
        fleet.monitor.wait_for_status("online", [host.name], SLACK)
        changes = [t for t in fleet.monitor.changes(down) if t.machine_id == host.name]
        causes = [(t.cause, t.planned) for t in changes]
        # The latter if no check came in between.
        assert causes in ([("goodbye", True), ("beat", False), ("reboot", False)], [("reboot", False)])
        assert all(down <= t.effective_at <= t.detected_at for t in changes), changes
        assert not any(fleet.monitor.overlooked(t, LATE) for t in changes), changes


def test_read_only(fleet: Fleet) -> None:
    """One host's mount of the shared directory turns read-only: that host cannot say that it is alive, and knows it."""
    host = fleet.hosts[3]
    with fleet.nobody_else_affected(host) as well:
        with host.read_only(STORE):
            fleet.goes_offline(host, time.time(), well)
            missed = fleet.missed(host)
            assert missed > 0
            writable = time.time()
        fleet.comes_back(host, writable)
        said = fleet.record(host)["missed"]
        assert said["count"] >= missed
        assert said["why"] == "STORE_UNAVAILABLE"


def test_probe(fleet: Fleet) -> None:
    """Whoever answers within the bound is registered: not the host that is cut off, nor the one that is frozen.

    The former reaches the shared directory without its network, and so beats on.
    """
    cut, frozen = fleet.hosts[4:6]
    with FileStore(str(fleet.path), PROBED) as store:
        manage(store, Request(settings={"heartbeat_interval": 60, "warning_after": 130, "offline_after": 200}))
    with fleet.nobody_else_affected(frozen):
        with cut.cut_off(), frozen.frozen():
            asked = time.monotonic()
            fleet.play("probe", heartbeat_fleet=PROBED, heartbeat_probe_timeout=BOUND).ok()
            took = time.monotonic() - asked
            fleet.monitor.wait_for_status("offline", [frozen.name], OFFLINE_AFTER + SLACK)
        fleet.monitor.wait_for_status("online", [frozen.name], SLACK)
    registered = {path.stem for path in (fleet.path / PROBED / "heartbeats").glob("*.json")}
    assert registered == set(fleet.others(cut, frozen))
    assert took < 4 * BOUND
