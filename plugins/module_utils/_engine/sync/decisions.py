# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Conflicts that are left to a person, as documents that people can read.

A decision says what both sides had when it was opened. What a person settles holds for exactly that: if a side has
changed since, the next sync opens the decision anew instead of deciding by what nobody has seen.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, replace
from typing import AbstractSet, Any, ClassVar, Dict, Iterable, List, Optional

from .. import documents
from ..clock import iso
from ..errors import HeartbeatError
from ..identity import is_machine_id
from ..stores.base import Store, read_if_file
from . import paths
from .manifest import DIRECTORY, Entry, Manifest
from .outcome import OPEN, Conflict
from .refs import is_digest
from .spec import TreeSpec, is_tree_name

FOLDER = "decisions"
SETTLED = "settled"
CLOSED = "closed"
_HEX = frozenset("0123456789abcdef")


@dataclass(frozen=True)
class Decision:
    """``decisions/<id>.json``: one path that a machine and the baseline both changed, and differently."""

    __pydantic_config__: ClassVar[Dict[str, Any]] = {"extra": "forbid", "strict": True}

    decision_id: str
    machine_id: str
    tree: str
    path: str
    """For people to read; bytes that are no UTF-8 are written as ``\\xff``."""
    path_hex: str
    state: str
    opened_at: str
    sync_id: str
    machine: Optional[Dict[str, Any]]
    """What the machine had; None for nothing."""
    baseline: Optional[Dict[str, Any]]
    base: Optional[Dict[str, Any]]
    """What both had before."""
    machine_manifest: str
    baseline_manifest: str
    machine_key: str
    """A hash of what the machine had there and beneath; what was settled holds for that alone."""
    baseline_key: str
    keep: Optional[str] = None
    """``machine`` or ``baseline``, once it is settled."""
    reason: str = ""
    changed_at: str = ""

    @property
    def raw_path(self) -> str:
        """The path as manifests have it."""
        return paths.decode(bytes.fromhex(self.path_hex))

    @property
    def is_live(self) -> bool:
        """Whether a sync has still to do with it."""
        return self.state in (OPEN, SETTLED)


def load_all(store: Store) -> List[Decision]:
    """Every decision that can be read, the oldest first."""
    found = []
    for name in store.names(FOLDER):
        try:
            document = read_if_file(store, "%s/%s" % (FOLDER, name))
            if document is not None:
                found.append(_checked(documents.load(Decision, document.data), name))
        except ValueError:
            continue
    return sorted(found, key=lambda d: (d.opened_at, d.decision_id))


def _checked(decision: Decision, name: str) -> Decision:
    """A decision whose parts are what they are used as.

    :raises ValueError: they are not.
    """
    if name != decision.decision_id + ".json" or not is_machine_id(decision.machine_id):
        raise ValueError("not under its name")
    digests = (decision.machine_manifest, decision.baseline_manifest)
    if not is_tree_name(decision.tree) or not all(map(is_digest, digests)):
        raise ValueError("not of a tree")
    if paths.refusal(decision.raw_path) or decision.keep not in (None, "machine", "baseline"):
        raise ValueError("not of a path")
    return decision


def write(store: Store, decision: Decision) -> None:
    """Put a decision in place of what was known of it."""
    text = json.dumps(asdict(decision), indent=2) + "\n"
    store.write("%s/%s.json" % (FOLDER, decision.decision_id), text.encode("ascii"))


def decision_id(machine_id: str, tree: str, path: str) -> str:
    """The id of the decision about a path: there is only one at a time."""
    named = b"\0".join((machine_id.encode(), tree.encode(), paths.encode(path)))
    return hashlib.sha256(named).hexdigest()[:16]


def shown(path: str) -> str:
    """A path for people and JSON."""
    return paths.encode(path).decode("utf-8", "backslashreplace")


def key_of(manifest: Manifest, path: str, spec: TreeSpec) -> str:
    """A hash of all that counts at a path and beneath it."""
    hasher = hashlib.sha256()
    beneath = path + "/"
    top = manifest.entries.get(path)
    # Beneath all else there is nothing to be looked for; and there may be as many questions as a tree has files.
    within: Iterable[str] = [] if top is None else manifest.entries if top.kind == DIRECTORY else [path]
    # Sorted: a scan gives them in the order that they were read in, and another one the next time.
    for one in sorted(one for one in within if one == path or one.startswith(beneath)):
        entry = manifest.entries[one]
        owners = (entry.owner or entry.uid, entry.group or entry.gid) if spec.owners else ()
        row = [one, entry.kind, entry.mode & spec.mode_bits, entry.content, *owners]
        hasher.update(json.dumps(row).encode("ascii"))
    return hasher.hexdigest()


