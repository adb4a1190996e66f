# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Drills as they are played: agents end for real, trees are really gone, and everything is put back."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.clock import parse_iso
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.stores import open_store
from ansible_collections.roosync.heartbeat.tests.integration.browser import Browser, find_chromium
from ansible_collections.roosync.heartbeat.tests.integration.drilled import (
    LOOP,
    MACHINES,
    OFFLINE_AFTER,
    PATIENCE,
    DrilledFleet,
)
from ansible_collections.roosync.heartbeat.tests.integration.fleets import snapshot
from ansible_collections.roosync.heartbeat.tests.integration.runner import CHECKOUT, Ansible, Run
from ansible_collections.roosync.heartbeat.tests.unit.stdlib.support import wait_until


def make(ansible: Ansible, folder: Path, **options: Any) -> Iterator[DrilledFleet]:
    made = DrilledFleet(ansible, folder, **options)
    try:
        yield made
    finally:
        made.end()


@pytest.fixture
def fleet(ansible: Ansible, tmp_path: Path) -> Iterator[DrilledFleet]:
    """Machines whose agents run for all beats, with the store in their reach."""
    yield from make(ansible, tmp_path)


@pytest.fixture
def carried(ansible: Ansible, tmp_path: Path) -> Iterator[DrilledFleet]:
    """Machines whose agents are started for each beat, and to which everything is carried."""
    yield from make(ansible, tmp_path, vault="carried", agent=LOOP)


def pids(fleet: DrilledFleet) -> dict[str, str]:
    return {machine: (fleet.folder / machine / "agent.pid").read_text() for machine in MACHINES}


def well(fleet: DrilledFleet, run: Run) -> None:
    """Nothing is left of the drill but its report."""
    assert [found for found in run.complaints if "incident" not in found] == [], run.output
    assert fleet.left_behind() == []
    assert all(map(fleet.runs, MACHINES))
    fleet.wait_for("online", *MACHINES)
    with open_store(str(fleet.store)) as store:
        assert store.names("maintenance") == []


def test_three_in_a_row(fleet: DrilledFleet) -> None:
    """A killed agent, then a tree of the drill's own, then one of the fleet's; each report knows those before it."""
    for machine in MACHINES:
        fleet.fill(machine)
    before = pids(fleet)
    page, expected = fleet.folder, fleet.whole("web-01")
    for number, destroyed in enumerate(("", "scratch", "site")):
        (fleet.www("web-01") / "counter").write_text(str(number))
        expected = fleet.whole("web-01")
        others = {machine: fleet.whole(machine) for machine in MACHINES[1:]}
        began = time.monotonic()
        run = fleet.drill(heartbeat_drill_destroy=destroyed)
        took = time.monotonic() - began
        well(fleet, run)
        assert fleet.whole("web-01") == expected
        assert {machine: fleet.whole(machine) for machine in MACHINES[1:]} == others, "no other machine is touched"
        reports = fleet.reports()
        assert len(reports) == number + 1
        check_report(reports[-1], destroyed, took)
        page = Path(run.result("End the drill")["page_path"])
        assert reports[-1]["drill_id"] in page.read_text()
        assert page.read_text().count('class="dot"') == 3 * (number + 1)
    rolled = fleet.play("rollback", heartbeat_hosts="web-01")
    assert rolled.rc == 0, rolled.output
    assert fleet.whole("web-01") == expected, "the last sync that is taken back is not the one that undid the loss"
    after = pids(fleet)
    assert [machine for machine in MACHINES if before[machine] != after[machine]] == ["web-01"]
    program = find_chromium("integration: the report of real drills in a browser")
    if program is not None:
        seen = Browser(program, fleet.folder, page).document()
        assert seen.texts["h2"] == ["Machines", "Trend", "Step by step"]
        assert "3 of 3 drills passed (100 %)." in seen.texts["p"]
        assert seen.tags.count("circle") == 9
    trend = fleet.ansible.call("heartbeat_drill_info", store=str(fleet.store)).result("heartbeat_drill_info")["trend"]
    assert (trend["drills"], trend["passed"], trend["success_rate"]) == (3, 3, 1.0)


