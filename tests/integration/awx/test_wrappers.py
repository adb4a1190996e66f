# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every playbook of the sample project runs by ansible-runner, from its job template, in check mode and for real."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.check import run_check
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.record import Beat, encode, sent_now
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.stores import open_store
from ansible_collections.roosync.heartbeat.tests.integration.awx.agents import beating, inventory, machine
from ansible_collections.roosync.heartbeat.tests.integration.awx.controller import launch
from ansible_collections.roosync.heartbeat.tests.integration.awx.execution import Execution, Job
from ansible_collections.roosync.heartbeat.tests.integration.awx.project import PROJECT
from ansible_collections.roosync.heartbeat.tests.integration.fleets import prepare, snapshot
from ansible_collections.roosync.heartbeat.tests.integration.runner import NO_RESET, Ansible

HOSTS = ["web-01", "web-02"]
# Long, so that a host which nobody beats for stays online until the job has come to its end.
SLOW = {"settings": {"warning_after": 3600, "offline_after": 7200}}
LOST = {**SLOW, "history": [{"web-01": 1, "web-02": 1}], "beats": {"web-02": 10_000}}
MODES = {"check": ["--check", "--diff"], "run": []}
# For playbooks that work on the store: what they are asked, and what they tell besides what is under TOLD_BY_CHECK.
ON_THE_STORE: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "info": (
        {},
        {"heartbeat_online": ["web-01"], "heartbeat_warning": [], "heartbeat_offline": ["web-02"]}
        | {"heartbeat_unknown": []},
    ),
    "probe": ({"heartbeat_hosts": "all"}, {"heartbeat_answered": HOSTS, "heartbeat_silent": []}),
    "wait": ({"heartbeat_machines": "web-01", "heartbeat_timeout": 20}, {"heartbeat_missing": {}}),
}
ON_HOSTS = ["fleet", "deploy", "stop", "remove"]
SYNCS = ["sync", "rollback"]  # in test_syncing.py
IN_TURN = ["backup", "restore"]
IN_TROUBLE = ["diagnose", "recover"]  # in test_recovery.py
REHEARSED = ["drill"]  # in test_drills.py


def execution_of(ansible: Ansible, root: Path, **web_02: str) -> Execution:
    hosts = {"web-01": {}, "web-02": web_02}
    return Execution(ansible, root / "jobs", inventory(root / "root", hosts), machine())


def well(job: Job) -> Job:
    """The job, which has to have succeeded without a warning."""
    assert (job.status, job.rc) == ("successful", 0), job.output
    assert set(job.run.complaints) <= {NO_RESET}, job.output
    assert not job.hosts("failures") | job.hosts("dark"), job.output
    assert {task.status for task in job.run.tasks} <= {"ok", "skipped"}
    return job


def statuses(root: Path) -> dict[str, list[str]]:
    with open_store(str(root / "store")) as store:
        found = run_check(store, force=True)
    return {name: found[name] for name in ("online", "warning", "offline", "unknown", "planned") if found[name]}


def test_every_playbook_of_the_project_is_run_here() -> None:
    run = {"check", *ON_THE_STORE, *ON_HOSTS, *SYNCS, *IN_TURN, *IN_TROUBLE, *REHEARSED}
    assert {path.stem for path in PROJECT.glob("*.yml")} == run


def test_backup_and_restore(ansible: Ansible, tmp_path: Path) -> None:
    store = tmp_path / "root" / "store"
    prepare(store, LOST)
    execution = execution_of(ansible, tmp_path)
    answers = {"heartbeat_backup_machine_id": "", "heartbeat_backup_keep": 7}
    made = well(launch(execution, "heartbeat backup", answers=answers)).artifacts
    assert made["heartbeat_backups_kept"] == [made["heartbeat_backup_made"]]
    (store / "default" / "heartbeats" / "web-02.json").unlink()
    answers = {"heartbeat_backup_machine_id": "", "heartbeat_backup_name": "latest", "heartbeat_confirm": "yes"}
    well(launch(execution, "heartbeat restore", *MODES["check"], answers=answers))
    assert not (store / "default" / "heartbeats" / "web-02.json").exists()
    told = well(launch(execution, "heartbeat restore", answers=answers)).artifacts
    assert told["heartbeat_restored_from"] == made["heartbeat_backup_made"]
    assert (store / "default" / "heartbeats" / "web-02.json").exists()
    refused = launch(execution, "heartbeat restore", answers={**answers, "heartbeat_confirm": "no"})
    assert refused.status == "failed"


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", ON_THE_STORE)
def test_on_the_store(ansible: Ansible, tmp_path: Path, name: str, mode: str) -> None:
    prepare(tmp_path / "root" / "store", LOST)
    before = snapshot(tmp_path / "root" / "store")
    answers, told = ON_THE_STORE[name]
    job = well(launch(execution_of(ansible, tmp_path), f"heartbeat {name}", *MODES[mode], answers=answers))
    assert job.artifacts == told
    assert (job.hosts("changed") != set()) is (name == "probe")
    if (name, mode) != ("probe", "run"):
        assert snapshot(tmp_path / "root" / "store") == before
    else:
        assert statuses(tmp_path / "root") == {"online": HOSTS}


