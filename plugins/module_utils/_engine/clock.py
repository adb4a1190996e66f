# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Time as the engine uses it: integer nanoseconds inside, ISO 8601 UTC outside.

No function here is ever used to judge a machine by a host's own clock: ages are differences of *store* times.
"""

from __future__ import annotations

import time

NS = 1_000_000_000
MS = 1_000_000
EARLIEST = -62_135_596_800 * NS
LATEST = 253_402_300_800 * NS - 1
"""The years 1 to 9999: what ISO 8601 can write. A file system may stamp, and a document may say, any number."""


def boot_time() -> int:
    """Nanoseconds since boot, suspended time included: no clock that anybody can set."""
    return time.clock_gettime_ns(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


def iso(ns: int) -> str:
    """Nanoseconds since the epoch as ``2026-01-31T12:00:00.123456Z``; what is out of range, as the end of the range."""
    seconds, rest = divmod(min(max(ns, EARLIEST), LATEST), NS)
    return "%04d-%02d-%02dT%02d:%02d:%02d" % time.gmtime(seconds)[:6] + ".%06dZ" % (rest // 1000)


def parse_iso(text: str) -> int:
    """Nanoseconds since the epoch of an ISO 8601 time with an offset (or ``Z``).

    :raises ValueError: not ISO 8601, or no offset (a time without one means a different moment on every host).
    """
    from datetime import datetime, timedelta, timezone

    cleaned = text.strip()
    if cleaned[-1:] in ("Z", "z"):
        cleaned = cleaned[:-1] + "+00:00"
    moment = datetime.fromisoformat(cleaned)
    if moment.tzinfo is None:
        raise ValueError("%r has no offset; add Z or +hh:mm" % text)
    return ((moment - datetime(1970, 1, 1, tzinfo=timezone.utc)) // timedelta(microseconds=1)) * 1000


def to_ns(seconds: float) -> int:
    """Seconds, as settings have them, to nanoseconds."""
    return round(seconds * 1000) * MS


def to_seconds(ns: int) -> float:
    """Nanoseconds to seconds, rounded to the millisecond for people to read."""
    return round(ns / NS, 3)
