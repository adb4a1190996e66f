# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The journal and its checkpoint: whole, and of one mind."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping

from .. import journal
from ..errors import HeartbeatError, StoreUnavailable
from ..report import shorten
from .finding import FAILED, OK, WARNING, Finding, failure
from .scene import Scene


def commits(scene: Scene) -> Finding:
    """Every commit from the first one on, whether or not anybody still reads it."""
    try:
        rebuilt = scene.history.rebuilt
    except StoreUnavailable as exc:
        if not _is_about(exc, "/journal/"):
            raise
        return failure("journal", exc)
    details = lost_commits(rebuilt)
    if _in_the_making(scene, rebuilt):
        details = [d for d in details if number_of(d) != rebuilt.last_name]
    strays = [dict(problem) for problem in rebuilt.problems if problem["kind"] == "not_a_record"]
    if strays and not details:
        evidence = "%s: %s" % (strays[0]["path"], strays[0]["what"])
        return Finding("journal", WARNING, evidence, "look who wrote it, and remove it: it is no commit", strays)
    if not details:
        return Finding("journal", OK, "%d commits can be read" % rebuilt.last_name)
    names = shorten(["%s (%s)" % (d["path"], d["kind"]) for d in details])
    advice = (
        "run heartbeat_repair, which keeps what the checkpoint still knows; or put these files back from a backup "
        "first. Changes that still hold are found again by the next check"
    )
    return Finding("journal", FAILED, "commits that cannot be read: %s" % names, advice, details)


def lost_commits(ledger: journal.Ledger) -> List[Dict[str, Any]]:
    """The commits that are torn or missing, but for those that a later one says are passed over for good."""
    return [
        dict(problem)
        for problem in ledger.problems
        if problem["kind"] == "journal_gap" or (problem["kind"] == "journal_torn" and number_of(problem) in ledger.torn)
    ]


def number_of(problem: Mapping[str, object]) -> int:
    """The number of the commit that a problem is about."""
    return int(str(problem["path"]).rsplit("/", 1)[-1].split(".")[0])


def _in_the_making(scene: Scene, ledger: journal.Ledger) -> bool:
    """Whether the last commit is torn because its writer is still at it."""
    making = ledger.in_the_making
    if making is None or making != ledger.last_name or making not in ledger.torn:
        return False
    return abs(scene.probe.stamp - ledger.torn[making]) < journal.TORN_GRACE


def _is_about(exc: HeartbeatError, what: str) -> bool:
    """Whether a file of this kind cannot be read. That a folder cannot be is named by the checks of the store."""
    path = str(exc.details.get("path", ""))
    return what in path and path.endswith(".json")


def checkpoint(scene: Scene) -> Finding:
    try:
        ledger, rebuilt = scene.history.ledger, scene.history.rebuilt
    except StoreUnavailable as exc:
        if not _is_about(exc, "/" + journal.CHECKPOINT):
            raise
        return failure("checkpoint", exc)
    damaged = [dict(p) for p in ledger.problems if str(p["kind"]).startswith("checkpoint_")]
    if damaged:
        evidence = "%s: %s" % (damaged[0]["path"], damaged[0]["what"])
        advice = "nothing is lost, and the next check makes a new one; heartbeat_repair does so now"
        return Finding("checkpoint", WARNING, evidence, advice, damaged)
    # Of a commit that was damaged after it had been folded, the checkpoint knows more than the journal.
    if not lost_commits(rebuilt) and ledger.state != rebuilt.state:
        evidence = "the state that it holds is not what the journal adds up to"
        advice = "run heartbeat_repair, which makes it anew from the journal"
        return Finding("checkpoint", FAILED, evidence, advice, [{"path": journal.CHECKPOINT}])
    behind = ledger.state.number - ledger.checkpoint_number
    return Finding("checkpoint", OK, "as the journal, with %d commits to be read after it" % behind)
