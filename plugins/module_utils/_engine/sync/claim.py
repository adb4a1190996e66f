# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Holding on to a claim for as long as the work takes: a thread renews the lease, and the work asks before each step
that others would see."""

from __future__ import annotations

import threading
from typing import Callable, Optional

from ..clock import NS, boot_time
from ..errors import HeartbeatError, LockTimeout
from ..state import DONE, FAILED, SKIPPED, SyncEntry
from ..stores.base import Store
from . import entries
from .decisions import shown


class Claim:
    """A claimed entry, from its beginning to its end.

    Leaving the block gives the claim back: as done, as what :meth:`close` said, or as failed when an error left it.

    :param entry: as it was claimed.
    :param open_store: opens the store once more, for the thread.
    """

    def __init__(
        self, store: Store, entry: SyncEntry, open_store: Callable[[], Store], lease: int = entries.LEASE
    ) -> None:
        self.entry = entry
        self._store = store
        self._open_store = open_store
        self._lease = lease
        self._over = threading.Event()
        self._lost = False
        self._renewed_at = boot_time()
        self._outcome, self._reason = DONE, None  # type: str, Optional[str]
        self._thread = threading.Thread(target=self._keep, name="claim", daemon=True)

    def __enter__(self) -> Claim:
        self._thread.start()
        return self

    def close(self, outcome: str, reason: Optional[str] = None) -> None:
        """How the work ended, if not simply well."""
        self._outcome, self._reason = outcome, reason

    def check(self) -> None:
        """Make sure that nobody else works on this.

        :raises LockTimeout: the lease ran out, and somebody else has taken the entry.
        """
        if boot_time() - self._renewed_at > self._lease / 2:  # this process stood still, and so did the thread
            self._renew(self._store)
        if self._lost:
            raise LockTimeout(
                "the claim on %s ran out while this process stood still, and somebody else has taken it"
                % self.entry.machine_id,
                machine_id=self.entry.machine_id,
            )

    def _renew(self, store: Store) -> None:
        began = boot_time()
        if entries.renew(store, self.entry, self._lease):
            self._renewed_at = began
        else:
            self._lost = True

    def __exit__(self, kind: object, exc: Optional[BaseException], traceback: object) -> None:
        self._over.set()
        self._thread.join()
        if exc is not None:
            what = "%s: %s" % (exc.error_code, exc.message) if isinstance(exc, HeartbeatError) else type(exc).__name__
            # Who asked is told, and asks again; what a transition opened is tried again by the next worker.
            self.close(SKIPPED if self.entry.event_id.startswith(entries.ASKED) else FAILED, shown(what)[:1000])
        try:
            entries.finish(self._store, self.entry, self._outcome, self._reason)
        except HeartbeatError:
            if exc is None:
                raise  # else the first error is the one to be told; the lease will run out by itself

    def _keep(self) -> None:
        """Renew until it is over. What fails now is tried again soon: a lease outlasts two attempts."""
        with_store = self._open_store()
        try:
            while not self._over.wait(self._lease / NS / 3):
                try:
                    self._renew(with_store)
                except HeartbeatError:
                    with_store.close()
                if self._lost:
                    return
        finally:
            with_store.close()
