# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a piece of work spends its time on: which calls of the store, and how much beside them."""

from __future__ import annotations

import contextlib
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any

from fleets import Fleet

NAMES = {
    "archive_commits": "journal",
    "append_commit": "journal",
    "commit_numbers": "journal",
    "read_commit": "journal",
    "names": "reading documents",
    "now": "time probe",
    "read": "reading documents",
    "read_beat": "opening records",
    "read_stamped": "reading documents",
    "scan": "scan",
    "write": "writing documents",
    "write_beat": "writing records",
}
OTHER = "the rest of the store"
ENGINE = "the engine itself"
LEAST_SHARE = 0.02


class Spy:
    """A store that keeps account of how long its methods take."""

    def __init__(self, store: Any) -> None:
        self._store = store
        self.seconds: defaultdict[str, float] = defaultdict(float)

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._store, name)
        if not callable(value):
            return value

        def timed(*args: Any, **kwargs: Any) -> Any:
            with self._account(NAMES.get(name, OTHER)):
                return value(*args, **kwargs)

        return timed

    @contextlib.contextmanager
    def _account(self, name: str) -> Iterator[None]:
        started = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] += time.perf_counter() - started

    @contextlib.contextmanager
    def lock(self, name: str, timeout: float, needed: bool = False) -> Iterator[bool]:
        """The store's, of which only taking and releasing count."""
        with contextlib.ExitStack() as stack:
            with self._account("lock"):
                held = stack.enter_context(self._store.lock(name, timeout, needed))
            yield held
            with self._account("lock"):
                stack.close()


def shares(fleet: Fleet, work: Callable[[Any], object], runs: int = 5) -> str:
    """How the time of a piece of work is divided, as a phrase, the largest part first.

    :param work: is given the fleet's store.
    """
    accounts: list[dict[str, float]] = []
    for _round in range(runs):
        with fleet.open() as store:
            spy = Spy(store)
            started = time.perf_counter()
            work(spy)
            took = time.perf_counter() - started
        account = {name: seconds / took for name, seconds in spy.seconds.items()}
        accounts.append(dict(account, **{ENGINE: 1 - sum(account.values())}))
    found = {name: statistics.median(account.get(name, 0.0) for account in accounts) for name in accounts[0]}
    parts = sorted(((share, name) for name, share in found.items() if share >= LEAST_SHARE), reverse=True)
    return ", ".join("%s %.0f%%" % (name, share * 100) for share, name in parts)
