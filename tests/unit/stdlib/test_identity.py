# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Machine ids: what is accepted, what is refused and how, and that a name never becomes a path."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ansible_collections.roosync.heartbeat.plugins.module_utils._engine import identity
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.errors import InvalidMachineId
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.identity import normalise_machine_id
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.record import file_name, machine_id_of
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.register import register
from ansible_collections.roosync.heartbeat.tests.unit.stdlib.strategies import MACHINE_IDS
from ansible_collections.roosync.heartbeat.tests.unit.stdlib.support import Fleet, tree


def refusal(raw: Any) -> InvalidMachineId:
    with pytest.raises(InvalidMachineId) as caught:
        normalise_machine_id(raw)
    assert caught.value.error_code == "INVALID_MACHINE_ID"
    assert "\n" not in caught.value.message
    return caught.value


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("web1", "web1"),
        ("Web1.Example.COM", "web1.example.com"),
        ("  web1\n", "web1"),
        ("a", "a"),
        ("_x-", "_x-"),
        ("0.1.2", "0.1.2"),
        ("x" * 253, "x" * 253),
    ],
)
def test_names_come_out_in_canonical_form(raw: str, expected: str) -> None:
    assert normalise_machine_id(raw) == expected


@pytest.mark.parametrize("raw", ["", " ", "\n\t", "\u00a0"])
def test_an_empty_name_is_refused(raw: str) -> None:
    assert refusal(raw).message == "machine_id is empty; give the host name or another stable name"


@pytest.mark.parametrize("raw", [7, True, b"web1", ["web1"], 1.5])
def test_what_is_no_string_is_refused(raw: Any) -> None:
    assert refusal(raw).message == "machine_id must be a string, not " + type(raw).__name__


@pytest.mark.parametrize("length", [254, 255, 300, 100_000])
def test_an_over_long_name_is_refused_and_shown_short(length: int) -> None:
    message = refusal("x" * length).message
    assert "has %d characters, at most 253 are allowed" % length in message
    assert len(message) < 200


def test_an_over_long_name_of_control_characters_is_shown_escaped() -> None:
    assert "\x1b" not in refusal("\x1b[2J" * 100).message


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("../../etc/passwd", "/"),
        ("/etc/passwd", "/"),
        ("a/b", "/"),
        ("a\\b", "\\\\"),
        ("a b", " "),
        ("a\0b", "\\x00"),
        ("a\nb", "\\n"),
        ("caf\u00e9", "\u00e9"),
        ("\u043c\u0430\u0448\u0438\u043d\u0430", "\u0430"),
        ("\u6a5f\u68b0", "\u68b0"),
        ("web\u200b1", "\\u200b"),
        ("web\ud800", "\\ud800"),
        ("web:1", ":"),
        ("%2e%2e", "%"),
    ],
)
def test_other_characters_are_refused_by_name(raw: str, shown: str) -> None:
    error = refusal(raw)
    assert "has characters that are not allowed (" in error.message
    assert shown in error.message.split("not allowed (", 1)[1]
    assert "use letters, digits, '.', '_' and '-'" in error.message


@pytest.mark.parametrize("raw", ["\u212a", "web\u212a1", "\u0130stanbul", "\uff41"])
def test_letters_that_only_look_like_ascii_are_no_ascii(raw: str) -> None:
    """Some of them become ASCII when they are lower-cased: the Kelvin sign becomes a plain k."""
    assert "not allowed" in refusal(raw).message


@pytest.mark.parametrize("raw", [".", "..", "...", ".web", "-web", "web.", "a..b", "--help", ".tmp-1-2"])
def test_names_that_mean_something_else_to_a_file_system_or_a_shell_are_refused(raw: str) -> None:
    error = refusal(raw)
    assert "must begin with a letter or a digit, and have no '..' and no '.' at its end" in error.message
    assert error.details["machine_id"] == raw


def test_the_error_names_the_option_it_is_about() -> None:
    with pytest.raises(InvalidMachineId, match=r"^expect\[2\] is empty"):
        normalise_machine_id("", "expect[2]")


