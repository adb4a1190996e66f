# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Snapshots: a machine's trees at a moment, wherever they are looked at from."""

from __future__ import annotations

from typing import Dict, List, Optional

from .manifest import Manifest
from .merge import base_without
from .planning import TreePlan
from .session import Session, Site
from .spec import TreeSpec
from .telling import Outcome


def capture(session: Session, site: Site, trees: List[TreeSpec], outcome: Outcome) -> Dict[str, Optional[Manifest]]:
    """Look at the trees, and keep a snapshot of each that is not just as in its last one.

    Others may capture at the same time: the agent, by itself. Outside of a sync, the first one counts.

    :returns: tree -> its manifest; None where its directory is not there.
    """
    last: Dict[str, str] = {}
    turns: Dict[str, int] = {}
    for spec in trees:
        turns[spec.name] = session.refs.snapshot_turn(session.machine_id, spec.name)
        ref = session.refs.snapshot(session.machine_id, spec.name, session.began)
        if ref is not None:
            last[spec.name] = ref.manifest
    at = session.store.now()
    found = site.capture(session, trees, last)
    for name, one in found.items():
        outcome.captured += one.bytes
        if one.manifest is None:
            continue
        overtaken = session.refs.snapshot_turn(session.machine_id, name) != turns[name]
        if one.digest == last.get(name) and not overtaken:
            continue
        if session.request.dry_run:
            outcome.snapshots += 1
        elif session.claim is None:
            kept = session.refs.take_turn(session.machine_id, name, turns[name], at, one.digest, session.host)
            outcome.snapshots += kept is not None
        else:  # nobody else changes the tree now, and what this sync builds on has to be the newest snapshot
            if one.digest == last.get(name):  # which had it all, but may have gone meanwhile
                session.rely_on(one.manifest, Manifest(name, {}))
                session.keep_manifests([one.manifest])
            session.refs.add_snapshot(session.machine_id, name, at, one.digest, session.host)
            outcome.snapshots += 1
    return {name: one.manifest for name, one in found.items()}


def note_applied(session: Session, plan: TreePlan) -> None:
    """Keep a snapshot of what a sync has just made of a tree.

    Before the base moves: were the machine lost now, its last capture would look like an undoing of the sync.
    """
    now = base_without(plan.merged._replace(new_base=plan.merged.new_mine), plan.mine, plan.left)
    (manifest,) = session.keep_manifests([Manifest(now.tree, now.entries, dict(plan.mine.unknown))])
    session.refs.add_snapshot(session.machine_id, plan.spec.name, session.store.now(), manifest, plan.host)
