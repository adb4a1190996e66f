# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""docs/diagnosis.md: it has the checks that there are, and its numbers are those of the code."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.clock import NS
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.diagnose import CHECKS
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.diagnosis import directory, limits, machines
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.diagnosis.finding import Limits
from ansible_collections.roosync.heartbeat.tests.docs.pages import code, page, rows
from ansible_collections.roosync.heartbeat.tests.unit.modules.finder import spec_of

PAGE = page("diagnosis.md")
DEFAULT = Limits()


def test_the_checks_are_those_that_are_made() -> None:
    named = [code(row[0])[0] for row in rows(PAGE.section("What is checked"))]
    assert named == [name for name, _check in CHECKS]


@pytest.mark.parametrize(
    ("phrase", "value"),
    [
        ("`latency_warning` (%g s)", DEFAULT.latency_warning),
        ("`free_space_warning` (%g MB)", DEFAULT.free_space_warning),
        ("`free_space_failed` (%g MB)", DEFAULT.free_space_failed),
        ("stays held for %g s", directory.LOCK_WATCH),
        ("worked on a sync entry for %g minutes", machines.WORKED_ON_WITHIN / NS / 60),
        ("`keep` says how many stay (%d)", DEFAULT.keep),
        ("%d checks: 22 ok", len(CHECKS)),
    ],
)
def test_numbers_are_those_of_the_code(phrase: str, value: float) -> None:
    assert phrase % value in " ".join(PAGE.text.split())


def test_numbers_in_words_are_those_of_the_code() -> None:
    text = " ".join(PAGE.text.split())
    assert (machines.CHECKED_WITHIN, "checked for an hour" in text) == (3600 * NS, True)
    assert (limits.LEAST_BEATS, "less than three times" in text) == (3, True)
    assert (limits.TOO_OFTEN, "or twice as often" in text) == (0.5, True)


@pytest.mark.parametrize("option", ["free_space_warning", "free_space_failed", "latency_warning", "keep"])
def test_the_modules_defaults_are_the_engines(option: str) -> None:
    default: Any = spec_of("heartbeat_diagnose")[option]["default"]
    assert default == getattr(DEFAULT, option)
