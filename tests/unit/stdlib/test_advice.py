# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What people do wrong when they are new, and that the answer tells them the next step."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.agent import config
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.conflicts import conflict_error
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.errors import InvalidSettings
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.record import Beat
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.register import register_many
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.settings import from_mapping
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.stores.file import FileStore


def refusal(text: str) -> str:
    """What the agent says to a configuration."""
    with pytest.raises(InvalidSettings) as refused:
        config.Config("agent.conf", text)
    return refused.value.message


def test_line_without_equals_sign_is_shown_the_form() -> None:
    assert refusal("store /srv/heartbeat") == "agent.conf, line 1: 'store /srv/heartbeat' has no '='; write key = value"


def test_relative_state_dir_is_refused() -> None:
    """Two agents that were started in different folders would not see each other's lock."""
    said = refusal("store = /srv/heartbeat\nmachine_id = web-01\nstate_dir = state")
    assert "state_dir" in said
    assert "absolute path" in said


def test_missing_configuration_says_what_is_needed(tmp_path: Path) -> None:
    with pytest.raises(InvalidSettings, match=r"--config"):
        config.load(str(tmp_path / "agent.conf"))


def test_identity_conflict_names_the_ways_out() -> None:
    said = conflict_error(Beat("web-01", 1, "", fingerprint="f" * 32), 0, cloned=False).message
    assert "allow_takeover" in said
    assert "takeover = true" in said


def test_a_machine_without_an_id_in_a_batch_is_not_called_none(tmp_path: Path) -> None:
    with FileStore(str(tmp_path), "default") as store:
        store.create()
        store.write("fleet.json", b"{}")
        (failed,) = register_many(store, [{"machine_id": None}])["failed_machines"]
    assert failed["machine_id"] == ""
    assert failed["msg"].startswith("machine_id is empty; give")


@pytest.mark.parametrize(
    ("setting", "value", "nearest"),
    [
        ("heartbeat_interval", -1, 0.1),
        ("warning_after", -1, 60.0),
        ("offline_after", -1, 120.0),
        ("forget_after", -1, 120.0),
        ("mass_failure_ratio", -1, 0.55),
        ("mass_failure_ratio", 1e9, 0.55),
        ("hold_timeout", -1, 0),
        ("offline_after", 1e9, 2592000.0),
    ],
)
def test_nearest_value_is_one_that_is_taken(setting: str, value: float, nearest: float) -> None:
    with pytest.raises(InvalidSettings) as refused:
        from_mapping({setting: value})
    assert refused.value.details["nearest"] == nearest
    assert from_mapping({setting: nearest})


def test_large_numbers_are_written_out() -> None:
    with pytest.raises(InvalidSettings, match=r"nearest sane value is 2592000$"):
        from_mapping({"offline_after": 1e9})
