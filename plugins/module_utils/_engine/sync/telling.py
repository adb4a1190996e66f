# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a sync says to people and programs: the plan, what came of it, and the difference it makes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Dict, List, Optional

from .decisions import entry_dict, shown
from .manifest import DIRECTORY, LINK, Entry
from .outcome import BASELINE, MACHINE, Change
from .planning import TreePlan, files

MAX_SHOWN = 1000


@dataclass
class Outcome:
    """What a sync did, or would do."""

    machine_id: str
    event: str
    event_id: str = ""
    sync_id: Optional[str] = None
    plans: List[TreePlan] = field(default_factory=list)
    changed: bool = False
    captured: int = 0
    """Bytes that were new to the vault."""
    snapshots: int = 0
    decisions: int = 0
    backup_path: Optional[str] = None
    offline_ns: Optional[int] = None
    versions: Dict[str, int] = field(default_factory=dict)
    notes: List[str] = field(default_factory=list)
    dry_run: bool = False


def result(outcome: Outcome) -> Dict[str, Any]:
    """What ``heartbeat_sync`` returns for one machine."""
    changes = [(plan, change) for plan in outcome.plans for change in plan.changes]
    count, size = files([change for plan in outcome.plans for change in plan.made])
    resolved = [(plan, conflict) for plan in outcome.plans for conflict in plan.merged.conflicts]
    left = [
        {"tree": plan.spec.name, "path": shown(path), "reason": reason}
        for plan in outcome.plans
        for path, reason in sorted(plan.unknown.items())
    ]
    found: Dict[str, Any] = {
        "changed": outcome.changed,
        "machine_id": outcome.machine_id,
        "event": outcome.event,
        "event_id": outcome.event_id or None,
        "sync_id": outcome.sync_id,
        "files_synced": count,
        "bytes": size,
        "bytes_captured": outcome.captured,
        "snapshots": outcome.snapshots,
        "conflicts_resolved": sum(len(plan.resolved) for plan in outcome.plans),
        "decisions_created": outcome.decisions,
        "backup_created": outcome.backup_path is not None,
        "backup_path": outcome.backup_path,
        "offline_duration": None if outcome.offline_ns is None else round(outcome.offline_ns / 1e9, 3),
        "baseline": dict(outcome.versions),
        "plan": [_change_dict(plan, change) for plan, change in changes[:MAX_SHOWN]],
        "plan_size": len(changes),
        "conflicts": [
            {
                "tree": plan.spec.name,
                "path": shown(conflict.path),
                "resolution": conflict.resolution,
                "machine": entry_dict(conflict.mine),
                "baseline": entry_dict(conflict.theirs),
                "kept": [{"side": kept.side, "path": shown(kept.entry.path)} for kept in conflict.kept[:MAX_SHOWN]],
            }
            for plan, conflict in resolved[:MAX_SHOWN]
        ],
        "left_alone": left[:MAX_SHOWN],
        "diff": diff(outcome.plans),
    }
    found["message"] = message(outcome, found)
    return found


def _change_dict(plan: TreePlan, change: Change) -> Dict[str, Any]:
    return {"tree": plan.spec.name, "path": shown(change.path), "action": change.action, "side": change.side}


def message(outcome: Outcome, found: Dict[str, Any]) -> str:
    """One line for a log: ``web-01 online: 3 files synced (...)``."""
    if outcome.event == "capture":
        text = "%s: %d tree%s captured, %d bytes new to the vault" % (
            outcome.machine_id,
            outcome.snapshots,
            "" if outcome.snapshots == 1 else "s",
            outcome.captured,
        )
    else:
        sides = {MACHINE: 0, BASELINE: 0}
        for plan in outcome.plans:
            for change in plan.made:
                sides[change.side] += 1
        text = "%s %s: %s %d change%s on the machine and %d in the baseline" % (
            outcome.machine_id,
            outcome.event,
            "would make" if outcome.dry_run else "made",
            sides[MACHINE],
            "" if sides[MACHINE] == 1 else "s",
            sides[BASELINE],
        )
        if found["conflicts_resolved"]:
            text += "; %d conflict%s resolved" % (
                found["conflicts_resolved"],
                "" if found["conflicts_resolved"] == 1 else "s",
            )
        if found["decisions_created"]:
            text += "; %d new decision%s for a person" % (
                found["decisions_created"],
                "" if found["decisions_created"] == 1 else "s",
            )
    if found["left_alone"]:
        text += "; %d left alone" % len(found["left_alone"])
    return "; ".join([text, *outcome.notes])


def diff(plans: List[TreePlan]) -> List[Dict[str, Any]]:
    """The difference, one part for each tree and side that changes."""
    found = []
    for plan in plans:
        for side in (MACHINE, BASELINE):
            changes = [change for change in plan.made if change.side == side]
            if not changes:
                continue
            header = "%s of %s" % (plan.spec.name, "the machine" if side == MACHINE else "the baseline")
            changes = changes[:MAX_SHOWN]
            found.append(
                {
                    "before_header": header,
                    "after_header": header,
                    "before": "".join(_line(change.before) for change in changes),
                    "after": "".join(_line(change.after) for change in changes),
                }
            )
    return found


def _line(entry: Optional[Entry]) -> str:
    """One entry, as ``ls -l`` would have it, with the beginning of its content's hash in place of the time."""
    if entry is None:
        return ""
    what = ""
    if entry.kind == LINK:
        what = " -> " + shown(entry.content)
    elif entry.kind != DIRECTORY:
        what = " %d %s" % (entry.size, entry.content[:12])
    owner, group = entry.owner or entry.uid, entry.group or entry.gid
    return "%s%04o %s:%s %s%s\n" % (entry.kind, entry.mode, owner, group, shown(entry.path), what)
