# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The diagnosis: every check that can be made of a fleet, each with what was seen and what to do."""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Optional, Tuple

from .clock import iso
from .diagnosis import access, directory, history, limits, machines, records, saving
from .diagnosis.finding import FAILED, STATUSES, Finding, Limits, NotChecked, failure, worst
from .diagnosis.scene import Scene
from .errors import HeartbeatError, StoreUnavailable
from .report import shorten
from .stores.base import Store

CHECKS: Tuple[Tuple[str, Callable[[Scene], Finding]], ...] = (
    ("store_reachable", access.reachable),
    ("store_readable", access.readable),
    ("store_writable", access.writable),
    ("store_latency", access.latency),
    ("store_clock", access.clock),
    ("free_space", directory.free_space),
    ("permissions", directory.permissions),
    ("locks", directory.locks),
    ("settings", limits.settings),
    ("intervals", limits.intervals),
    ("records", records.records),
    ("identity_conflicts", records.identity_conflicts),
    ("clock_skew", records.clock_skew),
    ("agent_versions", records.agent_versions),
    ("maintenance_windows", records.maintenance_windows),
    ("journal", history.commits),
    ("checkpoint", history.checkpoint),
    ("checks", machines.checks),
    ("machines_offline", machines.offline),
    ("machines_warning", machines.late),
    ("machines_unknown", machines.unknown),
    ("incidents", machines.incidents),
    ("syncs_pending", machines.waiting_syncs),
    ("syncs_failed", machines.failed_syncs),
)


def run_diagnosis(store: Store, asked: Limits, dry_run: bool = False) -> Dict[str, Any]:
    """Make every check.

    The report is saved if it says something else than the newest one that is there.

    :param dry_run: save nothing; the probe file is written and removed all the same.
    :raises StoreUnavailable: there is no store; ``checks`` in the details says so as a check does.
    """
    scene = Scene(store, asked)
    left: List[Dict[str, str]] = []
    try:
        findings = [access.reachable(scene)]
    except StoreUnavailable as exc:
        raise _unreachable(exc) from exc
    for name, check in CHECKS[1:]:
        try:
            findings.append(check(scene))
        except (NotChecked, HeartbeatError, OSError) as exc:
            left.append({"check": name, "reason": str(exc)})
    report = _report(findings, left)
    report["diagnosed_at"] = _time(scene)
    return _saved(scene, report, dry_run)


def _unreachable(exc: StoreUnavailable) -> StoreUnavailable:
    if "; " in exc.message:
        found = failure("store_reachable", exc)
    else:  # that there is no fleet is said in another form
        evidence, _separator, advice = exc.message.partition(": ")
        found = Finding("store_reachable", FAILED, evidence, advice)
    left = [{"check": name, "reason": "there is no store"} for name, _check in CHECKS[1:]]
    exc.details.update(_report([found], left), diagnosed_at=None)
    return exc


def _report(findings: List[Finding], left: List[Dict[str, str]]) -> Dict[str, Any]:
    counts = {status: sum(finding.status == status for finding in findings) for status in STATUSES}
    bad = [finding.check for finding in findings if finding.status != "ok"]
    parts = ["%d %s" % (counts[status], status) for status in STATUSES if counts[status]]
    if left:
        parts.append("%d not checked" % len(left))
    return {
        "status": worst(findings, not left),
        "summary": "%d checks: %s%s" % (len(CHECKS), ", ".join(parts), ": " + shorten(bad, 10) if bad else ""),
        "checks": [finding.as_dict() for finding in findings],
        "not_checked": left,
        "statistics": dict(counts, not_checked=len(left)),
    }


def _time(scene: Scene) -> Optional[str]:
    try:
        return iso(scene.probe.stamp)
    except HeartbeatError:
        return None


def _saved(scene: Scene, report: Dict[str, Any], dry_run: bool) -> Dict[str, Any]:
    """The result: the report, where it lies, and whether it had to be written."""
    name: Optional[str] = None
    before: Dict[str, Any] = {}
    changed = False
    if report["diagnosed_at"] is not None:
        try:
            name, before = saving.newest(scene.store)
            changed = name is None or saving.essence(before) != saving.essence(report)
            if changed:
                name = None if dry_run else saving.save(scene.store, report, scene.probe.stamp, scene.limits.keep)
        except HeartbeatError:
            changed, name = False, None  # why nothing can be kept there is named in the report
    if not dry_run:
        limits.remember(scene)
    shown = saving.essence(before) if before else {}
    return dict(
        report,
        changed=changed,
        report_path=None if name is None else "%s/%s/%s" % (scene.store.location, saving.FOLDER, name),
        diff={"before": shown, "after": saving.essence(report)},
    )
