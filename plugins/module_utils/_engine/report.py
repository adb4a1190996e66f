# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a check and a look say to people and programs: times in ISO 8601 UTC, durations in seconds."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Dict, List, Mapping, Optional

from .clock import NS, iso, to_seconds
from .conflicts import live_conflicts
from .detect.ages import LimitsOf
from .detect.hosts import REBOOT, TAKEOVER
from .detect.planned import Calendar
from .detect.survey import NO_WINDOWS
from .errors import HeartbeatError
from .maintenance import current
from .observe import Observation, by_status
from .record import Beat, skew_ms
from .state import HELD, OFFLINE, ONLINE, STATUSES, UNKNOWN, WARNING, Incident, Memory, State, SyncEntry, Transition
from .stores.base import Store

if TYPE_CHECKING:
    from .documents import Fleet


@dataclass
class Outcome:
    """What a check did, before it is put into words."""

    state: State
    checked_at: int
    transitions: List[Transition] = field(default_factory=list)
    notes: Dict[str, Any] = field(default_factory=dict)
    problems: List[Dict[str, object]] = field(default_factory=list)
    cached: bool = False
    changed: bool = False
    """Whether it recorded anything that somebody sees: a transition, an incident, an entry."""
    asked_at: Optional[int] = None
    """The store's time when a result was asked for that had been kept; None for one that was not."""
    observation: Optional[Observation] = None
    opened: int = 0
    races: int = 0
    calendar: Calendar = NO_WINDOWS


def when(ns: Optional[int]) -> Optional[str]:
    """A time for the outside, or None."""
    return None if ns is None else iso(ns)


def check_result(store: Store, outcome: Outcome, fleet: Fleet, include_details: bool) -> Dict[str, Any]:
    """The result of ``heartbeat_check``."""
    lists = by_status(outcome.state, fleet.expected)
    memories = outcome.state.machines
    # A reboot or a takeover is an event that leaves the status as it is.
    changes = [t for t in outcome.transitions if t.cause not in (REBOOT, TAKEOVER)]
    newly = {status: sorted(t.machine_id for t in changes if t.to_status == status) for status in STATUSES}
    problems = list(outcome.problems) + record_problems(outcome.notes)
    try:
        conflicts = live_conflicts(store, outcome.asked_at or outcome.checked_at, fleet.settings)
    except HeartbeatError as exc:  # what was committed is told all the same: no later check says it again
        conflicts = []
        problems.append({"kind": "conflicts_unread", "path": "conflicts", "what": exc.message})
    result: Dict[str, Any] = {status: lists[status] for status in STATUSES}
    result.update(
        newly_offline=newly[OFFLINE],
        newly_online=newly[ONLINE],
        newly_warning=newly[WARNING],
        transitions=[transition_dict(t) for t in outcome.transitions],
        pending_syncs=[sync_dict(s) for s in pending(outcome.state)],
        incidents=[incident_dict(i) for i in outcome.state.incidents.values()],
        flapping=sorted(m for m, memory in memories.items() if memory.flapping),
        planned=sorted(m for m, memory in memories.items() if memory.planned and memory.status != ONLINE),
        maintenance=current(outcome.calendar, outcome.checked_at),
        identity_conflicts=conflicts,
        problems=problems,
        clock_skew_ms=dict(sorted(outcome.notes.get("skewed", {}).items())),
        checked_at=iso(outcome.checked_at),
        cached=outcome.cached,
        changed=outcome.changed,
        last_event=outcome.state.event,
        statistics=_statistics(outcome, lists, newly, problems),
    )
    result["summary"] = summary(result)
    if include_details:
        result["details"] = [
            machine_dict(m, status, outcome.checked_at, outcome.state, fleet, _arrival(outcome, m))
            for status in STATUSES
            for m in lists[status]
        ]
    return result


def _arrival(outcome: Outcome, machine: str) -> Optional[int]:
    return outcome.observation.received.get(machine) if outcome.observation is not None else None


def _statistics(
    outcome: Outcome, lists: Mapping[str, List[str]], newly: Mapping[str, List[str]], problems: List[Dict[str, Any]]
) -> Dict[str, Any]:
    memories = outcome.state.machines.values()
    numbers: Dict[str, Any] = {status: len(lists[status]) for status in STATUSES}
    numbers.update(
        total=sum(len(lists[status]) for status in STATUSES),
        newly_offline=len(newly[OFFLINE]),
        newly_online=len(newly[ONLINE]),
        newly_warning=len(newly[WARNING]),
        planned=sum(1 for m in memories if m.planned and m.status == OFFLINE),
        held=sum(1 for s in outcome.state.syncs.values() if s.state == HELD),
        pending_syncs=len(outcome.state.syncs),
        problems=len(problems),
        opened=outcome.opened,
        races=outcome.races,
    )
    return numbers


