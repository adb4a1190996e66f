# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measure ratios on a machine that is doing other things as well.

Every subject is run in turn with its yardstick, A B A B, so that both meet the same weather, and the ratio is taken
pair by pair. The median of those ratios is the figure. Pairs are added until its 95% interval is narrow enough, or
until the time allotted is used up; the interval is reported either way.
"""

from __future__ import annotations

import gc
import os
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ENOUGH = 0.02
"""Stop when the median's 95% interval reaches no further than this share of the median to either side."""
TOO_WIDE = 0.1
"""A wider interval than this share of the median makes a figure that says so."""
FEWEST = 12
"""Of fewer pairs no interval can be told."""


Pairs = list[tuple[float, float]]


class Pace:
    """How much measuring one figure is worth; the clock starts when it is made.

    :param seconds: after which no more pairs are added.
    :param least: the fewest pairs, however long they take.
    :param most: the most pairs, however wide the interval is.
    """

    def __init__(self, seconds: float, least: int, most: int) -> None:
        self.deadline = time.monotonic() + seconds
        self.least = least
        self.most = most

    def wants_more(self, *figures: Pairs) -> bool:
        """Whether more pairs are worth their time, for figures with the same number of pairs each."""
        have = len(figures[0])
        if have < self.least:
            return True
        if have >= self.most or time.monotonic() > self.deadline:
            return False
        return have < FEWEST or any(_margin(pairs) > ENOUGH * _ratio(pairs) for pairs in figures)


@dataclass
class Figure:
    """One line of the table."""

    section: str
    name: str
    against: str
    ratio: float
    margin: float
    """Half of the ratio's 95% interval."""
    aim: float | None
    subject_ms: float
    yardstick_ms: float
    pairs: int
    rest: str = ""
    """What the time beyond the yardstick's is spent on."""

    @property
    def noisy(self) -> bool:
        """Whether other work on the machine left the ratio too uncertain to be relied on."""
        return self.margin > TOO_WIDE * self.ratio

    @property
    def met(self) -> bool | None:
        return None if self.aim is None else self.ratio <= self.aim


def clocked(work: Callable[[], object]) -> float:
    """Seconds that a piece of work takes in this process; garbage of earlier work is not its fault."""
    gc.collect()
    started = time.perf_counter()
    kept = work()
    took = time.perf_counter() - started
    del kept
    return took


def process(argv: Sequence[str], env: dict[str, str] | None = None) -> float:
    """Seconds from starting a program to its end. It must succeed."""
    environment = dict(os.environ if env is None else env)
    started = time.perf_counter()
    pid = os.posix_spawn(argv[0], list(argv), environment)
    _other, status = os.waitpid(pid, 0)
    took = time.perf_counter() - started
    if status:
        raise RuntimeError("%s ended with status %d" % (" ".join(argv), os.waitstatus_to_exitcode(status)))
    return took


def compare(
    subjects: dict[str, Callable[[], float]], yardstick: Callable[[], float], pace: Pace
) -> dict[str, dict[str, Any]]:
    """Run each subject in turn with the yardstick; every callable returns the seconds it took.

    :returns: for each subject ``ratio``, ``margin``, ``subject_ms``, ``yardstick_ms`` and ``pairs``.
    """
    for run in (yardstick, *subjects.values()):
        run()
    taken: dict[str, Pairs] = {name: [] for name in subjects}
    while pace.wants_more(*taken.values()):
        for name, run in subjects.items():
            taken[name].append((run(), yardstick()))
    return {name: summary(pairs) for name, pairs in taken.items()}


def _ratio(pairs: Pairs) -> float:
    return statistics.median(a / b for a, b in pairs)


def _margin(pairs: Pairs) -> float:
    """Half of the 95% interval of the median, by order statistics: nothing is assumed of the noise."""
    ratios = sorted(a / b for a, b in pairs)
    away = round(0.98 * len(ratios) ** 0.5)
    middle = len(ratios) // 2
    low, high = max(0, middle - away), min(len(ratios) - 1, middle + away)
    return (ratios[high] - ratios[low]) / 2


def summary(pairs: Pairs) -> dict[str, Any]:
    """What a :class:`Figure` says of seconds of a subject and its yardstick, taken in turn."""
    return {
        "ratio": _ratio(pairs),
        "margin": _margin(pairs),
        "subject_ms": statistics.median(a for a, _other in pairs) * 1e3,
        "yardstick_ms": statistics.median(b for _other, b in pairs) * 1e3,
        "pairs": len(pairs),
    }


def system_python() -> str:
    """The system's own Python: the first real interpreter, /usr/bin first, that belongs to no version manager.

    A version manager's shim is a shell script that costs ten times a start of Python.
    """
    for folder in ("/usr/bin", "/usr/local/bin", *os.environ.get("PATH", "").split(":")):
        path = Path(folder, "python3")
        real = path.resolve()
        in_environment = (path.parent.parent / "pyvenv.cfg").exists()
        if not in_environment and real.is_file() and "/.pyenv/" not in str(real) and _is_program(real):
            return str(path)
    raise RuntimeError("no python3 found that is neither a shim nor in a virtual environment")


def _is_program(path: Path) -> bool:
    try:
        with path.open("rb") as stream:
            return stream.read(2) != b"#!"
    except OSError:
        return False
