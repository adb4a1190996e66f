# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Iterator

import pytest

from ansible_collections.roosync.heartbeat.tests.unit.properties import load_profile
from ansible_collections.roosync.heartbeat.tests.unit.stdlib.agents import FAST, Agent
from ansible_collections.roosync.heartbeat.tests.unit.stdlib.support import Fleet

load_profile()


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    """A fleet with neighbours; afterwards they must be as they were."""
    made = Fleet(tmp_path / "store")
    yield made
    made.close()


@pytest.fixture
def shared(tmp_path: Path) -> Iterator[Fleet]:
    """A fleet in a directory that other users can reach, which pytest's own is not."""
    directory = Path(tempfile.mkdtemp(prefix="heartbeat-"))
    directory.chmod(0o755)
    try:
        fleet = Fleet(directory / "store")
        yield fleet
        fleet.close()
    finally:
        shutil.rmtree(str(directory))


@pytest.fixture
def agent(tmp_path: Path, fleet: Fleet) -> Iterator[Agent]:
    """An agent of ``web1`` in that fleet, not yet started."""
    fleet.configure(FAST)
    made = Agent(tmp_path / "host", fleet)
    yield made
    made.close()
