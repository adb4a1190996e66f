# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One machine's record, put in its place with a time that is not now: by a restore, or by an import."""

from __future__ import annotations

import os
from typing import Any, Dict, Tuple

from ..clock import iso
from ..detect.ages import LimitsOf, same_arrival
from ..errors import HeartbeatError, MachineUnknown, RestoreFailed, from_os_error
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


def put_record(store: FileStore, machine: str, data: bytes, received_at: int) -> None:
    """Put a record in place by one rename; at no moment is it there with another time than ``received_at``.

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
            os.rename(temporary, name, src_dir_fd=fd, dst_dir_fd=fd)
        except BaseException:
            atomic.discard(fd, temporary)
            raise
        atomic.sync_directory(fd)
    except OSError as exc:
        raise from_os_error(exc, "write a heartbeat", os.path.join(store.location, "heartbeats", name)) from exc


def compare(store: FileStore, machine: str, comparison: Comparison, backup: Backup) -> Tuple[bool, Dict[str, Any]]:
    """Whether the machine's record differs from the one in the backup, and how.

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
    current = store.read_beat(machine)
    before: Dict[str, Any] = {}
    if current is not None:
        if current.data == data and same_arrival(current.received_at, received_at):
            return False, {"before": {}, "after": {}}
        before = {"last_heartbeat": iso(current.received_at), "bytes": len(current.data)}
    return True, {"before": before, "after": {"last_heartbeat": iso(received_at), "bytes": len(data)}}


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
    """Put the record in its place, expect the machine again if it was expected, and leave a note."""
    data, received_at = comparison.record or (b"", 0)
    put_record(store, machine, data, received_at)
    if head.expected:
        from ..fleet import Request, manage

        manage(store, Request(expect=[machine]))
    incident = notes.incident_of(head, os.path.basename(note.backup), store.now(), machine)
    note.incident_id = incident.incident_id
    notes.record(store, incident)
    note.traces = [notes.write_incident(store, incident)]
    store.write(note.name, note.dump())
    return note
