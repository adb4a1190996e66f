# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What happened to a machine during a drill, as the journal and the store's clock have it, and how long it took."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, fields
from typing import Any, Dict, List, Mapping, Optional, Set, Tuple

from .. import documents, journal
from ..clock import iso, parse_iso, to_seconds
from ..errors import InvalidSettings, StoreCorrupt
from ..observe import load_fleet
from ..state import DONE, OFFLINE, ONLINE, Commit, SyncEntry, Transition
from ..stores.file import FileStore
from ..sync.decisions import shown
from ..sync.manifest import same
from ..sync.refs import Refs, Snapshot
from ..sync.session import all_trees
from ..sync.vault import Vault
from .document import FAILED, PASSED, Difference, Drill, MachineReport, Step

STOPPING = "stopping"
PREPARED = "prepared"


@dataclass
class Told:
    """What the playbook knows of a machine."""

    trouble: str = ""
    kept: Optional[str] = None
    compared: Dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, tree in self.compared.items():
            if not _is_comparison(tree):
                raise InvalidSettings(
                    "compared: what it says of the tree %.80s is nothing that heartbeat_drill_tree returns; give its "
                    "trees as they are" % name
                )


def _is_comparison(tree: Any) -> bool:
    """Whether this is what a machine says of a tree that it has compared."""
    if not isinstance(tree, dict) or not all(isinstance(tree.get(name), int) for name in ("entries", "differing")):
        return False
    found = tree.get("differences")
    return isinstance(found, list) and all(
        isinstance(each, dict)
        and all(isinstance(each.get(name), str) for name in ("tree", "path", "what"))
        and all(isinstance(each.get(name), (str, type(None))) for name in ("before", "after"))
        for each in found
    )


@dataclass
class History:
    """What the journal says of a machine since the drill began."""

    gone: Optional[Transition] = None
    back: Optional[Transition] = None
    syncs: List[Tuple[int, SyncEntry]] = field(default_factory=list)

    def synced(self, event: str, after: int, before: Optional[int] = None) -> Optional[int]:
        """When the last sync of a kind was done in that time."""
        times = [
            at
            for at, entry in self.syncs
            if entry.event == event and entry.state == DONE and at >= after and (before is None or at <= before)
        ]
        return max(times) if times else None


def commits_since(store: FileStore, number: int) -> List[Commit]:
    """The commits after one, as far as they can be read."""
    ledger = journal.load(store)
    found = []
    for current in range(number + 1, ledger.last_name + 1):
        data = journal.read_commit(store, current)
        try:
            if data is not None:
                found.append(documents.load_commit(data.data, current))
        except ValueError:
            continue  # torn: every check reports it
    return found


def history_of(commits: List[Commit], machine: str) -> History:
    """The machine's loss, its return after it, and its syncs."""
    found = History()
    for commit in commits:
        for transition in commit.transitions:
            if transition.machine_id != machine:
                continue
            if transition.to_status == OFFLINE and found.gone is None:
                found.gone = transition
            elif transition.to_status == ONLINE and transition.from_status == OFFLINE and found.gone is not None:
                found.back = transition
        found.syncs.extend((commit.at, entry) for entry in commit.syncs.values() if entry.machine_id == machine)
    return found


def report(store: FileStore, drill: Drill, commits: List[Commit], machine: str, told: Told) -> MachineReport:
    """What the drill has measured on a machine, and whether that is what it should be."""
    past = history_of(commits, machine)
    made = MachineReport(machine, FAILED, kept=told.kept)
    lost_at = past.gone.received_at if past.gone is not None else None
    lost_at = lost_at or drill.mark(machine, STOPPING)
    returned_at = past.back.detected_at if past.back is not None else None
    recovered_at = returned_at
    if drill.trees.get(machine) and returned_at is not None:
        recovered_at = past.synced(ONLINE, returned_at)
    if lost_at is not None:
        if past.gone is not None:
            made.detection_seconds = to_seconds(past.gone.detected_at - lost_at)
            made.planned = past.gone.planned
        if recovered_at is not None:
            made.rto_seconds = to_seconds(recovered_at - lost_at)
        _age(store, drill, past, made, max(lost_at, drill.mark(machine, STOPPING) or lost_at))
    made.steps = _steps(drill, past, machine, lost_at)
    _compared(store, drill, made, told.compared)
    made.reason = _why_not(drill, made, past, told, recovered_at)
    made.verdict = FAILED if made.reason else PASSED
    return made


def _why_not(drill: Drill, made: MachineReport, past: History, told: Told, recovered_at: Optional[int]) -> str:
    if told.trouble:
        return told.trouble
    if past.gone is None:
        return "no check found that the machine was offline"
    if past.back is None:
        return "no check found that the machine was back"
    if recovered_at is None:
        return "its trees were not brought up to date after its return"
    missing = sorted(set(drill.trees.get(made.machine_id, [])) - set(told.compared))
    if missing:
        return "not compared: %s" % ", ".join(missing)
    if made.differing:
        return "%d of %d entries are not as they were" % (made.differing, made.entries)
    return ""


# -- the age of what was recovered -------------------------------------------------------------------------------


