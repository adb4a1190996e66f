# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbooks for trouble, in check mode, for real and again: with real agents, and faults as a crash leaves them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.check import run_check
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.fleet import Request, manage
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.stores import open_store
from ansible_collections.roosync.heartbeat.tests.integration.awx.agents import beating, inventory, machine
from ansible_collections.roosync.heartbeat.tests.integration.awx.controller import launch
from ansible_collections.roosync.heartbeat.tests.integration.awx.execution import Execution, Job
from ansible_collections.roosync.heartbeat.tests.integration.fleets import age, damage, prepare, snapshot
from ansible_collections.roosync.heartbeat.tests.integration.runner import Ansible
from ansible_collections.roosync.heartbeat.tests.unit.stdlib.support import wait_until

HOSTS = ["web-01", "web-02"]
BRISK = {"heartbeat_interval": 5, "warning_after": 20, "offline_after": 40}
SMALL = {"heartbeat_interval": 300, "warning_after": 900, "offline_after": 1200, "clock_skew_warning": 100_000}
LOST = {"settings": SMALL, "history": [{"web-01": 1, "web-02": 1}, {"web-01": 1, "web-02": 5000}]}


class Site:
    """Two hosts that are folders of this machine, with a fleet."""

    def __init__(self, ansible: Ansible, root: Path) -> None:
        self.root = root
        self.store = root / "root" / "store"
        hosts = inventory(root / "root", {host: {} for host in HOSTS})
        # A busy disk is none of the faults that are meant to be found.
        self.execution = Execution(ansible, root / "jobs", hosts, {**machine(), "heartbeat_latency_warning": 60})

    def job(self, name: str, *arguments: str, **answers: Any) -> Job:
        job = launch(self.execution, f"heartbeat {name}", *arguments, answers=answers)
        assert [c for c in job.run.complaints if "incident" not in c] == [], job.output
        return job

    def changed(self, job: Job) -> list[str]:
        return [task.name.rsplit(" : ", 1)[-1] for task in job.run.tasks if task.changed]

    def beat(self, host: str) -> None:
        folder = self.root / "root" / "hosts" / host
        program = folder / "agent" / "current" / "_engine" / "agent" / "quick.py"
        command = [sys.executable, "-I", "-S", str(program), str(folder / "agent.conf")]
        subprocess.run(command, check=True, timeout=120)

    def online(self) -> list[str]:
        with open_store(str(self.store)) as store:
            found: list[str] = run_check(store, force=True)["online"]
        return found


@pytest.fixture
def site(ansible: Ansible, tmp_path: Path) -> Site:
    return Site(ansible, tmp_path)


@pytest.mark.parametrize("fail_on", [[], ["failed"]])
def test_diagnose(site: Site, fail_on: list[str]) -> None:
    prepare(site.store, LOST)
    before = snapshot(site.store)
    predicted = site.job("diagnose", "--check", "--diff", heartbeat_diagnosis_fail_on=fail_on)
    assert snapshot(site.store) == before
    for job in (predicted, site.job("diagnose", heartbeat_diagnosis_fail_on=fail_on)):
        assert job.succeeded is (fail_on == [])
        assert site.changed(job) == ["Diagnose"]
        told = job.artifacts
        assert (told["heartbeat_diagnosis"], told["heartbeat_not_well"]) == ("failed", ["machines_offline"])
        title, *lines, summary = job.run.result("Show it")["msg"]
        assert title.split()[:2] == ["CHECK", "STATUS"]
        assert [line.split()[0] for line in lines if " failed " in line] == ["machines_offline"]
        assert summary == told["heartbeat_diagnosis_summary"]
        failed = {task.name: task.result["msg"] for task in job.run.tasks if task.status == "failed"}
        assert failed == ({"Judge it": summary} if fail_on else {})
    assert predicted.artifacts["heartbeat_diagnosis_report"] == ""
    assert Path(told["heartbeat_diagnosis_report"]).exists()
    again = site.job("diagnose")
    assert site.changed(again) == []
    assert again.artifacts["heartbeat_diagnosis_report"] == told["heartbeat_diagnosis_report"]


