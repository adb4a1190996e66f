# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One beat of the agent, the careful way: everything is looked at anew.

Afterwards what a quick beat needs is prepared (see :mod:`.quick`), which holds until anything at all changes.
"""

from __future__ import annotations

import os
import time

from .. import identity
from ..clock import boot_time, iso, to_ns
from ..errors import DiskSpaceLow, HeartbeatError, InvalidSettings, StoreUnavailable
from ..record import Beat, encode, file_name, head, sent_now
from ..register import VERSION, Placed, place, read_settings
from ..stores import open_store
from ..stores.file import MARK
from . import quick
from .local import PREPARED, Spool, instance, write_local

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Optional, Tuple

    from ..settings import Settings
    from ..stores.file import FileStore
    from .config import Config

SLOW = "STORE_SLOW"
ATTEMPTS = 2


def last_sequence(state_dir: str) -> int:
    """The number of this host's last beat, so that none is used twice when its record was lost; 0 if unknown."""
    try:
        number = int(identity.read_first_line(os.path.join(state_dir, PREPARED)).split(" ", 1)[0])
    except ValueError:
        return 0
    return number if 0 <= number < 1 << 62 else 0


def own_fingerprint(config: Config) -> str:
    """By what the store tells this host from others.

    :raises InvalidSettings: the file that the configuration names for that says nothing.
    """
    files = (config.host_id,) if config.host_id else identity.MACHINE_ID_FILES
    secret = identity.host_secret(files)
    if config.host_id and not secret:
        raise InvalidSettings(
            "host_id %s says nothing, or cannot be read: this host would not be known as itself" % config.host_id,
            path=config.host_id,
        )
    return identity.fingerprint(secret)


def _mark_of(store: FileStore) -> Optional[Tuple[int, int, int]]:
    """Which file the fleet's settings are in, and which state of it; None if nobody can say.

    It is opened for that: what a network file system says of a name alone may be of some time ago.
    """
    try:
        fd = os.open(os.path.join(store.location, MARK), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        state = os.fstat(fd)
    except OSError:
        return None
    finally:
        os.close(fd)
    return state.st_ino, state.st_size, state.st_mtime_ns


class Beater:
    """Writes this machine's beats.

    :param config: the agent's configuration on this host.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        self.boot_id = identity.boot_id()
        self.spool = Spool(config.state_dir, self.boot_id)
        self.interval = 30.0
        self.sequence = last_sequence(config.state_dir) + 1
        self.latency_ms: Optional[float] = None
        self._hung = False
        self._mark: Optional[Tuple[int, int, int]] = None
        self._waiting_since = 0

    def beat(self, leaving: Optional[str] = None) -> Dict[str, Any]:
        """Write one beat.

        :param leaving: why this is the last one for now (``"stop"``), or None.
        :returns: ``machine_id``, ``received_at``, ``sequence``, ``is_new_machine``, ``latency_ms``, ``missed``.
        :raises StoreUnavailable: and remembers it for the next beat, as with ``DiskSpaceLow``.
        :raises IdentityConflict: another host beats under this name.
        """
        for attempt in range(ATTEMPTS):
            began, self._waiting_since = self._waiting_since or boot_time(), 0
            try:
                with open_store(self.config.store, self.config.fleet) as store:
                    done = self._beat(store, leaving, began)
                    if self._hung:  # what this beat could not know must not wait for the next one
                        done = self._beat(store, leaving, boot_time())
                    return done
            except (StoreUnavailable, DiskSpaceLow) as exc:
                self.spool.failed(exc.error_code, began)
                if exc.details.get("errno") != "ETIMEDOUT" or attempt + 1 == ATTEMPTS:
                    raise  # a store that hung and goes on is there: it gets a beat at once that says what was missed
        raise AssertionError("unreachable")

    def is_told(self) -> bool:
        """Whether the fleet's settings are others than the last beat knew: then there is a reason to beat at once.

        A store that hung meanwhile is one too, and the time counts as that beat's own: no other will tell of it.
        """
        began = boot_time()
        told = _mark_of(open_store(self.config.store, self.config.fleet)) not in (None, self._mark)
        if boot_time() - began > quick.HANGS_NS:
            self._waiting_since = began
            return True
        return told

    def _beat(self, store: FileStore, leaving: Optional[str], began: int) -> Dict[str, Any]:
        store.connect()
        self._mark = _mark_of(store)
        settings = read_settings(store)
        self.interval = settings.for_machine(self.config.machine_id).heartbeat_interval
        if self._was_slow(began, settings):  # the store hung before anything was written: this beat can say it
            began = boot_time()
        fingerprint = own_fingerprint(self.config)
        beat = Beat(
            machine_id=self.config.machine_id,
            sequence=self.sequence,
            sent_at=sent_now(),
            fingerprint=fingerprint,
            boot_id=self.boot_id,
            instance="" if fingerprint else instance(self.config.state_dir),
            agent_version=VERSION,
            latency_ms=self.latency_ms,
            missed=self.spool.missed(),
            leaving=leaving,
            metadata_json=self.config.metadata_json,
        )
        started = time.monotonic()
        placed = place(store, beat, self.config.takeover, self.spool.away_ns())
        self.latency_ms = round((time.monotonic() - started) * 1000, 3)
        self.sequence = placed.beat.sequence + 1
        self._hung = self._was_slow(began, settings)
        self.spool.succeeded()
        if leaving is None and self.spool.missed() is None:
            self._prepare(store, placed)
        else:
            self._note(placed.beat.sequence)
        return {
            "machine_id": placed.beat.machine_id,
            "received_at": iso(placed.received_at),
            "sequence": placed.beat.sequence,
            "is_new_machine": placed.is_new,
            "latency_ms": self.latency_ms,
            "missed": beat.missed.count if beat.missed is not None else 0,
        }

    def _was_slow(self, began: int, settings: Settings) -> bool:
        """Whether the store hung for longer than a warning takes: that is an outage too, though nothing failed."""
        slow = boot_time() - began > to_ns(settings.for_machine(self.config.machine_id).warning_after)
        if slow:
            self.spool.failed(SLOW, began)
        return slow

    def _prepare(self, store: FileStore, placed: Placed) -> None:
        """Leave behind what the next quick beat needs."""
        try:
            record = os.stat(os.path.join(store.location, "heartbeats", file_name(placed.beat.machine_id)))
            # By its content: two records that are written within one tick of the clock have the same time.
            found = store.read_beat(placed.beat.machine_id)
            if found is None or found.data != encode(placed.beat):
                raise StoreUnavailable("somebody else has written the record since")
            prepared = quick.pack(
                config=self.config.text,
                boot_id=self.boot_id,
                host=quick.signature(self.config.host_id or identity.MACHINE_ID_FILES[0]),
                store=store.location,
                mark=quick.signature(os.path.join(store.location, MARK)),
                name=file_name(placed.beat.machine_id),
                head=head(placed.beat),
                last=quick.last_line(placed.beat.sequence, self.latency_ms or 0.0, record),
            )
            write_local(os.path.join(self.config.state_dir, PREPARED), prepared)
        except (OSError, HeartbeatError):
            self._note(placed.beat.sequence)

    def _note(self, sequence: int) -> None:
        """Leave behind no more than the number to count on from: the next beat is a careful one again."""
        try:
            write_local(os.path.join(self.config.state_dir, PREPARED), b"%d\n" % sequence)
        except OSError:
            pass  # what was prepared before no longer fits the record
