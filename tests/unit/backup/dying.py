# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Work that goes wrong at its n-th change of anything: killed before it, killed after it, or refused by the system."""

from __future__ import annotations

import errno
import itertools
import json
import os
import signal
import sys
from typing import Any, Callable, Dict, Iterator, List, Set, Tuple

from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.backup import swap
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.errors import HeartbeatError

NAMES = ["write", "pwrite", "fsync", "link", "symlink", "rename", "replace", "unlink", "remove", "mkdir", "rmdir"]
CHANGING = [*NAMES, "utime", "truncate", "ftruncate", "chmod", "fchmod", "chown", "fchown", "lchown"]
MOST = 600
BEFORE, AFTER = "killed before", "killed after"
ERRORS = ("ENOSPC", "EIO", "EACCES", "EROFS")
"""What a system call may fail with; the name of the error is the way in which it goes wrong."""
WAYS = (BEFORE, AFTER, *ERRORS)


def fatal_at(step: int, how: str) -> Callable[[], int]:
    """Make the n-th changing call of this process the fatal one; a function that tells how many there were."""
    calls = itertools.count(1)
    last = [0]

    def guarded(call: Callable[..., Any]) -> Callable[..., Any]:
        def run(*args: Any, **kwargs: Any) -> Any:
            last[0] = next(calls)
            hit = last[0] == step
            if hit and how in ERRORS:
                number = getattr(errno, how)
                raise OSError(number, os.strerror(number))
            if hit and how == BEFORE:
                os.kill(os.getpid(), signal.SIGKILL)
            try:
                return call(*args, **kwargs)
            finally:
                if hit:
                    os.kill(os.getpid(), signal.SIGKILL)

        return run

    for name in CHANGING:
        setattr(os, name, guarded(getattr(os, name)))
    plain, creating = os.open, guarded(os.open)

    def opened(path: Any, flags: int, *args: Any, **kwargs: Any) -> int:
        return int((creating if flags & os.O_CREAT else plain)(path, flags, *args, **kwargs))

    os.open = opened
    swap.exchange = guarded(swap.exchange)
    return lambda: last[0]


def attempt(work: Callable[[], object], step: int, how: str) -> Tuple[bool, str]:
    """Do it in a process that dies at that step: whether the step was reached, and how it ended."""
    reader, writer = os.pipe()
    pid = os.fork()
    if not pid:
        ended = "traceback"
        count = fatal_at(step, how)
        try:
            work()
            ended = "done"
        except HeartbeatError as exc:
            ended = exc.error_code
        except BaseException as exc:
            ended = "traceback: %r" % exc
        finally:
            os.writev(writer, [json.dumps([count(), ended]).encode()])
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as told:
        said = told.read()
    _pid, status = os.waitpid(pid, 0)
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
        return True, "killed"
    count_of_calls, ended = json.loads(said)
    return count_of_calls >= step, ended


def every_step(work: Callable[[], object], how: str, prepare: Callable[[], object]) -> Iterator[Tuple[int, str]]:
    """Each step at which something is changed, one after the other, and how it ended there."""
    for step in range(1, MOST):
        prepare()
        reached, ended = attempt(work, step, how)
        if not reached:
            assert ended == "done"
            return
        yield step, ended
    raise AssertionError("more than %d steps" % MOST)


def failed(ended: str) -> bool:
    """Whether it was refused, with a code of ours."""
    return ended not in ("killed", "done")


def endings_of(how: str) -> Set[str]:
    """How work that goes wrong in this way may end: never with an error of Python's own."""
    if how not in ERRORS:
        return {"killed"}
    return {"done", "DISK_SPACE_LOW"} if how == "ENOSPC" else {"done", "RESTORE_FAILED", "STORE_UNAVAILABLE"}


def say(what: str, steps: List[int], endings: Dict[str, int]) -> None:
    sys.stdout.write("%s: %d points: %s\n" % (what, len(steps), endings))
