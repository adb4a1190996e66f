# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a tree held at a moment: its entries, and the paths of which nothing can be said. Standard library only.

A manifest comes from another machine by way of the store: :func:`load` believes nothing. Its bytes are canonical, so
that equal trees have equal digests, and the digest names the manifest in the vault like any other content.
"""

from __future__ import annotations

import hashlib
import json
from typing import NamedTuple

from ..errors import StoreCorrupt
from . import paths
from .spec import MAX_ENTRIES, is_tree_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, Optional

    from .spec import TreeSpec

FORMAT = 1
FILE = "f"
DIRECTORY = "d"
LINK = "l"
LINK_MODE = 0o777
"""Of every symbolic link: theirs means nothing."""
MAX_BYTES = 1 << 30
# Far more than any manifest has, with all the commas in names and owners.
_COMMAS, _COMMAS_PER_ENTRY = 1 << 20, 32
_MAX_ID = 2**32 - 1
_MAX_INT = 2**63 - 1
_MAX_OWNER = 256
_MAX_CONTEXT = 4096
_MAX_REASON = 1000
_HEX = frozenset("0123456789abcdef")
_KEYS = {"entries", "format", "tree", "unknown"}


class Entry(NamedTuple):
    """One file, directory or symbolic link of a tree."""

    path: str
    kind: str
    mode: int
    uid: int
    gid: int
    owner: str
    group: str
    size: int
    mtime_ns: int
    content: str
    """SHA-256 of a file's bytes in hexadecimal, a link's target, nothing for a directory."""
    link: int = 0
    """Number of the group of hard links that a file belongs to; 0 for none."""
    context: str = ""
    """SELinux context; empty where there is none."""


class Manifest:
    """A tree's entries by path.

    :param unknown: path -> why nothing can be said of it. It and all that may be beneath it count as unchanged: never
        as deleted, and never to be touched.
    """

    __slots__ = ("entries", "tree", "unknown")

    def __init__(self, tree: str, entries: Dict[str, Entry], unknown: Optional[Dict[str, str]] = None) -> None:
        self.tree = tree
        self.entries = entries
        self.unknown: Dict[str, str] = {} if unknown is None else unknown

    def is_unknown(self, path: str) -> bool:
        """Whether nothing can be said of a path, itself or because of a directory above it."""
        if not self.unknown:
            return False
        while path:
            if path in self.unknown:
                return True
            path = paths.parent(path)
        return False

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Manifest):
            return NotImplemented
        return (self.tree, self.entries, self.unknown) == (other.tree, other.entries, other.unknown)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return "Manifest(%r, %d entries, %d unknown)" % (self.tree, len(self.entries), len(self.unknown))


def same(one: Optional[Entry], other: Optional[Entry], spec: TreeSpec) -> bool:
    """Whether two entries of one path (None: not there) are alike in all that is synced.

    Owners are compared by name where both sides know one. Times do not count. What is not kept on apply (owners,
    setuid and setgid bits) does not count either, else every machine would seem to have changed it.
    """
    if one is None or other is None:
        return one is other
    if one.kind != other.kind or one.content != other.content:
        return False
    if one.mode != other.mode and (one.mode ^ other.mode) & spec.mode_bits:
        return False
    if one.context != other.context and one.context and other.context:
        return False
    return not spec.owners or (
        _same_owner(one.owner, other.owner, one.uid, other.uid)
        and _same_owner(one.group, other.group, one.gid, other.gid)
    )


def _same_owner(one: str, other: str, one_id: int, other_id: int) -> bool:
    return one == other if one and other else one_id == other_id


def dump(manifest: Manifest) -> bytes:
    """The canonical bytes of a manifest."""
    content = {
        "entries": [manifest.entries[path] for path in sorted(manifest.entries)],
        "format": FORMAT,
        "tree": manifest.tree,
        "unknown": [[path, manifest.unknown[path]] for path in sorted(manifest.unknown)],
    }
    return json.dumps(content, separators=(",", ":"), check_circular=False).encode("ascii")


def digest(data: bytes) -> str:
    """What a manifest's bytes are known by."""
    return hashlib.sha256(data).hexdigest()


