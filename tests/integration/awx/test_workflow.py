# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The workflow of the sample project goes the right way, whatever the check finds; controller.py stands for AWX."""

from __future__ import annotations

import threading
from pathlib import Path

from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.stores import open_store
from ansible_collections.roosync.heartbeat.tests.integration.awx.agents import beating, inventory, machine
from ansible_collections.roosync.heartbeat.tests.integration.awx.controller import Walk, walk
from ansible_collections.roosync.heartbeat.tests.integration.awx.execution import Execution
from ansible_collections.roosync.heartbeat.tests.integration.fleets import beat, prepare
from ansible_collections.roosync.heartbeat.tests.integration.runner import Ansible

HOSTS = ["web-01", "web-02"]
# Long, so that a host which nobody beats for stays online until the workflow has come to its end.
WELL = {"settings": {"warning_after": 3600, "offline_after": 7200}, "history": [{"web-01": 1, "web-02": 1}]}
LOST = {**WELL, "beats": {"web-02": 10_000}}


def watch(ansible: Ansible, tmp_path: Path, patience: int) -> Walk:
    """Launch the workflow."""
    execution = Execution(
        ansible, tmp_path / "jobs", inventory(tmp_path / "root", {host: {} for host in HOSTS}), machine()
    )
    done = walk(execution, "heartbeat watch", {"heartbeat_timeout": patience})
    for job in done.jobs.values():
        assert job.run.complaints == [], job.output
    return done


def test_all_online(ansible: Ansible, tmp_path: Path) -> None:
    prepare(tmp_path / "root" / "store", WELL)
    done = watch(ansible, tmp_path, 120)
    assert done.path == [("check", "successful"), ("show", "successful")]
    assert done.succeeded
    assert done.jobs["show"].artifacts["heartbeat_online"] == HOSTS


def test_one_lost_and_repaired(ansible: Ansible, tmp_path: Path) -> None:
    """Only the lost host is deployed on, and the agent that is put there brings it back."""
    prepare(tmp_path / "root" / "store", LOST)
    with beating(tmp_path / "root", *HOSTS):
        # The wait uses all of it up, and as much has to be enough for a new agent to be heard of.
        done = watch(ansible, tmp_path, 20)
    assert done.path == [
        ("check", "failed"),
        ("wait", "failed"),
        ("repair", "successful"),
        ("check-again", "successful"),
        ("show", "successful"),
    ]
    assert done.succeeded
    assert done.jobs["wait"].artifacts == {"heartbeat_missing": {"web-02": "offline"}}
    assert done.jobs["repair"].hosts("ok") == {"web-02"}
    assert done.jobs["check-again"].artifacts["heartbeat_newly_online"] == ["web-02"]
    assert done.jobs["show"].artifacts["heartbeat_online"] == HOSTS


def test_one_lost_that_returns_by_itself(ansible: Ansible, tmp_path: Path) -> None:
    store = tmp_path / "root" / "store"
    prepare(store, LOST)
    over = threading.Event()
    commits = commits_of(store)

    def return_once_the_loss_is_recorded() -> None:
        with open_store(str(store)) as opened:
            while not over.wait(0.05):
                if commits_of(store) > commits:
                    beat(opened, {"web-02": 0})
                    return

    returning = threading.Thread(target=return_once_the_loss_is_recorded)
    returning.start()
    try:
        done = watch(ansible, tmp_path, 120)
    finally:
        over.set()
        returning.join()
    assert done.path == [("check", "failed"), ("wait", "successful"), ("show", "successful")]
    assert done.succeeded


def commits_of(store: Path) -> int:
    return len(list((store / "default" / "journal").glob("*.json")))


def test_without_a_store_nothing_is_touched(ansible: Ansible, tmp_path: Path) -> None:
    """A check without a verdict hands nothing on, and what would work on the lost has nothing to work on."""
    done = watch(ansible, tmp_path, 1)
    assert done.path == [("check", "failed"), ("wait", "failed"), ("repair", "failed")]
    assert not done.succeeded
    assert done.jobs["check"].run.result("Check")["error_code"] == "STORE_UNAVAILABLE"
    assert not (tmp_path / "root").exists()