def kill_all(pid: int) -> None:
    """Kill a process that a test has started, with all that it has started.

    Each is halted before it is asked for its children: it would take note of their end, and start others.
    """
    with contextlib.suppress(ProcessLookupError, FileNotFoundError):
        os.kill(pid, signal.SIGSTOP)
        state = Path("/proc", str(pid), "stat")
        wait_until(lambda: state.read_text().rsplit(")", 1)[1].split()[0] in "TtZX", f"{pid} to halt", PATIENCE)
        for children in Path("/proc", str(pid), "task").glob("*/children"):
            for child in children.read_text().split():
                kill_all(int(child))
        os.kill(pid, signal.SIGKILL)


def check_report(report: dict[str, Any], destroyed: str, took: float) -> None:
    """The figures fit together, and every time is the journal's or the store's.

    :param took: how many seconds it took to play the drill.
    """
    (one,) = report["reports"]
    assert (report["verdict"], one["verdict"], one["reason"]) == ("passed", "passed", "")
    # A check may come at the very moment at which one is due, and times lose some of their digits.
    assert OFFLINE_AFTER - 0.002 < one["detection_seconds"] < one["rto_seconds"]
    # The last heartbeat may have come before the drill began, but not by so much that there would have been none.
    assert one["rto_seconds"] < took + OFFLINE_AFTER
    assert 0 <= one["rpo_seconds"] < took
    assert one["entries"] >= 8 + 7 * (destroyed == "scratch")
    assert (one["differing"], one["differences"], one["kept"]) == (0, [], None)
    steps = [step["step"] for step in one["steps"]]
    in_turn = ["began", "online sync done", "stopping", "found offline", "offline sync done", "starting"]
    in_turn += ["found online", "online sync done"]
    rest = iter(steps)
    assert all(step in rest for step in in_turn), steps
    times = [parse_iso(step["at"]) for step in one["steps"]]
    assert times == sorted(times)
    assert next(step["seconds"] for step in one["steps"] if step["step"] == "last heartbeat") == 0


def test_carried_to_agents_that_are_started_for_each_beat(carried: DrilledFleet) -> None:
    carried.fill("web-02")
    expected = carried.whole("web-02")
    run = carried.drill(hosts="web-02", heartbeat_drill_destroy="site", heartbeat_drill_loss="stop")
    well(carried, run)
    assert carried.whole("web-02") == expected
    assert carried.reports()[0]["loss"] == "stop"


def test_one_at_random_and_two_at_once(fleet: DrilledFleet) -> None:
    for machine in MACHINES:
        fleet.fill(machine)
    run = fleet.drill(hosts="web-*", heartbeat_drill_random=True)
    well(fleet, run)
    (report,) = fleet.reports()
    assert report["chosen_at_random"]
    assert report["candidates"] == list(MACHINES)
    assert len(report["machines"]) == 1
    well(fleet, fleet.drill(hosts="web-01,web-03", heartbeat_drill_destroy="scratch"))
    both = fleet.reports()[-1]
    assert [one["machine_id"] for one in both["reports"]] == ["web-01", "web-03"]
    assert {one["verdict"] for one in both["reports"]} == {"passed"}
    refused = fleet.drill(hosts="web-*", status=2)
    assert "is a mass failure" in refused.output


@pytest.mark.parametrize("destroyed", ["scratch", "site"])
def test_it_fails_in_the_middle(fleet: DrilledFleet, destroyed: str) -> None:
    """The agent is down and the tree is gone when the vault turns out to have lost what is to be restored."""
    fleet.fill("web-01")
    expected = fleet.whole("web-01")
    breaks = fleet.folder / "web-01" / "start"
    packs = fleet.store / "default" / "vault" / "packs"
    breaks.write_text(breaks.read_text() + f"mv '{packs}' '{packs}-away'\n")
    run = fleet.drill(status=2, heartbeat_drill_destroy=destroyed)
    shutil.rmtree(packs, ignore_errors=True)
    (packs.parent / "packs-away").rename(packs)
    (report,) = fleet.reports()
    assert report["verdict"] == "failed"
    assert report["reports"][0]["reason"].startswith("Bring the machine up to date again: ")
    assert fleet.whole("web-01") == expected
    well(fleet, run)


