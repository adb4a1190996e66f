# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The figures as a table."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

COLUMNS = (
    ("machine-days", "%.0f"),
    ("T_D p50", "%.0f"),
    ("p99", "%.0f"),
    ("max", "%.0f"),
    ("away p99", "%.0f"),
    ("own/year", "%.3g"),
    ("other/year", "%.3g"),
    ("T_M s", "%.0f"),
    ("P_A", "%.7f"),
    ("missed", "%d"),
    ("lost", "%d"),
    ("doubled", "%d"),
    ("held act.", "%d"),
    ("goodbyes", "%d"),
)


def lines(results: list[dict[str, Any]]) -> Iterator[str]:
    """A line for each scenario and policy, then what independent loss should have led to, then what was done."""
    yield ""
    yield "T_D: crash to recorded offline, seconds; away p99: of crashes near an outage, without the time that it took."
    yield "own/year, other/year: false offlines per machine-year, by its own silence and by anything else."
    yield "T_M: how long a false offline lasts. P_A: query accuracy. goodbyes: alarms about machines that said it."
    yield ""
    yield "%-18s %-26s" % ("scenario", "policy") + "".join("%*s" % (_width(c), c[0]) for c in COLUMNS)
    for result in results:
        for policy, figures in result["policies"].items():
            shown = result["scenario"] if policy == "engine" else ""
            yield "%-18s %-26s" % (shown, policy) + "".join(_cells(result, figures))
    yield from _theory(results)
    yield from _effort(results)


def _width(column: tuple[str, str]) -> int:
    return max(len(column[0]) + 2, 11 if column[0] in ("P_A", "own/year", "other/year") else 8)


def _cells(result: dict[str, Any], figures: dict[str, Any]) -> Iterator[str]:
    years = result["machine_days"] / 365.25
    values = (
        result["machine_days"],
        figures["t_d_median"],
        figures["t_d_p99"],
        figures["t_d_max"],
        figures["t_d_near_outages_p99"],
        figures["false_offlines_own_silence"] / years,
        figures["false_offlines_other"] / years,
        figures["t_m_mean"],
        figures["p_a"],
        figures["missed_crashes"],
        figures["transitions_lost"],
        figures["transitions_doubled"],
        figures["actions_under_hold"],
        figures["goodbyes_alarmed"],
    )
    for column, value in zip(COLUMNS, values, strict=True):
        yield "%*s" % (_width(column), "-" if value is None else column[1] % value)


def _theory(results: list[dict[str, Any]]) -> Iterator[str]:
    told = [r for r in results if r["theory"]]
    if told:
        yield ""
        yield "Independent loss: expected, with the range that 99 % of runs fall into, and measured"
    for result in told:
        measured = {
            "offlines": result["policies"]["engine"]["false_offlines_own_silence"],
            "warnings": result["warnings"],
        }
        for name, count in measured.items():
            theory = result["theory"][name]
            yield "%-18s %-9s expected %10.1f (%.1f to %.1f), measured %7d; a day and 1,000 machines: %.3g" % (
                result["scenario"],
                name,
                theory["expected"],
                *theory["range"],
                count,
                theory["per_1000_machines_and_day"],
            )


def _effort(results: list[dict[str, Any]]) -> Iterator[str]:
    yield ""
    yield "T_D bound: offline_after, the longest time between two checks and the 99th percentile of the delay in all."
    yield "Where the machines' clocks are the trouble the fleet is checked every five minutes, elsewhere every minute."
    yield "%-18s %9s %7s %7s %8s %6s %6s %9s %8s" % (
        "scenario", "machines", "days", "period", "checks", "kills", "races", "T_D bound", "seconds",
    )  # fmt: skip
    for r in results:
        yield "%-18s %9d %7.2f %7.0f %8d %6d %6d %9.1f %8.0f  %s" % (
            r["scenario"], r["machines"], r["days"], r["check_period"], r["checks"], r["kills"], r["races"],
            r["t_d_bound"], r["seconds"], ", ".join("%s %d" % i for i in sorted(r["incidents"].items())),
        )  # fmt: skip
