# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Metadata: plain values of bounded depth and size come back as they were given; the rest is refused by its path."""

from __future__ import annotations

import datetime
import decimal
import enum
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.roosync.heartbeat.plugins.module_utils._engine import metadata
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.errors import InvalidMetadata
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.metadata import decode_metadata, encode_metadata
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.record import Beat, decode, encode
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.register import register
from ansible_collections.roosync.heartbeat.tests.unit.stdlib.strategies import METADATA
from ansible_collections.roosync.heartbeat.tests.unit.stdlib.support import Fleet, tree


class Colour(enum.Enum):
    RED = 1


def refusal(value: Any) -> InvalidMetadata:
    with pytest.raises(InvalidMetadata) as caught:
        encode_metadata(value)
    assert caught.value.error_code == "INVALID_METADATA"
    return caught.value


def text_refusal(text: str) -> str:
    with pytest.raises(InvalidMetadata) as caught:
        decode_metadata(text)
    assert caught.value.error_code == "INVALID_METADATA"
    assert caught.value.message.startswith("metadata is not valid JSON: ")
    return caught.value.message


def nested(levels: int, inner: Any = 1) -> Any:
    for _level in range(levels):
        inner = [inner]
    return inner


def sized(size: int) -> Any:
    """Metadata of exactly so many bytes as JSON."""
    return {"x": "y" * (size - len('{"x":""}'))}


def test_no_metadata_is_empty_metadata() -> None:
    assert encode_metadata(None) == ("{}", None)
    assert encode_metadata({}) == ("{}", None)


@pytest.mark.parametrize("value", ["text", 1, [], [1], True, 1.5, (), {1}])
def test_metadata_is_an_object(value: Any) -> None:
    message = "metadata must be a JSON object (a dictionary), not " + type(value).__name__
    assert refusal(value).message == message


@pytest.mark.parametrize(
    "value",
    [
        lambda: 1,
        print,
        object(),
        {1, 2},
        frozenset(),
        b"bytes",
        bytearray(b"x"),
        datetime.datetime(2026, 1, 31),
        decimal.Decimal("1.5"),
        1j,
        Colour.RED,
        Ellipsis,
        range(3),
        (n for n in ()),
        ValueError("x"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_json_has_no_word_for_is_refused_with_its_path(value: Any) -> None:
    error = refusal({"disks": [{}, {"size": value}]})
    assert error.details["path"] == "metadata.disks[1].size"
    kind = type(value).__name__
    assert error.message.startswith("metadata.disks[1].size is a %s; only strings, numbers" % kind)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf"), 1e999])
def test_numbers_that_are_none_are_refused_with_their_path(value: float) -> None:
    error = refusal({"load": [0.5, value]})
    assert error.details["path"] == "metadata.load[1]"
    assert error.message == "metadata.load[1] is %r, which JSON cannot hold" % value


@pytest.mark.parametrize("key", [1, None, True, 1.5, ("a",), b"a"], ids=repr)
def test_keys_are_strings(key: Any) -> None:
    """json.dumps would turn some of them into strings, and two keys into one."""
    error = refusal({"a": {key: 1, "1": 2}})
    assert error.details["path"] == "metadata.a"
    assert "has a key that is no string: %r" % str(key) in error.message


def test_lone_surrogates_are_refused_with_their_path() -> None:
    assert refusal({"a": ["ok", "\ud800"]}).message == "metadata.a[1] is not valid Unicode text"
    assert refusal({"a": {"\udfff": 1}}).details["path"] == "metadata.a (a key)"


def test_a_message_stays_one_line_and_short_whatever_the_keys_are() -> None:
    error = refusal({"a\nb" * 100: {"c\x1b[2J" * 100: object()}})
    assert "\n" not in error.message
    assert "\x1b" not in error.message
    assert len(error.message) < 400


def test_huge_whole_numbers_are_refused() -> None:
    assert encode_metadata({"n": 2**1024 - 1})[0] == '{"n":%d}' % (2**1024 - 1)
    assert encode_metadata({"n": 1 - 2**1024})[0] == '{"n":%d}' % (1 - 2**1024)
    assert refusal({"n": 2**1024}).message == "metadata.n is a number of more than 1024 bits"
    assert refusal({"n": -(10**5000)}).details["path"] == "metadata.n"


def test_twenty_levels_are_deep_enough() -> None:
    assert json.loads(encode_metadata({"x": nested(18)})[0]) == {"x": nested(18)}
    error = refusal({"x": nested(19)})
    assert "is nested deeper than 20 levels" in error.message
    assert error.message.startswith("metadata.x[0][0]")


def test_what_contains_itself_is_nested_too_deeply() -> None:
    itself: Any = {}
    itself["again"] = itself
    assert "is nested deeper than 20 levels" in refusal(itself).message


@pytest.mark.parametrize("levels", [1_000, 10_000, 100_000])
@pytest.mark.parametrize("pair", [("[", "]"), ('{"a":', "}")])
def test_bottomless_text_is_refused_not_a_crash(levels: int, pair: Any) -> None:
    """Text of fewer levels than the parser can follow is refused by the depth of its values instead."""
    text = '{"a":' + pair[0] * levels + "1" + pair[1] * levels + "}"
    with pytest.raises(InvalidMetadata, match=r"nested (too deeply|deeper than 20 levels)"):
        encode_metadata(decode_metadata(text))


def test_the_limit_of_size_is_exact() -> None:
    text, warning = encode_metadata(sized(65_536))
    assert len(text) == 65_536
    assert warning is not None
    error = refusal(sized(65_537))
    assert error.details["bytes"] == 65_537
    assert error.message.startswith("metadata is 65537 bytes as JSON, at most 65536 are allowed")


def test_size_counts_as_it_lies_in_the_store() -> None:
    """An escaped character takes six bytes there, and twelve beyond the first plane."""
    assert len(encode_metadata({"x": "\u00e9" * 1_000})[0]) == 6_008
    assert refusal({"x": "\U0001f600" * 5_462}).details["bytes"] == 65_552


def test_large_metadata_warns_from_one_byte_over() -> None:
    assert encode_metadata(sized(10_000))[1] is None
    warning = encode_metadata(sized(10_001))[1]
    assert warning == "metadata is 10001 bytes as JSON; over 10000 every beat and check gets slower"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"a": 1, "a": 2}', "duplicate key 'a'"),
        ('{"x": [{"a": 1, "b": 2, "a": 1}]}', "duplicate key 'a'"),
        ('{"\\u0061": 1, "a": 2}', "duplicate key 'a'"),
        ('{"a": NaN}', "NaN is not JSON"),
        ('{"a": -Infinity}', "-Infinity is not JSON"),
        ("{'a': 1}", "Expecting property name"),
        ('{"a": 1,}', ""),
        ('{"a": 1', ""),
        ("", "Expecting value"),
        ("\ufeff{}", ""),
        ("{} {}", "Extra data"),
        ('{"a": "\x00"}', "Invalid control character"),
    ],
)
def test_text_that_is_not_quite_json_is_refused(text: str, reason: str) -> None:
    assert reason in text_refusal(text)


