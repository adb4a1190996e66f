# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Trees for the tests of merging: manifests made by hand, and random ones in which names and contents meet often."""

from __future__ import annotations

import hashlib
from typing import Any, Dict, List, Optional, Set, Tuple

from hypothesis import strategies as st

from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.sync.manifest import Entry, Manifest, dump, load
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.sync.outcome import Merge

TREE = "www"
NAMES = ("a", "b", "a-b")


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def file(path: str, content: str, mtime: int = 0, mode: int = 0o644, owner: int = 0) -> Entry:
    return Entry(path, "f", mode, owner, owner, "", "", len(content), mtime, sha256(content))


def directory(path: str, mtime: int = 0, mode: int = 0o755) -> Entry:
    return Entry(path, "d", mode, 0, 0, "", "", 0, mtime, "")


def link(path: str, target: str, mtime: int = 0) -> Entry:
    return Entry(path, "l", 0o777, 0, 0, "", "", 0, mtime, target)


def manifest(*entries: Entry, unknown: Optional[Dict[str, str]] = None) -> Manifest:
    return Manifest(TREE, {entry.path: entry for entry in entries}, unknown)


def check_valid(made: Manifest) -> None:
    """A manifest that can be stored and believed."""
    assert load(dump(made)) == made


@st.composite
def entries(draw: Any, path: str, kinds: str) -> Entry:
    kind, mtime = draw(st.sampled_from(kinds)), draw(st.integers(0, 3))
    if kind == "d":
        return directory(path, mtime, draw(st.sampled_from([0o755, 0o700])))
    if kind == "l":
        return link(path, draw(st.sampled_from("xy")), mtime)
    return file(path, draw(st.sampled_from("pqr")), mtime, draw(st.sampled_from([0o644, 0o600])))


def _paths(depth: int) -> List[str]:
    found = list(NAMES)
    for _level in range(depth - 1):
        found += [above + "/" + name for above in found for name in NAMES]
    return sorted(set(found))


PATHS = _paths(3)


def _put(draw: Any, tree: Dict[str, Entry], unknown: Dict[str, str], path: str, kinds: str) -> None:
    """Set one path, with everything that this takes away or needs."""
    for other in [p for p in tree if p.startswith(path + "/")]:
        del tree[other]
    for other in [p for p in unknown if p == path or p.startswith(path + "/")]:
        del unknown[other]
    above, _sep, _name = path.rpartition("/")
    if above and (above not in tree or tree[above].kind != "d"):
        _put(draw, tree, unknown, above, "d")
    kept = tree.get(path)
    if kept is None or kept.kind != "d" or kinds != "d":
        tree[path] = draw(entries(path, kinds))


@st.composite
def edited(draw: Any, origin: Manifest, with_unknown: bool = False) -> Manifest:
    """What somebody may make of a tree."""
    tree, unknown = dict(origin.entries), dict(origin.unknown)
    for path in draw(st.lists(st.sampled_from(PATHS), max_size=6)):
        what = draw(st.sampled_from("fffddllxxxxt" + ("u" if with_unknown else "")))
        if what == "t" and path in tree:  # only an attribute, or the time
            tree[path] = draw(entries(path, tree[path].kind))
        elif what in "xu":
            for gone in [p for p in tree if p == path or p.startswith(path + "/")]:
                del tree[gone]
            for gone in [p for p in unknown if p == path or p.startswith(path + "/")]:
                del unknown[gone]
            if what == "u":
                above = path.rpartition("/")[0]
                if above and (above not in tree or tree[above].kind != "d"):
                    _put(draw, tree, unknown, above, "d")
                unknown[path] = "unsteady"
        elif what in "fdl":
            _put(draw, tree, unknown, path, what)
    return Manifest(TREE, dict(sorted(tree.items())), unknown)


@st.composite
def histories(draw: Any, with_unknown: bool = True) -> Tuple[Manifest, Manifest, Manifest]:
    """A base and what two sides made of it; the machine's side may have paths of which nothing can be said."""
    base = draw(edited(draw(edited(Manifest(TREE, {})))))
    return base, draw(edited(base, with_unknown)), draw(edited(base))


def contents(*manifests: Manifest) -> Set[str]:
    """The contents and link targets that are in some trees."""
    return {entry.content for made in manifests for entry in made.entries.values() if entry.kind != "d"}


def kept(merged: Merge) -> Set[str]:
    return {lost.entry.content for conflict in merged.conflicts for lost in conflict.kept if lost.entry.kind != "d"}
