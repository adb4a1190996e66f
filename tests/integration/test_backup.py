# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Backups and restores as tasks: check mode, diff, the playbooks, and where the passphrase goes."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import time
from pathlib import Path

from ansible_collections.roosync.heartbeat.tests.integration.fleets import prepare, snapshot
from ansible_collections.roosync.heartbeat.tests.integration.runner import CHECKOUT, TIMEOUT, Ansible, task_of

SECRET = "a-passphrase-that-nobody-must-see"
START = {
    "settings": {"heartbeat_interval": 300, "warning_after": 900, "offline_after": 1200},
    "history": [{"web-01": 1, "web-02": 5000}],
}


def test_a_restore_in_check_mode(ansible: Ansible, tmp_path: Path) -> None:
    store, backups = tmp_path / "store", tmp_path / "backups"
    prepare(store, START)
    options = {"store": str(store), "directory": str(backups)}
    assert ansible.call("heartbeat_backup", **options).rc == 0
    (store / "default" / "heartbeats" / "web-02.json").unlink()
    before = snapshot(tmp_path)
    predicted = ansible.call("heartbeat_restore", "--check", "--diff", **options)
    assert (predicted.rc, predicted.complaints) == (0, []), predicted.output
    assert snapshot(tmp_path) == before
    assert "heartbeats/web-02.json" in predicted.output
    real = ansible.call("heartbeat_restore", **options)
    assert (real.rc, real.complaints) == (0, []), real.output
    first, second = predicted.result("heartbeat_restore"), real.result("heartbeat_restore")
    for key in ("changed", "files", "machine_id", "backup"):
        assert first[key] == second[key]
    assert (store / "default" / "heartbeats" / "web-02.json").exists()


def test_the_passphrase_is_seen_nowhere(ansible: Ansible, tmp_path: Path) -> None:
    """In no output however verbose, no recorded result, no file, no command line and no environment of a process."""
    store, backups = tmp_path / "store", tmp_path / "backups"
    prepare(store, START)
    options = {"store": str(store), "directory": str(backups), "passphrase": SECRET}
    tasks = [
        task_of("heartbeat_backup", **options),
        task_of("heartbeat_backup_info", **options, verify=True),
        task_of("heartbeat_restore", **options),
        dict(task_of("heartbeat_restore", **{**options, "passphrase": SECRET + "?"}), ignore_errors=True),
    ]
    play = tmp_path / "play.yml"
    play.write_text(json.dumps([{"name": "Test", "hosts": "localhost", "gather_facts": False, "tasks": tasks}]))
    running = ansible.start(play, "-vvv", "--diff")
    seen = []
    deadline = time.monotonic() + TIMEOUT
    while time.monotonic() < deadline:
        try:
            running.process.communicate(timeout=0.01)  # for with a full pipe it would wait for a reader
            break
        except subprocess.TimeoutExpired:
            seen += [path for path in command_lines() if SECRET in path]
    run = running.finish()
    assert run.rc == 0, run.output
    assert seen == []
    assert SECRET not in run.output
    assert SECRET not in running.record.read_text()
    files = [path for path in tmp_path.rglob("*") if path.is_file() and path != play]
    assert [path for path in files if SECRET.encode() in path.read_bytes()] == []
    assert run.tasks[-1].result["error_code"] == "BACKUP_CORRUPT"


def command_lines() -> list[str]:
    """Command line and environment of every process that may be looked at."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        for name in ("cmdline", "environ"):
            try:
                found.append(Path("/proc", pid, name).read_bytes().decode("utf-8", "replace"))
            except OSError:
                continue
    return found


def test_the_playbooks(ansible: Ansible, tmp_path: Path) -> None:
    store, backups = tmp_path / "store", tmp_path / "backups"
    prepare(store, START)
    variables = {"heartbeat_store": str(store), "heartbeat_backup_directory": str(backups)}
    made = ansible.play(CHECKOUT / "playbooks" / "backup.yml", variables=variables)
    assert (made.rc, made.complaints) == (0, []), made.output
    shutil.rmtree(store / "default")
    restore = CHECKOUT / "playbooks" / "restore.yml"
    unconfirmed = ansible.play(restore, variables=variables)
    assert unconfirmed.rc == 2
    assert "heartbeat_confirm=true" in unconfirmed.output
    assert not (store / "default").exists()
    looked = ansible.play(restore, "--check", "--diff", variables=variables)
    assert (looked.rc, looked.complaints) == (0, []), looked.output
    assert not (store / "default").exists()
    done = ansible.play(restore, variables={**variables, "heartbeat_confirm": True})
    assert (done.rc, done.complaints) == (0, []), done.output
    assert done.task("Restore").changed
    assert (store / "default" / "heartbeats" / "web-01.json").exists()


def test_an_empty_passphrase_is_an_error(ansible: Ansible, tmp_path: Path) -> None:
    """Whoever gives the variable wants an archive that nobody can read; an empty one is a secret that was not found."""
    store, backups = tmp_path / "store", tmp_path / "backups"
    prepare(store, START)
    variables = {
        "heartbeat_store": str(store),
        "heartbeat_backup_directory": str(backups),
        "heartbeat_backup_passphrase": "",
    }
    made = ansible.play(CHECKOUT / "playbooks" / "backup.yml", variables=variables)
    assert made.rc == 2
    assert "passphrase" in made.output
    assert list(backups.glob("*.tar.gz*")) == []


def test_a_number_of_nought_is_a_number(ansible: Ansible, tmp_path: Path) -> None:
    """In a file of variables it is no text, and must not count as if it had not been given; nothing at all may."""
    store, backups = tmp_path / "store", tmp_path / "backups"
    prepare(store, START)
    variables = {"heartbeat_store": str(store), "heartbeat_backup_directory": str(backups)}
    for more, there in (({"heartbeat_backup_keep": ""}, 1), ({}, 2), ({"heartbeat_backup_keep": 0}, 1)):
        made = ansible.play(CHECKOUT / "playbooks" / "backup.yml", variables={**variables, **more})
        assert (made.rc, made.complaints) == (0, []), made.output
        assert len(list(backups.glob("*.tar.gz"))) == there
    diagnose = CHECKOUT / "playbooks" / "diagnose.yml"
    # By default a second, which a busy disk may take.
    for limit, status in ((0, "warning .*over 0 ms"), (None, "(ok|warning .*over 1000 ms)")):
        found = ansible.play(diagnose, variables={**variables, "heartbeat_latency_warning": limit})
        assert (found.rc, found.complaints) == (0, []), found.output
        assert re.search("store_latency +" + status, found.output)
