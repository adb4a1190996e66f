# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Marking what a drill does, ending it with a report, and looking at those of the past."""

from __future__ import annotations

import os
from contextlib import nullcontext
from dataclasses import asdict
from typing import Any, Dict, List, Mapping, Optional

from ..clock import iso
from ..errors import HeartbeatError, InvalidSettings
from ..report import shorten
from ..stores.file import FileStore
from . import document, measure, page, rehearsed, scratch, trend
from .document import ENDED, FAILED, PASSED, RUNNING, Drill, Mark

MAX_STEP = 80
NOT_RETURNED = ("baselines", "commit", "expires_at", "marks", "snapshots")
"""What a drill's document has for the end of the drill alone."""


def mark(store: FileStore, drill_id: str, machines: List[str], step: str, dry_run: bool = False) -> Drill:
    """Note that the drill is at a step, at the store's time.

    :raises InvalidSettings: the drill has ended, or these are not machines of it.
    """
    if not 0 < len(step) <= MAX_STEP:
        raise InvalidSettings("step must be a few words, at most %d characters" % MAX_STEP)
    with nullcontext() if dry_run else document.changing(store):
        drill = document.read(store, drill_id)
        if drill.state != RUNNING:
            raise InvalidSettings("the drill %s has ended; begin another one" % drill_id)
        others = sorted(set(machines) - set(drill.machines))
        if others:
            raise InvalidSettings("%.80s is not a machine of the drill %s" % (others[0], drill_id))
        now = iso(store.now())
        drill.marks.extend(Mark(machine, step, now) for machine in machines or drill.machines)
        if not dry_run:
            document.write(store, drill)
    return drill


def end(store: FileStore, drill_id: str, told: Mapping[str, measure.Told], keep: int, dry_run: bool) -> Dict[str, Any]:
    """Measure, judge and write the report.

    Ending what has ended already changes nothing.

    :param told: by machine, what the playbook knows.
    :param keep: how many reports to keep.
    :raises InvalidSettings: there is no such drill, or what is told is not of it.
    """
    with nullcontext() if dry_run else document.changing(store):
        return _end(store, drill_id, told, keep, dry_run)


def _end(store: FileStore, drill_id: str, told: Mapping[str, measure.Told], keep: int, dry_run: bool) -> Dict[str, Any]:
    drill = document.read(store, drill_id)
    if drill.state == ENDED:
        return {"changed": False, "drill": drill}
    others = sorted(set(told) - set(drill.machines))
    if others:
        raise InvalidSettings("%.80s is not a machine of the drill %s" % (others[0], drill_id))
    commits = measure.commits_since(store, drill.commit)
    for machine in drill.machines:
        known = told.get(machine, measure.Told("the drill was cut off"))
        drill.reports.append(measure.report(store, drill, commits, machine, known))
    drill.state, drill.ended_at = ENDED, iso(store.now())
    drill.verdict = PASSED if all(one.verdict == PASSED for one in drill.reports) else FAILED
    drill.summary = summary(drill)
    if dry_run:
        return {"changed": True, "drill": drill}
    if drill.scratch:
        scratch.withdraw(store, drill_id)
    rehearsed.forget(store, drill, commits)
    others_known = [one for one in document.load_all(store) if one.drill_id != drill_id]
    text = page.render(drill, trend.aggregate([*others_known, drill]))
    store.write(document.path_of(drill_id, ".html"), text.encode("utf-8"))
    document.write(store, drill)
    _prune(store, keep)
    return {"changed": True, "drill": drill}


def summary(drill: Drill) -> str:
    """One line for a log."""
    failed = ["%s: %s" % (one.machine_id, one.reason) for one in drill.reports if one.verdict == FAILED]
    names = shorten(list(drill.machines))
    if failed:
        return "drill %s of %s failed: %s" % (drill.drill_id, names, shorten(failed))
    figures = []
    for name, what in (("detection_seconds", "found offline after"), ("rto_seconds", "recovered after")):
        values = [getattr(one, name) for one in drill.reports if getattr(one, name) is not None]
        if values:
            figures.append("%s %.1f s" % (what, max(values)))
    entries = sum(one.entries for one in drill.reports)
    figures.append("%d entries compared, none differ" % entries if entries else "no trees to compare")
    return "drill %s of %s passed: %s" % (drill.drill_id, names, ", ".join(figures))


def _prune(store: FileStore, keep: int) -> None:
    ended = [one.drill_id for one in document.load_all(store) if one.state == ENDED]
    for drill_id in ended[: -max(1, keep)]:
        try:
            for suffix in (".html", ".json"):
                store.delete(document.path_of(drill_id, suffix))
        except HeartbeatError:
            return  # the next drill tries again


def as_result(store: FileStore, drill: Drill) -> Dict[str, Any]:
    """A drill as modules return it."""
    return dict(
        {key: value for key, value in asdict(drill).items() if key not in NOT_RETURNED},
        report_path=_place(store, drill, ".json"),
        page_path=_place(store, drill, ".html") if drill.state == ENDED else None,
    )


def _place(store: FileStore, drill: Drill, suffix: str) -> Optional[str]:
    return os.path.join(store.location, document.path_of(drill.drill_id, suffix))


def info(store: FileStore, limit: int) -> Dict[str, Any]:
    """The drills of the past, the newest first, and their trend."""
    store.connect()
    drills = document.load_all(store)
    return {
        "changed": False,
        "drills": [as_result(store, one) for one in reversed(drills)][:limit],
        "trend": trend.aggregate(drills),
    }
