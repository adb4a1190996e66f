# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which paths of a tree are meant, and what a fleet may declare."""

from __future__ import annotations

import fnmatch
import time
from typing import Any, Dict, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.errors import InvalidSettings
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.sync import globs, spec
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.sync.globs import Globs
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.sync.spec import TreeSpec, from_mapping

NAMES = st.text("ab*?[]!^-.\\\n", min_size=1, max_size=8)


@pytest.mark.parametrize(
    ("pattern", "matching", "other"),
    [
        ("*.yml", ["a.yml", "x/y/a.yml", ".yml"], ["a.yaml", "a.yml/b", "ayml"]),
        ("cache", ["cache", "x/cache"], ["cached", "cache/x"]),
        ("/cache", ["cache"], ["x/cache"]),
        ("x/cache", ["x/cache"], ["cache", "y/x/cache"]),
        ("x/**/cache", ["x/cache", "x/a/cache", "x/a/b/cache"], ["xcache", "x/acache", "cache"]),
        ("**/x/cache", ["x/cache", "y/x/cache"], ["yx/cache"]),
        ("x/**", ["x/a", "x/a/b"], ["x", "xa"]),
        ("**", ["a", "a/b"], []),
        ("a?c", ["abc", "x/a-c"], ["a/c", "ac", "abbc"]),
        ("a*b*c", ["abc", "aXbYc", "abbc", "abcbc"], ["a/bc", "ac", "abcb"]),
        ("[a-c]x", ["ax", "cx"], ["dx", "-x"]),
        ("[!a-c]x", ["dx", "-x"], ["ax", "/x"]),
        ("[]]x", ["]x"], ["x"]),
        ("[a", ["[a"], ["a"]),
        ("[c-a]", [], ["a", "b", "c", "-"]),
        (r"\*", ["*"], ["a"]),
        ("a.b", ["a.b"], ["axb"]),
        ("a\nb*", ["a\nb", "a\nb\n"], ["a"]),
    ],
)
def test_what_a_pattern_matches(pattern: str, matching: Sequence[str], other: Sequence[str]) -> None:
    assert globs.refusal(pattern) == ""
    made = Globs([pattern])
    assert [path for path in matching if not made.matches(path, False)] == []
    assert [path for path in other if made.matches(path, False)] == []


def test_a_pattern_for_directories_matches_no_file() -> None:
    made = Globs(["cache/", "*.d/"])
    assert made.matches("x/cache", True)
    assert made.matches("a.d", True)
    assert not made.matches("x/cache", False)
    assert made.covers("x/cache/file", False)
    assert not made.covers("x/cached/file", False)


@given(NAMES.filter(lambda text: "\\" not in text and text not in (".", "..") and "**" not in text), NAMES)
def test_one_part_matches_as_fnmatch_says(pattern: str, name: str) -> None:
    """Where a range in brackets has no order, and what ``^`` means in them, differs; all else is alike."""
    if "[" in pattern and ("^" in pattern or "-" in pattern):
        return
    assert Globs([pattern]).matches(name, False) == fnmatch.fnmatchcase(name, pattern)


def test_no_name_makes_a_match_slow() -> None:
    made = Globs(["*a" * 200 + "b", "**/*a*a*a*a*a*a*a*a*a*a*ab/**/c"])
    started = time.process_time()
    assert not made.matches("a" * 255, False)
    assert not made.covers("/".join(["a" * 255] * 15), False)
    assert time.process_time() - started < 1


@pytest.mark.parametrize("pattern", ["", None, 1, "a//b", "../x", "a/../b", "./a", "/", "a\0b", "x" * 1025])
def test_what_is_no_pattern_is_refused(pattern: Any) -> None:
    assert globs.refusal(pattern)
    with pytest.raises(InvalidSettings, match="exclude"):
        from_mapping("www", {"path": "/srv/www", "exclude": [pattern]})


PARTS = st.sampled_from(["a", "b", "*", "a*", "**", "?", "x"])
PATTERNS = st.builds(
    lambda lead, parts, end: lead + "/".join(parts) + end,
    st.sampled_from(["", "/"]),
    st.lists(PARTS, min_size=1, max_size=4),
    st.sampled_from(["", "/"]),
)
PATHS = st.lists(st.sampled_from(["a", "b", "ab", "x"]), min_size=1, max_size=5).map("/".join)


