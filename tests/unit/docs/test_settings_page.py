# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""docs/settings.md: every setting with its true default, and refusals as they really are."""

from __future__ import annotations

import json
from dataclasses import fields
from typing import Any, Dict, List

import pytest

from ansible_collections.roosync.heartbeat.plugins.module_utils._engine import settings
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.agent import config
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.errors import InvalidSettings
from ansible_collections.roosync.heartbeat.tests.docs.pages import page, rows

PAGE = page("settings.md")
REFUSED = rows(PAGE.section("What is refused"))


def plain(cell: str) -> str:
    return cell.strip("`")


def written(default: Any) -> str:
    """A default as the page writes it."""
    if default is None or default == {}:
        return "none"
    return "%.10g" % default if isinstance(default, float) else str(default).lower()


def test_every_setting_is_there_with_its_default() -> None:
    described = {plain(row[0]): row[1] for row in rows(PAGE.section("Settings of a fleet"))}
    defaults = settings.Settings()
    assert described == {f.name: written(getattr(defaults, f.name)) for f in fields(settings.Settings)}


@pytest.mark.parametrize("row", REFUSED, ids=[plain(row[0]) + " " + plain(row[2]) for row in REFUSED])
def test_refusals_are_real(row: List[str]) -> None:
    name, refused, nearest = plain(row[0]), json.loads(plain(row[2])), json.loads(plain(row[3]))
    with pytest.raises(InvalidSettings) as error:
        settings.from_mapping({name: refused})
    assert error.value.details["setting"] == name
    assert error.value.details["nearest"] == nearest
    # It is taken as it stands, or together with the other times that it asks for.
    with_it: Dict[str, Any] = {name: nearest}
    if name == "heartbeat_interval" and nearest > 1:
        with_it.update(warning_after=2 * nearest, offline_after=3 * nearest)
    elif name == "warning_after":
        with_it.update(offline_after=max(120, nearest + 30))
    settings.from_mapping(with_it)


def test_every_rule_has_its_refusal() -> None:
    """Settings that anything could be wrong with: all but those that take any name or have rules of their own."""
    names = {plain(row[0]) for row in REFUSED}
    assert names == set(settings.SETTING_NAMES) - {"overrides", "sync_paths", "zone_key"}


def test_what_may_differ_by_machine() -> None:
    text = PAGE.section("Overrides for single machines")
    assert {name for name in settings.SETTING_NAMES if "`%s`" % name in text} - {"overrides"} == set(
        settings.OVERRIDABLE
    )


def test_every_key_of_the_agent_is_there() -> None:
    described = {plain(row[0]): plain(row[1]) for row in rows(PAGE.section("The agent's configuration file"))}
    assert sorted(described) == sorted(config.KEYS)
    assert described["state_dir"] == config.DEFAULT_STATE_DIR
    assert config.DEFAULT_CONFIG in PAGE.section("The agent's configuration file")


def test_the_configuration_shown_is_one_that_is_taken() -> None:
    for block in PAGE.blocks:
        if block.language == "ini":
            assert config.Config("agent.conf", block.text).machine_id == "web-01"
