# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What writers that died left behind is removed, and nothing else is."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ansible_collections.roosync.heartbeat.plugins.module_utils._engine import check, fleet, journal, register
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.stores import open_store
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.stores.file import FileStore

HOUR = 3600


@pytest.fixture
def store(tmp_path: Path):
    with open_store(str(tmp_path)) as made:
        fleet.manage(made, fleet.Request())
        register.register(made, "web-01")
        yield made


def leave(store: FileStore, name: str, age: float) -> Path:
    path = Path(store.location) / name
    path.write_text("{}")
    when = store.now() / 1e9 - age
    os.utime(path, (when, when))
    return path


def test_only_what_is_old_and_was_left_behind_goes(store: FileStore) -> None:
    gone = [
        leave(store, "heartbeats/.tmp-1-ab", 2 * HOUR),
        leave(store, ".tmp-1-ef", 2 * HOUR),
        leave(store, "journal/archive/.tmp-1-ef", 2 * HOUR),
        leave(store, "conflicts/x.json", 8 * 24 * HOUR),
    ]
    kept = [
        leave(store, "heartbeats/.tmp-2-cd", HOUR / 2),
        leave(store, "heartbeats/db-01.json", 9 * 24 * HOUR),
        leave(store, "conflicts/y.json", 6 * 24 * HOUR),
        leave(store, "incidents/z.json", 90 * 24 * HOUR),
    ]
    store.sweep(store.now())
    assert [path for path in gone if path.exists()] == []
    assert [path for path in kept if not path.exists()] == []


def test_a_check_sweeps_when_it_renews_the_checkpoint(store: FileStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "CHECKPOINT_EVERY", 1)
    left = leave(store, "journal/.tmp-1-ab", 2 * HOUR)
    check.run_check(store, force=True)
    assert not left.exists()


def test_what_cannot_be_removed_does_not_keep_the_rest(store: FileStore) -> None:
    folder = Path(store.location) / "conflicts" / "an old folder"
    folder.mkdir()
    os.utime(folder, (1, 1))
    gone = [leave(store, "conflicts/%d.json" % n, 8 * 24 * HOUR) for n in range(5)]
    gone.append(leave(store, "locks/.tmp-1-ab", 2 * HOUR))
    store.sweep(store.now())
    assert [path for path in gone if path.exists()] == []
    assert folder.is_dir()
