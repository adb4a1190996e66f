# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The proofs with real processes, some in a shorter form than ``make proofs`` gives them. A failure names its seed."""

from __future__ import annotations

import subprocess
import sys

import pytest

from ansible_collections.roosync.heartbeat.tests.unit.checker.children import environment

SHORT = {
    "registering": ["--processes", "8", "--machines", "1000"],
    "checkers": ["--checkers", "6", "--rounds", "10"],
    "steps": [],
    "killed": ["--kills", "60"],
}


@pytest.mark.parametrize("proof", SHORT)
def test_proof(proof: str) -> None:
    module = "ansible_collections.roosync.heartbeat.tests.proofs"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", module, proof, *SHORT[proof]],
        capture_output=True,
        text=True,
        env=environment(),
        timeout=300,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stderr + done.stdout
    assert done.stdout.startswith(proof + ": ")
