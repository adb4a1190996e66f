# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a restore is going to do: all of the backup is read and verified, held against what is there, and judged.

Nothing is changed here.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any, Dict, List, Optional

from .. import documents
from ..clock import iso
from ..detect.ages import LimitsOf
from ..errors import BackupNotFound, HeartbeatError, InvalidSettings, RestoreFailed, StoreUnavailable
from ..report import shorten
from ..settings import Settings
from ..stores.file import FileStore
from . import catalogue, machine, notes
from .archive import Reader
from .catalogue import Backup
from .compare import Comparison
from .members import Head
from .place import Place
from .unpack import check_space


@dataclass
class Request:
    """What somebody wants restored."""

    backup: str = catalogue.LATEST
    directory: Optional[str] = None
    passphrase: Optional[str] = None
    machine_id: Optional[str] = None
    force: bool = False
    safety_backup: bool = True


@dataclass
class Plan:
    """A backup that was verified, and what it would change here."""

    backup: Backup
    head: Head
    held: Dict[str, Any]
    comparison: Comparison
    machine: Optional[str]
    seal: str
    files: int
    changed: bool
    diff: Dict[str, Any]


def is_for_one(request: Request, name: Optional[str]) -> bool:
    """Whether one machine is restored, as far as names tell."""
    backup = catalogue.parse(*os.path.split(request.backup))
    return name is not None or (backup is not None and backup.machine is not None)


def find(store: FileStore, request: Request, name: Optional[str], place: Place) -> Backup:
    """The backup that is asked for.

    :raises BackupNotFound: there is none such.
    """
    directory = catalogue.directory_of(store, request.directory)
    if request.directory is None and not request.backup.startswith("/"):
        try:
            store.connect()
        except StoreUnavailable as exc:
            if place.is_interrupted():
                raise StoreUnavailable(
                    "a restore of %s was interrupted, and its backups are out of reach until it is finished: run "
                    "heartbeat_restore for the whole fleet, without check mode, and create no fleet there"
                    % place.target,
                    cause=exc,
                ) from exc
            # A fleet that is gone, or only its mark: its backups may be there all the same.
            if not os.path.isdir(directory):
                raise
    try:
        if request.backup == catalogue.LATEST and name is not None:
            try:
                return catalogue.find(directory, store.fleet, request.backup, name)
            except BackupNotFound:
                pass  # one of the whole fleet has the machine too
            return catalogue.find(directory, store.fleet, request.backup)
        return catalogue.find(directory, store.fleet, request.backup)
    except BackupNotFound as exc:
        try:
            store.connect()
        except StoreUnavailable as away:
            raise BackupNotFound("%s; and %s" % (exc.message, away.message), cause=away) from exc
        raise


def make_plan(store: FileStore, backup: Backup, request: Request, name: Optional[str]) -> Plan:
    """Read the backup to its end, and hold it against what is there.

    :raises BackupCorrupt: whatever is wrong with it.
    """
    location = store.location if os.path.isdir(store.location) else None
    fd = catalogue.open_archive(backup)
    comparison: Optional[Comparison] = None
    try:
        reader = Reader(fd, request.passphrase)
        single = reader.head.machine_id if name is None else name
        if name is not None and reader.head.machine_id not in (None, name):
            raise InvalidSettings("%s is a backup of %s, not of %s" % (backup.path, reader.head.machine_id, name))
        comparison = Comparison(location if single is None else None, single)
        reader.run(comparison.take)
        if single is None:
            if comparison.fleet_file is None:
                raise RestoreFailed(
                    "%s has no usable fleet.json, so nothing could work with what is in it; take another backup, or "
                    "restore single machines from it with machine_id" % backup.path,
                    path=backup.path,
                )
            traces = notes.traces_of(location, reader.seal)
            removed = comparison.removed(traces)
            changed = bool(location is None or comparison.changed or comparison.added or removed)
            diff = comparison.diff(traces)
        else:
            changed, diff = machine.compare(store, single, comparison, backup, reader.head)
        held = catalogue.contents(reader.head, reader)
        if single is None and changed:
            check_space(os.path.dirname(os.path.realpath(store.location)), reader)
        return Plan(backup, reader.head, held, comparison, single, reader.seal, reader.files, changed, diff)
    except HeartbeatError as exc:
        raise catalogue.named(exc, backup) from exc
    except OSError as exc:
        raise catalogue.unusable(exc, "read the backup", backup.path) from exc
    finally:
        if comparison is not None:
            comparison.close()
        os.close(fd)


def guard(store: FileStore, plan: Plan, request: Request, place: Place) -> None:
    """What must not be replaced without ``force``: another fleet, and one that is alive and newer than the backup."""
    if plan.machine is None:
        place.check()
        for directory in (plan.backup.directory, catalogue.directory_of(store, request.directory)):
            catalogue.check_lasting(store, directory)
    if request.force or not plan.changed:
        return
    if plan.machine is not None:
        machine.guard(store, plan.machine, plan.comparison)
        return
    try:
        if not store.exists():
            return
        document = documents.parse_fleet(store.read("fleet.json") or b"", store.location)
    except HeartbeatError:
        return  # a fleet that cannot be used is not alive
    if plan.head.store_id and document.store_id != plan.head.store_id:
        raise RestoreFailed(
            "%s holds another fleet than the one that was backed up; force replaces it all the same" % store.location,
            path=store.location,
        )
    newer = _alive_since(store, plan.head.created_at, document.settings)
    if newer:
        raise RestoreFailed(
            "%s is alive: %d machines have beaten since the backup was made at %s (%s); force replaces it, and what "
            "was recorded since is in a backup then"
            % (store.location, len(newer), iso(plan.head.created_at), shorten(newer)),
            path=store.location,
        )


def _alive_since(store: FileStore, moment: int, settings: Dict[str, Any]) -> List[str]:
    """The machines that are not late, by a heartbeat that is newer than ``moment``."""
    from ..settings import from_mapping

    try:
        limits = LimitsOf(from_mapping(settings))
    except HeartbeatError:
        limits = LimitsOf(Settings())
    received, now = store.scan().received, store.now()
    return sorted(m for m, at in received.items() if at > moment and now - at < limits(m).offline)