def _age(store: FileStore, drill: Drill, past: History, made: MachineReport, lost_at: int) -> None:
    """How old the recovered state was at the loss; and how old it would have been without the drill's own sync.

    :param lost_at: The last heartbeat, or when the agent was about to be ended if that is later: a machine may be
        synced, and ended, without another heartbeat in between.
    """
    machine, names = made.machine_id, drill.trees.get(made.machine_id, [])
    if not names:
        return
    began = parse_iso(drill.began_at)
    prepared = past.synced(ONLINE, began, lost_at)
    ages: List[int] = []
    exposed: List[int] = []
    changes: List[Optional[int]] = []
    with Refs(os.path.join(store.location, "vault")) as refs:
        for name in names:
            kept = [one for one in refs.snapshots(machine, name) if one.at <= lost_at]
            known = [one.at for one in kept[-1:]] + ([] if prepared is None else [prepared])
            if known:
                ages.append(lost_at - max(known))
            earlier = [one for one in kept if one.at <= began]
            if earlier and not (drill.scratch and name == drill.destroys):
                exposed.append(lost_at - earlier[-1].at)
                changes.append(_changes(store, name, earlier[-1], kept[-1]))
    if len(ages) == len(names):
        made.rpo_seconds = to_seconds(max(0, *ages))
    known_changes = [one for one in changes if one is not None]
    if exposed and len(known_changes) == len(changes):
        made.unprepared_changes = sum(known_changes)
        made.unprepared_rpo_seconds = to_seconds(max(exposed)) if made.unprepared_changes else made.rpo_seconds


def _changes(store: FileStore, tree: str, one: Snapshot, other: Snapshot) -> Optional[int]:
    """In how many entries two snapshots of a tree differ; None where one of them is damaged."""
    spec = next((spec for spec in all_trees(load_fleet(store)) if spec.name == tree), None)
    if one.manifest == other.manifest or spec is None:
        return 0
    vault = Vault(os.path.join(store.location, "vault"), create=False)
    try:
        before, after = vault.manifest(one.manifest, spec.max_entries), vault.manifest(other.manifest, spec.max_entries)
    except StoreCorrupt:
        return None
    finally:
        vault.close()
    every = set(before.entries) | set(after.entries)
    return sum(not same(before.entries.get(path), after.entries.get(path), spec) for path in every)


# -- what is not as it was ---------------------------------------------------------------------------------------


def _compared(store: FileStore, drill: Drill, made: MachineReport, compared: Mapping[str, Any]) -> None:
    """Take over what the machine has found; what others have changed meanwhile is told apart."""
    for name, tree in sorted(compared.items()):
        found = [
            Difference(**{one.name: each.get(one.name) for one in fields(Difference)}) for each in tree["differences"]
        ]
        others = _changed_by_others(store, drill, made.machine_id, name) if found else ()
        made.entries += int(tree["entries"])
        made.differing += int(tree["differing"])
        for each in found:
            if each.path in others:
                made.changed_meanwhile.append(each)
                made.differing -= 1
            else:
                made.differences.append(each)


def _changed_by_others(store: FileStore, drill: Drill, machine: str, tree: str) -> Set[str]:
    """The paths of a tree of which other machines have published something since the drill began."""
    spec = next((spec for spec in all_trees(load_fleet(store)) if spec.name == tree), None)
    if spec is None:
        return set()
    paths: Set[str] = set()
    location = os.path.join(store.location, "vault")
    with Refs(location) as refs:
        versions = [one for one in refs.baseline_versions(tree) if one.version >= drill.baselines.get(tree, 0)]
    vault = Vault(location, create=False)
    try:
        for before, after in zip(versions, versions[1:]):
            if after.machine_id == machine:
                continue
            try:
                one, other = (vault.manifest(each.manifest, spec.max_entries).entries for each in (before, after))
            except StoreCorrupt:
                continue  # nobody knows what was published there: what differs counts
            paths.update(shown(p) for p in set(one) | set(other) if not same(one.get(p), other.get(p), spec))
    finally:
        vault.close()
    return paths


# -- one after the other -----------------------------------------------------------------------------------------


def _steps(drill: Drill, past: History, machine: str, lost_at: Optional[int]) -> List[Step]:
    """Every moment that is known, in the order of the store's time."""
    moments: List[Tuple[int, str, str]] = [(parse_iso(drill.began_at), "began", "drill")]
    moments += [(parse_iso(one.at), one.step, "drill") for one in drill.marks if one.machine_id == machine]
    if past.gone is not None:
        if past.gone.received_at is not None:
            moments.append((past.gone.received_at, "last heartbeat", "heartbeat"))
        moments.append((past.gone.effective_at, "offline deadline passed", "journal"))
        moments.append((past.gone.detected_at, "found offline", "journal"))
    if past.back is not None:
        moments.append((past.back.detected_at, "found online", "journal"))
    for at, entry in past.syncs:
        if entry.state == DONE:
            moments.append((at, "%s sync done" % entry.event, "journal"))
    return [
        Step(step, iso(at), to_seconds(at - lost_at) if lost_at is not None else None, source)
        for at, step, source in sorted(moments)
    ]