@given(st.one_of(st.text(), st.text(alphabet="aZ0._-/\\ \u212a"), MACHINE_IDS))
@example("\u212a")
@example("a" * 253 + "\n")
def test_normalising_twice_changes_nothing_and_never_gives_a_path(raw: str) -> None:
    try:
        name = normalise_machine_id(raw)
    except InvalidMachineId:
        return
    assert raw.strip().isascii()
    assert normalise_machine_id(name) == name
    assert identity.is_machine_id(name)
    assert not set(name) & set("/\\\0 ")
    assert name not in (".", "..")
    assert len(file_name(name).encode()) <= 255


@given(MACHINE_IDS)
def test_every_name_has_a_file_of_its_own(machine_id: str) -> None:
    assert normalise_machine_id(machine_id) == machine_id
    assert machine_id_of(file_name(machine_id)) == machine_id


@given(st.one_of(st.text(max_size=255), MACHINE_IDS.map(lambda m: (m + ".j")[:255])))
@example("x.json.json")
@example("x.j")
@example(".json")
@example("x" * 251 + ".j")
@example("x" * 250 + ".j")
@example("X.json")
def test_a_file_name_stands_for_one_machine_or_none(name: str) -> None:
    machine_id = machine_id_of(name)
    assert machine_id is None or file_name(machine_id) == name


@pytest.mark.parametrize("length", [1, 249, 250, 251, 252, 253])
def test_the_longest_names_go_through_a_real_store(fleet: Fleet, length: int) -> None:
    store, name = fleet.store(), "x" * length
    first = register(store, name)
    again = register(store, name)
    assert (first["machine_id"], first["is_new_machine"], again["sequence"]) == (name, True, 2)
    assert name in store.scan().received
    assert store.scan().oddities == []
    assert store.delete_beat(name)
    assert store.read_beat(name) is None


@pytest.mark.parametrize("raw", ["x" * 254, "../neighbour-1", "/etc/passwd", "", "..", "a\0b", "caf\u00e9"])
def test_a_refused_name_leaves_no_trace_in_the_store(fleet: Fleet, raw: str) -> None:
    before = tree(fleet.root)
    with pytest.raises(InvalidMachineId):
        register(fleet.store(), raw)
    assert tree(fleet.root) == before


@given(st.text(alphabet="0123456789abcdef", min_size=8, max_size=32))
def test_a_fingerprint_does_not_give_the_host_away(secret: str) -> None:
    print_of = identity.fingerprint(secret)
    assert len(print_of) == 32
    assert secret not in print_of
    assert print_of not in (hashlib.sha256(secret.encode()).hexdigest()[:32], secret)
    assert identity.fingerprint(secret) == print_of
    assert identity.fingerprint(secret + "0") != print_of


def test_a_fingerprint_is_the_same_on_every_version_of_python() -> None:
    """It is stored for years: a different one would make every host a stranger to its own record."""
    assert identity.fingerprint("0123456789abcdef0123456789abcdef") == "a46dd3c41cc5c4a29ee76c56256f7c9e"


def test_no_secret_no_fingerprint() -> None:
    assert identity.fingerprint("") == ""


def test_a_host_secret_is_the_first_that_says_something(tmp_path: Path) -> None:
    missing, empty, unset, real = (tmp_path / name for name in ("missing", "empty", "unset", "real"))
    empty.write_text("")
    unset.write_text("uninitialized\n")
    real.write_text("5eb63bbbe01eeed093cb22bb8f5acdc3\nmore\n")
    files = [str(path) for path in (missing, tmp_path, empty, unset, real)]
    assert identity.host_secret(files) == "5eb63bbbe01eeed093cb22bb8f5acdc3"
    assert identity.host_secret(files[:-1]) == ""


def test_the_names_of_this_host_are_machine_ids() -> None:
    names = identity.local_names()
    assert names
    assert all(identity.is_machine_id(name) for name in names)
    assert identity.default_machine_id() == names[0]
