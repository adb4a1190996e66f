# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Taking the agent away takes away nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable, Dict

RunModule = Callable[..., Dict[str, Any]]
NAME = "heartbeat_agent_install"


def test_files_of_others_stay(run_module: RunModule, store: str, tmp_path: Path) -> None:
    folders = {
        "prefix": tmp_path / "prefix",
        "state_dir": tmp_path / "state",
        "config": tmp_path / "etc" / "agent.conf",
    }
    places = {option: str(path) for option, path in folders.items()}
    assert run_module(NAME, store=store, **places)["changed"]
    assert not run_module(NAME, store=store, **places)["changed"]
    others = [tmp_path / "prefix" / "other", tmp_path / "state" / "other", tmp_path / "etc" / "other.conf"]
    for path in others:
        path.write_text("kept")
    assert run_module(NAME, store=store, state="absent", **places)["changed"]
    left = [path for name in ("prefix", "state", "etc") for path in (tmp_path / name).rglob("*")]
    assert sorted(left) == sorted(others)
    assert not run_module(NAME, store=store, state="absent", **places)["changed"]


def test_nothing_is_left_in_folders_of_its_own(run_module: RunModule, store: str, tmp_path: Path) -> None:
    places = {name: str(tmp_path / "own" / name) for name in ("prefix", "state_dir")}
    places["config"] = str(tmp_path / "own" / "etc" / "agent.conf")
    assert run_module(NAME, store=store, **places)["changed"]
    assert run_module(NAME, store=store, state="absent", _ansible_check_mode=True, **places)["changed"]
    assert (tmp_path / "own" / "etc" / "agent.conf").exists()
    assert run_module(NAME, store=store, state="absent", **places)["changed"]
    assert list((tmp_path / "own").iterdir()) == []
    assert not run_module(NAME, store=store, state="absent", **places)["changed"]
