# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role ``heartbeat_store``, run for real in a folder of the test."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.stores.file import FOLDERS
from ansible_collections.roosync.heartbeat.plugins.module_utils._module.boundary import LIBRARIES
from ansible_collections.roosync.heartbeat.tests.integration.fleets import snapshot
from ansible_collections.roosync.heartbeat.tests.integration.runner import CHECKOUT, PLAYBOOKS, Ansible, Run

ROLE = PLAYBOOKS / "roles" / "store.yml"


def play(ansible: Ansible, store: Path, *arguments: str, interpreter: str = sys.executable, **variables: Any) -> Run:
    run = ansible.play(ROLE, *arguments, variables={"store": str(store), **variables}, interpreter=interpreter)
    assert run.complaints == []
    return run


def changed(run: Run) -> list[str]:
    assert run.rc == 0, run.output
    return [task.name.rsplit(" : ", 1)[-1] for task in run.tasks if task.changed]


def settings(store: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((store / "default" / "fleet.json").read_text(encoding="utf-8"))
    return found


def test_from_nothing_and_again(ansible: Ansible, tmp_path: Path) -> None:
    """Check mode first, where there is nothing yet; then for real; then nothing is left to do."""
    store = tmp_path / "srv" / "heartbeat"
    both = ["Prepare the directory, and see that there is room", "Bring the fleet to what is wanted"]
    wanted = {"heartbeat_store_settings": {"hold_timeout": 600}, "heartbeat_store_expect": ["web-01"]}
    assert changed(play(ansible, store, "--check", "--diff", **wanted)) == both
    assert not store.parent.exists()
    assert changed(play(ansible, store, **wanted)) == both
    for path in (store, store / "default", *(store / "default" / folder for folder in FOLDERS)):
        assert stat.S_IMODE(path.stat().st_mode) == 0o2775, path
        assert path.stat().st_gid == os.getegid(), path
    mark = (store / "default" / "fleet.json").stat()
    assert (stat.S_IMODE(mark.st_mode), mark.st_gid) == (0o664, os.getegid())
    assert settings(store)["settings"]["hold_timeout"] == 600
    assert settings(store)["expected"] == ["web-01"]
    before = snapshot(store, with_upkeep=False)
    assert changed(play(ansible, store, **wanted)) == []
    assert snapshot(store, with_upkeep=False) == before
    more = {"heartbeat_store_settings": {"confirm_offline": 3}}
    assert changed(play(ansible, store, **more)) == both[1:]
    assert (settings(store)["settings"]["hold_timeout"], settings(store)["settings"]["confirm_offline"]) == (600, 3)


@pytest.mark.parametrize(
    ("variables", "error_code", "reason"),
    [
        ({"heartbeat_store_mount_point": "/srv"}, "STORE_UNAVAILABLE", "does not lie on the mount point /srv"),
        ({"heartbeat_store_refuse_below": "1000P"}, "DISK_SPACE_LOW", "at least"),
        ({"heartbeat_store_settings": {"warning_after": 1}}, "INVALID_SETTINGS", "nearest sane value"),
        ({"heartbeat_store_path": "srv/heartbeat"}, "INVALID_SETTINGS", "absolute path"),
        ({"heartbeat_store_settings": {"no_such_setting": 1}}, None, "no_such_setting"),
        ({"heartbeat_store_refuse_below_files": "many"}, None, "heartbeat_store_refuse_below_files"),
    ],
)
def test_refusals(
    ansible: Ansible, tmp_path: Path, variables: dict[str, Any], error_code: str | None, reason: str
) -> None:
    run = play(ansible, tmp_path / "heartbeat", **variables)
    assert run.rc != 0
    failed = [task for task in run.tasks if task.status == "failed"][-1]
    assert failed.result.get("error_code") == error_code
    assert reason in str(failed.result.get("msg")) + str(failed.result.get("argument_errors"))
    assert not (tmp_path / "heartbeat" / "default" / "fleet.json").exists()


def test_a_directory_beneath_a_mount(ansible: Ansible, tmp_path: Path) -> None:
    """The directory is there, but what should be mounted on it is not: nothing is written."""
    share = tmp_path / "share"
    share.mkdir(mode=0o755)
    run = play(ansible, share / "heartbeat", heartbeat_store_mount_point=str(share))
    assert run.rc != 0
    assert "nothing is mounted there: mount it first" in str(run.tasks[-1].result)
    assert list(share.iterdir()) == []


def test_little_room_is_warned_of(ansible: Ansible, tmp_path: Path) -> None:
    run = ansible.play(ROLE, variables={"store": str(tmp_path / "s"), "heartbeat_store_warn_below": "1000P"})
    assert run.rc == 0, run.output
    assert any("left at" in complaint for complaint in run.complaints)


def test_a_host_without_the_libraries(ansible: Ansible, tmp_path: Path) -> None:
    """The role makes a virtual environment for them, by pip and from the registry that pip is set up for."""
    bare, store, environment = tmp_path / "bare", tmp_path / "heartbeat", tmp_path / "environment"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(bare)], check=True, timeout=120)
    given = {"interpreter": str(bare / "bin" / "python"), "heartbeat_store_virtualenv": str(environment)}
    refused = play(ansible, store, **{**given, "heartbeat_store_virtualenv": ""})
    assert refused.rc != 0
    assert "has not got what a check needs: pydantic" in str(refused.tasks[-1].result["msg"])
    assert "Make it" in changed(play(ansible, store, "--check", **given))
    assert not environment.exists()
    assert {"Make it", "Install the libraries", "Bring the fleet to what is wanted"} <= set(
        changed(play(ansible, store, **given))
    )
    assert (store / "default" / "fleet.json").exists()
    assert changed(play(ansible, store, **given)) == []


def test_the_fleet_is_that_of_the_other_roles(ansible: Ansible, tmp_path: Path) -> None:
    """One variable names it for all of them."""
    store = tmp_path / "heartbeat"
    assert changed(play(ansible, store, heartbeat_fleet="prod"))
    assert [path.name for path in store.iterdir()] == ["prod"]


def test_a_fleet_made_elsewhere_needs_no_library(ansible: Ansible, tmp_path: Path) -> None:
    bare = tmp_path / "bare"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(bare)], check=True, timeout=120)
    store = tmp_path / "heartbeat"
    given = {"interpreter": str(bare / "bin" / "python"), "heartbeat_store_fleet": ""}
    assert changed(play(ansible, store, **given)) == ["Prepare the directory, and see that there is room"]
    assert list(store.iterdir()) == []


def test_the_libraries_are_those_that_the_modules_ask_for() -> None:
    text = (CHECKOUT / "roles" / "heartbeat_common" / "vars" / "main.yml").read_text(encoding="utf-8")
    wanted = yaml.safe_load(text)["heartbeat_common__libraries"]
    assert wanted == [f"{name}>={version}" for name, version in LIBRARIES.items()]
