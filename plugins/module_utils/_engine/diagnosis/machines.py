# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The machines as a check would find them at this moment, and the work that is open."""

from __future__ import annotations

from typing import Any, Dict, List

from ..check import LAST_CHECK
from ..clock import NS, iso
from ..documents import load_last_check
from ..errors import HeartbeatError
from ..report import incident_dict, pending, shorten, sync_dict, when
from ..state import FAILED as SYNC_FAILED
from ..state import HELD, OFFLINE, PENDING, UNKNOWN, SyncEntry
from ..state import WARNING as LATE
from .finding import FAILED, OK, WARNING, Finding
from .scene import Scene

CHECKED_WITHIN = 3600 * NS
WORKED_ON_WITHIN = 900 * NS


def checks(scene: Scene) -> Finding:
    """Whether anybody checks at all: nothing is noticed between two checks."""
    advice = "schedule heartbeat_check, or the playbook roosync.heartbeat.check; nothing is noticed between two checks"
    try:
        checked_at = load_last_check(scene.store.read(LAST_CHECK) or b"").checked_at
    except (ValueError, HeartbeatError):
        if not scene.view.seen.received:
            return Finding("checks", OK, "there is nothing to check yet")
        return Finding("checks", WARNING, "no result of a check is here", advice)
    evidence = "the last one was at %s" % iso(checked_at)
    if scene.view.now - checked_at > CHECKED_WITHIN:
        return Finding("checks", WARNING, evidence, advice)
    return Finding("checks", OK, evidence)


def offline(scene: Scene) -> Finding:
    details = _machines(scene, OFFLINE)
    lost = [d for d in details if not d["planned"]]
    planned = len(details) - len(lost)
    more = " (%d more planned)" % planned if planned else ""
    if not lost:
        return Finding("machines_offline", OK, "none%s" % more, details=details)
    names = shorten(["%s since %s" % (d["machine_id"], d["since"]) for d in lost])
    advice = (
        "look at each host: is it up, does its agent run (the agent's command status), is the store mounted there? The "
        "playbook roosync.heartbeat.recover starts agents anew"
    )
    return Finding("machines_offline", FAILED, names + more, advice, details)


def late(scene: Scene) -> Finding:
    details = _machines(scene, LATE)
    if not details:
        return Finding("machines_warning", OK, "none")
    names = shorten(["%s since %s" % (d["machine_id"], d["since"]) for d in details])
    advice = (
        "wait for offline_after; machines that are late again and again need a longer warning_after, or a better line"
    )
    return Finding("machines_warning", WARNING, names, advice, details)


def unknown(scene: Scene) -> Finding:
    details = _machines(scene, UNKNOWN)
    if not details:
        return Finding("machines_unknown", OK, "none")
    names = shorten([d["machine_id"] for d in details])
    advice = "start their agents, correct the names that are expected, or forget them with heartbeat_fleet"
    return Finding("machines_unknown", WARNING, "expected, and never seen: %s" % names, advice, details)


def _machines(scene: Scene, status: str) -> List[Dict[str, Any]]:
    view = scene.view
    found = []
    for machine in view.lists[status]:
        memory = view.state.machines.get(machine)
        found.append(
            {
                "machine_id": machine,
                "since": when(memory.since if memory is not None else None),
                "last_heartbeat": when(view.seen.received.get(machine)),
                "planned": memory is not None and memory.planned,
            }
        )
    return found


def incidents(scene: Scene) -> Finding:
    details = [incident_dict(incident) for incident in scene.view.state.incidents.values()]
    if not details:
        return Finding("incidents", OK, "none is open")
    names = shorten(["%s (%s)" % (d["incident_id"], d["reason"]) for d in details])
    advice = "it ends by itself when the machines return; release it with heartbeat_incident if they will not"
    return Finding("incidents", WARNING, names, advice, details)


def waiting_syncs(scene: Scene) -> Finding:
    entries = pending(scene.history.ledger.state)
    waiting = [entry for entry in entries if entry.state == PENDING]
    forgotten = [entry for entry in waiting if scene.view.now - entry.opened_at > WORKED_ON_WITHIN]
    held = sum(entry.state == HELD for entry in entries)
    evidence = "%d pending, %d held" % (len(waiting), held)
    if not forgotten:
        return Finding("syncs_pending", OK, evidence)
    oldest = forgotten[0]
    evidence += "; the oldest waits since %s (%s)" % (iso(oldest.opened_at), oldest.machine_id)
    advice = "let a scheduled job work on them (heartbeat_sync), or set auto_sync to false if you have no use for them"
    return Finding("syncs_pending", WARNING, evidence, advice, [sync_dict(entry) for entry in forgotten])


def failed_syncs(scene: Scene) -> Finding:
    found = [entry for entry in pending(scene.history.ledger.state) if entry.state == SYNC_FAILED]
    if not found:
        return Finding("syncs_failed", OK, "none")
    names = shorten([_said(entry) for entry in found], 3)
    advice = "do away with the reason; the next worker tries again"
    return Finding("syncs_failed", FAILED, names, advice, [sync_dict(entry) for entry in found])


def _said(entry: SyncEntry) -> str:
    tries = "%d attempt%s" % (entry.attempts, "" if entry.attempts == 1 else "s")
    return "%s, %s, %s: %s" % (entry.machine_id, entry.event, tries, entry.reason or "no reason was given")