def test_a_number_of_a_million_digits_costs_nothing_and_is_refused() -> None:
    with pytest.raises(InvalidMetadata):
        encode_metadata(decode_metadata('{"n": %s}' % ("9" * 400)))
    with pytest.raises(InvalidMetadata):
        encode_metadata(decode_metadata('{"n": 1e%s}' % ("9" * 400)))


@given(METADATA)
def test_metadata_comes_back_as_it_was_given(value: Any) -> None:
    text, _warning = encode_metadata(value)
    assert text.isascii()
    assert decode_metadata(text) == value
    beat = Beat(machine_id="web1", sequence=1, sent_at="", metadata_json=text)
    assert decode(encode(beat), "web1").metadata == value


@given(
    st.dictionaries(st.text(max_size=3), st.lists(st.sampled_from([1, "x", float("nan"), object(), b""])), max_size=3)
)
def test_metadata_is_either_refused_or_real_json(value: Any) -> None:
    plain = all(item in (1, "x") for items in value.values() for item in items)
    if plain:
        assert metadata.strict_json(encode_metadata(value)[0]) == value
    else:
        assert refusal(value).details["path"].startswith("metadata.")


def test_tuples_become_lists() -> None:
    assert encode_metadata({"a": (1, ("b",))})[0] == '{"a":[1,["b"]]}'


@pytest.mark.parametrize("value", [{"f": print}, {"n": float("nan")}, sized(65_537), {1: 2}, "text"], ids=range(5))
def test_refused_metadata_leaves_the_store_alone(fleet: Fleet, value: Any) -> None:
    store = fleet.store()
    register(store, "web1", {"role": "web"})
    before = tree(fleet.root)
    with pytest.raises(InvalidMetadata):
        register(store, "web1", value)
    assert tree(fleet.root) == before
    assert fleet.beat("web1").metadata == {"role": "web"}


def test_the_largest_metadata_goes_through_a_real_store(fleet: Fleet) -> None:
    answer = register(fleet.store(), "web1", sized(65_536))
    assert answer["warnings"] == ["metadata is 65536 bytes as JSON; over 10000 every beat and check gets slower"]
    assert fleet.beat("web1").metadata == sized(65_536)
