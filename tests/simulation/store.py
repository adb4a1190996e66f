# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A store in memory, as the protocol of ``stores/base.py`` asks for it: the checker's view of the simulated world.

Beats are taken from the world's arrays, and encoded only for the machines that the checker opens. Every call is a step
at which something may happen: time passes, the store is away, the checker is killed, another checker comes in between.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any

from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.clock import MS, iso
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.errors import StoreUnavailable
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.record import Beat, Missed, encode
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.stores.base import Received, Scan

from .scenarios import NS
from .weather import Times
from .world import BEGAN, BOOT, ENDED, LEAVING, MISSED, SENT, SLOW, World

KEEP_ARCHIVED = 600
STALE_BY = 60 * NS


class Backing:
    """What lies in the store besides the beats."""

    def __init__(self) -> None:
        self.documents: dict[str, Received] = {}
        self.journal: dict[int, Received] = {}
        self.archive: dict[int, Received] = {}

    def clone(self) -> Backing:
        """A copy that can go its own way."""
        copy = Backing()
        copy.documents, copy.journal, copy.archive = dict(self.documents), dict(self.journal), dict(self.archive)
        return copy


Hook = Callable[[str, bool], None]
"""Called with a step's name before it (False) and after it (True)."""


def step(method: Callable[..., Any]) -> Callable[..., Any]:
    """A call of the store: it needs the store to be there, and something may happen before and after it."""
    name = method.__name__

    @wraps(method)
    def wrapped(self: SimStore, *args: Any, **options: Any) -> Any:
        self.begin(name)
        result = method(self, *args, **options)
        if self.hook is not None:
            self.hook(name, True)
        return result

    return wrapped


class SimStore:
    """One checker's connection to the store.

    :param hook: called at every step.
    :param takes: how long, in nanoseconds, a step takes.
    """

    location = "memory:/simulation"

    def __init__(
        self, world: World, backing: Backing, hook: Hook | None = None, takes: Callable[[str], int] | None = None
    ) -> None:
        self.world, self.backing, self.hook, self.takes = world, backing, hook, takes

    def begin(self, name: str) -> None:
        """What may happen before a step."""
        if self.takes is not None:
            self.world.advance(self.world.now + self.takes(name))
        if self.hook is not None:
            self.hook(name, False)
        outage = self.world.weather.outage_at(self.world.now) if self.world.weather.outages else None
        if outage is not None and outage.checker:
            raise StoreUnavailable("the simulated store is away", errno="EIO", path=self.location)

    @step
    def connect(self) -> None:
        """See the protocol."""

    def close(self) -> None:
        """See the protocol."""

    @step
    def now(self) -> int:
        return self.world.now

    @step
    def scan(self) -> Scan:
        arrival = self._stale_arrivals() if self.world.scenario.stale else self.world.arrival
        found = dict(zip(self.world.ids, arrival.tolist(), strict=True))
        if int(arrival.min()) < 0:
            found = {machine: at for machine, at in found.items() if at >= 0}
        return Scan(found)

    def _stale_arrivals(self) -> Times:
        """Arrival times as a client with cached attributes sees them: each as it was up to a minute ago."""
        world = self.world
        return world.arrivals_at(world.now - world.rng.integers(0, STALE_BY, world.size))

    @step
    def read_beat(self, machine_id: str) -> Received | None:
        world = self.world
        who = world.index[machine_id]
        at = int(world.arrival[who])
        if at < 0:
            return None
        said = world.beat[:, who].tolist()
        missed = None
        if said[MISSED]:
            why = "STORE_SLOW" if said[SLOW] else "STORE_UNAVAILABLE"
            missed = Missed(said[MISSED], said[BEGAN] // MS, said[ENDED] // MS, why)
        before = int(world.previous_boot[who])
        beat = Beat(
            machine_id=machine_id,
            sequence=int(world.sequence[who]),
            sent_at=iso(said[SENT]),
            fingerprint="%032x" % (who + 1),
            boot_id="%08x-boot-%d" % (who + 1, said[BOOT]),
            agent_version="1.0.0",
            latency_ms=1.0,
            missed=missed,
            leaving="stop" if said[LEAVING] else None,
            previous_boot_id="%08x-boot-%d" % (who + 1, before) if before else "",
        )
        return Received(encode(beat), at)

    def write_beat(self, machine_id: str, data: bytes, first: bool = False) -> int | None:
        raise NotImplementedError("the simulated machines beat by themselves")

    def delete_beat(self, machine_id: str) -> bool:
        raise NotImplementedError("the simulated machines are never forgotten")

    @step
    def read(self, name: str) -> bytes | None:
        found = self.backing.documents.get(name)
        return None if found is None else found.data

    @step
    def read_stamped(self, name: str) -> Received | None:
        return self.backing.documents.get(name)

    @step
    def write(self, name: str, data: bytes, durable: bool = True) -> None:
        self.backing.documents[name] = Received(data, self.world.now)

    @step
    def delete(self, name: str) -> bool:
        return self.backing.documents.pop(name, None) is not None

    @step
    def names(self, folder: str) -> list[str]:
        prefix = folder + "/"
        if folder == "journal/archive":
            return ["%020d.json" % number for number in sorted(self.backing.archive)]
        return sorted(name[len(prefix) :] for name in self.backing.documents if name.startswith(prefix))

    @step
    def commit_numbers(self) -> list[int]:
        numbers = sorted(self.backing.journal)
        if self.world.scenario.stale:  # a directory listing may be cached, too
            limit = self.world.now - int(self.world.rng.integers(0, STALE_BY))
            numbers = [number for number in numbers if self.backing.journal[number].received_at <= limit]
        return numbers

    @step
    def read_commit(self, number: int) -> Received | None:
        return self.backing.journal.get(number) or self.backing.archive.get(number)

    @step
    def append_commit(self, number: int, data: bytes) -> bool:
        if number in self.backing.journal or number in self.backing.archive:
            return False
        self.backing.journal[number] = Received(data, self.world.now)
        return True

    @step
    def archive_commits(self, numbers: list[int]) -> None:
        for number in numbers:
            if number in self.backing.journal:
                self.backing.archive[number] = self.backing.journal.pop(number)
        # What has long been checked by the audit may go, so that a long run fits into memory.
        for number in sorted(self.backing.archive)[:-KEEP_ARCHIVED]:
            del self.backing.archive[number]

    def sweep(self, now: int) -> None:
        """Nothing is ever left behind in memory."""

    @contextmanager
    def lock(self, name: str, timeout: float, needed: bool = False) -> Iterator[bool]:
        """See the protocol. This one excludes nobody, as locks do on some network file systems."""
        self.begin("lock")
        yield False
        self.begin("unlock")
