# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The monitor of the tests: checks the fleet all the time, as a scheduled job does, and keeps every result."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.check import run_check
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.errors import HeartbeatError
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.state import STATUSES
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.stores.file import FileStore

PERIOD = 0.5
PATIENCE = 30.0
"""For how long a check that is due is waited for on a busy machine."""


@dataclass(frozen=True)
class Transition:
    """A recorded change of status, with times in seconds since the epoch."""

    event: int
    event_id: str
    machine_id: str
    before: str
    after: str
    cause: str
    planned: bool
    effective_at: float
    detected_at: float


@dataclass(frozen=True)
class Look:
    """One check: what it returned, or how it failed."""

    at: float
    result: dict[str, Any]
    error: str | None = None

    def status(self, machine: str) -> str | None:
        return next((status for status in STATUSES if machine in self.result.get(status, ())), None)


class Watcher:
    """Checks every :data:`PERIOD` seconds in a thread of its own, until it is closed."""

    def __init__(self, store: Path, fleet: str = "default") -> None:
        self._store = store
        self._fleet = fleet
        self._stop = threading.Event()
        self._more = threading.Condition()
        self._checking = threading.Lock()
        self.looks: list[Look] = []
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._stop.set()
        self._thread.join()

    @contextmanager
    def resting(self) -> Iterator[None]:
        """No check in the meantime: what happens is for others to find."""
        with self._checking:
            yield

    def _watch(self) -> None:
        due = time.monotonic()
        while not self._stop.is_set():
            with self._checking:
                look = self._look()
            with self._more:
                self.looks.append(look)
                self._more.notify_all()
            due = max(due + PERIOD, time.monotonic())
            self._stop.wait(due - time.monotonic())

    def _look(self) -> Look:
        try:
            with FileStore(str(self._store), self._fleet) as store:
                return Look(time.time(), run_check(store, force=True))
        except HeartbeatError as exc:
            return Look(time.time(), {}, exc.error_code)

    # -- waiting -------------------------------------------------------------------------------------------------

    def wait_for(self, condition: Callable[[Look], bool], bound: float, what: str, since: float | None = None) -> Look:
        """The first look from now on that fulfils the condition, which has to come within ``bound`` seconds.

        :param since: looks from this moment on count, if not from now.
        """
        deadline = time.monotonic() + bound
        begin = time.time() if since is None else since
        seen = 0
        while True:
            with self._more:
                if len(self.looks) == seen:
                    self._more.wait(max(0.0, deadline - time.monotonic()))
                fresh = self.looks[seen:]
            # Each of them once, and with the checks going on: a condition may ask a host, which takes a while.
            seen += len(fresh)
            for look in fresh:
                if look.at >= begin and condition(look):
                    return look
            if time.monotonic() >= deadline:
                raise AssertionError(f"not within {bound:g} s: {what}\n{self._story(begin)}")

    def watch_for(self, seconds: float) -> None:
        """Look on for a while."""
        until = time.time() + seconds
        self.wait_for(lambda look: look.at > until, seconds + PATIENCE, f"checks go on for {seconds:g} s")

    def wait_for_status(self, status: str, machines: Iterable[str], bound: float, since: float | None = None) -> Look:
        names = list(machines)
        return self.wait_for(
            lambda look: all(look.status(name) == status for name in names),
            bound,
            f"{', '.join(names)} {status}",
            since,
        )

    def wait_for_change(self, machine: str, status: str, since: float, bound: float) -> Transition:
        """The first change of a machine to this status since a moment."""
        look = self.wait_for(
            lambda look: any(t.machine_id == machine and t.after == status for t in changes(look)),
            bound,
            f"{machine} becoming {status}",
            since,
        )
        return next(t for t in changes(look) if t.machine_id == machine and t.after == status)

    def _story(self, since: float) -> str:
        """What the checks said since a moment, for whoever reads why a test failed."""
        return "\n".join(
            f"{look.at - since:7.2f} s: {look.error or look.result['summary']}"
            for look in self.looks
            if look.at >= since
        )

    # -- what was seen -------------------------------------------------------------------------------------------

    def changes(self, since: float = 0.0) -> list[Transition]:
        """Every transition that was recorded since a moment, in order."""
        return [t for look in list(self.looks) if look.at >= since for t in changes(look)]

    def overlooked(self, change: Transition, grace: float) -> list[float]:
        """How long after a change took effect there were checks that did not find it before the one that did.

        This asks for the next check, however busy the machine is; how many seconds that takes is up to its load.

        :param grace: for how many seconds a change may be too fresh to be found.
        """
        found = next(look.at for look in list(self.looks) if change in changes(look))
        ages = (look.at - change.effective_at for look in list(self.looks) if look.at < found and not look.error)
        return [age for age in ages if age > grace]

    def unwell(self, machines: Iterable[str], since: float) -> list[tuple[float, str, str | None]]:
        """The looks since a moment at which one of the machines was not online: when, which, its status."""
        return [
            (look.at - since, name, look.status(name) or look.error)
            for look in list(self.looks)
            if look.at >= since
            for name in machines
            if look.status(name) != "online"
        ]


def changes(look: Look) -> list[Transition]:
    return [
        Transition(
            t["event"],
            t["event_id"],
            t["machine_id"],
            t["from"],
            t["to"],
            t["cause"],
            t["planned"],
            to_time(t["effective_at"]),
            to_time(t["detected_at"]),
        )
        for t in look.result.get("transitions", ())
    ]


def to_time(text: str) -> float:
    """An ISO 8601 time as seconds since the epoch."""
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()
