# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long it takes until a dead host is known to be dead."""

from __future__ import annotations

import statistics
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from ansible_collections.roosync.heartbeat.tests.hosts.fleet import COARSE, EXACT, OFFLINE_AFTER, SLACK, Fleet
from ansible_collections.roosync.heartbeat.tests.hosts.host import Host
from ansible_collections.roosync.heartbeat.tests.hosts.watching import PERIOD

ROUNDS = 10
EXPECTED = OFFLINE_AFTER + PERIOD


def test_detection_time_over_twenty_kills(fleet: Fleet, capsys: pytest.CaptureFixture[str]) -> None:
    """From SIGKILL to the record of it: ``offline_after`` since the last beat, and at most one period of the checks."""
    took: list[float] = []
    silent: list[float] = []
    with ThreadPoolExecutor(2) as pool:
        for turn in range(ROUNDS):
            # Two at a time: three would be a mass failure. Each pair has rested for two rounds, and does not flap.
            pair = [fleet.hosts[(2 * turn + n) % len(fleet.hosts)] for n in range(2)]
            with fleet.nobody_else_affected(*pair):
                killed = dict(zip(pair, pool.map(Host.kill, pair), strict=True))
                for host, at in killed.items():
                    gone = fleet.monitor.wait_for_change(host.name, "offline", at, OFFLINE_AFTER + SLACK)
                    assert (gone.cause, gone.planned) == ("silence", False)
                    assert not fleet.monitor.overlooked(gone, COARSE)
                    took.append(gone.detected_at - at)
                    silent.append(gone.detected_at - fleet.last_beat(host))
                started = time.time()
                list(pool.map(Host.start, pair))
                for host in pair:
                    fleet.comes_back(host, started)
    with capsys.disabled():
        sys.stdout.write(
            f"\ndetection over {len(took)} kills, against offline_after + check period = {EXPECTED:g} s: "
            f"median {statistics.median(took):.2f} s, max {max(took):.2f} s since the kill; "
            f"median {statistics.median(silent):.2f} s, max {max(silent):.2f} s since the last beat\n"
        )
    assert len(took) == 2 * ROUNDS
    assert min(silent) > OFFLINE_AFTER - EXACT
    # Each time the next check has found it. Of those, a busy machine may delay some, and not half of them.
    assert statistics.median(silent) <= EXPECTED
