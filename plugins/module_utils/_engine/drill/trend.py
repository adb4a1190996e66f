# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What many drills say together: one point for each, and the figures over all of them. Pure."""

from __future__ import annotations

from statistics import median
from typing import Any, Dict, List, Optional, Sequence

from .document import ENDED, PASSED, Drill, MachineReport

FIGURES = ("detection_seconds", "rto_seconds", "rpo_seconds")


def aggregate(drills: Sequence[Drill]) -> Dict[str, Any]:
    """The trend over drills that have ended, the oldest first.

    :returns: ``points`` (for each drill its worst machine), ``drills``, ``passed``, ``success_rate`` (None before the
        first drill), and for each figure ``median``, ``best``, ``worst`` and ``last``. Only what has passed is counted
        in figures: how long a failure took says nothing.
    """
    ended = sorted((one for one in drills if one.state == ENDED), key=lambda one: (one.began_at, one.drill_id))
    points = [_point(one) for one in ended]
    passed = [one for one in points if one["verdict"] == PASSED]
    result: Dict[str, Any] = {
        "drills": len(points),
        "passed": len(passed),
        "success_rate": round(len(passed) / len(points), 4) if points else None,
        "points": points,
    }
    for figure in FIGURES:
        values = [one[figure] for one in passed if one[figure] is not None]
        result[figure] = {
            "median": round(median(values), 3) if values else None,
            "best": min(values) if values else None,
            "worst": max(values) if values else None,
            "last": values[-1] if values else None,
        }
    return result


def _point(drill: Drill) -> Dict[str, Any]:
    point: Dict[str, Any] = {
        "drill_id": drill.drill_id,
        "began_at": drill.began_at,
        "verdict": drill.verdict,
        "loss": drill.loss,
        "destroys": _destroyed(drill),
        "machines": len(drill.machines),
        "differing": sum(one.differing for one in drill.reports),
    }
    for figure in FIGURES:
        point[figure] = _worst(drill.reports, figure)
    return point


def _destroyed(drill: Drill) -> str:
    return "scratch" if drill.scratch else drill.destroys


def _worst(reports: Sequence[MachineReport], figure: str) -> Optional[float]:
    values: List[float] = [getattr(one, figure) for one in reports if getattr(one, figure) is not None]
    return max(values) if values else None
