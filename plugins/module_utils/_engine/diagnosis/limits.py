# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The settings: do they make sense, and do the machines do what they say?"""

from __future__ import annotations

import json
from typing import Any, Callable, Dict, Iterable, List, Mapping, Optional, Sequence, Tuple

from .. import incidents, journal, sealed
from ..clock import LATEST, NS, parse_iso
from ..detect import outage
from ..errors import HeartbeatError, InvalidSettings, StoreCorrupt
from ..metadata import plain_json
from ..record import Beat
from ..report import shorten
from ..settings import Settings, Thresholds
from .finding import FAILED, OK, WARNING, Finding, NotChecked
from .scene import Scene

MEMORY = "diagnostics/beats.json"
LEAST_BEATS = 3
"""From so many intervals on, a pace is one."""
ENOUGH_BEATS = 20
LOOK_BACK = 20_000
TOO_OFTEN = 0.5

Point = Tuple[int, int]
"""A beat's sequence, and when it arrived."""
Span = Tuple[int, int]


def settings(scene: Scene) -> Finding:
    try:
        found = scene.settings
    except (StoreCorrupt, InvalidSettings) as exc:
        advice = "correct fleet.json by hand, or with heartbeat_fleet; agents go on with the default settings meanwhile"
        return Finding("settings", FAILED, exc.message.rpartition("; ")[0], advice, [{"path": "fleet.json"}])
    overrides = "" if not found.overrides else ", %d override(s)" % len(found.overrides)
    return Finding(
        "settings",
        OK,
        "heartbeat_interval %g s, warning_after %g s, offline_after %g s%s"
        % (found.heartbeat_interval, found.warning_after, found.offline_after, overrides),
    )


def intervals(scene: Scene) -> Finding:
    """The interval that each machine keeps against the one that is set for it."""
    paces = seen_intervals(scene)
    details: List[Dict[str, Any]] = []
    failed = False
    for machine, seen in sorted(paces.items()):
        limits = scene.settings.for_machine(machine)
        if not _fits(seen, limits):
            failed = failed or seen > limits.heartbeat_interval
            details.append(
                {"machine_id": machine, "interval_seen": round(seen, 3), "interval_set": limits.heartbeat_interval}
            )
    if not details:
        known = "%d of %d machines" % (len(paces), len(scene.view.seen.received))
        return Finding("intervals", OK, "as set, as far as is known (%s)" % known)
    names = shorten(
        ["%s (every %g s, set %g)" % (d["machine_id"], d["interval_seen"], d["interval_set"]) for d in details]
    )
    advice = (
        "a timer keeps the interval of its deployment: run the playbook roosync.heartbeat.deploy for these machines, "
        "or give them an override in heartbeat_fleet"
    )
    return Finding("intervals", FAILED if failed else WARNING, "not as set: %s" % names, advice, details)


def _fits(seen: float, limits: Thresholds) -> bool:
    """By the rule for settings: a single lost beat must not warn. And twice as often as asked for is too often."""
    return 2 * seen <= limits.warning_after and seen >= TOO_OFTEN * limits.heartbeat_interval


def seen_intervals(scene: Scene) -> Dict[str, float]:
    """The seconds between two beats of each machine, where enough is known of it.

    Known are the beat that lies in the store, the one at the last diagnosis, and those that changes of status rest on.
    """
    before, away = _points(scene), _away(scene)
    found = {}
    for beat in scene.beats:
        last = (beat.sequence, scene.view.seen.received[beat.machine_id])
        pace = _pace([*before.get((beat.machine_id, beat.boot_id), ()), last], away)
        if pace is not None:
            found[beat.machine_id] = pace / NS
    return found


