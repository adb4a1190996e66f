# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a check of the diagnosis says: how it stands, what that was seen by, and what to do."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Dict, List, Mapping

from ..errors import HeartbeatError, InvalidSettings

OK = "ok"
WARNING = "warning"
FAILED = "failed"
STATUSES = (OK, WARNING, FAILED)
MAX_DETAILS = 100
MEGABYTE = 1_000_000
MAX_KEPT = 10_000


class NotChecked(Exception):
    """Something else is in the way of a check, and that is named by a check of its own."""


@dataclass(frozen=True)
class Finding:
    """The outcome of one check.

    :param evidence: what was seen, for a person.
    :param advice: what to do; empty when nothing is to be done.
    :param details: one entry for each machine, file or entry concerned.
    """

    check: str
    status: str
    evidence: str
    advice: str = ""
    details: List[Dict[str, Any]] = field(default_factory=list)

    def as_dict(self) -> Dict[str, Any]:
        shown = asdict(self)
        shown["details"] = self.details[:MAX_DETAILS]
        return shown


@dataclass(frozen=True)
class Limits:
    """From where on something is worth a warning, or a failure."""

    free_space_warning: float = 100.0
    """Megabytes."""
    free_space_failed: float = 20.0
    latency_warning: float = 1.0
    """Seconds."""
    keep: int = 20
    """How many reports stay."""

    def __post_init__(self) -> None:
        for name in ("free_space_warning", "free_space_failed", "latency_warning"):
            value = getattr(self, name)
            if not 0 <= value <= 1e12:
                raise InvalidSettings("%s: %s is refused: it must be between 0 and 1e12" % (name, value), setting=name)
        if not 1 <= self.keep <= MAX_KEPT:
            raise InvalidSettings(
                "keep: %.80s is refused: it must be between 1 and %d" % (self.keep, MAX_KEPT), setting="keep"
            )


def failure(name: str, exc: HeartbeatError) -> Finding:
    """An error's message says what is wrong and, after the last semicolon, what to do."""
    evidence, _separator, advice = exc.message.rpartition("; ")
    detail: Dict[str, Any] = {}
    detail.update((key, exc.details[key]) for key in ("path", "errno") if key in exc.details)
    return Finding(name, FAILED, evidence or exc.message, advice, [detail] if detail else [])


def worst(findings: List[Finding], complete: bool) -> str:
    """How it stands on the whole; what could not be checked is not well."""
    found = {finding.status for finding in findings}
    if FAILED in found:
        return FAILED
    return WARNING if WARNING in found or not complete else OK


def subject(detail: Mapping[str, Any]) -> str:
    """What an entry of ``details`` is about: the part that stays the same from one diagnosis to the next."""
    for key in ("event_id", "incident_id", "path", "machine_id"):
        if key in detail:
            return str(detail[key])
    return ""
