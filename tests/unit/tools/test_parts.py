# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The summary of `make test`: what was not run is said, and fails unless it was allowed to be missing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

TOOLS = Path(__file__).resolve().parents[2] / "tools"
# It stands for make: what the targets do here is what those of the Makefile do.
MAKE = f"""#!/bin/sh
case $2 in
good) ;;
bad) exit 1 ;;
some) "{TOOLS}/not-run.sh" "some on Python 2 (no such Python here)" ;;
hosts) "{TOOLS}/not-run.sh" --allowed "hosts (no runc)" ;;
esac
"""


def run(home: Path, *parts: str, **variables: str) -> tuple[int, list[str]]:
    """The exit status, and the summary without the times."""
    (home / ".cache").mkdir()
    make = home / "make"
    make.write_text(MAKE, encoding="utf-8")
    make.chmod(0o755)
    kept = {name: value for name, value in os.environ.items() if name not in ("STRICT", "NOT_RUN_LOG")}
    done = subprocess.run(
        [sys.executable, str(TOOLS / "run_parts.py"), *parts],
        cwd=home,
        env={**kept, "MAKE": str(make), **variables},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    summary = done.stdout.partition("=== summary ===\n")[2].splitlines()
    return done.returncode, [line if line.startswith("NOT RUN: ") else line[:28].strip() for line in summary]


@pytest.mark.parametrize("strict", ["", "1"])
def test_all_went_well(tmp_path: Path, strict: str) -> None:
    assert run(tmp_path, "good", STRICT=strict) == (0, ["ok      good", "total"])


@pytest.mark.parametrize("strict", ["", "1"])
def test_a_failure_fails_and_the_rest_runs(tmp_path: Path, strict: str) -> None:
    assert run(tmp_path, "bad", "good", STRICT=strict) == (1, ["FAILED  bad", "ok      good", "total"])


@pytest.mark.parametrize(("strict", "status"), [("", 0), ("1", 1)])
def test_a_missing_part_fails_where_all_must_run(tmp_path: Path, strict: str, status: int) -> None:
    said = ["partly  some", "total", "NOT RUN: some on Python 2 (no such Python here)"]
    assert run(tmp_path, "some", STRICT=strict) == (status, said)


@pytest.mark.parametrize("strict", ["", "1"])
def test_a_part_that_may_be_missing_is_said_and_does_not_fail(tmp_path: Path, strict: str) -> None:
    said = ["NOT RUN hosts", "ok      good", "total", "NOT RUN: hosts (no runc)"]
    assert run(tmp_path, "hosts", "good", STRICT=strict) == (0, said)
