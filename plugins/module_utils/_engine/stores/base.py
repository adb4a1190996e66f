# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every store offers. A store knows bytes, names and times; it knows nothing of statuses."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import ContextManager, Dict, List, Optional, Protocol, Tuple

from ..errors import StoreUnavailable

NOT_A_FILE = ("EISDIR", "ELOOP")
"""Something else lies under the name: that is damage to be reported, not a store that is away."""


@dataclass(frozen=True)
class Received:
    """A record as it lies in the store, with the store's own time of its arrival."""

    data: bytes
    received_at: int


@dataclass
class Scan:
    """One look at all beats: when each machine's last one arrived, and what lies there that is no record."""

    received: Dict[str, int] = field(default_factory=dict)
    oddities: List[Tuple[str, str]] = field(default_factory=list)


class Store(Protocol):
    """The protocol of a store. Times are the store's own, in nanoseconds.

    Every method may raise ``StoreUnavailable`` or ``DiskSpaceLow``; none raises ``OSError``.
    """

    location: str
    """How a person would name the fleet's place in the store."""

    def connect(self) -> None:
        """Make sure that a real store is there (raises ``StoreUnavailable``); other methods do so on first use."""

    def close(self) -> None:
        """Let go of what is open."""

    def now(self) -> int:
        """The store's clock."""

    def scan(self) -> Scan:
        """All machines that have a record."""

    def read_beat(self, machine_id: str) -> Optional[Received]:
        """One machine's record, revalidated with the store; None when there is none."""

    def write_beat(self, machine_id: str, data: bytes, first: bool = False) -> Optional[int]:
        """Replace a machine's record and return ``received_at``; with ``first``, None when there is one already."""

    def delete_beat(self, machine_id: str) -> bool:
        """Remove a machine's record; whether there was one."""

    def read(self, name: str) -> Optional[bytes]:
        """A document (``fleet.json``, ``conflicts/x.json``), or None."""

    def read_stamped(self, name: str) -> Optional[Received]:
        """A document with the time at which it was last written, or None."""

    def write(self, name: str, data: bytes, durable: bool = True) -> None:
        """Replace a document; ``durable=False`` for a cache that may be lost in a power cut."""

    def delete(self, name: str) -> bool:
        """Remove a document; whether there was one."""

    def names(self, folder: str) -> List[str]:
        """The names of the documents in a folder, sorted."""

    def commit_numbers(self) -> List[int]:
        """The numbers of the commits that are not archived, sorted."""

    def read_commit(self, number: int) -> Optional[Received]:
        """A commit, archived or not."""

    def append_commit(self, number: int, data: bytes) -> bool:
        """Put a commit under its number if that is free; False when somebody else was first."""

    def archive_commits(self, numbers: List[int]) -> None:
        """Take commits out of the listing; they can still be read."""

    def sweep(self, now: int) -> None:
        """Remove what writers that died left behind, and notes that nobody has renewed for long."""

    def lock(self, name: str, timeout: float, needed: bool = False) -> ContextManager[bool]:
        """An advisory lock: False when others have held it for ``timeout`` seconds, or its file cannot be used.

        True also where the file system has no locks at all.

        :param needed: say why its file cannot be used (``StoreUnavailable``, ``DiskSpaceLow``), for whoever cannot
            go on without.
        """


def read_if_file(store: Store, name: str) -> Optional[Received]:
    """As ``read_stamped``, for folders in which people may leave anything.

    :raises ValueError: what lies there is no file, or none that this user may read.
    """
    try:
        return store.read_stamped(name)
    except StoreUnavailable as exc:
        if exc.details.get("errno") not in (*NOT_A_FILE, "EACCES"):
            raise
        raise ValueError("it cannot be read (%s)" % exc.details["errno"]) from exc


def printable(name: str) -> str:
    """A file's name for people and JSON, with bytes that are no UTF-8 written as ``\\xff``."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")
