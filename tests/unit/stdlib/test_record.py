# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Records: what a machine wrote is read as it wrote it; whatever else lies in its place is one clear error."""

from __future__ import annotations

import json
from typing import Any, Dict

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.errors import StoreCorrupt
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.record import (
    MAX_RECORD_BYTES,
    Beat,
    Missed,
    decode,
    encode,
    head,
    skew_ms,
    tail,
)
from ansible_collections.roosync.heartbeat.tests.unit.stdlib.strategies import BEATS, JSON

FULL = Beat(
    machine_id="web1",
    sequence=41,
    sent_at="2026-01-31T12:00:00.123456Z",
    fingerprint="0" * 32,
    boot_id="11111111-2222-3333-4444-555555555555",
    agent_version="0.1.0",
    latency_ms=1.25,
    missed=Missed(3, 95_000, 5_000, "STORE_UNAVAILABLE"),
    leaving="stop",
    took_over="f" * 32,
    replaced={"0000:": 40},
    metadata_json='{"role":"web","disks":[{"size":1.5}],"note":"caf\\u00e9"}',
)


def corrupt(data: bytes, machine_id: str = "web1") -> StoreCorrupt:
    """What decoding must answer with, and nothing else."""
    with pytest.raises(StoreCorrupt) as caught:
        decode(data, machine_id)
    error = caught.value
    assert error.error_code == "STORE_CORRUPT"
    assert error.details["machine_id"] == machine_id
    assert error.message.startswith("the record of %s cannot be used: " % machine_id)
    assert error.message.endswith("; the machine's next beat replaces it")
    return error


def corrupt_or_sound(data: bytes) -> None:
    """Bytes nobody vouches for: refused, or a beat of this machine that can be written again as it is."""
    try:
        beat = decode(data, "web1")
    except StoreCorrupt:
        return
    assert beat.machine_id == "web1"
    assert decode(encode(beat), "web1") == beat
    json.dumps(beat.metadata, allow_nan=False)


def record(**changes: Any) -> bytes:
    """A record whose fields somebody changed."""
    raw: Dict[str, Any] = json.loads(encode(FULL))
    raw.update(changes)
    return json.dumps(raw).encode()


@given(BEATS)
def test_a_beat_comes_back_as_it_was_written(beat: Beat) -> None:
    data = encode(beat)
    assert data.isascii()
    assert data.count(b"\n") == 1
    assert data.endswith(b"}\n")
    assert decode(data, beat.machine_id) == beat


def test_a_record_is_its_head_and_its_tail() -> None:
    assert encode(FULL).decode() == head(FULL) + tail(FULL)
    assert json.loads(head(FULL)[:-1] + "}")["metadata"] == FULL.metadata


def test_a_record_truncated_at_any_length_is_corrupt() -> None:
    """All but the line end after it: a record without that is whole."""
    data = encode(FULL)
    for length in range(len(data) - 1):
        corrupt(data[:length])
    assert decode(data[:-1], "web1") == FULL


@given(BEATS, st.data())
def test_no_truncation_is_taken_for_a_record(beat: Beat, data: Any) -> None:
    whole = encode(beat)
    corrupt(whole[: data.draw(st.integers(0, len(whole) - 2))], beat.machine_id)


def test_a_record_with_zeros_for_its_last_blocks_is_corrupt() -> None:
    """What a file system may leave of a file that was not synced when the power failed."""
    data = encode(FULL)
    for length in range(len(data)):
        corrupt(data[:length] + b"\0" * (len(data) - length))


def test_an_empty_record_says_so() -> None:
    assert corrupt(b"").details["reason"] == "it is empty"


@given(st.binary(max_size=300))
@example(b"\0" * 4096)
@example(b"\xff\xfe{}")
@example(b"\xef\xbb\xbf{}")
@example(b"\x7fELF\x02\x01\x01")
def test_binary_garbage_is_corrupt(data: bytes) -> None:
    corrupt(data)


@given(st.integers(0, len(encode(FULL)) - 1), st.binary(min_size=1, max_size=3))
def test_a_few_wrong_bytes_are_corrupt_or_harmless(at: int, garbage: bytes) -> None:
    data = bytearray(encode(FULL))
    data[at : at + len(garbage)] = garbage
    corrupt_or_sound(bytes(data))


@pytest.mark.parametrize("text", ["null", "true", "1", '"web1"', "[]", "{}", "[[]]"])
def test_other_json_is_corrupt(text: str) -> None:
    corrupt(text.encode())


@pytest.mark.parametrize("levels", [100, 300, 900, 990, 1_000, 5_000, 60_000])
@pytest.mark.parametrize("key", ["machine_id", "metadata", "missed", "latency_ms", "sent_at", "other"])
def test_bottomless_records_are_corrupt(key: str, levels: int) -> None:
    """Also where the parser can still follow: who writes the result as JSON must be able to do so too."""
    raw = encode(FULL).decode().rstrip()[:-1].replace('"%s":' % key, '"old":', 1)
    data = ('%s,"%s":%s1%s}' % (raw, key, '{"a":' * levels, "}" * levels)).encode()
    corrupt(data)


@pytest.mark.parametrize("where", ["sequence", "fingerprint", "metadata", "machine_id"])
def test_a_key_given_twice_is_corrupt(where: str) -> None:
    value = json.dumps(json.loads(encode(FULL))[where])
    data = encode(FULL).decode().rstrip()[:-1] + ',"%s":%s}' % (where, value)
    assert "duplicate key '%s'" % where in corrupt(data.encode()).message


