# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The molecule scenarios, on fresh hosts."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from ansible_collections.roosync.heartbeat.tests.hosts.host import Host
from ansible_collections.roosync.heartbeat.tests.hosts.lab import CHECKOUT, Lab
from ansible_collections.roosync.heartbeat.tests.hosts.playing import TIMEOUT, Player, sockets
from ansible_collections.roosync.heartbeat.tests.integration.runner import BIN

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
SCENARIOS = sorted(path.parent.name for path in CHECKOUT.glob("extensions/molecule/*/molecule.yml"))


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_scenario(lab: Lab, hosts: list[Host], player: Player, tmp_path: Path, scenario: str) -> None:
    """Deploy, again without a change, check, remove."""
    with sockets() as folder:
        environment = player.environment(
            folder,
            ANSIBLE_PIPELINING="true",
            MOLECULE_EPHEMERAL_DIRECTORY=str(tmp_path / "molecule"),
            PATH=f"{BIN}:{os.environ['PATH']}",
            ROOSYNC_STORE=str(lab.shared / scenario),
        )
        del environment["ANSIBLE_CALLBACKS_ENABLED"]
        done = subprocess.run(
            [str(BIN / "molecule"), "test", "--scenario-name", scenario],
            cwd=CHECKOUT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=2 * TIMEOUT,
            check=False,
        )
    assert done.returncode == 0, done.stdout
    steps = re.findall(r"➜ (\w+): Executed: Successful", _COLOUR.sub("", done.stdout))
    assert {"prepare", "converge", "idempotence", "verify", "side_effect"} <= set(steps), done.stdout
