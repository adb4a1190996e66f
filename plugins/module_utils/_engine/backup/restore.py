# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Restoring: what :mod:`.plan` has verified and judged is put in place, and what it replaces is backed up first.

A whole fleet is swapped (see :mod:`.swap`). One machine's record is put in place by one rename, with the time that it
had.
"""

from __future__ import annotations

import os
from typing import Any, Dict, List, Optional

from .. import journal
from ..clock import iso
from ..errors import DiskSpaceLow, HeartbeatError, RestoreFailed
from ..errors import from_os_error as error_of
from ..identity import normalise_machine_id
from ..stores.file import FileStore
from . import catalogue, machine, notes, swap, writing
from .archive import Reader
from .place import Place
from .plan import Plan, Request, find, guard, is_for_one, make_plan
from .unpack import Unpacking

__all__ = ["Request", "run"]

STANDS = "; nothing was restored, and the former state stands"


def run(store: FileStore, request: Request, dry_run: bool = False) -> Dict[str, Any]:
    """Restore a fleet, or one machine of it.

    :returns: ``changed``, ``backup``, ``machine_id``, ``files``, ``replaced_backup``, ``report``, ``incident_id``,
        ``interrupted``, ``warnings``, ``diff``.
    :raises BackupNotFound: no such backup.
    :raises BackupCorrupt: damaged, or made to do harm; nothing was changed.
    :raises RestoreFailed: it cannot be done, or not without ``force``; the former state stands.
    """
    place = Place(store)
    name = None if request.machine_id is None else normalise_machine_id(request.machine_id, "machine_id")
    if dry_run:
        plan = make_plan(store, find(store, request, name, place), request, name)
        guard(store, plan, request, place)
        return _result(plan, None, None, [])
    if is_for_one(request, name):
        return _restore(store, place, request, name, None)
    place.check()
    with place.locked():
        interrupted = _recover(place)
        store.close()  # what was open may be the former state
        return _restore(store, place, request, name, interrupted)


def _recover(place: Place) -> Optional[str]:
    try:
        return swap.recover(place)
    except OSError as exc:
        raise _failed(exc, place) from exc


def _restore(
    store: FileStore, place: Place, request: Request, name: Optional[str], interrupted: Optional[str]
) -> Dict[str, Any]:
    plan = make_plan(store, find(store, request, name, place), request, name)
    guard(store, plan, request, place)
    if not plan.changed:
        return dict(_result(plan, None, None, []), interrupted=interrupted)
    if plan.machine is None and is_for_one(request, name):
        raise RestoreFailed(
            "%s is named as a machine's backup and is one of a whole fleet; rename it" % plan.backup.path
        )
    warnings: List[str] = []
    saved = _save(store, plan, request, warnings)
    try:
        if plan.machine is not None:
            note = _note(plan, request, saved, store.now())
            note = machine.put_back(store, plan.machine, plan.comparison, note, plan.head)
        else:
            note = _replace(store, place, plan, request, saved, warnings)
    except OSError as exc:
        raise _failed(exc, place) from exc
    except HeartbeatError as exc:
        exc.message = place.in_words(exc.message)
        exc.details.update({key: place.in_words(exc.details[key]) for key in ("path",) if key in exc.details})
        raise
    return dict(_result(plan, note, saved, warnings, store.location), interrupted=interrupted)


def _save(store: FileStore, plan: Plan, request: Request, warnings: List[str]) -> Optional[str]:
    """Back up what is about to be replaced; where the backup is."""
    if not request.safety_backup or not os.path.isdir(store.location):
        return None
    directory = catalogue.directory_of(store, request.directory)
    order = writing.Order(
        machine=plan.machine,
        passphrase=request.passphrase,
        reason="before the restore of " + plan.backup.name,
        strict=plan.machine is not None,
        before_restore=True,
    )
    try:
        now = store.now()
        if plan.machine is not None and store.read_beat(plan.machine) is None:
            return None
    except HeartbeatError:
        if plan.machine is not None:
            raise
        now = os.stat(store.location).st_mtime_ns
    made, left_out = writing.write(store, directory, order, now)
    warnings.extend(left_out)
    return str(made["location"])


def _note(plan: Plan, request: Request, saved: Optional[str], now: int) -> notes.Note:
    incident = notes.incident_of(plan.head, plan.backup.name, now, plan.machine)
    return notes.Note(
        restored_at=iso(now),
        backup=plan.backup.path,
        backup_created_at=iso(plan.head.created_at),
        sha256=plan.seal,
        machine_id=plan.machine,
        by=journal.writer_name(),
        forced=request.force,
        replaced_backup=saved,
        incident_id=incident.incident_id,
        files=plan.files if plan.machine is None else 1,
    )


def _replace(
    store: FileStore, place: Place, plan: Plan, request: Request, saved: Optional[str], warnings: List[str]
) -> notes.Note:
    """Build the new state, then swap. Whatever fails before the swap is thrown away again."""
    swapped = False
    try:
        place.begin()
        _unpack(place, plan, request)
        with FileStore(place.inside, "new") as new:
            now = new.now()
            note = _note(plan, request, saved, now)
            incident = notes.incident_of(plan.head, plan.backup.name, now, None)
            note.incident_id = incident.incident_id
            note.traces = notes.settle(place.inside, "new", plan.head, incident, now)
            new.write(note.name, note.dump())
        swap.link_backups(place)
        place.mark()
        store.close()
        swap.swap(place)
        swapped = True
    finally:
        if not swapped:
            _abandon(place)
    try:
        swap.tidy_up(place)
    except OSError as exc:  # it is restored all the same
        left = place.in_words(str(exc))
        warnings.append("%s: what is left of the former state is removed by the next restore" % left)
    return note


def _unpack(place: Place, plan: Plan, request: Request) -> None:
    """The backup once more, into the new state; it may have changed since it was read."""
    fd = catalogue.open_archive(plan.backup)
    try:
        reader = Reader(fd, request.passphrase)
        unpacking = Unpacking(place.new)
        reader.run(unpacking.take)
        if reader.seal != plan.seal:
            raise RestoreFailed("%s was changed while it was restored; try again" % plan.backup.path)
        unpacking.finish()
    except HeartbeatError as exc:
        raise catalogue.named(exc, plan.backup) from exc
    finally:
        os.close(fd)


def _abandon(place: Place) -> None:
    """Throw away what was built. A failure here must not hide the first one; the next restore tidies up."""
    try:
        swap.recover(place)
    except (OSError, HeartbeatError):
        return


def _failed(exc: OSError, place: Place) -> HeartbeatError:
    path = exc.filename if isinstance(exc.filename, str) and exc.filename.startswith("/") else place.target
    error = error_of(exc, "restore", place.in_words(path))
    if isinstance(error, DiskSpaceLow):
        return DiskSpaceLow(error.message + STANDS, cause=error)
    return RestoreFailed(error.message + STANDS, cause=error)


def _result(
    plan: Plan, note: Optional[notes.Note], saved: Optional[str], warnings: List[str], location: str = ""
) -> Dict[str, Any]:
    told = {"report": None, "incident_id": None} if note is None else notes.as_result(note, location)
    return {
        "changed": plan.changed,
        "backup": dict(plan.held, **plan.backup.as_dict()),
        "machine_id": plan.machine,
        "files": plan.files if plan.machine is None else 1,
        "replaced_backup": saved,
        "interrupted": None,
        "warnings": warnings,
        "diff": plan.diff,
        **told,
    }
