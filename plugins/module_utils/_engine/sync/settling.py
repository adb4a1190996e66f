# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A person settles decisions: the machine's side, the baseline's, or a file given in place of both.

The next sync of the machine carries it out. Only a given file changes something at once: it becomes a new version of
the baseline, which that sync then brings to the machine.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, replace
from typing import Any, Dict, Iterable, List, Optional

from .. import journal
from ..clock import iso
from ..documents import Fleet
from ..errors import InvalidSettings, LockTimeout, MachineUnknown
from ..identity import normalise_machine_id
from ..observe import load_fleet
from ..stores.base import Store
from . import decisions
from .decisions import SETTLED, Decision
from .manifest import FILE, Entry, Manifest
from .outcome import BASELINE, MACHINE, OPEN
from .refs import Baseline
from .session import Request, Session, all_trees
from .structure import complete

GIVEN = "file"
KEEPS = (MACHINE, BASELINE, GIVEN)


@dataclass(frozen=True)
class Settlement:
    """Which decisions, and how.

    :param keep: one of :data:`KEEPS`; None only looks.
    :param src: the file for ``file``.
    """

    decision_id: Optional[str] = None
    machine_id: Optional[str] = None
    tree: Optional[str] = None
    keep: Optional[str] = None
    src: Optional[str] = None
    reason: str = ""

    def includes(self, one: Decision) -> bool:
        return (
            self.decision_id in (None, one.decision_id)
            and self.machine_id in (None, one.machine_id)
            and self.tree in (None, one.tree)
        )


def settle(store: Store, request: Settlement, dry_run: bool = False) -> Dict[str, Any]:
    """Settle decisions, or look at them.

    :returns: ``changed``, ``settled`` (ids), ``decisions`` (those that are not closed, as they are now).
    :raises MachineUnknown: there is no such machine.
    :raises InvalidSettings: there is no such decision, or it cannot be settled like that; nothing was changed.
    """
    fleet = load_fleet(store)
    if request.machine_id is not None:
        request = replace(request, machine_id=normalise_machine_id(request.machine_id))
    live = [one for one in decisions.load_all(store) if one.is_live]
    _refuse_nonsense(store, fleet, request, live)
    chosen = [one for one in live if request.includes(one)]
    if request.decision_id is not None and not chosen:
        raise InvalidSettings(
            "there is no open decision %.80r; without keep, those there are are listed" % (request.decision_id,)
        )
    settled: List[Decision] = []
    if request.keep is not None:
        if request.keep == GIVEN and len(chosen) != 1:
            raise InvalidSettings("one file settles one decision, not %d; name it with decision_id" % len(chosen))
        settled = [_settled(store, fleet, one, request, dry_run) for one in chosen if _differs(one, request)]
    after = {one.decision_id: one for one in settled}
    return {
        "changed": bool(settled),
        "settled": [one.decision_id for one in settled],
        "decisions": [as_dict(after.get(one.decision_id, one)) for one in chosen],
        "diff": {
            "before": _lines(one for one in chosen if one.decision_id in after),
            "after": _lines(settled),
        },
    }


def _refuse_nonsense(store: Store, fleet: Fleet, request: Settlement, live: List[Decision]) -> None:
    """Whoever misspells a name must not take it for settled.

    :raises MachineUnknown: there is no such machine.
    :raises InvalidSettings: there is no such tree, or a file is given that nobody asked to keep.
    """
    machines = {*journal.load(store).state.roster, *(one.machine_id for one in live)}
    if request.machine_id is not None and request.machine_id not in machines:
        raise MachineUnknown(
            "no machine %s has ever beaten in this fleet; heartbeat_info lists those there are" % request.machine_id,
            machine_id=request.machine_id,
        )
    trees = {*(tree.name for tree in all_trees(fleet)), *(one.tree for one in live)}
    if request.tree is not None and request.tree not in trees:
        known = ", ".join(sorted(trees)) or "none"
        raise InvalidSettings("the fleet has no tree %.80r; known are: %s" % (request.tree, known))
    if request.src is not None and request.keep != GIVEN:
        raise InvalidSettings("src goes with keep: file alone; leave it out, or keep the file")


def _differs(one: Decision, request: Settlement) -> bool:
    return request.keep == GIVEN or (one.state, one.keep) != (SETTLED, request.keep)


