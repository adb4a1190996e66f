# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Taking the agent away takes away nothing else."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Callable, Dict

import pytest

from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.agent.local import instance

RunModule = Callable[..., Dict[str, Any]]
NAME = "heartbeat_agent_install"
INSTALLERS = (NAME, "heartbeat_monitor_install")


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


def test_what_tells_a_host_from_others_that_has_no_machine_id_goes_too(
    run_module: RunModule, store: str, tmp_path: Path
) -> None:
    """A container; and it is not in the way of the next agent there."""
    places = {name: str(tmp_path / "own" / name) for name in ("prefix", "state_dir", "config")}
    for _round in range(2):
        assert run_module(NAME, store=store, **places)["changed"]
        assert instance(places["state_dir"])
        assert run_module(NAME, store=store, state="absent", **places)["changed"]
        assert not Path(places["state_dir"]).exists()


def everything(root: Path) -> Dict[str, str]:
    """What lies below a folder: the texts of files, the targets of links."""
    return {
        str(path): os.readlink(str(path)) if path.is_symlink() else path.read_text() if path.is_file() else "folder"
        for path in root.rglob("*")
    }


@pytest.fixture
def theirs(tmp_path: Path) -> Dict[str, str]:
    """Somebody else's application, which has its releases in the same way; a state folder; and a configuration."""
    (tmp_path / "app" / "releases" / "1").mkdir(parents=True)
    (tmp_path / "app" / "releases" / "1" / "x").write_text("kept")
    (tmp_path / "app" / "current").symlink_to("releases/1")
    (tmp_path / "app" / ".tmp-1").write_text("kept")
    (tmp_path / "state" / "captured").mkdir(parents=True)
    (tmp_path / "state" / "other").write_text("kept")
    (tmp_path / "theirs.conf").write_text("kept")
    return {
        "prefix": str(tmp_path / "app"),
        "state_dir": str(tmp_path / "state"),
        "config": str(tmp_path / "theirs.conf"),
    }


@pytest.mark.parametrize("name", INSTALLERS)
def test_what_was_not_put_there_is_not_removed(
    run_module: RunModule, store: str, tmp_path: Path, theirs: Dict[str, str], name: str
) -> None:
    before = everything(tmp_path)
    for check in (True, False):
        assert not run_module(name, store=store, state="absent", _ansible_check_mode=check, **theirs)["changed"]
    assert everything(tmp_path) == before


@pytest.mark.parametrize("name", INSTALLERS)
@pytest.mark.parametrize(
    ("option", "reason"),
    [("prefix", "was not put there by this collection"), ("state_dir", "name a folder that is for this alone")],
)
def test_what_was_not_put_there_is_not_taken_over(
    run_module: RunModule, store: str, tmp_path: Path, theirs: Dict[str, str], name: str, option: str, reason: str
) -> None:
    before = everything(tmp_path)
    mode = (tmp_path / "state").stat().st_mode
    for check in (True, False):
        result = run_module(name, store=store, _ansible_check_mode=check, **{option: theirs[option]})
        assert (result["failed"], result["error_code"]) == (True, "INVALID_SETTINGS")
        assert reason in result["msg"]
    assert everything(tmp_path) == before
    assert (tmp_path / "state").stat().st_mode == mode


@pytest.mark.parametrize("name", INSTALLERS)
def test_what_comes_to_lie_beside_it_is_in_nobodys_way(
    run_module: RunModule, store: str, tmp_path: Path, name: str
) -> None:
    """In the prefix and in the state folder, such as what a hook writes."""
    places = {option: str(tmp_path / "own" / option) for option in ("prefix", "state_dir", "config")}
    run_module(name, store=store, **places)
    others = [tmp_path / "own" / "prefix" / ".tmp-x", tmp_path / "own" / "state_dir" / "other"]
    for path in others:
        path.write_text("kept")
    assert not run_module(name, store=store, **places)["changed"]
    (tmp_path / "own" / "prefix" / "current").unlink()
    assert run_module(name, store=store, **places)["changed"]
    assert [path.read_text() for path in others] == ["kept", "kept"]


def test_a_removal_that_was_cut_off_is_finished(run_module: RunModule, store: str, tmp_path: Path) -> None:
    places = {option: str(tmp_path / "own" / option) for option in ("prefix", "state_dir", "config")}
    run_module(NAME, store=store, **places)
    (tmp_path / "own" / "prefix" / "current").unlink()
    (tmp_path / "own" / "state_dir" / ".roosync-heartbeat").unlink()
    assert run_module(NAME, store=store, state="absent", **places)["changed"]
    assert not (tmp_path / "own").exists()


def test_a_host_that_nothing_tells_from_others_is_refused(run_module: RunModule, store: str, tmp_path: Path) -> None:
    """Every one of its heartbeats would fail."""
    result = run_module(NAME, store=store, host_id=str(tmp_path / "not-there"))
    assert (result["failed"], result["error_code"]) == (True, "INVALID_SETTINGS")
    assert "not-there says nothing, or cannot be read" in result["msg"]
    assert not (tmp_path / "paths" / "prefix").exists()
