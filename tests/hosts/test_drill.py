# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Drills on real hosts, one after the other: agents of systemd are killed, trees are gone, and all comes back."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.roosync.heartbeat.tests.hosts.fleet import EXACT, OFFLINE_AFTER, UNIT, Fleet
from ansible_collections.roosync.heartbeat.tests.hosts.host import Host
from ansible_collections.roosync.heartbeat.tests.hosts.lab import Lab
from ansible_collections.roosync.heartbeat.tests.hosts.playing import Played, Player
from ansible_collections.roosync.heartbeat.tests.hosts.test_sync import TREE, sync, whole
from ansible_collections.roosync.heartbeat.tests.integration.browser import Browser, find_chromium
from ansible_collections.roosync.heartbeat.tests.integration.test_drill_page import LIGHT

COUNT = 4
DRILLS = 4
PART = "hosts: the report of a drill in a browser"
# The drill looks once a second, and may find that the monitor has looked before.
CHECKS = 1.0
# By how much a look may be late on a busy machine.
BUSY = 10.0


@pytest.fixture(scope="module")
def hosts(lab: Lab) -> list[Host]:
    return lab.up(COUNT)


@pytest.fixture(scope="module")
def deployed(lab: Lab, hosts: list[Host], player: Player) -> Iterator[Fleet]:
    """A fleet of four that has a site in common, which was written on the first."""
    made = Fleet(lab, hosts, player)
    try:
        made.settings(sync_paths={"site": {"path": TREE, "machines": ["hb-*"]}})
        made.deploy()
        hosts[0].run(
            f"mkdir -p {TREE}/deep/er {TREE}/empty && cd {TREE} && ln -s deep link && echo key >secret && "
            "chmod 600 secret && chown www-data:backup secret && head -c 100000 /dev/urandom >deep/er/file"
        )
        for host in hosts:
            host.run(f"mkdir -p {TREE}")
            sync(made, host, "online")
        yield made
    finally:
        made.close()


def drill(fleet: Fleet, hosts: str, **variables: Any) -> tuple[Played, dict[str, Any]]:
    """Play a drill; what was played, and the drill's report."""
    began = time.time()
    played = fleet.play("drill", heartbeat_hosts=hosts, **variables).ok()
    newest = max((fleet.path / "default" / "drills").glob("*.json"), key=lambda path: path.stat().st_mtime)
    assert newest.stat().st_mtime > began
    report: dict[str, Any] = json.loads(newest.read_text())
    return played, report


def left_behind(fleet: Fleet) -> list[str]:
    """What drills have forgotten to take away, on hosts and in the settings."""
    found = [host.run("find / -xdev -name '*roosync-*drill*' -not -path '/proc/*'") for host in fleet.hosts]
    trees = json.loads((fleet.path / "default" / "fleet.json").read_text())["settings"]["sync_paths"]
    return [line for text in found for line in text.splitlines()] + [tree for tree in trees if tree != "site"]


def check(report: dict[str, Any], machines: int) -> None:
    assert report["verdict"] == "passed", report
    assert len(report["reports"]) == machines
    for one in report["reports"]:
        assert (one["verdict"], one["planned"], one["differing"], one["kept"]) == ("passed", False, 0, None)
        assert OFFLINE_AFTER - EXACT < one["detection_seconds"] < OFFLINE_AFTER + CHECKS + BUSY
        assert one["detection_seconds"] < one["rto_seconds"] < 120
        assert 0 <= one["rpo_seconds"] < 60


@pytest.mark.parametrize("destroyed", ["", "scratch", "site"])
def test_one_after_the_other(fleet: Fleet, hosts: list[Host], destroyed: str) -> None:
    """The agent is killed and nothing is lost; then a tree of the drill's own is; then the one that all have."""
    lost = hosts[0]
    lost.run(f"date +%N >{TREE}/edited")
    expected = whole(lost)
    others = {host.name: whole(host) for host in hosts[1:]}
    with fleet.nobody_else_affected(lost):
        _played, report = drill(fleet, lost.name, heartbeat_drill_destroy=destroyed)
    check(report, 1)
    assert whole(lost) == expected
    assert {host.name: whole(host) for host in hosts[1:]} == others
    assert lost.run(f"systemctl is-active {UNIT}.timer").strip() == "active"
    assert left_behind(fleet) == []


def test_one_at_random_is_stopped(fleet: Fleet, hosts: list[Host]) -> None:
    before = {host.name: whole(host) for host in hosts}
    _played, report = drill(fleet, "hosts", heartbeat_drill_random=True, heartbeat_drill_loss="stop")
    check(report, 1)
    assert report["candidates"] == [host.name for host in hosts]
    # It was up to date when the drill began, and is now.
    (chosen,) = report["machines"]
    before[chosen] = whole(hosts[0])
    after = {host.name: whole(host) for host in hosts}
    assert after.keys() == before.keys()
    assert {name: tree for name, tree in after.items() if name != chosen} == {
        name: tree for name, tree in before.items() if name != chosen
    }
    assert left_behind(fleet) == []


def test_the_report_in_a_browser(fleet: Fleet, tmp_path: Path) -> None:
    """What all drills above have measured, as a person sees it."""
    program = find_chromium(PART)
    if program is None:
        pytest.skip(f"{PART}: said to be not run")
    newest = max((fleet.path / "default" / "drills").glob("*.html"), key=lambda path: path.stat().st_mtime)
    browser = Browser(program, tmp_path, newest)
    found = browser.document()
    assert found.texts["title"][0] == f"Drill {newest.stem}: passed"
    assert found.texts["h2"] == ["Machines", "Trend", "Step by step"]
    # A point a drill in each of the three curves of the trend.
    assert found.tags.count("circle") == 3 * DRILLS
    assert browser.corner() == LIGHT