@pytest.mark.parametrize("mode", MODES)
def test_check_shows_who_is_lost(ansible: Ansible, tmp_path: Path, mode: str) -> None:
    """Nobody chose to fail: the default of the survey is for its form."""
    prepare(tmp_path / "root" / "store", LOST)
    before = snapshot(tmp_path / "root" / "store")
    job = well(launch(execution_of(ansible, tmp_path), "heartbeat check", *MODES[mode]))
    told = job.artifacts
    assert told.pop("heartbeat_summary").startswith("2 machines: 1 online, 1 offline; newly offline: web-02")
    (pending,) = told.pop("heartbeat_pending_syncs")
    assert (pending["machine_id"], pending["event"]) == ("web-02", "offline")
    lost = {"heartbeat_offline": ["web-02"], "heartbeat_lost": ["web-02"], "heartbeat_newly_offline": ["web-02"]}
    assert told == {**lost, "heartbeat_newly_online": []}
    title, _web_01, web_02, _summary = job.run.result("Show the fleet")["msg"]
    assert title.split() == ["MACHINE", "STATUS", "LAST", "HEARTBEAT", "SINCE"]
    assert web_02.split()[:2] == ["web-02", "offline"]
    assert (snapshot(tmp_path / "root" / "store") == before) is (mode == "check")


@pytest.mark.parametrize("planned", [False, True])
def test_check_fails_where_asked_to_and_tells_why(ansible: Ansible, tmp_path: Path, planned: bool) -> None:
    """A machine that said goodbye is offline and not lost, and no reason to fail."""
    prepare(tmp_path / "root" / "store", LOST)
    if planned:
        with open_store(str(tmp_path / "root" / "store")) as store:
            store.write_beat("web-02", encode(Beat("web-02", 1, sent_now(), leaving="stop")))
    job = launch(execution_of(ansible, tmp_path), "heartbeat check", answers={"heartbeat_fail_on": ["offline"]})
    assert job.artifacts["heartbeat_offline"] == ["web-02"]
    assert job.artifacts["heartbeat_lost"] == ([] if planned else ["web-02"])
    assert job.run.complaints == [], job.output
    failed = {task.name: task.result["msg"] for task in job.run.tasks if task.status == "failed"}
    assert failed == ({} if planned else {"Judge it": "1 offline: web-02"})
    assert job.succeeded is planned


def test_check_without_a_verdict_fails_at_once(ansible: Ansible, tmp_path: Path) -> None:
    job = launch(execution_of(ansible, tmp_path), "heartbeat check")
    assert (job.status, job.artifacts) == ("failed", {})
    assert job.run.result("Check")["error_code"] == "STORE_UNAVAILABLE"


def test_wait_tells_who_is_missing(ansible: Ansible, tmp_path: Path) -> None:
    prepare(tmp_path / "root" / "store", LOST)
    answers = {"heartbeat_machines": "web-01, web-02", "heartbeat_timeout": 0}
    job = launch(execution_of(ansible, tmp_path), "heartbeat wait", answers=answers)
    assert job.status == "failed"
    assert job.artifacts == {"heartbeat_missing": {"web-02": "offline"}}


def test_probe_asks_within_a_limit(ansible: Ansible, tmp_path: Path) -> None:
    """And the host that registers them need not be within it."""
    prepare(tmp_path / "root" / "store", SLOW)
    execution = execution_of(ansible, tmp_path)
    job = well(launch(execution, "heartbeat probe", "--limit", "web-02", answers={"heartbeat_hosts": "all"}))
    assert job.artifacts == {"heartbeat_answered": ["web-02"], "heartbeat_silent": []}
    assert statuses(tmp_path / "root") == {"online": ["web-02"]}


def test_on_hosts(ansible: Ansible, tmp_path: Path) -> None:
    """From an empty store to nothing left, each step in check mode first, which changes nothing and claims nothing.

    One machine goes by another name than its host, and a limit leaves out the host that looks after all of them.
    """
    execution = execution_of(ansible, tmp_path, heartbeat_agent_machine_id="other-02")
    machines = ["other-02", "web-01"]
    root = tmp_path / "root"
    (root / "hosts").mkdir(parents=True)
    both = {"heartbeat_hosts": "all"}

    def launch_both_ways(name: str, told: dict[str, Any], told_by_check: dict[str, Any], **answers: Any) -> Job:
        limit = ["--limit", "web-01,web-02"] if name != "fleet" else []
        before = snapshot(root / "hosts")
        job = well(launch(execution, f"heartbeat {name}", "--check", "--diff", *limit, answers=answers))
        assert job.artifacts == told_by_check
        assert snapshot(root / "hosts") == before
        predicted = job.hosts("changed")
        job = well(launch(execution, f"heartbeat {name}", *limit, answers=answers))
        assert job.artifacts == told
        assert job.hosts("changed") == predicted
        return job

    expected = {"heartbeat_expected": ["web-01"]}
    assert launch_both_ways("fleet", expected, expected, heartbeat_hosts="web-01").hosts("changed")
    assert statuses(root) == {"unknown": ["web-01"]}
    with beating(root, *HOSTS):
        job = launch_both_ways(
            "deploy", {"heartbeat_online": machines}, {"heartbeat_online": []}, heartbeat_timeout=120
        )
        assert job.hosts("changed") == set(HOSTS)
        assert statuses(root) == {"online": machines}
    launch_both_ways("stop", {"heartbeat_stopped": HOSTS}, {"heartbeat_stopped": []}, **both)
    assert statuses(root) == {"offline": machines, "planned": machines}
    job = launch_both_ways("remove", {"heartbeat_removed": HOSTS}, {"heartbeat_removed": []}, **both)
    assert job.hosts("changed") == set(HOSTS)
    assert not any(path.is_file() for path in (root / "hosts").rglob("*"))
