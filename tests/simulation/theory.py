# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What independent loss must lead to, worked out by hand, to be set beside what was measured.

Beats leave every ``interval`` I; each is lost with probability p, independently. k losses in a row, between two beats
that arrive, let the age of the first grow to (k+1)·I + d, where d is the difference of the two beats' delays. A check
sees an age of at least L if it falls into the time in which the age is so large, which lasts w = (k+1)·I + d - L; with
checks P apart that happens with probability min(1, w/P) (0 if w < 0). Such a run begins with each beat that arrives
with probability p^k (1-p), and each beat arrives with probability 1-p, so in a day each machine is late

    (day/I) (1-p) · sum over k of p^k (1-p) · E[min(1, max(0, w)/P)]

times. For delays uniform over [0, a], E[max(0, d)] = a/6: the first k for which (k+1)·I = L contributes a/(6·P).
"""

from __future__ import annotations

import math
from typing import Any

from .scenarios import DAY, NS, Scenario
from .weather import ORDINARY_DELAY
from .world import INTERVAL, OFFLINE_AFTER, WARNING_AFTER


def rate(loss: float, limit: int, period: float, most: float = math.inf) -> float:
    """How often a day one machine is seen at an age of ``limit`` or more.

    :param period: the time between checks, in nanoseconds.
    :param most: how far beyond ``limit`` an age still counts.
    """
    total = 0.0
    for k in range(1, 60):
        width = min((k + 1) * INTERVAL - limit, most)
        seen = ORDINARY_DELAY * NS / 6 / period if width == 0 else min(1.0, max(0.0, width / period))
        total += loss**k * (1 - loss) * seen
    return DAY / INTERVAL * (1 - loss) * total


def independent_loss(scenario: Scenario, machine_days: float) -> dict[str, Any]:
    """The expected numbers of warnings and false offlines, with the range in which 99 % of runs end."""
    found: dict[str, Any] = {"loss": scenario.loss, "losses_in_a_row": OFFLINE_AFTER // INTERVAL}
    between = float(OFFLINE_AFTER - WARNING_AFTER)
    for name, limit, most in (("offlines", OFFLINE_AFTER, math.inf), ("warnings", WARNING_AFTER, between)):
        per_day = rate(scenario.loss, limit, float(scenario.period), most)
        expected = per_day * machine_days
        spread = 2.576 * math.sqrt(expected)
        found[name] = {
            "per_machine_day": per_day,
            "per_1000_machines_and_day": per_day * 1000,
            "expected": expected,
            "range": [max(0.0, expected - spread), expected + spread],
        }
    return found
