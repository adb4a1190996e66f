# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every call of this process that changes a file system, so that it can be killed or made to fail at each of them.

That these are all there are is seen by ``strace -f`` on the same apply: it shows no other system call that changes one.
"""

from __future__ import annotations

import os
import signal
import sys
from contextlib import contextmanager
from typing import Any, Callable, Iterator, List, Optional

from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.sync import durable

CALLS = (
    "chmod",
    "chown",
    "fchmod",
    "fchown",
    "fsync",
    "ftruncate",
    "link",
    "mkdir",
    "open",
    "rename",
    "rmdir",
    "setxattr",
    "symlink",
    "unlink",
    "utime",
    "write",
)
Before = Callable[[str, Any], None]


class Counter:
    """Counts changing calls and acts before one of them."""

    def __init__(self, act: Optional[Callable[[int, str, Any], None]] = None) -> None:
        self.calls: List[str] = []
        self._act = act

    def __call__(self, name: str, arguments: Any) -> None:
        self.calls.append(name)
        if self._act is not None:
            self._act(len(self.calls), name, arguments)


@contextmanager
def watched(before: Before) -> Iterator[None]:
    """Let ``before`` be called ahead of each changing call."""
    real = {name: getattr(os, name) for name in CALLS}
    flush = durable._syncfs()

    def wrapper(name: str) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            if name != "open" or args[1] & os.O_CREAT:
                before(name, args)
            return real[name](*args, **kwargs)

        return call

    def flush_all(fd: int) -> None:
        before("syncfs", (fd,))
        assert flush is not None
        flush(fd)

    try:
        for name in CALLS:
            setattr(os, name, wrapper(name))
        if flush is not None:
            durable._found = flush_all
        yield
    finally:
        for name in CALLS:
            setattr(os, name, real[name])
        durable._found = flush


def killed_at(number: int, work: Callable[[], Any]) -> bool:
    """Run ``work`` in a process of its own that is killed ahead of its n-th changing call; whether it came to that.

    A write that it is killed at is torn: the first half of it is done.
    """
    write = os.write

    def act(count: int, name: str, arguments: Any) -> None:
        if count == number:
            if name == "write":
                write(arguments[0], bytes(arguments[1])[: len(arguments[1]) // 2])
            os.kill(os.getpid(), signal.SIGKILL)

    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            with watched(Counter(act)):
                work()
            status = 0
        finally:
            os._exit(status)
    status = os.waitpid(child, 0)[1]
    assert status in (0, signal.SIGKILL), "the child failed: %d" % status
    return status == signal.SIGKILL


def failing_at(number: int, code: int, once: bool) -> Counter:
    """A counter that lets the n-th call fail, and with ``once`` only that one."""

    def act(count: int, _name: str, _arguments: Any) -> None:
        if count == number or (count > number and not once):
            raise OSError(code, os.strerror(code))

    return Counter(act)
