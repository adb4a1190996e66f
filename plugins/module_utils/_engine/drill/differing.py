# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""In what two looks at one tree differ: every entry, with all that a sync brings back. Pure, standard library only."""

from __future__ import annotations

from ..sync import paths
from ..sync.manifest import DIRECTORY, FILE, LINK

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, Optional

    from ..sync.manifest import Entry, Manifest
    from ..sync.spec import TreeSpec

MISSING = "missing"
UNEXPECTED = "unexpected"
KINDS = {FILE: "file", DIRECTORY: "directory", LINK: "link"}


def differences(before: Manifest, after: Manifest, spec: TreeSpec) -> List[Dict[str, Any]]:
    """What differs, in the order of the paths. What nobody could look at before is not compared."""
    found = []
    for path in sorted(set(before.entries) | set(after.entries)):
        one, other = before.entries.get(path), after.entries.get(path)
        what = difference(one, other, spec)
        if what and not (one is None and before.is_unknown(path)):
            found.append(
                {
                    "tree": spec.name,
                    "path": paths.encode(path).decode("utf-8", "backslashreplace"),
                    "what": what,
                    "before": _described(one),
                    "after": _described(other),
                }
            )
    return found


def difference(one: Optional[Entry], other: Optional[Entry], spec: TreeSpec) -> str:
    """In what two entries of a path differ; empty when they are alike. Times count for files only."""
    if one is None or other is None:
        return "" if one is other else UNEXPECTED if one is None else MISSING
    if one.kind != other.kind:
        return "kind"
    if one.content != other.content:
        return "target" if one.kind == LINK else "content"
    owners = (one.uid, one.gid) != (other.uid, other.gid)
    for name, differs in (
        ("mode", bool((one.mode ^ other.mode) & spec.mode_bits)),
        ("owner", spec.owners and owners),
        ("context", one.context != other.context),
        ("time", one.kind == FILE and one.mtime_ns != other.mtime_ns),
    ):
        if differs:
            return name
    return ""


def _described(entry: Optional[Entry]) -> Optional[str]:
    """An entry in one line, as ``ls -l`` would have it."""
    if entry is None:
        return None
    what = "%s %04o %s:%s" % (KINDS[entry.kind], entry.mode, entry.owner or entry.uid, entry.group or entry.gid)
    if entry.kind == LINK:
        target = paths.encode(entry.content).decode("utf-8", "backslashreplace")
        return "%s -> %s" % (what, target)
    return what if entry.kind == DIRECTORY else "%s %d bytes %s" % (what, entry.size, entry.content[:12])
