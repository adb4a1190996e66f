# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Taking a sync back: the machine's trees as they were before it, and the baseline too if nobody has built on it.

The machine's trees are captured first, so that a rollback loses nothing either, and can itself be taken back.
"""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Tuple

from ..errors import BackupNotFound, HeartbeatError, StoreCorrupt
from ..state import OFFLINE
from . import capturing, doing, entries
from . import spec as specs
from .guards import BY_ROLLBACK, refuse_mass_delete_here
from .manifest import Manifest, same
from .merge import merge
from .outcome import BASELINE
from .planning import TreePlan
from .refs import Base, Baseline, Refs, is_digest
from .session import Request, Session, Site
from .spec import TreeSpec
from .telling import Outcome

EVENT = "rollback"


def key(request: Request) -> Optional[str]:
    """The id of the entry of a rollback: it names the sync, so that one that was cut off can be finished."""
    return None if request.event != EVENT else "%s%s-%s" % (entries.ASKED, EVENT, request.sync_id)


def sync_id_of(event_id: str) -> Optional[str]:
    """The sync that the entry of a rollback is about."""
    head = "%s%s-" % (entries.ASKED, EVENT)
    return event_id[len(head) :] if event_id.startswith(head) else None


def last_sync(refs: Refs, machine_id: str) -> str:
    """The id of the last sync of a machine that can be taken back.

    :raises BackupNotFound: there is none.
    """
    for sync_id in reversed(refs.sync_ids()):
        record = refs.record(sync_id)
        if record is not None and record["machine_id"] == machine_id and record["event"] != EVENT:
            return sync_id
    raise BackupNotFound(
        "no sync of %s has left a backup: none has changed anything, or create_backup was false" % machine_id,
        machine_id=machine_id,
    )


def roll_back(session: Session, site: Optional[Site]) -> Outcome:
    """Bring trees, base and baseline back to what they were before a sync."""
    sync_id = session.request.sync_id
    record = session.refs.record(sync_id or "")
    if record is None:
        raise BackupNotFound("there is no record of the sync %s; it may be gone by age" % sync_id, sync_id=sync_id)
    if record["machine_id"] != session.machine_id:
        raise BackupNotFound(
            "the sync %s was of %.80s, not of %s" % (sync_id, record["machine_id"], session.machine_id),
            sync_id=sync_id,
        )
    trees = _trees(record)
    outcome = Outcome(session.machine_id, EVENT, session.event_id, dry_run=session.request.dry_run)
    touched = [spec for spec, known in trees if known["captured"]]
    if touched and site is None:
        raise HeartbeatError("the trees of %s cannot be reached from here" % session.machine_id)
    found: Dict[str, Optional[Manifest]] = {}
    if touched and site is not None:
        found = capturing.capture(session, site, touched, outcome)
    plans = [_plan(session, spec, known, found.get(spec.name)) for spec, known in trees]
    outcome.plans = plans
    outcome.changed = outcome.changed or any(plan.merged.changes for plan in plans)
    if session.request.dry_run:
        return outcome
    outcome.sync_id = session.sync_id
    outcome.versions = {plan.spec.name: plan.next_version for plan in plans}
    outcome.backup_path = doing.write_record(session, plans, outcome.versions)
    _publish(session, plans, outcome)
    # Tree by tree, each with its base: were only the trees of some back when this fails, the next sync would take what
    # they had before for an edit of the machine's, and take the sync back from everybody.
    for plan, (spec, known) in zip(plans, trees):
        if site is not None:
            doing.apply(session, [plan], site)
        session.check()
        if known["base"] is None:
            session.refs.drop_base(session.machine_id, spec.name)
        else:
            session.refs.set_base(session.machine_id, spec.name, Base(**known["base"]))
    return outcome


def _trees(record: Dict[str, Any]) -> List[Tuple[TreeSpec, Dict[str, Any]]]:
    """The trees of a record, each with what it says of it.

    :raises StoreCorrupt: it says what cannot be.
    """
    found = []
    try:
        for name, known in sorted(record["trees"].items()):
            base = known["base"]
            digests = [known["machine_before"], known["machine_after"]]
            digests += [] if base is None else [Base(**base).manifest]
            digests += [known["baseline_before_manifest"]] if known["baseline_before_manifest"] is not None else []
            versions = [known["baseline_before"], known["baseline_after"]]
            known = dict(known, captured=known.get("captured", record["event"] != OFFLINE))
            if not all(map(is_digest, digests)) or not all(v.__class__ is int and v >= 0 for v in versions):
                raise ValueError("of tree %.64s" % name)
            found.append((specs.from_mapping(name, known["spec"]), known))
    except (HeartbeatError, KeyError, TypeError, ValueError, AttributeError) as exc:
        raise StoreCorrupt("the record of the sync makes no sense: %.200s" % exc) from exc
    return found


def _plan(session: Session, spec: TreeSpec, known: Dict[str, Any], mine: Optional[Manifest]) -> TreePlan:
    """What brings a tree back. What is unknown now stays as it is.

    The baseline goes back only if it is still the version that the sync has published.

    :raises SyncMassDelete: it would delete most of what the machine has and what did not come with the sync.
    """
    turn = session.refs.baseline_turn(spec.name)
    baseline_ref = session.refs.baseline(spec.name, session.began)
    theirs = session.manifest(baseline_ref.manifest if baseline_ref is not None else None, spec)
    before = session.manifest(known["machine_before"], spec)
    mine = mine if mine is not None else Manifest(spec.name, {})
    captured = bool(known["captured"])
    merged = merge(mine, mine, before if captured else mine, BASELINE, spec)
    brought = session.manifest(known["machine_after"], spec)
    kept = _with(merged.new_mine, mine, brought, spec)
    refuse_mass_delete_here(mine, kept, session.machine_id, session.request.force, BY_ROLLBACK)
    ours = (
        baseline_ref is not None
        and known["baseline_before"] != known["baseline_after"] == baseline_ref.version
        and baseline_ref.sync_id == session.request.sync_id
    )
    former = session.manifest(known["baseline_before_manifest"], spec) if ours else theirs
    other = merge(theirs, former, theirs, BASELINE, spec, touch_machine=False)
    changes = merged.changes + other.changes_of(BASELINE)
    whole = merged._replace(new_baseline=other.new_baseline, changes=changes)
    base_ref = session.refs.base(session.machine_id, spec.name)
    base = session.manifest(base_ref.manifest if base_ref is not None else None, spec)
    return TreePlan(spec, base_ref, baseline_ref, base, mine, theirs, whole, captured, session.host, turn)


def _with(new_mine: Manifest, mine: Manifest, brought: Manifest, spec: TreeSpec) -> Manifest:
    """A machine's tree as it will be, and what is just as a sync left it: that may go as it has come."""
    as_it_came = {path: one for path, one in mine.entries.items() if same(one, brought.entries.get(path), spec)}
    return Manifest(mine.tree, {**as_it_came, **new_mine.entries}, new_mine.unknown)


def _publish(session: Session, plans: List[TreePlan], outcome: Outcome) -> None:
    """Put the former baselines in place, as new versions. Where somebody has just published, theirs stays."""
    for plan in plans:
        if not plan.baseline_changes:
            continue
        session.check()
        (manifest,) = session.keep_manifests([plan.merged.new_baseline])
        ref = Baseline(plan.next_version, session.store.now(), session.machine_id, session.sync_id, manifest)
        if not session.refs.publish(plan.spec.name, ref):
            outcome.versions[plan.spec.name] = plan.baseline_version
            outcome.notes.append("somebody has just published the baseline of %s: it stays" % plan.spec.name)
