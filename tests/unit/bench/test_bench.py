# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The measurements themselves, in sizes that measure nothing: what is measured must still work and say what it did."""

from __future__ import annotations

import json
import math
import os
import shutil
import subprocess
import sys
from pathlib import Path

import ansible_collections.roosync.heartbeat

TREE = Path(next(iter(ansible_collections.roosync.heartbeat.__path__))).parents[2]
BENCH = TREE / "ansible_collections" / "roosync" / "heartbeat" / "tests" / "bench" / "bench.py"
PEERS = {"unison": {1.1, 1.2}, "restic": {0.6, 0.12, 1.0}}
"""Programs that may be installed, and the aims beside them."""
AIMS = {
    "beat": {1.25},
    "check": {1.2, 2.0, None},
    "batch": {1.5},
    "task": {1.15},
    "sync": {None}.union(*(aims for peer, aims in PEERS.items() if shutil.which(peer))),
}


def bench(folder: Path, *args: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run the measurements in sizes that take seconds, with the checkout's own collection."""
    where = ["--folder", str(folder / "stores"), "--json", str(folder / "figures.json")]
    return subprocess.run(
        [sys.executable, str(BENCH), "--quick", *where, *args],
        env=dict(os.environ, PYTHONPATH=str(TREE), ANSIBLE_COLLECTIONS_PATH=str(TREE), **env),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def sections(folder: Path) -> set[str]:
    return {figure["section"] for figure in json.loads((folder / "figures.json").read_text())["figures"]}


def test_every_section_yields_its_figures(tmp_path: Path) -> None:
    done = bench(tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    figures = json.loads((tmp_path / "figures.json").read_text())["figures"]
    assert {(f["section"], f["aim"]) for f in figures} == {(s, aim) for s, aims in AIMS.items() for aim in aims}
    # How large a ratio is says nothing here: of two pairs one may meet a disk that others keep busy.
    assert all(0 < f["ratio"] < math.inf and f["yardstick_ms"] > 0 and f["pairs"] >= 2 for f in figures)
    assert all(f["met"] is None if f["aim"] is None else f["met"] == (f["ratio"] <= f["aim"]) for f in figures)
    for figure in figures:
        assert "%s " % figure["name"] in done.stdout
    assert list((tmp_path / "stores").iterdir()) == []


def test_only_what_is_asked_for(tmp_path: Path) -> None:
    done = bench(tmp_path, "batch")
    assert done.returncode == 0, done.stdout + done.stderr
    assert sections(tmp_path) == {"batch"}


def test_a_section_that_does_not_exist_is_an_error(tmp_path: Path) -> None:
    done = bench(tmp_path, "everything")
    assert done.returncode == 2
    assert "unknown section: everything" in done.stderr


def test_work_that_fails_is_an_error_and_the_other_figures_are_kept(tmp_path: Path) -> None:
    done = bench(tmp_path, "task", "batch", ANSIBLE_STRATEGY="there_is_none")
    assert done.returncode == 1
    assert "task: the playbook failed" in done.stderr
    assert sections(tmp_path) == {"batch"}
