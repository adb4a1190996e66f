# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host whose clock is wrong, and a host that goes by the name of another."""

from __future__ import annotations

import time

import pytest

from ansible_collections.roosync.heartbeat.tests.hosts.fleet import LATE, OFFLINE_AFTER, SLACK, UNIT, Fleet


@pytest.mark.parametrize("offset", [600, -600])
def test_clock_off_by_ten_minutes(fleet: Fleet, offset: int) -> None:
    """Its beats count like those of all others, and every check says how wrong it is."""
    host = fleet.hosts[1]
    with fleet.nobody_else_affected() as since, host.wrong_clock(f"{UNIT}.service", f"{offset:+d}"):
        look = fleet.monitor.wait_for(
            lambda look: host.name in look.result.get("clock_skew_ms", ()), SLACK, f"the skew of {host.name}", since
        )
        assert abs(look.result["clock_skew_ms"][host.name] / 1000 - offset) < LATE + 1
        fleet.monitor.watch_for(OFFLINE_AFTER)
    fleet.monitor.wait_for(lambda look: look.result.get("clock_skew_ms") == {}, SLACK, "no skew any more")


def test_two_hosts_with_one_id(fleet: Fleet) -> None:
    """The second is refused and shown; the first beats on as if nothing had happened."""
    first, second = fleet.hosts[2:4]
    config = "/etc/roosync-heartbeat/agent.conf"
    with fleet.nobody_else_affected(second):
        before = time.time()
        second.run(f"sed -i.true 's/^machine_id = .*/machine_id = {first.name}/' {config}")
        copied = time.time()
        try:
            look = fleet.monitor.wait_for(
                lambda look: bool(look.result.get("identity_conflicts")), SLACK, "the conflict", before
            )
            (conflict,) = look.result["identity_conflicts"]
            assert (conflict["machine_id"], conflict["refused_host"]) == (first.name, second.name)
            assert conflict["holder"] != conflict["refused"]
            fleet.goes_offline(second, copied, before)
            assert fleet.record(first)["fingerprint"] == conflict["holder"]
        finally:
            renamed = time.time()
            second.run(f"cat {config}.true >{config}; rm {config}.true")
        fleet.comes_back(second, renamed)
        fleet.monitor.wait_for(lambda look: look.result.get("identity_conflicts") == [], SLACK, "the conflict is over")