def summary(result: Mapping[str, Any]) -> str:
    """One line for a log: ``5 machines: 4 online, 1 offline; newly offline: web-03``."""
    numbers = result["statistics"]
    parts = ["%d %s" % (numbers[s], s) for s in STATUSES if numbers[s]]
    text = "%d machine%s: %s" % (numbers["total"], "" if numbers["total"] == 1 else "s", ", ".join(parts) or "none yet")
    for key in ("newly_offline", "newly_warning", "newly_online"):
        if result[key]:
            text += "; %s: %s" % (key.replace("_", " "), shorten(result[key]))
    for incident in result["incidents"]:
        text += "; incident %s: %s" % (incident["incident_id"], incident["reason"])
    if result["identity_conflicts"]:
        text += "; identity conflict: %s" % shorten([c["machine_id"] for c in result["identity_conflicts"]])
    if result["clock_skew_ms"]:
        text += "; clock wrong: %s" % shorten(sorted(result["clock_skew_ms"]))
    if result["problems"]:
        text += "; %d problem%s in the store" % (len(result["problems"]), "" if len(result["problems"]) == 1 else "s")
    if result["cached"]:
        text += " (as of %s)" % result["checked_at"]
    return text


def shorten(names: List[str], most: int = 5) -> str:
    """A list of names that stays readable in a large fleet."""
    more = len(names) - most
    return ", ".join(names[:most]) + (" and %d more" % more if more > 0 else "")


def pending(state: State) -> List[SyncEntry]:
    """The sync entries that are not done, oldest first."""
    return sorted(state.syncs.values(), key=lambda s: (s.opened_at, s.event_id))


def record_problems(notes: Mapping[str, Any]) -> List[Dict[str, Any]]:
    """Records that are torn or unreadable, as entries of ``problems``."""
    return [
        {"kind": "torn_record", "machine_id": machine, "path": "heartbeats/%s.json" % machine, "what": what}
        for machine, what in sorted(notes.get("torn", {}).items())
    ]


def transition_dict(t: Transition) -> Dict[str, Any]:
    return {
        "event": t.event,
        "event_id": t.event_id,
        "machine_id": t.machine_id,
        "from": t.from_status,
        "to": t.to_status,
        "effective_at": iso(t.effective_at),
        "detected_at": iso(t.detected_at),
        "last_heartbeat": when(t.received_at),
        "cause": t.cause,
        "planned": t.planned,
        "held_by": t.held_by,
    }


def sync_dict(s: SyncEntry) -> Dict[str, Any]:
    return {
        "event_id": s.event_id,
        "machine_id": s.machine_id,
        "event": s.event,
        "state": s.state,
        "opened_at": iso(s.opened_at),
        "reason": s.reason,
        "held_by": s.held_by,
        "attempts": s.attempts,
    }


def incident_dict(i: Incident) -> Dict[str, Any]:
    return {
        "incident_id": i.incident_id,
        "kind": i.kind,
        "opened_at": iso(i.opened_at),
        "since": iso(i.since),
        "until": when(i.until),
        "closed_at": when(i.closed_at),
        "closed_by": i.closed_by,
        "reason": i.reason,
        "machines": i.machines,
        "zone": i.zone,
        "common": i.common,
    }


def machine_dict(
    machine: str,
    status: str,
    now: int,
    state: State,
    fleet: Fleet,
    received_at: Optional[int],
    beat: Optional[Beat] = None,
    include_heartbeat: bool = False,
) -> Dict[str, Any]:
    """One machine, for people: its status, since when, and on which beat that rests."""
    memory: Optional[Memory] = state.machines.get(machine)
    limits = LimitsOf(fleet.settings)(machine)
    late = now - received_at if received_at is not None else 0
    entry: Dict[str, Any] = {
        "machine_id": machine,
        "status": status,
        "expected": machine in fleet.expected,
        "last_heartbeat": when(received_at),
        "age_seconds": to_seconds(max(0, late)) if received_at is not None else None,
        "since": when(memory.since if memory is not None and memory.status == status else None),
        "offline_since": when(memory.offline_since if memory is not None and status == OFFLINE else None),
        "warning_since": when(memory.warning_since if memory is not None and status in (WARNING, OFFLINE) else None),
        "missed_heartbeats": max(0, late // limits.interval) if received_at is not None and status != UNKNOWN else 0,
        "planned": memory is not None and memory.planned,
        "planned_until": when(memory.planned_until if memory is not None and memory.planned else None),
        "flapping": memory is not None and memory.flapping,
        "held_by": memory.held_by if memory is not None else None,
        "heartbeat_interval": limits.interval / NS,
    }
    if beat is not None:
        entry["metadata"] = beat.metadata
        entry["clock_skew_ms"] = skew_ms(beat, received_at) if received_at is not None else None
        if include_heartbeat:
            entry["heartbeat"] = beat_dict(beat)
    return entry


def beat_dict(beat: Beat) -> Dict[str, Any]:
    """A beat as its machine sent it."""
    missed = beat.missed
    return {
        "sequence": beat.sequence,
        "sent_at": beat.sent_at,
        "fingerprint": beat.fingerprint,
        "boot_id": beat.boot_id,
        "agent_version": beat.agent_version,
        "latency_ms": beat.latency_ms,
        "leaving": beat.leaving,
        "took_over": beat.took_over,
        "missed": None
        if missed is None
        else {"count": missed.count, "began_ms": missed.began_ms, "ended_ms": missed.ended_ms, "why": missed.why},
    }