def test_another_machines_record_is_corrupt() -> None:
    assert corrupt(encode(FULL), "web2").details["reason"] == "it names another machine: web1"
    assert corrupt(record(machine_id="WEB1")).details["reason"] == "it names another machine: WEB1"
    assert corrupt(record(machine_id=None)).details["reason"] == "it names another machine: None"
    assert len(corrupt(record(machine_id="x" * 10_000)).message) < 250


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        ("sequence", "41", "sequence is not a whole number"),
        ("sequence", 41.0, "sequence is not a whole number"),
        ("sequence", -1, "sequence is not a whole number"),
        ("sequence", True, "sequence is not a whole number"),
        ("sequence", None, "sequence is not a whole number"),
        ("sequence", 2**63, "sequence is not a whole number"),
        ("sent_at", 5, "sent_at is not a short string"),
        ("sent_at", "x" * 201, "sent_at is not a short string"),
        ("fingerprint", ["f"], "fingerprint is not a short string"),
        ("fingerprint", None, "fingerprint is not a short string"),
        ("boot_id", {}, "boot_id is not a short string"),
        ("agent_version", 1, "agent_version is not a short string"),
        ("latency_ms", "fast", "latency_ms is not a number"),
        ("latency_ms", True, "latency_ms is not a number"),
        ("latency_ms", -1, "latency_ms is not a number"),
        ("latency_ms", 1e15, "latency_ms is not a number"),
        ("leaving", True, "leaving is not a short string"),
        ("took_over", 1, "took_over is not a short string"),
        ("metadata", [], "metadata is not an object"),
        ("metadata", None, "metadata is not an object"),
        ("missed", 3, "missed is not an object"),
        ("missed", {}, "count is not a whole number"),
        ("missed", {"count": 1, "began_ms": 2.5, "ended_ms": 1, "why": ""}, "began_ms is not a whole number"),
        ("missed", {"count": 1, "began_ms": 2, "ended_ms": -1, "why": ""}, "ended_ms is not a whole number"),
        ("missed", {"count": 1, "began_ms": 2, "ended_ms": 1, "why": None}, "why is not a short string"),
    ],
)
def test_values_of_the_wrong_type_are_corrupt(key: str, value: Any, reason: str) -> None:
    assert corrupt(record(**{key: value})).details["reason"] == reason


@pytest.mark.parametrize(
    "number", ["1e999", "-1e999", "NaN", "Infinity", "9" * 400, "9" * 5_000], ids=lambda text: text[:9]
)
@pytest.mark.parametrize("place", ['"latency_ms":%s', '"metadata":{"a":[%s]}', '"missed":{"count":%s}'])
def test_numbers_beyond_numbers_are_corrupt_or_harmless(place: str, number: str) -> None:
    """Whatever passes here is written into results, where an infinity is no JSON."""
    text = '{"machine_id":"web1","sequence":1,"sent_at":"now",' + place % number + "}"
    if "metadata" not in place:
        corrupt(text.encode())
    corrupt_or_sound(text.encode())


@pytest.mark.parametrize("key", ["fingerprint", "boot_id", "leaving", "sent_at", "metadata"])
def test_text_that_no_file_can_hold_is_corrupt(key: str) -> None:
    """A lone surrogate is legal in JSON, and whoever writes it down as UTF-8 fails."""
    value = {"a": ["\ud800"]} if key == "metadata" else "\ud800"
    assert "is not valid Unicode text" in corrupt(record(**{key: value})).message


def test_missing_keys_have_defaults_only_where_a_beat_can_do_without() -> None:
    least = Beat(machine_id="web1", sequence=1, sent_at="now")
    assert decode(b'{"machine_id":"web1","sequence":1,"sent_at":"now"}', "web1") == least
    corrupt(b'{"machine_id":"web1","sequence":1}')
    corrupt(b'{"machine_id":"web1","sent_at":"now"}')


def test_keys_of_a_later_version_are_passed_over() -> None:
    assert decode(record(colour="green"), "web1") == FULL


def test_an_over_large_record_is_corrupt_and_never_parsed() -> None:
    padding = MAX_RECORD_BYTES - len(encode(FULL))
    assert decode(encode(FULL) + b" " * padding, "web1") == FULL
    assert corrupt(encode(FULL) + b" " * (padding + 1)).details["reason"] == "it is larger than 131072 bytes"


@given(
    st.fixed_dictionaries(
        {},
        optional={
            key: JSON | st.just(10**400)
            for key in (
                "sequence",
                "sent_at",
                "fingerprint",
                "latency_ms",
                "missed",
                "leaving",
                "took_over",
                "metadata",
            )
        },
    )
)
@example({"latency_ms": 10**400})
@example({"sent_at": '"\u00e9'})
@example({"metadata": {"a": 10**400}})
def test_any_values_in_a_record_are_corrupt_or_harmless(changes: Dict[str, Any]) -> None:
    corrupt_or_sound(record(**changes))


@pytest.mark.parametrize(
    ("sent_at", "skew"),
    [
        ("1970-01-01T00:00:10.000000Z", 0.0),
        ("1970-01-01T00:10:10.000000Z", 600_000.0),
        ("1969-12-31T23:50:10.000000Z", -600_000.0),
        ("1970-01-01T02:00:10.500000+02:00", 500.0),
        ("1970-01-01T00:00:10", None),
        ("soon", None),
        ("", None),
        ("\ud800", None),
        ("9999-12-31T23:59:59.999999-23:59", 253402387129_999.999),
    ],
)
def test_skew_is_how_far_the_hosts_clock_is_ahead(sent_at: str, skew: Any) -> None:
    beat = Beat(machine_id="web1", sequence=1, sent_at=sent_at)
    assert skew_ms(beat, 10_000_000_000) == skew
