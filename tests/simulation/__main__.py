# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run the scenarios, print their figures, and fail if an aim is missed: ``make simulate ARGS="--help"``."""

from __future__ import annotations

import argparse
import json
import sys
import time
import traceback
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import replace
from pathlib import Path
from typing import Any

from . import table
from .run import simulate, violations
from .scenarios import SCENARIOS, Scenario, named

MACHINE_DAYS = 1_000_000
OUTPUT = Path("tests/output/simulation.json")


def main() -> int:
    options = arguments()
    chosen = [named(name) for name in options.scenario] if options.scenario else list(SCENARIOS)
    if options.machines:
        chosen = [replace(s, machines=min(s.machines, options.machines)) for s in chosen]
    plan = share_out(chosen, options.machine_days)
    print("%.0f machine-days, seed %d" % (sum(s.machines * days for s, days in plan), options.seed), flush=True)
    started = time.monotonic()
    results = run_all(plan, options.seed, options.processes)
    for line in table.lines(results):
        print(line)
    total = sum(r["machine_days"] for r in results)
    missed = {r["scenario"]: violations(r) for r in results if violations(r)}
    options.json.parent.mkdir(parents=True, exist_ok=True)
    document = {"seed": options.seed, "machine_days": total, "violations": missed, "results": results}
    options.json.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    print("\n%.0f machine-days in %.0f s; all figures in %s" % (total, time.monotonic() - started, options.json))
    for name, wrong in missed.items():
        print("MISSED in %s: %s" % (name, "; ".join(wrong)))
        for example in next(r for r in results if r["scenario"] == name)["examples"]:
            print("    " + example)
    if not missed:
        print("all aims met")
    return 1 if missed else 0


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make simulate", description=__doc__)
    parser.add_argument("--machine-days", type=float, default=MACHINE_DAYS, help="in all; default %(default)s")
    parser.add_argument("--machines", type=int, help="at most so many in a fleet")
    parser.add_argument("--scenario", action="append", choices=[s.name for s in SCENARIOS], help="may be repeated")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--json", type=Path, default=OUTPUT)
    return parser.parse_args()


def share_out(chosen: list[Scenario], machine_days: float) -> list[tuple[Scenario, float]]:
    """Each scenario with its days: by its share, and long enough for everything in it to happen."""
    shares = sum(s.share for s in chosen)
    return [(s, max(s.least_days, machine_days * s.share / shares / s.machines)) for s in chosen]


def run_all(plan: list[tuple[Scenario, float]], seed: int, processes: int) -> list[dict[str, Any]]:
    """Every scenario in a process of its own; the results in the order of the plan."""
    found: dict[str, dict[str, Any]] = {}
    longest_first = sorted(plan, key=lambda p: -p[1])
    with ProcessPoolExecutor(processes) as pool:
        futures = {pool.submit(simulate, scenario, days, seed): scenario.name for scenario, days in longest_first}
        for future in as_completed(futures):
            name = futures[future]
            try:
                found[name] = future.result()
            except Exception:
                traceback.print_exc()
                raise SystemExit("%s broke off; seed %d" % (name, seed)) from None
            wrong = violations(found[name])
            print(
                "%-18s %6.0f s  %s" % (name, found[name]["seconds"], "; ".join(wrong) or "ok"),
                file=sys.stderr,
                flush=True,
            )
    return [found[scenario.name] for scenario, _days in plan]


if __name__ == "__main__":
    sys.exit(main())
