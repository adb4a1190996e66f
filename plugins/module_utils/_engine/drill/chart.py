# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Small pictures for the page of a drill, as SVG inside it: one figure over many drills, and one drill in time. Pure.

No attribute ``style``: the page's policy forbids it. Colours come from the page's style sheet, by class.
"""

from __future__ import annotations

from typing import Any, List, Mapping, Optional, Sequence, Tuple

from .document import PASSED, MachineReport
from .text import escape, seconds

WIDTH, HEIGHT = 340, 150
LEFT, RIGHT, TOP, BOTTOM = 46, 12, 14, 26
BAR_WIDTH = 720
_HALVES = (
    *(0.01, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 15, 30),
    *(60 * each for each in (1, 2, 5, 10, 15, 30)),
    *(3600 * each for each in (1, 2, 3, 6, 12)),
    *(86_400 * each for each in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)),
)


def line_chart(number: int, title: str, figure: str, points: Sequence[Mapping[str, Any]]) -> str:
    """One figure over the drills, the oldest on the left. What has failed is a cross, and not part of the line."""
    known = [(place, one) for place, one in enumerate(points) if one[figure] is not None]
    if not known:
        return ""
    top = _round_up(max(max(float(one[figure]) for _place, one in known), 0.001))
    step = (WIDTH - LEFT - RIGHT) / max(1, len(points) - 1)

    def at(place: int, value: float) -> Tuple[float, float]:
        x = LEFT + step * place if len(points) > 1 else (LEFT + WIDTH - RIGHT) / 2
        return x, TOP + (HEIGHT - TOP - BOTTOM) * (1 - value / top)

    passed = [at(place, one[figure]) for place, one in known if one["verdict"] == PASSED]
    line = '<polyline class="line" points="%s"/>' % " ".join("%.1f,%.1f" % each for each in passed) if passed else ""
    marks = "".join(_mark(at(place, one[figure]), one, figure, place == len(points) - 1) for place, one in known)
    grid = "".join(_grid(at(0, share * top)[1], share * top) for share in (0, 0.5, 1))
    last = seconds(known[-1][1][figure])
    return (
        '<figure class="chart"><svg viewBox="0 0 %d %d" role="img" aria-labelledby="chart%d-title chart%d-desc">'
        '<title id="chart%d-title">%s</title><desc id="chart%d-desc">%s drills, the last one %s</desc>%s%s%s%s</svg>'
        "<figcaption>%s <strong>%s</strong></figcaption></figure>"
    ) % (
        *(WIDTH, HEIGHT, number, number, number, escape(title), number, len(points), escape(last)),
        *(grid, _days(points), line, marks),
        *(escape(title), escape(last)),
    )


def _round_up(value: float) -> float:
    """The next end of a scale whose half is a round number of seconds, minutes, hours or days."""
    return next((2 * half for half in _HALVES if 2 * half >= value), value)


def _grid(y: float, value: float) -> str:
    return (
        '<line class="grid" x1="%d" x2="%d" y1="%.1f" y2="%.1f"/><text class="label end" x="%d" y="%.1f">%s</text>'
        % (
            *(LEFT, WIDTH - RIGHT, y, y),
            *(LEFT - 6, y + 3.5, _short(value)),
        )
    )


def _short(value: float) -> str:
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "min")):
        if value >= size:
            return "%.3g %s" % (value / size, unit)
    return "%.3g s" % value


def _days(points: Sequence[Mapping[str, Any]]) -> str:
    """The days of the first and the last drill below the chart."""
    first, last = str(points[0]["began_at"])[:10], str(points[-1]["began_at"])[:10]
    y = HEIGHT - 8
    if len(points) == 1 or first == last:
        middle = (LEFT + WIDTH - RIGHT) / 2
        return '<text class="label middle" x="%.1f" y="%d">%s</text>' % (middle, y, escape(last))
    return '<text class="label" x="%d" y="%d">%s</text><text class="label end" x="%d" y="%d">%s</text>' % (
        *(LEFT, y, escape(first)),
        *(WIDTH - RIGHT, y, escape(last)),
    )


def _mark(place: Tuple[float, float], point: Mapping[str, Any], figure: str, newest: bool) -> str:
    x, y = place
    told = "<title>%s: %s, %s</title>" % (
        *(escape(str(point["began_at"])[:16].replace("T", " ")), escape(seconds(point[figure]))),
        escape(point["verdict"]),
    )
    if point["verdict"] == PASSED:
        return '<circle class="dot" cx="%.1f" cy="%.1f" r="%s">%s</circle>' % (x, y, "4.5" if newest else "3", told)
    return '<path class="cross" d="M%.1f %.1fl8 8m0 -8l-8 8">%s</path>' % (x - 4, y - 4, told)


def timeline(number: int, report: MachineReport) -> str:
    """The drill of one machine as a bar from the loss to the recovery, divided at what was reached."""
    times = {one.step: one.seconds for one in report.steps if one.seconds is not None}
    ends: List[Tuple[str, str, Optional[float]]] = [
        ("silent", "until found offline", report.detection_seconds),
        ("down", "until the agent was started", times.get("starting")),
        ("back", "until found online", times.get("found online")),
        ("sync", "until up to date", report.rto_seconds),
    ]
    known = [(kind, what, end) for kind, what, end in ends if end is not None and end > 0]
    if not known:
        return ""
    total = max(end for _kind, _what, end in known)
    parts, words, begin = [], [], 0.0
    for kind, what, end in known:
        if end <= begin:
            continue
        x, width = begin / total * BAR_WIDTH, (end - begin) / total * BAR_WIDTH
        told = "%s: %s" % (what, seconds(end - begin))
        parts.append(
            '<rect class="part %s" x="%.1f" y="6" width="%.1f" height="26"><title>%s</title></rect>'
            % (kind, x, max(1.0, width - 1.5), escape(told))
        )
        words.append('<li><span class="key %s"></span>%s</li>' % (kind, escape(told)))
        begin = end
    axis = "".join(
        '<text class="label %s" x="%.1f" y="50">%s</text>' % (anchor, share * BAR_WIDTH, escape(seconds(share * total)))
        for share, anchor in ((0.0, ""), (0.5, "middle"), (1.0, "end"))
    )
    return (
        '<figure class="time"><svg viewBox="0 0 %d 58" role="img" aria-labelledby="time%d-title">'
        '<title id="time%d-title">From the last heartbeat to the recovery of %s: %s</title>%s%s</svg>'
        '<figcaption><ul class="keys">%s</ul></figcaption></figure>'
    ) % (
        *(BAR_WIDTH, number, number, escape(report.machine_id), escape(seconds(total))),
        *("".join(parts), axis, "".join(words)),
    )
