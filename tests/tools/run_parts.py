"""Run parts of the tests, each a target of the Makefile, to the end; then say how each went and how long it took.

What could not run on this machine is said as well. With STRICT=1 it counts as a failure, unless it was allowed to be
missing: see not-run.sh.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def main(parts: list[str]) -> int:
    results: list[tuple[str, str, float]] = []
    with tempfile.TemporaryDirectory(dir=".cache", prefix="run-parts-") as folder:
        log = Path(folder, "not-run").resolve()
        log.touch()
        environment = {**os.environ, "NOT_RUN_LOG": str(log)}
        for part in parts:
            print(f"\n=== {part} ===", flush=True)
            start, known = time.monotonic(), len(read_notes(log))
            command = [os.environ.get("MAKE", "make"), "--no-print-directory", part]
            passed = subprocess.run(command, env=environment, check=False).returncode == 0
            outcome = "FAILED" if not passed else judge(part, read_notes(log)[known:])
            results.append((part, outcome, time.monotonic() - start))
        notes = list(dict.fromkeys(read_notes(log)))

    print("\n=== summary ===")
    for part, outcome, seconds in results:
        print(f"{outcome:8}{part:20}{seconds:7.1f} s")
    print(f"{'':8}{'total':20}{sum(seconds for _part, _outcome, seconds in results):7.1f} s")
    for _kind, text in notes:
        print(f"NOT RUN: {text}")
    failed = any(outcome == "FAILED" for _part, outcome, _seconds in results)
    missing = any(kind == "missing" for kind, _text in notes)
    return 1 if failed or (missing and os.environ.get("STRICT") == "1") else 0


def read_notes(log: Path) -> list[tuple[str, str]]:
    """What not-run.sh has noted: whether that was allowed, and the text."""
    lines = log.read_text(encoding="utf-8").splitlines()
    return [(kind, text) for kind, _space, text in (line.partition(" ") for line in lines)]


def judge(part: str, notes: list[tuple[str, str]]) -> str:
    """How a part went that did not fail."""
    if any(text.startswith(f"{part} (") for _kind, text in notes):
        return "NOT RUN"
    return "partly" if notes else "ok"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
