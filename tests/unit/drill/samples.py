# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Drills of the past, for reports to be about."""

from __future__ import annotations

from typing import Any, Dict, List

from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.clock import NS, iso
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.drill.document import (
    ENDED,
    Difference,
    Drill,
    MachineReport,
    Step,
)

BEGAN = 1_800_000_000 * NS
DAY = 86_400 * NS
HOSTILE = "</script></style><script>document.title='owned'</script><img src=x onerror=alert(1)>\"' onload='x"


def steps(began: int, detection: float, rto: float) -> List[Step]:
    """The moments of a drill whose machine was last heard of five seconds after its beginning."""
    lost = began + 5 * NS
    moments = [
        (-5.0, "began", "drill"),
        (-2.0, "online sync done", "journal"),
        (0.0, "last heartbeat", "heartbeat"),
        (0.4, "stopping", "drill"),
        (detection - 1, "offline deadline passed", "journal"),
        (detection, "found offline", "journal"),
        (detection + 1.5, "offline sync done", "journal"),
        (detection + 4, "starting", "drill"),
        (rto - 3, "found online", "journal"),
        (rto, "online sync done", "journal"),
    ]
    return [Step(what, iso(lost + round(at * NS)), at, source) for at, what, source in moments]


def report(machine: str, began: int, detection: float, rto: float, rpo: float, **more: Any) -> MachineReport:
    values = {
        "verdict": "passed",
        "unprepared_rpo_seconds": 3605.2,
        "unprepared_changes": 4,
        "entries": 1204,
        **more,
    }
    return MachineReport(
        machine_id=machine,
        detection_seconds=detection,
        rto_seconds=rto,
        rpo_seconds=rpo,
        steps=steps(began, detection, rto),
        **values,
    )


def drill(number: int, *reports: MachineReport, **more: Any) -> Drill:
    """The drill of a day."""
    began = BEGAN + number * DAY
    names = [one.machine_id for one in reports]
    failed = any(one.verdict != "passed" for one in reports)
    values = {
        "loss": "kill",
        "destroys": "site",
        "scratch": False,
        "chosen_at_random": False,
        "candidates": names,
        "machines": names,
        "trees": {name: ["site"] for name in names},
        "verdict": "failed" if failed else "passed",
        "summary": "drill of %s" % ", ".join(names),
        **more,
    }
    return Drill(
        drill_id="2027011%dT080000Z-00000000%04x" % (5 + number, number),
        state=ENDED,
        began_at=iso(began),
        expires_at=iso(began + 3600 * NS),
        ended_at=iso(began + 200 * NS),
        commit=10 + number,
        reports=list(reports),
        **values,
    )


def story(days: int = 4) -> List[Drill]:
    """A drill a day, of which the third has failed."""
    found = []
    for number in range(days):
        began = BEGAN + number * DAY
        bad: Dict[str, Any] = {}
        if number == 2:
            bad = {"verdict": "failed", "reason": "2 of 1204 entries are not as they were", "differing": 2}
            bad["differences"] = [
                Difference("site", "index.html", "content", "file 0644 root:root 5 bytes aa", "file 0644 root:root"),
                Difference(
                    "site", "private", "mode", "file 0600 root:root 6 bytes bb", "file 0644 root:root 6 bytes bb"
                ),
            ]
        found.append(
            drill(
                number,
                report("web-01", began, 121.3 + number, 141.5 - 2 * number, 9.4 + number / 3, **bad),
                report("web-02", began, 120.2 + number, 138.5 - 2 * number, 8.4 + number / 3),
            )
        )
    return found


def hostile() -> Drill:
    """A drill in which every text that comes from elsewhere wants to be more than a text."""
    one = report("web-01", BEGAN, 121.3, 141.5, 9.4, verdict="failed", reason=HOSTILE, kept=HOSTILE, differing=1)
    one.differences = [Difference(HOSTILE, HOSTILE, HOSTILE, HOSTILE, HOSTILE)]
    one.changed_meanwhile = [Difference("site", "\u202egnp.exe\x1b[31m\udc80", "content", None, None)]
    one.steps.append(Step(HOSTILE, iso(BEGAN), 1.0, HOSTILE))
    one.machine_id = HOSTILE  # no document that is read can have it
    return drill(0, one, destroys=HOSTILE, loss=HOSTILE, summary=HOSTILE)
