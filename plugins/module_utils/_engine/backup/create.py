# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Making a backup unless there is one that is young enough, and removing those that may go."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, Dict, List, Optional, Sequence

from ..clock import to_ns
from ..errors import InvalidSettings, MachineUnknown
from ..identity import normalise_machine_id
from ..stores.file import FileStore
from . import catalogue, writing
from .catalogue import Backup

LOCK = "backup"
LOCK_PATIENCE = 15.0
"""How long to wait for another backup of the fleet. It only spares work: two at once do no harm."""


@dataclass
class Request:
    """What somebody wants backed up, and which older backups are to go."""

    machine_id: Optional[str] = None
    directory: Optional[str] = None
    passphrase: Optional[str] = None
    verify: bool = True
    max_age: Optional[float] = None
    keep: Optional[int] = None
    keep_for: Optional[float] = None


def run(store: FileStore, request: Request, dry_run: bool = False) -> Dict[str, Any]:
    """Make a backup unless there is one that is young enough, then remove those that may go.

    :returns: ``changed``, ``backup``, ``removed``, ``backups``, ``warnings``.
    :raises MachineUnknown: the machine has no heartbeat here.
    """
    store.connect()
    directory = catalogue.directory_of(store, request.directory)
    catalogue.check_lasting(store, directory)
    machine = None if request.machine_id is None else normalise_machine_id(request.machine_id, "machine_id")
    _check_numbers(request)
    with nullcontext(True) if dry_run else store.lock(LOCK, LOCK_PATIENCE):
        now = store.now()
        fresh = _young_enough(directory, store.fleet, machine, request, now)
        warnings: List[str] = []
        planned: List[Backup] = []
        shown: Dict[str, Any] = {} if fresh is None else fresh.as_dict()
        if fresh is None:
            _check_machine(store, machine)
            if dry_run:
                planned = [catalogue.new(directory, store.fleet, machine, now, request.passphrase is not None)]
                shown = planned[0].as_dict()
            else:
                order = writing.Order(machine, request.passphrase, request.verify)
                shown, warnings = writing.write(store, directory, order, now)
        pruned = prune(store.fleet, directory, request, now, machine, dry_run, planned)
    return {
        "changed": fresh is None or pruned["changed"],
        "backup": shown,
        "removed": pruned["removed"],
        "backups": pruned["backups"],
        "warnings": warnings,
    }


def _check_numbers(request: Request) -> None:
    for name, value in (("keep", request.keep), ("keep_for", request.keep_for), ("max_age", request.max_age)):
        if value is not None and not 0 <= value < 1e10:
            raise InvalidSettings("%s: %r makes no sense; give a number of 0 or more" % (name, value))


def _check_machine(store: FileStore, machine: Optional[str]) -> None:
    if machine is not None and store.read_beat(machine) is None:
        raise MachineUnknown(
            "%s has no heartbeat in %s; heartbeat_info shows the machines there are" % (machine, store.location),
            machine_id=machine,
        )


def _young_enough(directory: str, fleet: str, machine: Optional[str], request: Request, now: int) -> Optional[Backup]:
    if request.max_age is None:
        return None
    there = catalogue.found_in(directory, fleet, machine)
    made = [b for b in there if (machine or b.machine is None) and not b.before_restore]
    young = [b for b in made if 0 <= now - b.at < to_ns(request.max_age or 0.0)]
    wanted = request.passphrase is not None
    return next((b for b in young if b.encrypted == wanted), None)


def prune(
    fleet: str,
    directory: str,
    request: Request,
    now: int,
    machine: Optional[str] = None,
    dry_run: bool = False,
    planned: Sequence[Backup] = (),
) -> Dict[str, Any]:
    """Remove the backups that may go.

    :param machine: of this machine only; of all, and of the whole fleet, if None.
    :param planned: backups that would be there if this were no dry run.
    :returns: ``changed``, ``removed``, and ``backups``, those that are left.
    """
    _check_numbers(request)
    keep_for = None if request.keep_for is None else to_ns(request.keep_for)
    there = [*planned, *catalogue.found_in(directory, fleet)]
    considered = [b for b in there if machine is None or catalogue.is_of(b, machine)]
    going = catalogue.dispensable(considered, now, request.keep, keep_for)
    if not dry_run:
        for backup in going:
            catalogue.remove(backup)
    left = [b.as_dict() for b in there if b not in going]
    return {"changed": bool(going), "removed": [b.as_dict() for b in going], "backups": left}


def prune_only(store: FileStore, request: Request, dry_run: bool = False) -> Dict[str, Any]:
    """Remove the backups that may go, and make none."""
    store.connect()
    directory = catalogue.directory_of(store, request.directory)
    machine = None if request.machine_id is None else normalise_machine_id(request.machine_id, "machine_id")
    with nullcontext(True) if dry_run else store.lock(LOCK, LOCK_PATIENCE):
        return prune(store.fleet, directory, request, store.now(), machine, dry_run)


def remove_one(store: FileStore, request: Request, name: str, dry_run: bool = False) -> Dict[str, Any]:
    """Remove one backup; that it is not there is fine."""
    store.connect()
    directory = catalogue.directory_of(store, request.directory)
    there = catalogue.found_in(directory, store.fleet)
    going = [b for b in there if b.name == name]
    if not going and catalogue.parse(directory, name) is None:
        raise InvalidSettings("name: %r is no name of a backup; heartbeat_backup_info lists them" % name[:200])
    if not dry_run:
        for backup in going:
            catalogue.remove(backup)
    left = [b.as_dict() for b in there if b not in going]
    return {"changed": bool(going), "removed": [b.as_dict() for b in going], "backups": left}