def decided(known: Iterable[Decision], mine: Manifest, theirs: Manifest, spec: TreeSpec) -> Dict[str, str]:
    """What people settled, as far as it is about what both sides have now: path -> ``machine`` or ``baseline``."""
    told = {}
    for one in known:
        if one.state == SETTLED and one.keep is not None and one.tree == spec.name:
            path = one.raw_path
            same = (key_of(mine, path, spec), key_of(theirs, path, spec)) == (one.machine_key, one.baseline_key)
            if same:
                told[path] = one.keep
    return told


def opened(
    machine_id: str,
    spec: TreeSpec,
    conflict: Conflict,
    mine: Manifest,
    theirs: Manifest,
    manifests: List[str],
    sync_id: str,
    now: int,
) -> Decision:
    """The decision about an open conflict.

    :param manifests: digests of the machine's and of the baseline's manifest.
    """
    return Decision(
        decision_id=decision_id(machine_id, spec.name, conflict.path),
        machine_id=machine_id,
        tree=spec.name,
        path=shown(conflict.path),
        path_hex=paths.encode(conflict.path).hex(),
        state=OPEN,
        opened_at=iso(now),
        sync_id=sync_id,
        machine=entry_dict(conflict.mine),
        baseline=entry_dict(conflict.theirs),
        base=entry_dict(conflict.base),
        machine_manifest=manifests[0],
        baseline_manifest=manifests[1],
        machine_key=key_of(mine, conflict.path, spec),
        baseline_key=key_of(theirs, conflict.path, spec),
    )


def entry_dict(entry: Optional[Entry]) -> Optional[Dict[str, Any]]:
    """An entry for people to read."""
    if entry is None:
        return None
    kinds = {"f": "file", "d": "directory", "l": "link"}
    result: Dict[str, Any] = {
        "kind": kinds[entry.kind],
        "mode": "%04o" % entry.mode,
        "owner": entry.owner or str(entry.uid),
        "group": entry.group or str(entry.gid),
        "size": entry.size,
        "modified": iso(entry.mtime_ns) if entry.mtime_ns >= 0 else None,
        "content": shown(entry.content),
    }
    return result


def news(known: Iterable[Decision], found: Iterable[Decision]) -> List[Decision]:
    """Of the decisions that a sync would open, those that say something new."""
    live = {one.decision_id: one for one in known if one.is_live}

    def is_new(one: Decision) -> bool:
        before = live.get(one.decision_id)
        return before is None or (before.machine_key, before.baseline_key) != (one.machine_key, one.baseline_key)

    return [one for one in found if is_new(one)]


def record(
    store: Store, machine_id: str, trees: Iterable[str], found: List[Decision], waiting: AbstractSet[str], now: int
) -> int:
    """After a sync: open what is open now, and close what is no question any more.

    :param trees: those that were synced.
    :param found: a decision for each conflict that is open.
    :param waiting: ids of those that are made and could not be carried out: they stay as they are.
    :returns: how many were opened.
    """
    known = [one for one in load_all(store) if one.machine_id == machine_id and one.tree in set(trees)]
    new = news(known, found)
    for one in new:
        write(store, one)
    questions = {one.decision_id for one in found} | waiting
    for one in known:
        if one.is_live and one.decision_id not in questions:
            reason = one.reason or ("" if one.state == SETTLED else "both sides agree again")
            write(store, replace(one, state=CLOSED, reason=reason, changed_at=iso(now)))
    return len(new)


def forget(store: Store, before: str, dry_run: bool = False) -> int:
    """Remove the documents of what was closed before a time; how many."""
    count = 0
    for one in load_all(store):
        if one.state == CLOSED and one.changed_at < before:
            try:
                count += dry_run or store.delete("%s/%s.json" % (FOLDER, one.decision_id))
            except HeartbeatError:
                continue
    return count
