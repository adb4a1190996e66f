# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""heartbeat_wait while things happen: a machine comes, the store goes away and returns."""

from __future__ import annotations

import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.stores import open_store
from ansible_collections.roosync.heartbeat.tests.integration.fleets import beat, prepare
from ansible_collections.roosync.heartbeat.tests.integration.runner import Ansible, Running, task_of

WAIT = "heartbeat_wait"


def start_waiting(ansible: Ansible, folder: Path, **options: Any) -> Running:
    """A playbook that waits for web-02; returns once it has looked at least once."""
    store = folder / "store"
    prepare(store, {"beats": {"web-01": 1}, "expect": ["web-02"]})
    asked = (store / "default" / "locks").stat().st_mtime_ns
    running = ansible.start_tasks([task_of(WAIT, store=str(store), machines=["web-02"], **options)])
    bound = time.monotonic() + 300
    # Every look asks the store for its time with a file in locks/.
    while (store / "default" / "locks").stat().st_mtime_ns == asked:
        assert running.process.poll() is None, running.finish().output
        assert time.monotonic() < bound
        time.sleep(0.02)
    return running


def come(store: Path) -> None:
    with open_store(str(store)) as opened:
        beat(opened, {"web-02": 0})


def test_a_machine_comes(ansible: Ansible, tmp_path: Path) -> None:
    running = start_waiting(ansible, tmp_path, timeout=300, delay=0.1)
    come(tmp_path / "store")
    run = running.finish()
    assert run.rc == 0, run.output
    assert run.complaints == []
    result = run.result(WAIT)
    assert result["machines"] == ["web-02"]
    assert not result["changed"]


def test_the_store_goes_away_and_returns(ansible: Ansible, tmp_path: Path) -> None:
    running = start_waiting(ansible, tmp_path, timeout=300, delay=0.1)
    elsewhere = tmp_path / "elsewhere"
    prepare(elsewhere, {"beats": {"web-02": 0}})
    mark, aside = tmp_path / "store" / "default" / "fleet.json", tmp_path / "fleet.json"
    mark.rename(aside)  # from now on this is no store, like the empty mount point of a share
    with pytest.raises(subprocess.TimeoutExpired):  # not given up; and a look that had begun before is over
        running.process.wait(1)
    shutil.copy(elsewhere / "default" / "heartbeats" / "web-02.json", mark.parent / "heartbeats")
    with pytest.raises(subprocess.TimeoutExpired):  # nor done
        running.process.wait(1)
    aside.rename(mark)
    run = running.finish()
    assert run.rc == 0, run.output
    assert run.result(WAIT)["status"] == "online"
