# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Restoring a machine's trees from its snapshots: what ``heartbeat_restore`` does where no archive is needed."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence

from .. import journal
from ..clock import iso
from ..errors import HeartbeatError, RestoreFailed, SyncOnlineFailed
from ..identity import normalise_machine_id
from ..observe import load_fleet
from ..stores.base import Store
from ..sync import restoring, run, snapshots
from ..sync.session import Request, Site
from . import notes


@dataclass(frozen=True)
class Wanted:
    """What somebody wants restored.

    :param machine_id: whose snapshot.
    :param onto: the machine that gets it; None for the same.
    :param snapshot: see :func:`.snapshots.choose`.
    :param trees: only these; all if empty.
    :param force: even if that takes most of the files away that are there now.
    """

    machine_id: str
    onto: Optional[str] = None
    snapshot: str = snapshots.LATEST
    trees: Sequence[str] = ()
    force: bool = False


def wanted_from(params: Mapping[str, Any]) -> Wanted:
    """What the options of ``heartbeat_restore`` ask for."""
    return Wanted(
        machine_id=params["machine_id"],
        onto=params["to_machine_id"],
        snapshot=params["snapshot"],
        trees=params["trees"],
        force=params["force"],
    )


def restore_trees(
    store: Store, wanted: Wanted, site: Site, open_store: Callable[[], Store], dry_run: bool = False
) -> Dict[str, Any]:
    """Restore trees: what ``heartbeat_restore`` returns for a snapshot.

    :param site: the trees of the machine that gets them.
    :raises BackupNotFound: there is no such snapshot.
    :raises BackupCorrupt: something of it is not in the vault any more; nothing was changed.
    :raises RestoreFailed: it cannot be done, or not without ``force``.
    """
    store.connect()
    source = normalise_machine_id(wanted.machine_id, "machine_id")
    target = source if wanted.onto is None else normalise_machine_id(wanted.onto, "to_machine_id")
    chosen, missing = snapshots.choose(
        store, load_fleet(store), source, target, wanted.snapshot, sorted(set(wanted.trees))
    )
    request = Request(target, restoring.EVENT, dry_run=dry_run, force=wanted.force, source=source, chosen=tuple(chosen))
    try:
        done = run.run(store, request, site, open_store)
    except HeartbeatError as exc:
        if exc.error_code != SyncOnlineFailed.error_code:
            raise
        raise RestoreFailed(exc.message, exc, machine_id=target) from exc
    told = [dict(snapshots.as_dict(one.spec.name, one.snapshot), machine_id=source) for one in chosen]
    warnings = ["there is no such snapshot of %s: that tree stays as it is" % tree for tree in missing]
    warnings += snapshots.doubts(store, source, chosen)
    report: Optional[str] = None
    if done["sync_id"] is not None:
        try:
            report = _report(store, wanted, told, done)
        except HeartbeatError as exc:  # it is restored all the same
            warnings.append("there is no document of this restore in reports/: %s" % exc.message)
    return _result(done, told, report, warnings)


def _report(store: Store, wanted: Wanted, told: List[Dict[str, Any]], done: Dict[str, Any]) -> str:
    """The document of a restore, beside those of whole fleets; its name in the store."""
    now = iso(store.now())
    name = "reports/%s%s.json" % (notes.PREFIX, now.replace(":", "").replace("-", ""))
    document = {
        "kind": notes.KIND,
        "restored_at": now,
        "machine_id": done["machine_id"],
        "snapshots": told,
        "by": journal.writer_name(),
        "forced": wanted.force,
        "sync_id": done["sync_id"],
        "replaced_backup": done["backup_path"],
        "files": done["files_synced"],
        "bytes": done["bytes"],
    }
    store.write(name, (json.dumps(document, indent=2) + "\n").encode("ascii"))
    return "%s/%s" % (store.location, name)


def _result(
    done: Dict[str, Any], told: List[Dict[str, Any]], report: Optional[str], warnings: List[str]
) -> Dict[str, Any]:
    kept = ("changed", "machine_id", "bytes", "sync_id", "plan", "plan_size", "left_alone", "message", "diff")
    return {
        **{key: done[key] for key in kept},
        "backup": None,
        "snapshots": told,
        "files": done["files_synced"],
        "replaced_backup": done["backup_path"],
        "report": report,
        "incident_id": None,
        "interrupted": None,
        "warnings": warnings,
    }
