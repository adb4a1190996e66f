# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bringing the trees of a machine back to what a snapshot has, on the machine itself or on one that replaces it.

What is replaced goes into the vault first, and into the record of a sync, so that a rollback takes a restore back like
any other sync. It is not kept as a snapshot: the ruin that a restore finds must not be the machine's newest state, nor
be taken for it when the restore is cut off and asked for again.

The baseline stays as it is. What was restored is what the machine has now, and its next sync shares that. Another
machine takes the base over along with the trees: otherwise all that both have would look like a conflict.
"""

from __future__ import annotations

from typing import List, Optional

from ..errors import BackupCorrupt, RestoreFailed
from . import doing
from .capture import contents
from .guards import too_many_lost
from .manifest import Manifest
from .merge import merge
from .outcome import BASELINE
from .planning import TreePlan
from .session import Chosen, Session, Site
from .telling import Outcome

EVENT = "restore"


def restore(session: Session, site: Site) -> Outcome:
    """Bring the trees to what the snapshots have that were chosen."""
    chosen = session.request.chosen
    outcome = Outcome(session.machine_id, EVENT, session.event_id, dry_run=session.request.dry_run)
    wanted = [_verified(session, one) for one in chosen]
    found = site.capture(session, [one.spec for one in chosen], {})
    outcome.plans = [_plan(session, one, found[one.spec.name].manifest, to) for one, to in zip(chosen, wanted)]
    outcome.versions = {plan.spec.name: plan.baseline_version for plan in outcome.plans}
    outcome.changed = any(plan.merged.changes for plan in outcome.plans)
    if session.request.dry_run or not outcome.changed:
        return outcome
    outcome.sync_id = session.sync_id
    outcome.captured = sum(one.bytes for one in found.values())
    outcome.backup_path = doing.write_record(session, outcome.plans, outcome.versions)
    doing.apply(session, outcome.plans, site)
    _take_over_bases(session, [one.spec.name for one in chosen])
    return outcome


def _verified(session: Session, chosen: Chosen) -> Manifest:
    """What is to be restored, all of which is in the vault. Each content is hashed before anything is touched."""
    manifest = session.manifest(chosen.snapshot.manifest, chosen.spec)
    missing = session.vault.missing(contents(manifest))
    if missing:
        raise BackupCorrupt(
            "%d contents of the snapshot %d of %s are not in the vault any more; take another snapshot, and look at "
            "the vault with heartbeat_vault and verify: true"
            % (len(missing), chosen.snapshot.number, chosen.spec.name),
            machine_id=session.request.source,
        )
    return manifest


def _plan(session: Session, chosen: Chosen, mine: Optional[Manifest], wanted: Manifest) -> TreePlan:
    """What makes the tree what the snapshot has. What is unknown on either side stays as it is."""
    spec = chosen.spec
    base_ref = session.refs.base(session.machine_id, spec.name)
    baseline_ref = session.refs.baseline(spec.name, session.began)
    base = session.manifest(base_ref.manifest if base_ref is not None else None, spec)
    theirs = session.manifest(baseline_ref.manifest if baseline_ref is not None else None, spec)
    mine = mine if mine is not None else Manifest(spec.name, {})
    merged = merge(mine, mine, wanted, BASELINE, spec)
    lost = None if session.request.force else too_many_lost(mine, merged.new_mine)
    if lost:
        raise RestoreFailed(
            "the snapshot %d of %s would take away %d files that %s has now; nothing was restored. Look at them with "
            "--check --diff, or set force: true if they are meant to go"
            % (chosen.snapshot.number, spec.name, len(lost), session.machine_id),
            machine_id=session.machine_id,
            examples=sorted(lost)[:5],
        )
    whole = merged._replace(new_baseline=theirs)
    return TreePlan(spec, base_ref, baseline_ref, base, mine, theirs, whole, host=session.host)


def _take_over_bases(session: Session, trees: List[str]) -> None:
    """What both sides had belongs to the trees, and these are this host's now."""
    for tree in trees:
        session.check()
        base = session.refs.base(session.request.source, tree)
        if base is None:
            session.refs.drop_base(session.machine_id, tree)
        elif (session.request.source, base.host) != (session.machine_id, session.host):
            session.refs.set_base(session.machine_id, tree, base._replace(host=session.host))
