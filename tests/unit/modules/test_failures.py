# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every module fails in a way that helps."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any, Callable, Dict

import pytest
import yaml

from ansible_collections.roosync.heartbeat.plugins.doc_fragments.store import ModuleDocFragment
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.fleet import Request, manage
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.stores import open_store
from ansible_collections.roosync.heartbeat.plugins.module_utils._module import boundary
from ansible_collections.roosync.heartbeat.tests.unit.modules.finder import MODULES, PUBLIC, least, needs, spec_of

RunModule = Callable[..., Dict[str, Any]]
CHECKERS = [name for name in MODULES if needs(name)]

# What some modules can tell even then.
TOLD = ("last_known", "missing", "status", "summary", "checks", "not_checked", "statistics", "diagnosed_at")
# Those that make a store, or a directory for one, where there is none.
MAKERS = ("heartbeat_fleet", "heartbeat_store_prepare")

every_module = pytest.mark.parametrize("name", PUBLIC)
every_checker = pytest.mark.parametrize("name", CHECKERS)


@every_module
def test_without_options(run_module: RunModule, name: str) -> None:
    result = run_module(name)
    assert result["failed"]
    required = [option for option, spec in spec_of(name).items() if spec.get("required")]
    if required:
        assert result["msg"].startswith("missing required arguments: ")
        assert all(option in result["msg"] for option in required)
    else:
        assert result["msg"].startswith("store is missing: name the store's directory")


@every_module
def test_without_a_store(run_module: RunModule, name: str) -> None:
    for empty in ({}, {"store": ""}):
        result = run_module(name, **least(name), **empty)
        assert (result["failed"], result["error_code"]) == (True, "INVALID_SETTINGS")
        assert "ROOSYNC_STORE" in result["msg"]


@every_module
def test_the_store_in_the_environment(
    run_module: RunModule, name: str, store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROOSYNC_STORE", str(tmp_path / "nowhere"))
    result = run_module(name, _ansible_check_mode=True, **least(name))
    if name in MAKERS:
        assert result["changed"]
    else:
        assert result["failed"]
        assert str(tmp_path / "nowhere") in result["msg"]
    assert not (tmp_path / "nowhere").exists()


@every_module
def test_an_address_that_no_store_can_have(run_module: RunModule, name: str) -> None:
    for address in ("srv/heartbeat", "redis://127.0.0.1", "file://relative"):
        result = run_module(name, store=address, **least(name))
        assert (result["failed"], result["error_code"]) == (True, "INVALID_SETTINGS")
        assert "absolute path" in result["msg"]


@every_module
def test_a_share_that_is_not_mounted(run_module: RunModule, name: str, tmp_path: Path) -> None:
    """The place of the failure is named in words of our own: to a ``path`` Ansible would add owner, mode and size."""
    (tmp_path / "share" / "default").mkdir(parents=True)
    result = run_module(name, store=str(tmp_path / "share"), **least(name))
    if name in MAKERS:
        assert result["changed"]
    else:
        assert result["failed"]
        assert "STORE_UNAVAILABLE" in (result["error_code"], result.get("cause_code"))
        assert "mount the share that holds it" in result["msg"]
        assert result["location"] == str(tmp_path / "share" / "default")
        assert set(result) <= {"failed", "msg", "error_code", "cause_code", "errno", "location", "invocation", *TOLD}
        assert list((tmp_path / "share").rglob("*")) == [tmp_path / "share" / "default"]


@every_checker
@pytest.mark.parametrize("library", sorted(boundary.LIBRARIES))
def test_a_missing_library(
    run_module: RunModule, name: str, library: str, store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """None in the place of a module is Python's own way to say that it cannot be imported."""
    monkeypatch.setitem(sys.modules, library, None)
    result = run_module(name, store=store, **least(name))
    assert result["failed"]
    assert result["msg"].startswith("Failed to import the required Python library (%s >= " % library)
    assert "Traceback" not in result["msg"]


@every_checker
@pytest.mark.parametrize("library", sorted(boundary.LIBRARIES))
def test_a_library_that_is_too_old(
    run_module: RunModule, name: str, library: str, store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As distributions have them; the installed one says that it is old, since only one can be installed here."""
    monkeypatch.setattr(library + ".__version__", "1.10.27")
    result = run_module(name, store=store, **least(name))
    assert result["failed"]
    assert result["msg"].startswith("%s 1.10.27 is too old. Failed to import" % library)


def test_the_libraries_are_those_in_the_documentation() -> None:
    documented = yaml.safe_load(ModuleDocFragment.CHECKER)["requirements"]
    assert sorted("%s >= %s" % item for item in boundary.LIBRARIES.items()) == sorted(documented)


@pytest.mark.parametrize("name", sorted(set(MODULES) - set(CHECKERS)))
def test_no_library_needed(run_module: RunModule, name: str, store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for library in boundary.LIBRARIES:
        monkeypatch.setitem(sys.modules, library, None)
    assert not run_module(name, store=store, **least(name)).get("failed", False)


def test_names_that_are_no_text_are_told_as_such(run_module: RunModule, store: str, tmp_path: Path) -> None:
    """Of a result with other bytes than UTF-8, Ansible would say that, and nothing else."""
    with open_store(store) as opened:
        manage(opened, Request(settings={"sync_paths": {"site": {"path": "/www"}}}))
    files = [tmp_path / "root" / "www" / os.fsdecode(b"file\xff%d" % number) for number in range(4)]
    files[0].parent.mkdir(parents=True)
    asked = {"store": store, "event": "online", "machine_id": "web-01", "root": str(tmp_path / "root")}
    for file in files:
        file.write_text("x")
    assert run_module("heartbeat_sync", **asked)["files_synced"] == 4
    for file in files[1:]:
        file.unlink()
    result = run_module("heartbeat_sync", **asked)
    assert result["error_code"] == "SYNC_MASS_DELETE"
    assert result["examples"] == ["file\\xff%d" % number for number in (1, 2, 3)]