def load(data: bytes, max_entries: int = MAX_ENTRIES) -> Manifest:
    """A manifest from bytes that anybody may have written.

    :raises StoreCorrupt: they are not exactly what :func:`dump` writes of a tree that can exist.
    """
    if len(data) > MAX_BYTES:
        raise StoreCorrupt("a manifest has %d bytes, more than any should; it is not used" % len(data))
    # A few bytes become an object of a hundred, so what would fill the memory must not be parsed to be counted.
    if data.count(b",") > _COMMAS + _COMMAS_PER_ENTRY * max_entries:
        raise StoreCorrupt("a manifest lists more than a tree of %d entries can have; it is not used" % max_entries)
    try:
        content = json.loads(data.decode("ascii"), parse_int=_whole, parse_float=_no_number, parse_constant=_no_number)
    except (ValueError, RecursionError) as exc:
        raise StoreCorrupt("a manifest is damaged: %.200s; take another capture of the machine" % exc) from exc
    if not isinstance(content, dict) or set(content) != _KEYS or content["format"] != FORMAT:
        raise StoreCorrupt("a manifest is not of format %d, the only one known here" % FORMAT)
    if not is_tree_name(content["tree"]):
        raise StoreCorrupt("a manifest is of a tree called %.80r, which is no name" % (content["tree"],))
    rows, unknown = content["entries"], content["unknown"]
    if not isinstance(rows, list) or not isinstance(unknown, list) or len(rows) + len(unknown) > max_entries:
        raise StoreCorrupt("a manifest has no list of entries, or one of more than %d" % max_entries)
    manifest = Manifest(content["tree"], _entries(rows))
    manifest.unknown = _unknown(unknown, manifest.entries)
    # Whitespace, repeated keys, other spellings of the same text: what is not canonical has another digest.
    if dump(manifest) != data:
        raise StoreCorrupt("a manifest is not in canonical form; it is not used")
    return manifest


def _whole(text: str) -> int:
    if len(text) > 20:
        raise ValueError("a number of %d digits" % len(text))
    return int(text)


def _no_number(text: str) -> Any:
    raise ValueError("%.40r is no whole number" % text)


def _entries(rows: List[Any]) -> Dict[str, Entry]:
    entries: Dict[str, Entry] = {}
    last = ""
    for row in rows:
        if row.__class__ is not list or len(row) != len(Entry._fields):
            raise StoreCorrupt("a manifest has an entry that is not a list of %d values" % len(Entry._fields))
        entry = Entry._make(row)
        why = entry_refusal(entry) or place_refusal(entry.path, last, entries)
        if why:
            raise StoreCorrupt("a manifest has an entry %.200r that is refused: %s" % (entry.path, why))
        entries[entry.path] = entry
        last = entry.path
    return entries


def _unknown(rows: List[Any], entries: Dict[str, Entry]) -> Dict[str, str]:
    unknown: Dict[str, str] = {}
    last = ""
    for row in rows:
        if row.__class__ is not list or len(row) != 2 or row[1].__class__ is not str or len(row[1]) > _MAX_REASON:
            raise StoreCorrupt("a manifest has an unknown path that is not a path and a reason")
        path = row[0]
        why = paths.refusal(path) or place_refusal(path, last, entries)
        if why or path in entries:
            raise StoreCorrupt("a manifest has an unknown path %.200r that is refused: %s" % (path, why or "known"))
        unknown[path] = row[1]
        last = path
    return unknown


def place_refusal(path: str, last: str, entries: Dict[str, Entry]) -> str:
    """Why an entry cannot come after ``last`` and beneath what ``entries`` has; ``""`` when it can."""
    if path <= last:
        return "it is there twice" if path == last else "it is out of order"
    above = path.rpartition("/")[0]
    if above:
        holder = entries.get(above)
        if holder is None or holder[1] != DIRECTORY:
            return "what it lies in is no directory of the manifest"
    return ""


def entry_refusal(entry: Entry) -> str:
    """Why an entry, by itself, cannot be; ``""`` when it can."""
    path, kind, mode, uid, gid, owner, group, size, mtime_ns, content, link, context = entry
    why = paths.refusal(path)
    if why:
        return why
    for value, least, most in (
        (mode, 0, 0o7777),
        (uid, 0, _MAX_ID),
        (gid, 0, _MAX_ID),
        (size, 0, _MAX_INT),
        (mtime_ns, -_MAX_INT, _MAX_INT),
        (link, 0, _MAX_INT),
    ):
        if value.__class__ is not int or not least <= value <= most:
            return "%.40r is no number from %d to %d" % (value, least, most)
    for text, limit in ((owner, _MAX_OWNER), (group, _MAX_OWNER), (context, _MAX_CONTEXT)):
        if text != "" and paths.text_refusal(text, limit):
            return "%.40r is no name" % (text,)
    if kind == FILE:
        fits = content.__class__ is str and len(content) == 64 and _HEX.issuperset(content)
        return "" if fits else "its content is no SHA-256"
    if size or link:
        return "only files have a size or hard links"
    if kind == LINK:
        why = paths.text_refusal(content, paths.MAX_PATH)
        return "its target is " + why if why else "" if mode == LINK_MODE else "a link has no mode of its own"
    if kind == DIRECTORY:
        return "" if content == "" else "a directory has no content"
    return "there is no kind %.40r" % (kind,)
