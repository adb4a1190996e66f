# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measure how much the collection adds to what its work must cost at least, and say whether that meets the aims.

Every figure is a ratio to a yardstick that is measured in turn with it (see measure.py). An aim that is missed is
reported and is no error; work that fails, or does not do what it should, is one.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import batches
import beats
import checks
import tasks
import trees
from measure import Figure, Pace

ROOT = Path(__file__).resolve().parent.parent.parent
RESULTS = ROOT / ".cache" / "bench" / "results.json"


class Plan:
    """How much of what is measured.

    :param quick: sizes that only show that everything works.
    """

    def __init__(self, quick: bool) -> None:
        self.quick = quick
        self.beat_fleets = [1, 50] if quick else [1, 10_000]
        self.check_fleets = [100] if quick else [1000, 10_000, 100_000]
        self.batch = 20 if quick else 1000
        self.task_pairs = 2 if quick else 25
        self.sync_files = 100 if quick else 10_000

    def pace(self, seconds: float, least: int) -> Pace:
        return Pace(0, 2, 2) if self.quick else Pace(seconds, least, 400)


def beat(plan: Plan, folder: Path) -> Iterator[Figure]:
    yield from beats.measure(folder, plan.beat_fleets, plan.pace(25, 40))


def check(plan: Plan, folder: Path) -> Iterator[Figure]:
    for machines in plan.check_fleets:
        yield from checks.measure(folder / str(machines), machines, lambda: plan.pace(9, 10))


def batch(plan: Plan, folder: Path) -> Iterator[Figure]:
    yield from batches.measure(folder, plan.batch, lambda: plan.pace(10, 40))


def task(plan: Plan, folder: Path) -> Iterator[Figure]:
    yield from tasks.measure(folder, plan.task_pairs, plan.pace(20, 25))


def sync(plan: Plan, folder: Path) -> Iterator[Figure]:
    yield from trees.measure(folder, plan.sync_files, lambda: plan.pace(15, 6))


SECTIONS: dict[str, Callable[[Plan, Path], Iterator[Figure]]] = {
    "beat": beat,
    "check": check,
    "batch": batch,
    "task": task,
    "sync": sync,
}


def show(figure: Figure) -> None:
    aim = "      -" if figure.aim is None else "<= %4.2f" % figure.aim
    met = {True: "met", False: "MISSED", None: ""}[figure.met]
    times = "%.2f ms against %.2f, %d pairs" % (figure.subject_ms, figure.yardstick_ms, figure.pairs)
    print("%-46s %5.2f +-%.2f  %s  %-6s  %s" % (figure.name, figure.ratio, figure.margin, aim, met, times))
    print("    against %s; spent on: %s" % (figure.against, figure.rest), flush=True)
    if figure.noisy:
        print("    uncertain: other work on this machine disturbed it; measure again when it is quiet", flush=True)


def about() -> dict[str, Any]:
    return {
        "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "machine": "%s, %d processors, Linux %s" % (platform.machine(), os.cpu_count() or 1, platform.release()),
        "load": os.getloadavg()[0],
        "python": platform.python_version(),
        "beats_python": beats.version(),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("sections", nargs="*", metavar="SECTION", help="of: %s; default: all" % ", ".join(SECTIONS))
    parser.add_argument("--quick", action="store_true", help="tiny sizes: shows that it works, measures nothing")
    parser.add_argument("--folder", type=Path, default=RESULTS.parent, help="where the stores are made for the time")
    parser.add_argument("--json", type=Path, default=RESULTS, help="where the figures are written as JSON")
    args = parser.parse_args()
    unknown = sorted(set(args.sections) - set(SECTIONS))
    if unknown:
        parser.error("unknown section: %s" % ", ".join(unknown))
    facts = about()
    print("%(machine)s, load %(load).1f; checks and batches by Python %(python)s, beats by %(beats_python)s" % facts)
    figures: list[Figure] = []
    failed = []
    args.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=args.folder, prefix="run-") as scratch:
        # Where the engine keeps the statuses as last known.
        os.environ["XDG_CACHE_HOME"] = scratch + "/cache"
        for name in args.sections or SECTIONS:
            try:
                for figure in SECTIONS[name](Plan(args.quick), Path(scratch, name)):
                    show(figure)
                    figures.append(figure)
            except RuntimeError as exc:
                print("%s: %s" % (name, exc), file=sys.stderr)
                failed.append(name)
    results = [dict(asdict(figure), met=figure.met, noisy=figure.noisy) for figure in figures]
    args.json.parent.mkdir(parents=True, exist_ok=True)
    args.json.write_text(json.dumps({"about": facts, "quick": args.quick, "figures": results}, indent=2) + "\n")
    missed = [figure.name for figure in figures if figure.met is False]
    print("%d figures, %d of them miss their aim; written to %s" % (len(figures), len(missed), args.json))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