def _settled(store: Store, fleet: Fleet, one: Decision, request: Settlement, dry_run: bool) -> Decision:
    done = replace(one, state=SETTLED, keep=request.keep, reason=request.reason, changed_at=iso(store.now()))
    if request.keep == GIVEN:
        done = replace(done, keep=BASELINE, baseline_key=_give(store, fleet, one, request.src, dry_run))
    if not dry_run:
        decisions.write(store, done)
    return done


def _give(store: Store, fleet: Fleet, one: Decision, src: Optional[str], dry_run: bool) -> str:
    """Publish a file in the place of what the baseline has; the key of what it has there then."""
    spec = next((tree for tree in all_trees(fleet) if tree.name == one.tree), None)
    if spec is None:
        raise InvalidSettings("the fleet has no tree %s any more" % one.tree)
    with Session(store, fleet, Request(one.machine_id, "decision", dry_run=dry_run)) as session:
        turn = session.refs.baseline_turn(spec.name)
        ref = session.refs.baseline(spec.name, session.began)
        theirs = session.manifest(ref.manifest if ref is not None else None, spec)
        if decisions.key_of(theirs, one.raw_path, spec) != one.baseline_key:
            raise InvalidSettings(
                "the baseline of %s has changed since %s was opened; sync the machine, and look at the decision again"
                % (spec.name, one.decision_id)
            )
        mine = session.manifest(one.machine_manifest, spec)
        entry = _entry(session, one.raw_path, src, theirs.entries.get(one.raw_path) or mine.entries.get(one.raw_path))
        after = _with(theirs, mine, entry)
        if not dry_run:
            (manifest,) = session.keep_manifests([after])
            if not session.refs.publish(spec.name, Baseline(turn, store.now(), "", session.sync_id, manifest)):
                raise LockTimeout("somebody has just published the baseline of %s; try again" % spec.name)
        return decisions.key_of(after, one.raw_path, spec)


def _entry(session: Session, path: str, src: Optional[str], like: Optional[Entry]) -> Entry:
    """The entry of a given file, with mode and owner of what was there; its content goes into the vault."""
    if not src:
        raise InvalidSettings("keep: file needs src, the file to be kept")
    try:
        fd = os.open(src, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as exc:
        raise InvalidSettings("cannot read the file %s: %s" % (src, exc.strerror), exc) from exc
    try:
        state = os.fstat(fd)
        if not stat.S_ISREG(state.st_mode):
            raise InvalidSettings("%s is no regular file" % src)
        content = _content(session, fd, state)
    finally:
        os.close(fd)
    if like is not None and like.kind == FILE:
        return like._replace(size=state.st_size, mtime_ns=state.st_mtime_ns, content=content, link=0)
    mode = stat.S_IMODE(state.st_mode) & 0o777
    return Entry(path, FILE, mode, state.st_uid, state.st_gid, "", "", state.st_size, state.st_mtime_ns, content)


def _content(session: Session, fd: int, state: os.stat_result) -> str:
    from .reading import Unsteady, file_digest

    try:
        if session.request.dry_run:
            return file_digest(fd, state)
        with session.vault.writer() as writer:
            digest, _added = writer.add_file(fd, state)
            writer.commit()
            return digest
    except Unsteady:
        raise InvalidSettings("the file given is being written to; wait until that is over") from None


def _with(theirs: Manifest, mine: Manifest, entry: Entry) -> Manifest:
    """The baseline with one file put in, in the place of whatever is there."""
    beneath = entry.path + "/"
    entries = {path: one for path, one in theirs.entries.items() if not path.startswith(beneath)}
    entries[entry.path] = entry
    complete(entries, [entry.path], theirs.entries, mine.entries)
    return Manifest(theirs.tree, {path: entries[path] for path in sorted(entries)}, dict(theirs.unknown))


def as_dict(one: Decision) -> Dict[str, Any]:
    """A decision as modules return it."""
    return {
        "decision_id": one.decision_id,
        "machine_id": one.machine_id,
        "tree": one.tree,
        "path": one.path,
        "state": one.state,
        "keep": one.keep,
        "machine": one.machine,
        "baseline": one.baseline,
        "base": one.base,
        "opened_at": one.opened_at,
        "sync_id": one.sync_id,
        "reason": one.reason,
    }


def open_decisions(store: Store) -> List[Dict[str, Any]]:
    """Every decision that a person has to settle."""
    return [as_dict(one) for one in decisions.load_all(store) if one.state == OPEN]


def _lines(found: Iterable[Decision]) -> str:
    return "".join("%s %s %s: %s\n" % (one.machine_id, one.tree, one.path, one.keep or "open") for one in found)
