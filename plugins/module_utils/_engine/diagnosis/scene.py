# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the checks of a diagnosis look at, read once and only when one of them asks for it."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from functools import cached_property
from typing import List

from .. import documents, journal, look
from ..clock import NS
from ..errors import StoreUnavailable
from ..observe import load_fleet
from ..record import Beat
from ..settings import Settings
from ..stores.atomic import TEMPORARY
from ..stores.base import Store
from .finding import Limits, NotChecked

ROUNDS = 3
ATTEMPTS = 5


@dataclass(frozen=True)
class Probe:
    """A file that was really written, read and removed."""

    seconds: float
    ahead: float
    """How many seconds the store's clock is ahead of this host's."""
    uncertain: float
    stamp: int


@dataclass(frozen=True)
class History:
    """The journal as everybody reads it, and as it is from its first commit on, at one moment."""

    ledger: journal.Ledger
    rebuilt: journal.Ledger


class Scene:
    """The store at the time of a diagnosis.

    :param limits: what the person who asks thinks worth a warning.
    """

    def __init__(self, store: Store, limits: Limits) -> None:
        self.store = store
        self.limits = limits

    @cached_property
    def probe(self) -> Probe:
        """The slowest of a few writes.

        :raises StoreUnavailable: the store cannot be written, or gives back something else than was written.
        """
        return max((self._probe_once() for _round in range(ROUNDS)), key=lambda probe: probe.seconds)

    def _probe_once(self) -> Probe:
        # Under such a name the upkeep of the journal removes it, should this process be killed here.
        name = "diagnostics/%s%d-%s" % (TEMPORARY, os.getpid(), os.urandom(6).hex())
        data = os.urandom(64).hex().encode()
        began, started = time.time_ns(), time.monotonic()
        try:
            self.store.write(name, data)
            ended = time.time_ns()
            found = self.store.read_stamped(name)
            seconds = time.monotonic() - started
        finally:
            self.store.delete(name)
        if found is None or found.data != data:
            raise StoreUnavailable(
                "what was written to %s is not what was read back; look at the file server and at the options of the "
                "mount" % self.store.location
            )
        middle = (began + ended) // 2
        return Probe(seconds, (found.received_at - middle) / NS, (ended - began) / 2 / NS, found.received_at)

    @cached_property
    def fleet(self) -> documents.Fleet:
        """The settings (raises as :func:`load_fleet`)."""
        return load_fleet(self.store)

    @property
    def settings(self) -> Settings:
        return self.fleet.settings

    @cached_property
    def view(self) -> look.View:
        """Every status as it is at this moment, and every record opened."""
        found = look.view(self.store, lambda machine: True)
        if not found.live:
            raise NotChecked("the store cannot be written, so that nobody can ask it for its time")
        return found

    @property
    def beats(self) -> List[Beat]:
        """Every record that can be read, by machine."""
        return [beat for _machine, beat in sorted(self.view.seen.beats.items())]

    @cached_property
    def history(self) -> History:
        """Both readings of the journal, at the same commit: checkers may go on meanwhile."""
        for _attempt in range(ATTEMPTS):
            rebuilt = journal.rebuild(self.store)
            ledger = journal.load(self.store)
            if ledger.last_name == rebuilt.last_name or ledger.problems:
                return History(ledger, rebuilt)
        raise NotChecked("others have been committing all the time; try again")
