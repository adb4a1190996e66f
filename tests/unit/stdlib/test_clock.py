# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Time: nanoseconds inside, ISO 8601 with an offset outside, and nothing that means another moment on every host."""

from __future__ import annotations

import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.clock import (
    EARLIEST,
    LATEST,
    iso,
    parse_iso,
    to_ns,
    to_seconds,
)
from ansible_collections.roosync.heartbeat.tests.unit.stdlib.strategies import TIMES

OFFSETS = st.integers(-23 * 60 - 59, 23 * 60 + 59)


@given(TIMES)
def test_a_time_comes_back_to_the_microsecond(ns: int) -> None:
    assert parse_iso(iso(ns)) == ns // 1000 * 1000


@given(st.datetimes(min_value=datetime.datetime(1970, 1, 3), max_value=datetime.datetime(9999, 12, 29)), OFFSETS)
def test_an_offset_changes_the_writing_not_the_moment(local: datetime.datetime, minutes: int) -> None:
    moment = local.replace(tzinfo=datetime.timezone(datetime.timedelta(minutes=minutes)))
    ns = parse_iso(moment.isoformat())
    assert parse_iso(iso(ns)) == ns
    assert datetime.datetime.fromisoformat(iso(ns)[:-1] + "+00:00") == moment


@pytest.mark.parametrize(
    ("text", "ns"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01T00:00:00z", 0),
        (" 1970-01-01T00:00:00.000001Z\n", 1_000),
        ("1970-01-01T01:00:00+01:00", 0),
        ("1969-12-31T18:30:00-05:30", 0),
        ("1970-01-01 00:00:01+00:00", 1_000_000_000),
        ("1969-12-31T23:59:59.999999Z", -1_000),
        ("2026-01-31T12:00:00.123456Z", 1_769_860_800_123_456_000),
    ],
)
def test_times_as_people_write_them(text: str, ns: int) -> None:
    assert parse_iso(text) == ns


@pytest.mark.parametrize("ns", [253_402_300_800 * 10**9, 10**24, 10**33, 10**5000], ids=range(4))
def test_what_is_out_of_range_is_written_as_the_end_of_the_range(ns: int) -> None:
    """A file system stamps what it is told, and a document says what it likes."""
    assert iso(ns) == "9999-12-31T23:59:59.999999Z"
    assert iso(-ns) == "0001-01-01T00:00:00.000000Z"
    assert parse_iso(iso(-ns)) == EARLIEST
    assert parse_iso(iso(ns)) == LATEST // 1000 * 1000


@pytest.mark.parametrize("text", ["2026-01-31T12:00:00", "2026-01-31 12:00:00.5", "2026-01-31"])
def test_a_time_without_an_offset_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"has no offset; add Z or \+hh:mm|Invalid isoformat"):
        parse_iso(text)


def test_the_refusal_says_what_to_add() -> None:
    with pytest.raises(ValueError, match=r"^'2026-01-31T12:00:00' has no offset; add Z or \+hh:mm$"):
        parse_iso("2026-01-31T12:00:00")


@pytest.mark.parametrize(
    "text", ["", "Z", "now", "12:00Z", "2026-13-01T00:00:00Z", "2026-01-31T12:00:00+25:00", "\ud800Z"]
)
def test_what_is_no_time_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 (its text is Python's)
        parse_iso(text)


@given(st.text(max_size=40))
def test_any_text_is_a_time_or_a_value_error(text: str) -> None:
    try:
        assert isinstance(parse_iso(text), int)
    except ValueError:
        pass


@given(st.integers(0, 2**62))
def test_iso_sorts_as_time_does(ns: int) -> None:
    assert iso(ns) <= iso(ns + 1_000)
    assert len(iso(ns)) == len("2026-01-31T12:00:00.123456Z")


@pytest.mark.parametrize(("seconds", "ns"), [(0, 0), (0.1, 100_000_000), (0.0004, 0), (30, 30_000_000_000)])
def test_seconds_of_settings_are_exact_to_the_millisecond(seconds: float, ns: int) -> None:
    assert to_ns(seconds) == ns
    assert to_seconds(ns) == (0 if ns == 0 else seconds)
