# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults and kills at every call that changes a file: each call of some work, one after the other.

A call is a function of :mod:`os` that makes one system call. What is counted are those that change files or make them
durable; opening counts when it may create.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Callable, Iterator, List

CALLS = (
    "chmod",
    "fchmod",
    "fsync",
    "ftruncate",
    "link",
    "mkdir",
    "open",
    "pwrite",
    "rename",
    "rmdir",
    "symlink",
    "truncate",
    "unlink",
    "utime",
    "write",
)

Work = Callable[[], object]


@contextmanager
def watched(each: Callable[[str, Callable[[], Any]], Any], calls: Any = CALLS) -> Iterator[None]:
    """Let ``each`` make the calls that count: it is given the name of each, and what makes it."""

    def wrap(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            if name == "open" and not args[1] & os.O_CREAT:
                return real(*args, **kwargs)
            return each(name, lambda: real(*args, **kwargs))

        return call

    kept = {name: getattr(os, name) for name in calls}
    try:
        for name, real in kept.items():
            setattr(os, name, wrap(name, real))
        yield
    finally:
        for name, real in kept.items():
            setattr(os, name, real)


def count(work: Work, calls: Any = CALLS) -> List[str]:
    """The calls that some work makes, in order."""
    made: List[str] = []

    def each(name: str, call: Callable[[], Any]) -> Any:
        made.append(name)
        return call()

    with watched(each, calls):
        work()
    return made


@contextmanager
def failing(point: int, code: int, calls: Any = CALLS) -> Iterator[List[str]]:
    """Let the call of that number fail, counted from 0; yields the names of those made."""
    made: List[str] = []

    def each(name: str, call: Callable[[], Any]) -> Any:
        made.append(name)
        if len(made) - 1 == point:
            raise OSError(code, os.strerror(code))
        return call()

    with watched(each, calls):
        yield made


def killed(work: Work, point: int, after: bool) -> bool:
    """Do some work in a process that is killed before, or right after, the call of that number; whether it was.

    To be called in a process without threads, for the work is done in a copy of it.
    """
    pid = os.fork()
    if pid == 0:
        left = [point]

        def each(_name: str, call: Callable[[], Any]) -> Any:
            left[0] -= 1
            if left[0] < 0 and not after:
                os.kill(os.getpid(), signal.SIGKILL)
            value = call()
            if left[0] < 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return value

        status = 1
        try:
            with watched(each):
                work()
            status = 0
        finally:
            os._exit(status)
    _pid, status = os.waitpid(pid, 0)
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL:
        return True
    if status:
        raise AssertionError("the work failed by itself")
    return False


def kill_everywhere(prepare: Callable[[Path], Work], check: Callable[[Path, Work], None], folder: Path) -> int:
    """Kill some work at every point; how many points there were.

    :param prepare: makes a folder with what is there before, and gives the work.
    :param check: that all is well, and that doing the work again gets it done.
    """
    point = points = 0
    for after in (False, True):
        point = 0
        while True:
            place = folder / ("%s-%d" % ("after" if after else "before", point))
            work = prepare(place)
            was_killed = killed(work, point, after)
            check(place, work)
            if not was_killed:
                break
            point += 1
        points += point
    return points


def main(prepare: Callable[[Path], Work], check: Callable[[Path, Work], None]) -> None:
    """In a process of its own: kill everywhere, below the folder that is its argument; prints how many points."""
    sys.stdout.write(json.dumps(kill_everywhere(prepare, check, Path(sys.argv[1]))))