def _points(scene: Scene) -> Mapping[Tuple[str, str], List[Point]]:
    """Earlier beats of each boot of each machine, since its interval is the one of today."""
    found: Dict[Tuple[str, str], List[Point]] = {}
    since = _since(scene)
    ledger = scene.view.ledger
    for transition in journal.transitions_since(scene.store, ledger, 0, LOOK_BACK):
        machine, at = transition.machine_id, transition.received_at
        if at is not None and at >= since(machine):
            found.setdefault((machine, transition.boot_id), []).append((transition.sequence, at))
    for machine, (boot_id, sequence, received_at) in _remembered(scene).items():
        if received_at >= since(machine):
            found.setdefault((machine, boot_id), []).append((sequence, received_at))
    return found


def _since(scene: Scene) -> Callable[[str], int]:
    """Since when a machine's interval is the one of today, as far as the fleet's file tells of changes."""
    now, earlier = scene.settings, scene.fleet.earlier

    def interval(settings: Settings, machine: str) -> float:
        return settings.for_machine(machine).heartbeat_interval

    return lambda machine: max(
        (one.until for one in earlier if interval(one.settings, machine) != interval(now, machine)), default=0
    )


def _away(scene: Scene) -> List[Span]:
    """When the store is known to have been away: no machine could beat then, or count what it could not write."""
    windows = [(w.since, w.until) for w in scene.view.state.windows]
    try:
        windows += [
            (parse_iso(i["since"]), i["until"] and parse_iso(i["until"]))
            for i in incidents.history(scene.store)
            if i["kind"] == outage.KIND
        ]
    except HeartbeatError:
        pass  # a folder that cannot be read is named by the check of permissions
    found: List[Span] = []
    for since, until in sorted((since, scene.view.now if until is None else until) for since, until in windows):
        if found and since <= found[-1][1]:
            found[-1] = (found[-1][0], max(until, found[-1][1]))
        else:
            found.append((since, until))
    return found


def _pace(points: Iterable[Point], away: Sequence[Span] = ()) -> Optional[float]:
    """The nanoseconds between two beats: the weighted median of the newest stretches, so that one gap makes none.

    :param away: spans that do not count, apart from each other.
    """
    ordered = sorted(set(points), reverse=True)
    stretches: List[Tuple[float, int]] = []
    beats = 0
    for (later, arrived), (earlier, before) in zip(ordered, ordered[1:]):
        took = arrived - before - sum(max(0, min(arrived, until) - max(before, since)) for since, until in away)
        if later > earlier and took > 0 and beats < ENOUGH_BEATS:
            stretches.append((took / (later - earlier), later - earlier))
            beats += later - earlier
    if beats < LEAST_BEATS:
        return None
    passed = 0
    for pace, weight in sorted(stretches):
        passed += weight
        if passed * 2 >= beats:
            return pace
    return None


# -- what the last diagnosis saw -----------------------------------------------------------------------------------


def _remembered(scene: Scene) -> Dict[str, Tuple[str, int, int]]:
    """Boot, sequence and arrival of each machine's beat at the last diagnosis; nothing where that is of no use."""
    found: Dict[str, Tuple[str, int, int]] = {}
    try:
        kept: Any = plain_json(sealed.unseal(scene.store.read(MEMORY) or b""), MEMORY)
        for machine, (boot_id, sequence, received_at) in kept.items():
            if max(abs(sequence), abs(received_at)) < LATEST:
                found[machine] = (str(boot_id), int(sequence), int(received_at))
    except (HeartbeatError, ValueError, TypeError, AttributeError, RecursionError):
        return {}
    return found


def remember(scene: Scene) -> None:
    """Keep this diagnosis's beats for the next one. A failure to keep them is no failure."""
    try:
        received: Mapping[str, int] = scene.view.seen.received
        beats: Iterable[Beat] = scene.beats
        kept = {beat.machine_id: [beat.boot_id, beat.sequence, received[beat.machine_id]] for beat in beats}
        scene.store.write(MEMORY, sealed.seal(json.dumps(kept).encode()), durable=False)
    except (HeartbeatError, NotChecked):
        return