@given(st.lists(PATTERNS, max_size=3), st.lists(PATTERNS, max_size=2), PATHS, st.booleans())
def test_all_above_what_is_wanted_is_wanted(
    include: Sequence[str], exclude: Sequence[str], path: str, is_dir: bool
) -> None:
    """Else a scan, which goes from the top down, would never get there."""
    tree = TreeSpec("t", "/srv", include=tuple(include), exclude=tuple(exclude))
    if tree.wanted(path, is_dir):
        parts = path.split("/")
        for count in range(1, len(parts)):
            assert tree.wanted("/".join(parts[:count]), True)


@given(st.lists(PATTERNS, min_size=1, max_size=3), PATHS, PATHS, st.booleans())
def test_what_is_left_out_takes_all_beneath_it_along(
    exclude: Sequence[str], path: str, beneath: str, is_dir: bool
) -> None:
    tree = TreeSpec("t", "/srv", exclude=tuple(exclude))
    if not tree.wanted(path, True):
        assert not tree.wanted(path + "/" + beneath, is_dir)


def test_only_directories_that_may_hold_something_included_are_entered() -> None:
    tree = TreeSpec("t", "/srv", include=("etc/*/conf.d/*.yml",), exclude=("*.bak",))
    assert tree.wanted("etc", True)
    assert tree.wanted("etc/a/conf.d", True)
    assert tree.wanted("etc/a/conf.d/x.yml", False)
    assert not tree.wanted("etc", False)
    assert not tree.wanted("var", True)
    assert not tree.wanted("etc/a/other", True)
    assert not tree.wanted("etc/a.bak/conf.d/x.yml", False)


@pytest.mark.parametrize("path", [".roosync-sync", "a/.roosync-sync", ".roosync-sync/new/1"])
def test_what_a_sync_prepares_is_never_part_of_a_tree(path: str) -> None:
    assert not TreeSpec("t", "/srv").wanted(path, True)
    assert not TreeSpec("t", "/srv", include=("**",)).wanted(path, False)


def test_a_declaration_and_back() -> None:
    tree = from_mapping("www", {"path": "//srv/./www/", "exclude": ["*.log"], "machines": ["Web*"], "owners": False})
    assert tree == TreeSpec("www", "/srv/www", exclude=("*.log",), machines=("web*",), owners=False)
    assert from_mapping("www", tree.as_mapping()) == tree
    assert tree.applies_to("web1")
    assert not tree.applies_to("db1")
    assert TreeSpec("t", "/srv").applies_to("anything")


@pytest.mark.parametrize("name", ["", "A", "a/b", "..", ".a", "-a", "_a", "a" * 65, "ä", 1, None])
def test_what_is_no_name_of_a_tree_is_refused(name: Any) -> None:
    with pytest.raises(InvalidSettings, match="the name of a tree"):
        from_mapping(name, {"path": "/srv"})


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({}, "path"),
        ({"path": "srv"}, "path"),
        ({"path": "/"}, "root"),
        ({"path": "/./"}, "root"),
        ({"path": "/srv/../etc"}, "path"),
        ({"path": "/srv\0"}, "path"),
        ({"path": "/srv/.roosync-sync/new"}, "path"),
        ({"path": "/srv", "include": "*.yml"}, "include"),
        ({"path": "/srv", "machines": []}, "machines"),
        ({"path": "/srv", "owners": 1}, "owners"),
        ({"path": "/srv", "setuid": "yes"}, "setuid"),
        ({"path": "/srv", "max_file_size": 0}, "max_file_size"),
        ({"path": "/srv", "max_file_size": 10**400}, "max_file_size"),
        ({"path": "/srv", "max_entries": None}, "max_entries"),
        ({"path": "/srv", "max_entries": True}, "max_entries"),
        ({"path": "/srv", "colour": "red"}, "colour"),
        ("/srv", "dictionary"),
    ],
)
def test_a_declaration_that_makes_no_sense_is_refused(values: Dict[str, Any], named: str) -> None:
    with pytest.raises(InvalidSettings, match=named):
        from_mapping("www", values)


def test_no_limit_on_the_size_of_files_is_the_default() -> None:
    assert from_mapping("www", {"path": "/srv", "max_file_size": None}).max_file_size is None
    assert from_mapping("www", {"path": "/srv", "max_entries": 5}).max_entries == 5
    assert spec.MAX_ENTRIES == 1_000_000
