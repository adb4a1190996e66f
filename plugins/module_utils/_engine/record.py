# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A beat as it lies in the store: one JSON object with its keys in one fixed order.

What seldom changes comes first (:func:`head`), what changes at every beat last (:func:`tail`), so that the beating
agent keeps the first part ready and writes the second without a JSON encoder. Durations in ``missed`` count back from
the beat itself: a host's clock never enters a comparison.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field

from .clock import MS, iso
from .errors import InvalidMetadata, StoreCorrupt
from .identity import is_machine_id
from .metadata import MAX_DEPTH, strict_json, validate

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Optional

MAX_RECORD_BYTES = 131_072
MAX_REPLACED = 64
_SUFFIX = ".json"
# A file name has at most 255 bytes; a machine id of 251 to 253 characters leaves room for this one only.
_SHORT_SUFFIX = ".j"
_LONGEST_WITH_SUFFIX = 250
# Made once: json.dumps would make one at each call. A number like 1e999 is read as infinite, which is no JSON again.
_COMPACT = json.JSONEncoder(separators=(",", ":"), allow_nan=False)


@dataclass(frozen=True)
class Missed:
    """Writes that failed before this beat: how many, why, and when, in milliseconds before the beat."""

    count: int
    began_ms: int
    ended_ms: int
    why: str


@dataclass(frozen=True)
class Beat:
    """One heartbeat, as its machine wrote it. ``received_at`` is not in it: that is the store's to say."""

    machine_id: str
    sequence: int
    sent_at: str
    fingerprint: str = ""
    boot_id: str = ""
    agent_version: str = ""
    latency_ms: Optional[float] = None
    missed: Optional[Missed] = None
    leaving: Optional[str] = None
    took_over: Optional[str] = None
    """The fingerprint of the host that had this name before, if another had."""
    previous_boot_id: str = ""
    """The host's boot before this one, if it beat under this name then."""
    instance: str = ""
    """Which state directory it was sent from; said only by hosts that have no fingerprint."""
    replaced: Dict[str, int] = field(default_factory=dict)
    """The runs of hosts that were replaced here while they seemed alive, and when: by the sequence of who replaced
    them. See :func:`.conflicts.both_alive`."""
    metadata_json: str = "{}"

    @property
    def metadata(self) -> Any:
        return json.loads(self.metadata_json)


def file_name(machine_id: str) -> str:
    """The name of a machine's record in ``heartbeats/``; reversed by :func:`machine_id_of`."""
    return machine_id + (_SUFFIX if len(machine_id) <= _LONGEST_WITH_SUFFIX else _SHORT_SUFFIX)


def machine_id_of(name: str) -> Optional[str]:
    """The machine id that a file name in ``heartbeats/`` stands for, or None for a file that is no record."""
    if name.endswith(_SUFFIX):
        machine_id = name[: -len(_SUFFIX)]
    elif name.endswith(_SHORT_SUFFIX) and len(name) > _LONGEST_WITH_SUFFIX + len(_SHORT_SUFFIX):
        machine_id = name[: -len(_SHORT_SUFFIX)]
    else:
        return None
    return machine_id if is_machine_id(machine_id) else None


def head(beat: Beat) -> str:
    """The part of the record that stays the same from beat to beat."""
    return (
        '{"machine_id":%s,"fingerprint":%s,"boot_id":%s,"agent_version":%s,"took_over":%s,"previous_boot_id":%s,'
        '"instance":%s,"replaced":%s,"metadata":%s,'
        % (
            json.dumps(beat.machine_id),
            json.dumps(beat.fingerprint),
            json.dumps(beat.boot_id),
            json.dumps(beat.agent_version),
            json.dumps(beat.took_over),
            json.dumps(beat.previous_boot_id),
            json.dumps(beat.instance),
            _COMPACT.encode(beat.replaced),
            beat.metadata_json,
        )
    )


def tail(beat: Beat) -> str:
    """The part of the record that is new at every beat."""
    missed = None
    if beat.missed is not None:
        missed = {
            "count": beat.missed.count,
            "began_ms": beat.missed.began_ms,
            "ended_ms": beat.missed.ended_ms,
            "why": beat.missed.why,
        }
    return '"sequence":%d,"sent_at":%s,"latency_ms":%s,"leaving":%s,"missed":%s}\n' % (
        beat.sequence,
        json.dumps(beat.sent_at),
        json.dumps(beat.latency_ms),
        json.dumps(beat.leaving),
        _COMPACT.encode(missed),
    )


