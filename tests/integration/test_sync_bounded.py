# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Many machines return at once: the playbook visits as many at a time as the fleet allows, and all in the end."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ansible_collections.roosync.heartbeat.plugins.module_utils._engine import journal
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.state import RUNNING
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.stores import open_store
from ansible_collections.roosync.heartbeat.tests.integration.fleets import prepare
from ansible_collections.roosync.heartbeat.tests.integration.runner import CHECKOUT, Ansible

PARALLEL = 2
RETURNED = [f"web-{n:02d}" for n in range(1, 7)]
OTHERS = [f"db-{n:02d}" for n in range(1, 10)]
FILES = 20
HOLE = 1 << 30
"""A file without a single block on the disk, whose hash takes long enough for a visit to be seen."""


@contextmanager
def watched(path: Path) -> Iterator[set[int]]:
    """How many machines were seen to be worked on at a time, read from the journal again and again."""
    seen: set[int] = set()
    over = threading.Event()

    def watch() -> None:
        with open_store(str(path)) as store:
            while not over.wait(0.01):
                syncs = journal.load(store).state.syncs.values()
                seen.add(sum(entry.state == RUNNING for entry in syncs))

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        thread.join()


def test_no_more_at_once_than_the_fleet_allows(ansible: Ansible, tmp_path: Path) -> None:
    path = tmp_path / "store"
    everybody = dict.fromkeys([*RETURNED, *OTHERS], 0)
    settings = {
        "sync_parallel": PARALLEL,
        # Nobody beats any more, and all of them are to be there until the last one was visited.
        "heartbeat_interval": 300,
        "warning_after": 900,
        "offline_after": 1200,
        "sync_paths": {"site": {"path": "/www", "machines": ["web-*"]}},
    }
    lost = {**everybody, **dict.fromkeys(RETURNED, 5000)}
    prepare(path, {"settings": settings, "history": [everybody, lost, everybody]})

    host = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
    hosts = {
        name: {
            **host,
            "heartbeat_sync_root": str(tmp_path / name),
            "heartbeat_sync_state_dir": str(tmp_path / name / "state"),
        }
        for name in RETURNED
    }
    for name in RETURNED:
        (tmp_path / name / "www").mkdir(parents=True)
        for number in range(FILES):
            (tmp_path / name / "www" / f"{name}-{number}").write_text(f"{name} {number}")
        with (tmp_path / name / "www" / "hole").open("wb") as file:
            file.truncate(HOLE)
    inventory = tmp_path / "inventory.json"
    variables = {"heartbeat_store": str(path), "heartbeat_vault": "mounted"}
    inventory.write_text(json.dumps({"all": {"hosts": {**hosts, "localhost": host}, "vars": variables}}))
    with watched(path) as seen:
        run = ansible.play(CHECKOUT / "playbooks" / "sync.yml", "-i", str(inventory), "--forks", str(len(RETURNED)))
    assert run.rc == 0, run.output
    assert max(seen) == PARALLEL, "not used, or not kept to"
    with open_store(str(path)) as store:
        assert not journal.load(store).state.syncs
    # Each has at least its own, and the last one everybody's.
    counts = [len(list((tmp_path / name / "www").iterdir())) for name in RETURNED]
    assert min(counts) > FILES
    assert max(counts) == FILES * len(RETURNED) + 1
