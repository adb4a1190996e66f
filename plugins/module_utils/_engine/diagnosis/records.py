# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the machines wrote: torn records, clocks, identities, versions, and what else is wrong in documents."""

from __future__ import annotations

from typing import Any, Dict, List, Tuple

from ..clock import iso
from ..conflicts import live_conflicts
from ..observe import skewed
from ..register import VERSION
from ..report import record_problems, shorten
from .finding import FAILED, OK, WARNING, Finding
from .scene import Scene


def records(scene: Scene) -> Finding:
    seen = scene.view.seen
    details = [p for p in seen.problems if p["kind"] == "not_a_record"] + record_problems({"torn": seen.torn})
    if not details:
        return Finding("records", OK, "%d record%s sound" % _are(len(seen.beats)))
    what = "%s: %s" % (details[0]["path"], details[0]["what"])
    return Finding(
        "records",
        WARNING,
        what + (" and %d more" % (len(details) - 1) if len(details) > 1 else ""),
        "the next heartbeat of a machine replaces its torn record; if it is torn again, look at the file server and at "
        "who else writes there; remove what is no record",
        details,
    )


def _are(count: int) -> Tuple[int, str]:
    return count, " is" if count == 1 else "s are"


def identity_conflicts(scene: Scene) -> Finding:
    found = live_conflicts(scene.store, scene.view.now, scene.settings)
    if not found:
        return Finding("identity_conflicts", OK, "no host was refused lately")
    names = shorten(["%s (refused: %s)" % (c["machine_id"], c["refused_host"]) for c in found])
    advice = "give one of the two hosts another machine_id, stop one of them, or allow the takeover"
    return Finding("identity_conflicts", FAILED, "two hosts beat under one name: %s" % names, advice, found)


def clock_skew(scene: Scene) -> Finding:
    limit = scene.settings.clock_skew_warning
    found = skewed(scene.view.seen, limit)
    if not found:
        return Finding("clock_skew", OK, "no machine's clock is further off than %g s" % limit)
    details = [{"machine_id": machine, "clock_skew_ms": skew} for machine, skew in sorted(found.items())]
    names = shorten(["%s (%+.1f s)" % (machine, skew / 1000) for machine, skew in sorted(found.items())])
    advice = "set the clocks of these machines by NTP; no status rests on them"
    return Finding("clock_skew", WARNING, "clocks that are further off than %g s: %s" % (limit, names), advice, details)


def agent_versions(scene: Scene) -> Finding:
    current = _number(VERSION)
    known = [(beat.machine_id, beat.agent_version) for beat in scene.beats if beat.agent_version]
    old = [(machine, version) for machine, version in known if _number(version) < current]
    if not old:
        return Finding("agent_versions", OK, "no agent is older than %s" % VERSION)
    details = [{"machine_id": machine, "agent_version": version} for machine, version in old]
    names = shorten(["%s (%s)" % item for item in old])
    advice = "run the playbook roosync.heartbeat.deploy for them"
    return Finding("agent_versions", WARNING, "older than %s: %s" % (VERSION, names), advice, details)


def _number(version: str) -> List[int]:
    """A version to be compared; what is none counts as older than any."""
    parts = version.split("-")[0].split("+")[0].split(".")
    sound = version.isascii() and all(part.isdigit() and len(part) < 10 for part in parts)
    return [int(part) for part in parts] if sound else []


def maintenance_windows(scene: Scene) -> Finding:
    view = scene.view
    details: List[Dict[str, Any]] = [dict(p) for p in view.seen.problems if p["kind"] == "bad_maintenance"]
    if details:
        evidence = "%s: %s" % (details[0]["path"], details[0]["what"])
        advice = "correct the document, or set the window anew with heartbeat_maintenance: it silences nobody now"
        return Finding("maintenance_windows", WARNING, evidence, advice, details)
    active = [w for w in view.calendar.windows if w.start <= view.now < w.last_end]
    ends = max((w.last_end for w in active), default=None)
    until = "" if ends is None else ", the last until %s" % iso(ends)
    return Finding("maintenance_windows", OK, "%d active%s" % (len(active), until))