def encode(beat: Beat) -> bytes:
    """The record as bytes; pure ASCII, one line."""
    return (head(beat) + tail(beat)).encode("ascii")


def decode(data: bytes, machine_id: str) -> Beat:
    """A record read from the store; nothing in it is trusted.

    :param machine_id: whose record it should be: the name it was found under.
    :raises StoreCorrupt: empty, torn, not JSON, duplicate keys, wrong types, or another machine's record.
    """
    if not data:
        raise _corrupt(machine_id, "it is empty")
    if len(data) > MAX_RECORD_BYTES:
        raise _corrupt(machine_id, "it is larger than %d bytes" % MAX_RECORD_BYTES)
    try:
        raw = strict_json(data.decode("utf-8"))
        # Only these can hide what nobody could write down again: lone surrogates, and nesting without a bottom.
        if b"\\u" in data or data.count(b"[") + data.count(b"{") > MAX_DEPTH:
            validate(raw, "record", 0)
    except (ValueError, InvalidMetadata) as exc:
        raise _corrupt(machine_id, "it is torn or edited by hand (%s)" % exc) from exc
    if not isinstance(raw, dict):
        raise _corrupt(machine_id, "it is not a JSON object")
    if raw.get("machine_id") != machine_id:
        raise _corrupt(machine_id, "it names another machine: %s" % str(raw.get("machine_id"))[:80])
    try:
        return Beat(
            machine_id=machine_id,
            sequence=_integer(raw, "sequence"),
            sent_at=_text(raw, "sent_at"),
            fingerprint=_text(raw, "fingerprint", ""),
            boot_id=_text(raw, "boot_id", ""),
            agent_version=_text(raw, "agent_version", ""),
            latency_ms=_number(raw.get("latency_ms")),
            missed=_missed(raw.get("missed")),
            leaving=_optional_text(raw, "leaving"),
            took_over=_optional_text(raw, "took_over"),
            previous_boot_id=_text(raw, "previous_boot_id", ""),
            instance=_text(raw, "instance", ""),
            replaced=_replaced(raw.get("replaced")),
            metadata_json=_COMPACT.encode(_object(raw.get("metadata", {}))),
        )
    except (TypeError, ValueError, RecursionError) as exc:
        raise _corrupt(machine_id, str(exc)) from exc


def _corrupt(machine_id: str, reason: str) -> StoreCorrupt:
    return StoreCorrupt(
        "the record of %s cannot be used: %s; the machine's next beat replaces it" % (machine_id, reason),
        machine_id=machine_id,
        reason=reason,
    )


def _object(value: Any) -> Dict[str, Any]:
    if not isinstance(value, dict):
        raise TypeError("metadata is not an object")
    return value


def _text(raw: Dict[str, Any], key: str, default: Optional[str] = None) -> str:
    value = raw.get(key, default)
    if not isinstance(value, str) or len(value) > 200:
        raise TypeError("%s is not a short string" % key)
    return value


def _optional_text(raw: Dict[str, Any], key: str) -> Optional[str]:
    return None if raw.get(key) is None else _text(raw, key)


def _integer(raw: Dict[str, Any], key: str) -> int:
    value = raw.get(key)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**63:
        raise TypeError("%s is not a whole number" % key)
    return value


def _number(value: Any) -> Optional[float]:
    if value is None:
        return None
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not 0 <= value < 1e15:
        raise TypeError("latency_ms is not a number")
    return float(value)


def _replaced(value: Any) -> Dict[str, int]:
    if not value:
        return {}
    if not isinstance(value, dict) or len(value) > MAX_REPLACED:
        raise TypeError("replaced is no mapping of at most %d" % MAX_REPLACED)
    return {run: _integer({"replaced": at}, "replaced") for run, at in value.items()}


def _missed(value: Any) -> Optional[Missed]:
    if value is None:
        return None
    if not isinstance(value, dict):
        raise TypeError("missed is not an object")
    return Missed(
        count=_integer(value, "count"),
        began_ms=_integer(value, "began_ms"),
        ended_ms=_integer(value, "ended_ms"),
        why=_text(value, "why"),
    )


def skew_ms(beat: Beat, received_at: int) -> Optional[float]:
    """How far the machine's clock is from the store's, in milliseconds (positive: its clock is ahead).

    Reported, never used in an age. None when ``sent_at`` is no time.
    """
    from .clock import parse_iso

    try:
        return round((parse_iso(beat.sent_at) - received_at) / MS, 3)
    except ValueError:
        return None


def sent_now() -> str:
    """This host's own clock, for ``sent_at``."""
    import time

    return iso(time.time_ns())