def test_the_loss_is_never_found(fleet: DrilledFleet) -> None:
    fleet.fill("web-01")
    expected = fleet.whole("web-01")
    before = pids(fleet)["web-01"]
    stop = fleet.folder / "web-01" / "stop"
    stop.write_text("#!/bin/sh\nexit 0\n")
    run = fleet.drill(
        status=2, heartbeat_timeout=2, heartbeat_drill_destroy="site", heartbeat_drill_start_command="true"
    )
    assert "Check until the loss is found" in fleet.reports()[0]["reports"][0]["reason"]
    assert fleet.whole("web-01") == expected
    assert pids(fleet)["web-01"] == before
    well(fleet, run)


def test_cut_off_in_the_middle(fleet: DrilledFleet) -> None:
    """The control node dies while the tree is gone. What the page tells to do then brings everything back."""
    fleet.fill("web-01")
    expected = fleet.whole("web-01")
    started = fleet.folder / "web-01" / "start"
    works = started.read_text()
    started.write_text("#!/bin/sh\nsleep 600\n")
    running = fleet.start_drill(heartbeat_drill_destroy="site")
    deadline = time.monotonic() + PATIENCE
    while list(fleet.www("web-01").iterdir()):
        assert time.monotonic() < deadline, "the tree is never destroyed"
        time.sleep(0.1)
    kill_all(running.process.pid)
    running.process.communicate(timeout=PATIENCE)
    assert fleet.whole("web-01") == {}
    assert "has been running since" in fleet.drill(hosts="web-02", status=2).output

    started.write_text(works)
    fleet.start("web-01")
    (report,) = fleet.reports()
    tree = {"op": "finish", "drill_id": report["drill_id"], "root": str(fleet.folder / "web-01")}
    tree["trees"] = {"site": {"path": "/www", "machines": ["web-*"]}}
    put_back = fleet.ansible.call("heartbeat_drill_tree", store=str(fleet.store), **tree)
    assert put_back.result("heartbeat_drill_tree")["kept"] is None
    assert fleet.whole("web-01") == expected
    ended = fleet.ansible.call("heartbeat_drill", store=str(fleet.store), event="end", drill_id=report["drill_id"])
    assert ended.result("heartbeat_drill")["verdict"] == "failed"
    fleet.wait_for("online", *MACHINES)
    well(fleet, fleet.drill(hosts="web-01"))
    assert fleet.whole("web-01") == expected


def test_refused_during_an_incident(fleet: DrilledFleet) -> None:
    fleet.fill("web-01")
    before = pids(fleet)
    fleet.end()  # all at once: for a fleet of three, that is the store that is away
    fleet.wait_for_incident()
    expected = snapshot(fleet.store / "default" / "vault")
    run = fleet.drill(status=2)
    assert "no drill is played during an incident" in run.output
    assert run.result("Begin the drill")["error_code"] == "LOCK_TIMEOUT"
    assert fleet.reports() == []
    assert snapshot(fleet.store / "default" / "vault") == expected
    assert pids(fleet) == before


def test_a_drill_of_nobody_says_what_to_do(ansible: Ansible) -> None:
    for variables in ({}, {"heartbeat_hosts": ""}):
        run = ansible.play(CHECKOUT / "playbooks" / "drill.yml", variables=variables)
        assert run.rc == 2, run.output
        assert "Say whose loss is to be rehearsed: -e heartbeat_hosts=web-01" in run.output
        assert [task.name for task in run.tasks] == ["See that somebody is named"]


def test_check_mode_touches_nothing(fleet: DrilledFleet) -> None:
    fleet.fill("web-01")
    expected, before = fleet.whole("web-01"), pids(fleet)
    settings = (fleet.store / "default" / "fleet.json").read_bytes()
    run = fleet.drill("--check", heartbeat_drill_destroy="scratch")
    assert run.complaints == []
    assert [task.name for task in run.ours] == ["Begin the drill"]
    said = run.result("Say what would be done")["msg"]
    assert said[0] == "The agents of web-01 would end (kill)."
    assert "scratch" in said[1]
    assert fleet.reports() == []
    assert (fleet.store / "default" / "fleet.json").read_bytes() == settings
    assert (fleet.whole("web-01"), pids(fleet)) == (expected, before)
    assert fleet.left_behind() == []
