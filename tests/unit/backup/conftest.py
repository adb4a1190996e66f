# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Iterator

import pytest

from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.backup import crypt
from ansible_collections.roosync.heartbeat.tests.unit.backup.scenes import Scene


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A checker keeps the statuses as last known on its own disk: here, not at home."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def cheap_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """Encryption that costs next to nothing; the format says how much it cost."""
    monkeypatch.setattr(crypt, "WORK_FACTOR", 2)


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    """A fleet with something of everything in it, that nobody beats in any more."""
    return Scene(tmp_path)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """Memory, where there is such a file system: thousands of fsyncs are waited for here."""
    if not os.access("/dev/shm", os.W_OK):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir="/dev/shm", prefix="roosync-test-") as path:
        yield Path(path)