def test_diagnose_where_there_is_no_store(site: Site) -> None:
    """That is told and shown like any other fault."""
    job = site.job("diagnose")
    assert job.status == "failed"
    assert job.artifacts["heartbeat_not_well"] == ["store_reachable"]
    assert "mount the share" in job.run.result("Judge it")["msg"]


def test_recover_after_a_crash_of_the_checker_and_of_an_agent(site: Site) -> None:
    """The checkpoint is torn, a folder is gone, and the agent of web-02 has not beaten for long: nobody starts it."""
    prepare(site.store, {"settings": BRISK, "expect": HOSTS})
    with beating(site.root / "root", *HOSTS):
        assert site.job("deploy", heartbeat_hosts="all", heartbeat_timeout=120).succeeded
    record = site.store / "default" / "heartbeats" / "web-02.json"
    age(record, 30)
    site.online()
    damage(site.store / "default" / "checkpoint.json", "{}")
    damage(site.store / "default" / "reports", None)
    everywhere = {"heartbeat_hosts": "all", "heartbeat_timeout": 120}

    before = snapshot(site.root / "root")
    predicted = site.job("recover", "--check", "--diff", **everywhere)
    assert predicted.succeeded, predicted.output
    assert snapshot(site.root / "root") == before
    assert [repair["path"] for repair in predicted.artifacts["heartbeat_repairs"]] == ["reports"]
    assert predicted.artifacts["heartbeat_restarted"] == []

    with beating(site.root / "root", "web-01"):
        # web-02 beats once, when it is started anew.
        job = site.job("recover", **everywhere)
    assert job.succeeded, job.output
    told = job.artifacts
    assert [repair["path"] for repair in told["heartbeat_repairs"]] == ["reports", "checkpoint.json"]
    assert "web-02" in told["heartbeat_restarted"]
    assert (sorted(told["heartbeat_beating"]), told["heartbeat_mute"]) == (HOSTS, [])

    with beating(site.root / "root", *HOSTS):
        wait_until(lambda: site.online() == HOSTS, "both machines to be online", 120)
        again = site.job("recover", **everywhere)
    assert again.succeeded, again.output
    assert again.artifacts["heartbeat_repairs"] == []
    assert again.artifacts["heartbeat_restarted"] == []
    assert [name for name in site.changed(again) if not name.startswith("Check the fleet")] == []
    diagnosis = site.job("diagnose")
    assert "checkpoint" not in diagnosis.artifacts["heartbeat_not_well"]


def test_recover_says_of_whom_no_heartbeat_comes(site: Site) -> None:
    """Their last heartbeats are fresh enough for nobody to start their agents anew, and then no more come."""
    prepare(site.store, {"settings": BRISK})
    with beating(site.root / "root", *HOSTS):
        assert site.job("deploy", heartbeat_hosts="all", heartbeat_timeout=120).succeeded
    site.beat("web-01")
    site.beat("web-02")
    with open_store(str(site.store)) as store:
        slow = {"heartbeat_interval": 600, "warning_after": 1800, "offline_after": 3600}
        manage(store, Request(settings=slow))
    job = site.job("recover", heartbeat_hosts="all", heartbeat_timeout=2)
    assert job.status == "failed"
    assert job.artifacts["heartbeat_mute"] == HOSTS
    assert job.artifacts["heartbeat_restarted"] == []
    assert "No heartbeat since 20" in job.run.result("See that heartbeats arrive")["msg"]
    assert "web-01, web-02" in job.run.result("See that heartbeats arrive")["msg"]


def test_recover_fails_at_once_where_there_is_no_store(site: Site) -> None:
    job = site.job("recover", heartbeat_hosts="all")
    assert job.status == "failed"
    assert job.run.result("Put right what the crash left behind in the store")["error_code"] == "STORE_UNAVAILABLE"
