# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What `make hosts` does where test hosts cannot be started: here, for a user who is not root."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[2]
NOBODY = 65534


@pytest.fixture
def checkout() -> Iterator[Path]:
    """What is needed of a checkout, where any user may read it."""
    with tempfile.TemporaryDirectory() as made:
        home = Path(made)
        home.chmod(0o755)
        for name in ("hosts/run.sh", "tools/not-run.sh"):
            target = home / "tests" / name
            target.parent.mkdir(parents=True)
            shutil.copy(TESTS / name, target)
        yield home


def run(checkout: Path, hosts: str | None, **variables: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if name not in ("HOSTS", "STRICT", "NOT_RUN_LOG")}
    return subprocess.run(
        ["tests/hosts/run.sh", "hosts"],
        cwd=checkout,
        env={**kept, **({} if hosts is None else {"HOSTS": hosts}), **variables},
        user=NOBODY if os.getuid() == 0 else None,
        extra_groups=[] if os.getuid() == 0 else None,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("hosts", [None, "", "required"])
def test_it_fails_unless_told_otherwise(checkout: Path, hosts: str | None) -> None:
    done = run(checkout, hosts)
    assert done.returncode == 1
    assert done.stderr == "hosts: the test hosts cannot run here: they need root. HOSTS=skip leaves them out.\n"


@pytest.mark.parametrize(("hosts", "reason"), [("if-possible", "they need root"), ("skip", "HOSTS=skip")])
@pytest.mark.parametrize("strict", ["", "1"])
def test_it_says_that_it_was_left_out(checkout: Path, hosts: str, reason: str, strict: str) -> None:
    done = run(checkout, hosts, STRICT=strict)
    assert (done.returncode, done.stderr) == (0, f"NOT RUN: hosts ({reason})\n")


def test_another_value_is_refused(checkout: Path) -> None:
    done = run(checkout, "maybe")
    assert done.returncode == 2
    assert "'maybe'" in done.stderr
