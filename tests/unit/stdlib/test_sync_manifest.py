# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Trees as text: what is written comes back, and what nobody should have written is refused."""

from __future__ import annotations

import json
from typing import Any, Dict, List

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.errors import StoreCorrupt
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.sync import manifest, paths
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.sync.manifest import Entry, Manifest, same
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.sync.spec import TreeSpec
from ansible_collections.roosync.heartbeat.tests.unit.stdlib.strategies import MANIFESTS, NAMES

DIGEST = "ab" * 32
SPEC = TreeSpec("www", "/srv/www")
BOMB = "[" * 100_000


def entry(path: Any, kind: str = "f", **other: Any) -> Entry:
    content = {"f": DIGEST, "l": "target", "d": ""}.get(kind, "")
    mode = {"f": 0o644, "l": 0o777, "d": 0o755}.get(kind, 0o644)
    return Entry(path, kind, mode, 0, 0, "root", "root", 0, 0, content)._replace(**other)


def text(*rows: Any, **other: Any) -> bytes:
    """A manifest as somebody else may write it, in canonical form but for what is in it."""
    content: Dict[str, Any] = dict({"entries": rows, "format": 1, "tree": "www", "unknown": []}, **other)
    return json.dumps(content, separators=(",", ":"), sort_keys=True).encode()


@given(MANIFESTS)
def test_what_is_written_is_read_again(made: Manifest) -> None:
    data = manifest.dump(made)
    again = manifest.load(data)
    assert again == made
    assert manifest.dump(again) == data
    assert list(again.entries) == sorted(again.entries)
    assert manifest.digest(data) == manifest.digest(manifest.dump(again))


@given(NAMES)
def test_every_name_of_a_file_system_has_one_text(name: bytes) -> None:
    decoded = paths.decode(name)
    assert paths.encode(decoded) == name
    assert paths.refusal(decoded) == ""
    manifest.load(manifest.dump(Manifest("www", {decoded: entry(decoded)})))


BAD_PATHS: List[Any] = [
    "",
    ".",
    "..",
    "/",
    "/etc/passwd",
    "../etc/passwd",
    "a/../b",
    "a/..",
    "a/./b",
    "a//b",
    "a/",
    "a\0b",
    "x" * 256,
    "ä" * 128,
    "a/" * 2048 + "a",
    ".roosync-sync",
    "a/.roosync-sync/plan",
    "\ud800",
    "\udcc3\udca4",  # two escaped bytes that are an ordinary letter
    None,
    1,
    True,
    ["a"],
    {},
]


@pytest.mark.parametrize("path", BAD_PATHS, ids=map(str, range(len(BAD_PATHS))))
def test_what_is_no_path_below_a_root_is_refused(path: Any) -> None:
    above = [entry("a", "d")] if isinstance(path, str) and path.startswith("a") else []
    with pytest.raises(StoreCorrupt, match="refused"):
        manifest.load(text(*above, entry(path)))
    with pytest.raises(StoreCorrupt, match="refused"):
        manifest.load(text(*above, unknown=[[path, "why"]]))


