# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One machine's record, put in its place with a time that is not now: by a restore, or by an import."""

from __future__ import annotations

import os
from typing import Any, Callable, Dict, Tuple

from ..clock import iso
from ..detect.ages import LimitsOf, same_arrival
from ..documents import parse_fleet
from ..errors import HeartbeatError, MachineUnknown, RestoreFailed, from_os_error
from ..fleet import Request, manage
from ..observe import load_fleet
from ..record import decode, file_name
from ..settings import Settings
from ..stores import atomic
from ..stores.file import FileStore
from . import notes
from .catalogue import Backup
from .compare import Comparison
from .members import Head
from .unpack import TIME_TOLERANCE


def put_record(
    store: FileStore, machine: str, data: bytes, received_at: int, first: Callable[[], None] = lambda: None
) -> None:
    """Put a record in place by one rename; at no moment is it there with another time than ``received_at``.

    :param first: what has to be done before; it is called when nothing but the rename is left.
    :raises RestoreFailed: the file system does not keep times.
    """
    name = file_name(machine)
    fd = store._folder("heartbeats")
    try:
        temporary, _stamp = atomic.write_temporary(fd, data)
        try:
            os.utime(temporary, ns=(received_at, received_at), dir_fd=fd, follow_symlinks=False)
            kept = os.stat(temporary, dir_fd=fd, follow_symlinks=False).st_mtime_ns
            if abs(kept - received_at) >= TIME_TOLERANCE:
                raise RestoreFailed(
                    "the store does not keep the time of a heartbeat, and a machine is as alive as that time says; "
                    "nothing was written for %s" % machine,
                    machine_id=machine,
                )
            first()
            os.rename(temporary, name, src_dir_fd=fd, dst_dir_fd=fd)
        except BaseException:
            atomic.discard(fd, temporary)
            raise
        atomic.sync_directory(fd)
    except OSError as exc:
        raise from_os_error(exc, "write a heartbeat", os.path.join(store.location, "heartbeats", name)) from exc


def compare(
    store: FileStore, machine: str, comparison: Comparison, backup: Backup, head: Head
) -> Tuple[bool, Dict[str, Any]]:
    """Whether the machine differs from what the backup has of it, and how: its record, and that it is expected.

    :raises MachineUnknown: it is not in the backup.
    :raises RestoreFailed: its record in the backup is no use.
    """
    store.connect()
    if comparison.record is None:
        raise MachineUnknown(
            "%s is not in %s; heartbeat_backup_info shows which backups there are" % (machine, backup.path),
            machine_id=machine,
        )
    data, received_at = comparison.record
    try:
        decode(data, machine)
    except HeartbeatError as exc:
        raise RestoreFailed(
            "the record of %s in %s cannot be used (%s); take another backup"
            % (machine, backup.path, exc.details.get("reason")),
            machine_id=machine,
        ) from exc
    before: Dict[str, Any] = {}
    after: Dict[str, Any] = {}
    current = store.read_beat(machine)
    if current is None or current.data != data or not same_arrival(current.received_at, received_at):
        after = {"last_heartbeat": iso(received_at), "bytes": len(data)}
        if current is not None:
            before = {"last_heartbeat": iso(current.received_at), "bytes": len(current.data)}
    if _was_expected(machine, comparison, head) and machine not in load_fleet(store).expected:
        before["expected"], after["expected"] = False, True
    return bool(after), {"before": before, "after": after}


def _was_expected(machine: str, comparison: Comparison, head: Head) -> bool:
    """Whether a machine was expected when it was backed up, alone or with its fleet."""
    if head.machine_id is not None:
        return head.expected
    try:
        return machine in parse_fleet(comparison.fleet_file or b"", "fleet.json").expected
    except HeartbeatError:
        return False  # a fleet that nobody can use expects nobody


def guard(store: FileStore, machine: str, comparison: Comparison) -> None:
    """A machine that is alive has a newer record than any backup, and will write the next one itself."""
    current = store.read_beat(machine)
    if current is None or comparison.record is None or current.received_at <= comparison.record[1]:
        return
    try:
        limits = LimitsOf(load_fleet(store).settings)(machine)
    except HeartbeatError:
        limits = LimitsOf(Settings())(machine)
    if store.now() - current.received_at < limits.offline:
        raise RestoreFailed(
            "%s is alive, and its heartbeat of %s is newer than the one in the backup; force replaces it all the same"
            % (machine, iso(current.received_at)),
            machine_id=machine,
        )


def put_back(store: FileStore, machine: str, comparison: Comparison, note: notes.Note, head: Head) -> notes.Note:
    """Expect the machine again if it was expected, leave a note, and put the record in its place.

    The record comes last: with it there, the next restore has nothing to do, so the rest must be there too.
    """
    data, received_at = comparison.record or (b"", 0)

    def first() -> None:
        if _was_expected(machine, comparison, head):
            manage(store, Request(expect=[machine]))
        incident = notes.incident_of(head, os.path.basename(note.backup), store.now(), machine)
        note.incident_id = incident.incident_id
        notes.record(store, incident)
        note.traces = [notes.write_incident(store, incident)]
        store.write(note.name, note.dump())

    put_record(store, machine, data, received_at, first)
    return note
