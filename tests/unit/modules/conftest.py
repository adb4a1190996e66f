# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Callable, Dict

import pytest
from ansible.module_utils.common import warnings
from ansible.module_utils.testing import patch_module_args

from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.fleet import Request, manage
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.register import register_many
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.stores import open_store
from ansible_collections.roosync.heartbeat.tests.unit.modules.finder import load, spec_of

RunModule = Callable[..., Dict[str, Any]]
# Paths that are only looked at.
LOOKED_AT = {"host_id", "mount_point", "src"}


@pytest.fixture(autouse=True)
def _nothing_from_outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ROOSYNC_STORE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def run_module(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> RunModule:
    """Run a module in this process, as AnsiballZ would, and give what it prints: its result.

    Where a module could write to another place than the store, it is given one in the test's own folder.
    """

    def run(name: str, /, **options: Any) -> Dict[str, Any]:
        for option, spec in spec_of(name).items():
            if spec["type"] == "path" and option not in LOOKED_AT and not spec.get("required"):
                options.setdefault(option, str(tmp_path / "paths" / option))
        capsys.readouterr()
        warnings._global_warnings.clear()  # each module is a process of its own, but for here
        with patch_module_args(options), pytest.raises(SystemExit) as ended:
            load(name).main()
        result: Dict[str, Any] = json.loads(capsys.readouterr().out)
        assert bool(ended.value.code) == result.get("failed", False)
        return result

    return run


@pytest.fixture
def store(tmp_path: Path) -> str:
    """A store with a fleet of two machines that are online."""
    root = str(tmp_path / "store")
    with open_store(root) as opened:
        manage(opened, Request())
        register_many(opened, [{"machine_id": "web-01"}, {"machine_id": "web-02"}])
    return root