@pytest.mark.parametrize(
    "changes",
    [
        {"kind": "x"},
        {"kind": ""},
        {"kind": None},
        {"kind": ["f"]},
        {"mode": -1},
        {"mode": 0o10000},
        {"mode": True},
        {"mode": "0644"},
        {"mode": None},
        {"uid": -1},
        {"uid": 2**32},
        {"gid": 2**32},
        {"size": -1},
        {"size": 2**63},
        {"size": 1.5},
        {"size": 10**30},
        {"mtime_ns": 2**63},
        {"mtime_ns": float("inf")},
        {"mtime_ns": float("nan")},
        {"link": -1},
        {"link": "1"},
        {"owner": None},
        {"owner": 0},
        {"owner": "x" * 257},
        {"owner": "a\0"},
        {"group": ["root"]},
        {"context": None},
        {"context": "x" * 4097},
        {"content": ""},
        {"content": DIGEST.upper()},
        {"content": DIGEST[:-1]},
        {"content": "../" + DIGEST[3:]},
        {"content": None},
        {"content": list(DIGEST)},
        {"kind": "d"},
        {"kind": "d", "content": "", "size": 1},
        {"kind": "d", "content": "", "link": 1},
        {"kind": "l", "mode": 0o777, "content": ""},
        {"kind": "l", "mode": 0o777, "content": "a\0b"},
        {"kind": "l", "mode": 0o777, "content": "x" * 4096},
        {"kind": "l", "mode": 0o777, "content": None},
        {"kind": "l", "mode": 0o644, "content": "target"},
        {"kind": "l", "mode": 0o777, "content": "target", "size": 6},
    ],
)
def test_values_that_no_entry_has_are_refused(changes: Dict[str, Any]) -> None:
    manifest.load(text(entry("a")))
    with pytest.raises(StoreCorrupt):
        manifest.load(text(entry("a")._replace(**changes)))


@pytest.mark.parametrize(
    "rows",
    [
        [entry("a"), entry("a")],
        [entry("a", "d"), entry("a", "l")],
        [entry("b"), entry("a")],
        [entry("a/b")],
        [entry("a"), entry("a/b")],
        [entry("a", "l"), entry("a/b")],
        [entry("a", "d"), entry("a/b", "l"), entry("a/b/c")],
        [entry("a", "d"), entry("a/b/c")],
        [entry("a", "d"), entry("b/c")],
        [list(entry("a"))[:-1]],
        [[*entry("a"), ""]],
        [[]],
        ["a"],
        [None],
        [{"path": "a"}],
    ],
)
def test_entries_that_make_no_tree_are_refused(rows: List[Any]) -> None:
    with pytest.raises(StoreCorrupt):
        manifest.load(text(*rows))


@pytest.mark.parametrize(
    "unknown",
    [
        [["a", "why"]],  # known as well
        [["x", "why"], ["x", "why"]],
        [["y", "why"], ["x", "why"]],
        [["x", "why"], ["x/y", "why"]],
        [["a/x", "why"]],
        [["x"]],
        [["x", None]],
        [["x", "why", "more"]],
        [["x", "w" * 1001]],
        ["x"],
        {"x": "why"},
        None,
    ],
)
def test_unknown_paths_that_make_no_sense_are_refused(unknown: Any) -> None:
    with pytest.raises(StoreCorrupt):
        manifest.load(text(entry("a"), unknown=unknown))


BAD_BYTES = [
    b"",
    b"{",
    b"null",
    b"[]",
    b"{}",
    b"\xff",
    text(entry("a"))[:-1],
    text(entry("a")) + b"\n",
    b" " + text(entry("a")),
    text(entry("a"), format=2),
    text(entry("a"), format=True),
    text(entry("a"), format=1.0),
    text(entry("a"), tree="../www"),
    text(entry("a"), tree=None),
    text(entry("a"), tree=["www"]),
    text(entry("a"), more=1),
    text(entry("a"), entries={}),
    text(entry("a"), entries=None),
    text(entry("a")).replace(b'"a"', b'"\\u0061"'),
    text(entry("a")).replace(b'"format":1', b'"format":2,"format":1'),
    text(entry("a")).replace(b'"a"', '"ä"'.encode()),
    text(entry("a")).replace(b",0,", b",0.0,", 1),
    text(entry("a")).replace(b",0,", b",-0,", 1),
    text(entry("a")).replace(b",0,", b",1e999,", 1),
    text(entry("a")).replace(b",0,", b"," + b"9" * 1_000_000 + b",", 1),
    text(entry("a")).replace(b'"unknown":[]', b'"unknown":' + BOMB.encode()),
    text(entry("a")).replace(b'"unknown":[]', ('"unknown":' + BOMB + "]" * len(BOMB)).encode()),
]


