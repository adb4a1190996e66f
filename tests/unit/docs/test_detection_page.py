# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""docs/detection.md: its numbers are those of the code, and what it says is shown is shown."""

from __future__ import annotations

from pathlib import Path
from typing import Set

import pytest

from ansible_collections.roosync.heartbeat.plugins.module_utils._engine import look
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.check import run_check
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.clock import NS
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.detect import ages, flapping, reports, witnesses
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.fleet import Request, manage
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.register import register
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.settings import Settings
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.stores.file import FileStore
from ansible_collections.roosync.heartbeat.tests.docs.pages import code, page, rows

PAGE = page("detection.md")
DEFAULT = Settings()
LIMITS = ages.LimitsOf(DEFAULT)("any")
SLOT = LIMITS.offline


def prose(section: str) -> str:
    return " ".join(PAGE.section(section).split())


@pytest.mark.parametrize(
    ("section", "phrase", "value"),
    [
        ("Statuses", "below `warning_after` (%d s)", DEFAULT.warning_after),
        ("Statuses", "below `offline_after` (%d s)", DEFAULT.offline_after),
        ("Mass failure", "`mass_failure_count` (%d)", DEFAULT.mass_failure_count),
        ("Mass failure", "`mass_failure_ratio` (%g)", DEFAULT.mass_failure_ratio),
        ("Mass failure", "`hold_timeout` (%d s)", DEFAULT.hold_timeout),
        ("Flapping", "divided into %d slots", flapping.SLOTS),
        ("Flapping", "from %g for the newest", flapping.percentage(0, [0], 1) * flapping.SLOTS / 100),
        ("Flapping", "to %g for the oldest", flapping.percentage(19, [0], 1) * flapping.SLOTS / 100),
        ("Flapping", "At %d per cent the machine begins", flapping.STARTS_AT),
        ("Flapping", "at %d per cent it ends", flapping.ENDS_AT),
        ("Clocks", "`clock_skew_warning` (%d s)", DEFAULT.clock_skew_warning),
    ],
)
def test_numbers_are_those_of_the_code(section: str, phrase: str, value: float) -> None:
    assert phrase % value in prose(section)


def test_numbers_in_words_are_those_of_the_code() -> None:
    words = {2: "two", 3: "three"}
    away = prose("The store was away")
    assert "in a fleet of at least %s" % words[witnesses.LEAST_FLEET] in away
    assert "falls silent takes at least %s machines" % words[witnesses.LEAST_WITNESSES] in away
    assert "heard since, at least %s" % words[reports.LEAST_REPORTS] in away
    assert witnesses.quiet(LIMITS) * 2 == 3 * LIMITS.interval
    assert "for one and a half `heartbeat_interval`" in away
    assert "With the default of 1" in prose("Confirmations")
    assert DEFAULT.confirm_offline == DEFAULT.confirm_online == 1


def test_how_long_it_takes_to_flap_and_to_settle() -> None:
    """One change in every slot: how many slots until it begins, and how many without until it ends."""
    begins = next(
        n for n in range(1, 21) if flapping.is_flapping(n * SLOT, False, [k * SLOT for k in range(1, n + 1)], SLOT)
    )
    assert begins * SLOT / NS / 60 == 12
    assert "about 12 minutes" in prose("Flapping")
    changes = [k * SLOT for k in range(20)]
    ends = next(n for n in range(40) if not flapping.is_flapping((19 + n) * SLOT, True, changes, SLOT))
    assert 28 <= ends * SLOT / NS / 60 <= 35
    assert "about half an hour of rest" in prose("Flapping")


def test_how_often_it_is_wrong_is_worked_out_right() -> None:
    beats = 86_400 / DEFAULT.heartbeat_interval
    lost = int(DEFAULT.offline_after / DEFAULT.heartbeat_interval)
    a_day = beats * 0.01**lost
    text = prose("How soon, and how often wrong")
    assert (beats, lost) == (2880, 4)
    assert "meets that 2,880 " in text
    assert "%.6f times a day" % a_day in text
    assert 34 < 1 / (1000 * a_day) < 36  # days
    assert "once in five weeks" in text


def test_what_is_said_to_be_shown_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The keys of a check, of the details of a machine, and of the other words in the table of what to do."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with FileStore(str(tmp_path / "store"), "default") as store:
        manage(store, Request())
        register(store, "web-01")
        result = run_check(store, include_details=True)
        seen = look.info(store, look.Question(include_incidents=True))
    assert {"planned", "flapping", "maintenance", "incidents", "pending_syncs", "identity_conflicts"} <= set(result)
    assert {"clock_skew_ms", "problems", "summary"} <= set(result)
    flags = {"planned", "planned_until", "flapping", "held_by"}
    assert flags <= set(result["details"][0])
    assert flags <= set(seen["machines"][0])
    assert flags <= set(code(PAGE.section("Statuses")))
    keys = set(result) | set(result["details"][0])
    values = {"STORE_UNAVAILABLE", "store_outage", "mass_failure", "maintenance_over", "bad_maintenance"}
    assert first_words() <= keys | values


def first_words() -> Set[str]:
    return {word for row in rows(PAGE.section("What you see and what to do")) for word in code(row[0])}
