# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The report of a drill as one page of HTML that needs nothing else: no script, no network, no other file. Pure.

Its policy allows this one style sheet, by its hash, and nothing besides.
"""

from __future__ import annotations

import base64
import hashlib
from typing import Any, List, Mapping, Sequence

from .chart import line_chart, timeline
from .document import PASSED, Difference, Drill, MachineReport
from .style import STYLE
from .text import NOTHING, escape, moment, percent, plural, row, seconds, table

FIGURES = (
    ("detection_seconds", "Detection", "from the last heartbeat until a check found the machine offline"),
    ("rto_seconds", "Recovery (RTO)", "from the last heartbeat until the machine was back and up to date"),
    ("rpo_seconds", "Age of data (RPO)", "how old the recovered state was at the loss"),
)
LOSSES = {"kill": "killed (SIGKILL)", "stop": "stopped"}
MAX_DRILLS = 30
MAX_PATHS = 200


def render(drill: Drill, trend: Mapping[str, Any]) -> str:
    """The page.

    :param trend: see :func:`.trend.aggregate`; this drill is one of its points.
    """
    title = "Drill %s" % drill.drill_id
    policy = "default-src 'none'; style-src 'sha256-%s'; base-uri 'none'; form-action 'none'" % base64.b64encode(
        hashlib.sha256(STYLE.encode("utf-8")).digest()
    ).decode("ascii")
    parts = [
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">',
        '<meta http-equiv="Content-Security-Policy" content="%s">' % policy,
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        '<meta name="color-scheme" content="light dark"><meta name="referrer" content="no-referrer">',
        "<title>%s: %s</title><style>%s</style></head><body><main>" % (escape(title), escape(drill.verdict), STYLE),
        "<header><h1>%s</h1>%s</header>" % (escape(title), badge(drill.verdict or "")),
        '<p class="lead">%s</p>' % escape(drill.summary),
        _tiles(drill),
        _facts(drill),
        '<section><h2>Machines</h2><div class="card">%s</div></section>' % _machines(drill),
        "<section><h2>Trend</h2>%s</section>" % _trend(drill, trend),
        "<section><h2>Step by step</h2>%s</section>"
        % "".join(_machine(number, one) for number, one in enumerate(drill.reports)),
        "<footer><p>All times are those of the store. Durations count from the last heartbeat before the loss.</p>",
        "</footer></main></body></html>\n",
    ]
    return "".join(parts)


def badge(verdict: str) -> str:
    kind = "passed" if verdict == PASSED else "failed"
    return '<span class="badge %s">%s</span>' % (kind, escape(verdict))


def _tiles(drill: Drill) -> str:
    """The worst of all machines, for each figure."""
    tiles = []
    for name, title, what in FIGURES:
        values = [getattr(one, name) for one in drill.reports if getattr(one, name) is not None]
        worst = seconds(max(values) if values else None)
        tiles.append("<div><dt>%s</dt><dd>%s<small>%s</small></dd></div>" % (escape(title), worst, escape(what)))
    entries, differing = (sum(getattr(one, name) for one in drill.reports) for name in ("entries", "differing"))
    told = (
        "of %s, compared with their hashes" % plural(entries, "entry", "entries") if entries else "nothing to compare"
    )
    tiles.append("<div><dt>Not as before</dt><dd>%d<small>%s</small></dd></div>" % (differing, escape(told)))
    return '<dl class="tiles">%s</dl>' % "".join(tiles)


def _facts(drill: Drill) -> str:
    destroyed = "nothing"
    if drill.destroys:
        destroyed = "a scratch tree" if drill.scratch else "the tree %s" % drill.destroys
    chosen = ", ".join(drill.machines)
    if drill.chosen_at_random:
        chosen += ", chosen at random from %s" % plural(len(drill.candidates), "machine", "machines")
    facts = (
        ("Machines", escape(chosen)),
        ("Agents", escape(LOSSES.get(drill.loss, drill.loss))),
        ("Destroyed", escape(destroyed)),
        ("Began", moment(drill.began_at)),
        ("Ended", moment(drill.ended_at)),
    )
    return '<dl class="facts">%s</dl>' % "".join("<dt>%s</dt><dd>%s</dd>" % fact for fact in facts)


def _machines(drill: Drill) -> str:
    heads = ("Machine", "Verdict", "Detection", "RTO", "RPO", "RPO without the drill's own sync", "Compared", "Differ")
    return table(
        "What was measured on each machine",
        heads,
        (
            row(
                escape(one.machine_id),
                (
                    badge(one.verdict),
                    seconds(one.detection_seconds),
                    seconds(one.rto_seconds),
                    seconds(one.rpo_seconds),
                    _unprepared(one),
                    str(one.entries),
                    str(one.differing),
                ),
            )
            for one in drill.reports
        ),
    )


def _unprepared(one: MachineReport) -> str:
    if one.unprepared_rpo_seconds is None:
        return NOTHING
    changes = one.unprepared_changes or 0
    told = "nothing had changed" if not changes else "%s lost" % plural(changes, "change", "changes")
    return "%s (%s)" % (seconds(one.unprepared_rpo_seconds), escape(told))


def _machine(number: int, one: MachineReport) -> str:
    told = '<p class="reason">%s</p>' % escape(one.reason) if one.reason else ""
    if one.planned:
        told += "<p>A maintenance window covered the machine: its absence raised no alarm.</p>"
    if one.kept is not None:
        told += "<p>What was put aside, and has been changed since, is still at <code>%s</code>.</p>" % escape(one.kept)
    steps = table(
        "What happened, by the store's clock",
        ("Time (UTC)", "Since the loss", "What", "Known from"),
        (
            row(moment(each.at, clock_only=True), (seconds(each.seconds), escape(each.step), escape(each.source)))
            for each in one.steps
        ),
        "steps",
    )
    lists = _paths("Not as before the loss", one.differences)
    lists += _paths("Changed by other machines meanwhile, which is as it should be", one.changed_meanwhile)
    return '<article class="card"><h3>%s %s</h3>%s%s%s%s</article>' % (
        *(escape(one.machine_id), badge(one.verdict), told),
        *(timeline(number, one), steps, lists),
    )


def _paths(caption: str, found: Sequence[Difference]) -> str:
    if not found:
        return ""
    rows = (
        row(
            '<span class="mono">%s</span>' % escape("%s: %s" % (one.tree, one.path)),
            (escape(one.what), escape(one.before or NOTHING), escape(one.after or NOTHING)),
        )
        for one in found[:MAX_PATHS]
    )
    more = "<p>%d more are in the JSON report.</p>" % (len(found) - MAX_PATHS) if len(found) > MAX_PATHS else ""
    return table(caption, ("Path", "What", "Before", "After"), rows, "paths") + more


def _trend(drill: Drill, trend: Mapping[str, Any]) -> str:
    points: List[Mapping[str, Any]] = list(trend["points"])[-MAX_DRILLS:]
    told = "%d of %s passed (%s)." % (
        trend["passed"],
        plural(trend["drills"], "drill", "drills"),
        percent(trend["success_rate"]),
    )
    charts = "".join(line_chart(n, title, name, points) for n, (name, title, _what) in enumerate(FIGURES))
    rows = (
        row(
            moment(one["began_at"]) + (" (this one)" if one["drill_id"] == drill.drill_id else ""),
            (
                badge(one["verdict"] or ""),
                str(one["machines"]),
                escape(one["destroys"] or NOTHING),
                *(seconds(one[name]) for name, _title, _what in FIGURES),
                str(one["differing"]),
            ),
        )
        for one in reversed(points)
    )
    heads = ("Began", "Verdict", "Machines", "Destroyed", "Detection", "RTO", "RPO", "Differ")
    medians = (
        row(escape(title), (seconds(trend[name][each]) for each in ("median", "best", "worst", "last")))
        for name, title, _what in FIGURES
    )
    return "<p>%s</p>%s%s%s" % (
        escape(told),
        '<div class="charts">%s</div>' % charts if charts else "",
        '<div class="card trend">%s</div>'
        % table("Of the drills that passed", ("Figure", "Median", "Best", "Worst", "Last"), medians),
        '<div class="card">%s</div>' % table("The drills, the newest first; of each, its worst machine", heads, rows),
    )
