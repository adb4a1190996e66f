# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A play that holds a maintenance window around its own work lets go of it, whatever becomes of the work."""

from __future__ import annotations

import signal
import time
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.roosync.heartbeat.plugins.module_utils._engine import maintenance
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.clock import NS, iso
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.stores import open_store
from ansible_collections.roosync.heartbeat.tests.integration.fleets import prepare, snapshot
from ansible_collections.roosync.heartbeat.tests.integration.runner import NAMESPACE, TIMEOUT, Ansible, Run

SET, CHECK, WORK, LET_GO = "Announce the absence", "Check meanwhile", "Do the work", "Let go"
# In check mode there is no window, and the absence is what it is.
FAIL_ON = "{{ [] if ansible_check_mode else ['offline'] }}"
DONE = {"ansible.builtin.debug": {"msg": "done"}}
FAILED = {"ansible.builtin.fail": {"msg": "the work failed"}}


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A fleet in which ``web-01`` fell silent 5000 s ago, which no check has seen."""
    root = tmp_path / "store"
    settings = {"heartbeat_interval": 300, "warning_after": 900, "offline_after": 1200}
    beats = {"web-01": 1, "web-02": 1, "db-01": 1}
    prepare(root, {"settings": settings, "history": [beats], "beats": {**beats, "web-01": 5000}})
    return root


def play(store: Path, body: dict[str, Any]) -> list[dict[str, Any]]:
    """The example of the module's documentation, with a check in its middle. The window began two hours ago."""
    where = {"store": str(store)}
    window = {**where, "name": "work", "machines": ["web-*"], "reason": "kernel"}
    begun = {"start": iso(time.time_ns() // NS * NS - 7200 * NS), "duration": 10_800}
    return [
        {
            "block": [
                {"name": SET, NAMESPACE + "heartbeat_maintenance": {**window, **begun}},
                {"name": CHECK, NAMESPACE + "heartbeat_check": {**where, "force": True, "fail_on": FAIL_ON}},
                {"name": WORK, **body},
            ],
            "always": [
                {"name": LET_GO, NAMESPACE + "heartbeat_maintenance": {**where, "name": "work", "state": "absent"}}
            ],
        }
    ]


def windows(store: Path) -> list[tuple[str, str]]:
    with open_store(str(store)) as opened:
        calendar, problems = maintenance.load(opened)
        assert problems == []
        return [(w.window_id, maintenance.as_dict(w, opened.now())["phase"]) for w in calendar.windows]


def changed(run: Run) -> dict[str, bool]:
    return {task.name: task.changed for task in run.tasks}


@pytest.mark.parametrize("body", [DONE, FAILED], ids=["done", "failed"])
def test_the_window_is_over_afterwards(ansible: Ansible, store: Path, body: dict[str, Any]) -> None:
    before = snapshot(store, with_upkeep=False)
    predicted = ansible.start_tasks(play(store, body), "--check").finish()
    assert (predicted.rc == 0) is (body is DONE), predicted.output
    assert snapshot(store, with_upkeep=False) == before
    assert predicted.task(SET).changed

    for attempt in ("first", "again"):
        run = ansible.start_tasks(play(store, body)).finish()
        assert (run.rc == 0) is (body is DONE), run.output
        assert run.complaints == [], run.output
        assert changed(run) == {SET: True, CHECK: attempt == "first", WORK: False, LET_GO: True}
        assert windows(store) == [("work", "over")]
        checked = run.result(CHECK)
        assert (checked["offline"], checked["planned"], checked["pending_syncs"]) == (["web-01"], ["web-01"], [])
        assert checked["maintenance"][0]["name"] == "work"
    assert run.task(WORK).status == ("ok" if body is DONE else "failed")


def test_a_play_that_is_killed_leaves_a_window_that_ends_by_itself(ansible: Ansible, store: Path) -> None:
    go_on = store.parent / "go-on"
    running = ansible.start_tasks(play(store, {"ansible.builtin.wait_for": {"path": str(go_on), "timeout": TIMEOUT}}))
    try:
        deadline = time.monotonic() + TIMEOUT
        while WORK not in [entry["name"] for entry in running.entries()]:
            assert running.process.poll() is None, "it ended before its work began"
            assert time.monotonic() < deadline, "its work never began"
            time.sleep(0.05)
        running.process.send_signal(signal.SIGKILL)
        running.process.wait(TIMEOUT)
        assert windows(store) == [("work", "active")]
    finally:
        go_on.touch()  # ends the module, which outlives the play
        running.process.communicate(timeout=TIMEOUT)
    with open_store(str(store)) as opened:
        (left,) = maintenance.load(opened)[0].windows
        assert 0 < left.end - opened.now() < 3600 * NS
    run = ansible.start_tasks(play(store, DONE)).finish()
    assert run.rc == 0, run.output
    assert windows(store) == [("work", "over")]
