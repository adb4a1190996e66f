# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Folders that cannot be written are a failure with advice, not a crash."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable, Dict

import pytest

RunModule = Callable[..., Dict[str, Any]]


@pytest.mark.parametrize("option", ["prefix", "config", "state_dir"])
def test_a_folder_that_cannot_be_made(run_module: RunModule, store: str, tmp_path: Path, option: str) -> None:
    (tmp_path / "file").write_text("in the way")
    result = run_module("heartbeat_agent_install", store=store, **{option: str(tmp_path / "file" / "x" / "agent")})
    assert (result["failed"], result["error_code"]) == (True, "INVALID_SETTINGS")
    assert str(tmp_path / "file") in result["msg"]
    assert "or name another" in result["msg"]
