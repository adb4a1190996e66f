# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fleets of any size in a directory store, made quickly: real records, only not beaten by real agents."""

from __future__ import annotations

import os
import time
from pathlib import Path

from ansible_collections.roosync.heartbeat.plugins.module_utils._engine import clock, fleet, record, register
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.stores import open_store
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.stores.file import FileStore

METADATA = '{"role":"web","rack":"r12"}'
SPREAD = 20.0
"""Seconds over which the last beats of a fleet are spread."""
SETTINGS = {
    # So long that nobody becomes late by himself while something is measured.
    "heartbeat_interval": 600.0,
    "warning_after": 1800.0,
    "offline_after": 3600.0,
    # Records are stamped anew by utime here, which leaves the times inside them behind: no skew of any clock.
    "clock_skew_warning": 86_400.0,
}
SILENCE = 7200.0
"""Seconds since the last beat of a machine that is meant to be offline."""


def machine(number: int) -> str:
    return "host-%06d.example.org" % number


class Fleet:
    """A fleet in its own folder.

    :param folder: where; it is made.
    :param machines: how many have a record.
    """

    def __init__(self, folder: Path, machines: int) -> None:
        self.address = str(folder)
        self.machines = machines
        with self.open() as store:
            fleet.manage(store, fleet.Request(settings=SETTINGS))
        self.heartbeats = folder / "default" / "heartbeats"
        for number in range(machines):
            self._write(number)

    def open(self) -> FileStore:
        return open_store(self.address)

    def _write(self, number: int) -> None:
        name = machine(number)
        beat = record.Beat(
            machine_id=name,
            sequence=1,
            sent_at=clock.iso(time.time_ns()),
            fingerprint="%032x" % number,
            boot_id="1a2b3c4d-0000-4000-8000-%012x" % number,
            agent_version=register.VERSION,
            latency_ms=1.25,
            metadata_json=METADATA,
        )
        fd = os.open(self.heartbeats / record.file_name(name), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o664)
        os.write(fd, record.encode(beat))
        os.close(fd)

    def stamp(self, silent: range = range(0)) -> None:
        """Give every record a new arrival time within the last seconds.

        :param silent: the machines that have not beaten for long.
        """
        folder = os.open(self.heartbeats, os.O_RDONLY)
        now = time.time_ns()
        for number in range(self.machines):
            back = SILENCE if number in silent else number * SPREAD / self.machines
            at = now - int(back * clock.NS)
            os.utime(record.file_name(machine(number)), ns=(at, at), dir_fd=folder)
        os.close(folder)

    def read_all(self) -> None:
        """Have every record in the page cache, as they are where they have just been written."""
        folder = os.open(self.heartbeats, os.O_RDONLY)
        for name in os.listdir(folder):
            fd = os.open(name, os.O_RDONLY, dir_fd=folder)
            os.read(fd, 4096)
            os.close(fd)
        os.close(folder)