@pytest.mark.parametrize("data", BAD_BYTES, ids=map(str, range(len(BAD_BYTES))))
def test_bytes_that_are_no_manifest_are_refused(data: bytes) -> None:
    with pytest.raises(StoreCorrupt):
        manifest.load(data)


@given(MANIFESTS, st.data())
def test_no_changed_byte_is_believed_to_be_the_same_manifest(made: Manifest, draw: st.DataObject) -> None:
    data = bytearray(manifest.dump(made))
    data[draw.draw(st.integers(0, len(data) - 1))] ^= draw.draw(st.integers(1, 255))
    try:
        assert manifest.dump(manifest.load(bytes(data))) == bytes(data)
    except StoreCorrupt:
        pass


def test_more_entries_than_are_allowed_are_refused_before_any_is_looked_at() -> None:
    many = text(*(["never looked at"] * 1_000_001))
    with pytest.raises(StoreCorrupt, match="more than 1000000"):
        manifest.load(many)
    two = text(entry("a"), entry("b"))
    assert len(manifest.load(two, max_entries=2).entries) == 2
    with pytest.raises(StoreCorrupt, match="more than 1"):
        manifest.load(two, max_entries=1)
    with pytest.raises(StoreCorrupt, match="more than 1"):
        manifest.load(text(entry("a"), unknown=[["b", "why"]]), max_entries=1)


def test_what_would_fill_the_memory_is_not_parsed() -> None:
    with pytest.raises(StoreCorrupt, match="lists more than a tree of 10 entries"):
        manifest.load(text().replace(b'"unknown":[]', b'"unknown":[' + b"[]," * (1 << 21) + b"[]]"), max_entries=10)
    commas = "," * 255
    assert len(manifest.load(text(entry(commas)), max_entries=1).entries) == 1


def test_what_is_unknown_covers_all_beneath_it() -> None:
    made = manifest.load(text(entry("a", "d"), unknown=[["a/b", "unreadable"]]))
    assert made.is_unknown("a/b")
    assert made.is_unknown("a/b/c/d")
    assert not made.is_unknown("a")
    assert not made.is_unknown("a/bc")


@pytest.mark.parametrize(
    ("changes", "alike"),
    [
        ({}, True),
        ({"mtime_ns": 1, "size": 1, "link": 1}, True),
        ({"uid": 7}, True),
        ({"uid": 7, "owner": ""}, False),
        ({"owner": ""}, True),
        ({"owner": "www"}, False),
        ({"group": "www"}, False),
        ({"gid": 7, "group": ""}, False),
        ({"mode": 0o600}, False),
        ({"mode": 0o4644}, True),
        ({"content": "cd" * 32}, False),
        ({"kind": "d"}, False),
        ({"context": "system_u:object_r:etc_t:s0"}, True),
    ],
)
def test_what_makes_a_difference(changes: Dict[str, Any], alike: bool) -> None:
    one, other = entry("a"), entry("a", **changes)
    assert same(one, other, SPEC) is alike
    assert same(other, one, SPEC) is alike


def test_what_makes_a_difference_only_where_it_is_kept() -> None:
    assert same(entry("a"), entry("a", uid=1, gid=1, owner="x", group="y"), SPEC._replace(owners=False))
    assert same(entry("a"), entry("a", mode=0o6644), SPEC)
    assert same(entry("a"), entry("a", mode=0o6644), SPEC._replace(setuid=True, owners=False))
    assert not same(entry("a"), entry("a", mode=0o4644), SPEC._replace(setuid=True))
    assert not same(entry("a"), entry("a", mode=0o1644), SPEC)
    assert not same(entry("a", context="one"), entry("a", context="other"), SPEC)
    assert same(None, None, SPEC)
    assert not same(None, entry("a"), SPEC)
    assert not same(entry("a"), None, SPEC)
