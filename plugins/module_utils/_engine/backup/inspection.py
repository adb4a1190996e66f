# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Looking at backups: which there are, and whether they are sound. Nothing is changed."""

from __future__ import annotations

from typing import Any, Dict, Optional

from ..errors import BackupCorrupt, BackupNotFound, HeartbeatError
from ..identity import normalise_machine_id
from ..report import shorten
from ..stores.file import FileStore
from ..sync import snapshots
from . import catalogue
from .catalogue import Backup


def run(
    store: FileStore,
    directory: Optional[str] = None,
    name: Optional[str] = None,
    machine_id: Optional[str] = None,
    verify: bool = False,
    passphrase: Optional[str] = None,
) -> Dict[str, Any]:
    """The backups, newest first; with ``verify`` each of them is read to its end.

    :returns: ``changed`` (never), ``backups``, the ``snapshots`` of the machine, and ``failure`` with an ``error_code``
        if any backup is damaged.
    """
    where = catalogue.directory_of(store, directory)
    wanted = None if machine_id is None else normalise_machine_id(machine_id, "machine_id")
    found = catalogue.found_in(where, store.fleet, wanted) if name is None else [_one(store, where, name, wanted)]
    if not found:
        store.connect()  # that there are none may have a reason
    shown = [_shown(backup, verify, passphrase) for backup in found]
    result: Dict[str, Any] = {"changed": False, "backups": shown}
    if wanted is not None:
        result["snapshots"] = snapshots.listing(store, wanted)
    bad = [entry for entry in shown if entry["verified"] is False]
    if bad:
        result["error_code"] = BackupCorrupt.error_code
        result["failure"] = "%d of %d backups cannot be used: %s: %s" % (
            len(bad),
            len(shown),
            shorten([entry["name"] for entry in bad]),
            bad[0]["problem"],
        )
    return result


def _one(store: FileStore, where: str, name: str, machine: Optional[str]) -> Backup:
    try:
        return catalogue.find(where, store.fleet, name, machine)
    except BackupNotFound as exc:
        try:
            store.connect()
        except HeartbeatError as away:
            raise BackupNotFound("%s; and %s" % (exc.message, away.message), cause=away) from exc
        raise


def _shown(backup: Backup, verify: bool, passphrase: Optional[str]) -> Dict[str, Any]:
    entry: Dict[str, Any] = dict(backup.as_dict(), verified=None, problem=None)
    if not verify:
        return entry
    try:
        held: Dict[str, Any] = catalogue.verify(backup, passphrase)
    except BackupCorrupt as exc:
        return dict(entry, verified=False, problem=exc.message)
    return {**held, **entry, "machine_id": held["machine_id"], "verified": True}
