# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Other programs are run for a bounded time, and nothing that they started outlives it."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.roosync.heartbeat.plugins.module_utils._engine import programs
from ansible_collections.roosync.heartbeat.tests.unit.stdlib.support import wait_until


def test_what_goes_in_and_comes_out() -> None:
    ended = programs.run(["sh", "-c", 'cat; echo "$WORD" >&2; exit 3'], 30, b"said", {"WORD": "heard"})
    assert ended == (3, b"said", b"heard\n")


def test_a_program_that_reads_nothing() -> None:
    assert programs.run(["true"], 30, b"x" * 1_000_000).status == 0


def test_one_that_is_not_there() -> None:
    with pytest.raises(FileNotFoundError):
        programs.run(["/nonexistent/program"], 30)


@pytest.mark.parametrize("then", ["wait", "exit 0"])
def test_what_it_started_ends_with_its_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, then: str) -> None:
    """Whether it waits for that itself, or has gone and left it behind, holding what is listened to."""
    kept = tmp_path / "pid"
    communicate = subprocess.Popen.communicate

    def begun(process: Any, *args: Any, **kwargs: Any) -> Any:
        """Its time runs from when it has started what it starts, which may take longer on a busy machine."""
        if "timeout" in kwargs:
            wait_until(lambda: kept.exists() and kept.read_text().endswith("\n"), "it has begun")
        return communicate(process, *args, **kwargs)

    monkeypatch.setattr(subprocess.Popen, "communicate", begun)
    with pytest.raises(programs.TookTooLong, match=r"sh took longer than 1 s"):
        programs.run(["sh", "-c", f"sleep 60 & echo $! > {kept}; {then}"], 1)
    state = Path(f"/proc/{kept.read_text().strip()}/stat")

    def ended() -> bool:
        """Gone, or a zombie that nobody has asked after yet."""
        try:
            return state.read_text().rpartition(")")[2].split()[0] in "ZX"
        except (FileNotFoundError, ProcessLookupError):
            return True

    wait_until(ended, "it has ended")  # to be killed takes a moment, and it was told to at the very end
