# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Carrying a sync out, in an order in which a crash anywhere loses nothing.

The record first, then the baseline, then the machine, then the base. Until the base has moved, the next sync meets the
same question again and finds that both sides have come to the same: it has only to move the base.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Set

from ..errors import LockTimeout
from ..stores.base import Store
from . import capturing, decisions
from .outcome import MACHINE, Kept
from .planning import TreePlan
from .refs import Base, Baseline
from .session import Session, Site, Step

MAX_RACES = 20
MOST_KEPT = 500
"""So many losers are named in a record by themselves. All of them are in the manifests that it names as well, of what
machine and baseline had; and a document can only be so long."""
Replan = Callable[[TreePlan], TreePlan]


def write_record(session: Session, plans: List[TreePlan], versions: Dict[str, int]) -> str:
    """Write down how everything was; the path of the document.

    :param versions: tree -> the version of the baseline that this sync publishes or has published.
    """
    trees = {}
    for plan in plans:
        if plan.captured:  # a snapshot names it all already, and what it lacks no rollback brings to the machine
            session.rely_on(plan.mine, plan.theirs)
        session.rely_on(plan.theirs, plan.theirs)
        before, after = session.keep_manifests([plan.mine, plan.merged.new_mine])
        trees[plan.spec.name] = {
            "spec": plan.spec.as_mapping(),
            "machine_before": before,
            "machine_after": after,
            "captured": plan.captured,
            "baseline_before": plan.baseline_version,
            "baseline_before_manifest": plan.baseline_ref.manifest if plan.baseline_ref is not None else None,
            "baseline_after": versions.get(plan.spec.name, plan.baseline_version),
            "base": plan.base_ref._asdict() if plan.base_ref is not None else None,
            "kept": [_kept(one) for conflict in plan.resolved for one in conflict.kept][:MOST_KEPT],
        }
    record = {
        "sync_id": session.sync_id,
        "event": session.request.event,
        "event_id": session.event_id,
        "machine_id": session.machine_id,
        "at": session.began,
        "trees": trees,
    }
    return session.refs.write_record(session.sync_id, record)


def _kept(one: Kept) -> Dict[str, Any]:
    """What lost a conflict, for people to find."""
    return {"side": one.side, "entry": list(one.entry)}


def publish(session: Session, plans: List[TreePlan], replan: Replan) -> Dict[str, int]:
    """Put the baseline's new versions in place.

    :param plans: changed in place where somebody else has published since: that tree is merged anew.
    :param replan: merges a tree anew, with the baseline as it is now.
    :returns: tree -> the version of the baseline that the machine is to have.
    """
    versions: Dict[str, int] = {}
    for index, plan in enumerate(plans):
        for _race in range(MAX_RACES):
            if not plan.baseline_changes:
                versions[plan.spec.name] = plan.baseline_version
                break
            session.check()
            session.rely_on(plan.merged.new_baseline, plan.theirs)
            (manifest,) = session.keep_manifests([plan.merged.new_baseline])
            ref = Baseline(plan.next_version, session.store.now(), session.machine_id, session.sync_id, manifest)
            if session.refs.publish(plan.spec.name, ref):
                versions[plan.spec.name] = ref.version
                break
            plan = plans[index] = replan(plan)
        else:
            raise LockTimeout(
                "others published the baseline of %s first, %d times; sync fewer machines at once"
                % (plan.spec.name, MAX_RACES)
            )
    return versions


def apply(session: Session, plans: List[TreePlan], site: Site) -> None:
    """Bring the machine's trees to what was planned, and note what became of them."""
    steps = [Step(plan.spec, plan.mine, plan.merged.new_mine) for plan in plans if plan.machine_changes]
    if not steps:
        return
    session.check()
    applied = site.apply(session, steps)
    session.check()
    for plan in plans:
        done = applied.get(plan.spec.name)
        plan.left = dict(done.left) if done is not None else {}
        if any(change.side == MACHINE for change in plan.made):
            capturing.note_applied(session, plan)


def move_bases(session: Session, plans: List[TreePlan], versions: Dict[str, int]) -> None:
    """Say what both sides agree on now. What was left alone on the machine stays a question."""
    for plan in plans:
        if not plan.does_something and plan.names_host:
            continue
        session.check()
        (manifest,) = session.keep_manifests([plan.new_base])
        ref = Base(manifest, versions[plan.spec.name], session.store.now(), session.sync_id, plan.host)
        session.refs.set_base(session.machine_id, plan.spec.name, ref)


def open_decisions(session: Session, plans: List[TreePlan]) -> List[decisions.Decision]:
    """A decision for each conflict that is left to a person."""
    found = []
    for plan in plans:
        if plan.open:
            manifests = session.keep_manifests([plan.mine, plan.theirs])
            found += [
                decisions.opened(
                    session.machine_id,
                    plan.spec,
                    conflict,
                    plan.mine,
                    plan.theirs,
                    manifests,
                    session.sync_id,
                    session.began,
                )
                for conflict in plan.open
            ]
    return found


def waiting(session: Session, plans: List[TreePlan]) -> Set[str]:
    """The ids of decisions that are made, and could not be carried out by this sync."""
    machine_id = session.machine_id
    return {decisions.decision_id(machine_id, plan.spec.name, one.path) for plan in plans for one in plan.waiting}


def count_news(store: Store, found: List[decisions.Decision]) -> int:
    """How many decisions :func:`.decisions.record` would open."""
    return len(decisions.news(decisions.load_all(store), found))
