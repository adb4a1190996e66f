# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The snapshots of a machine: which there are, and which of them somebody means."""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Sequence, Tuple

from ..clock import iso, parse_iso
from ..documents import Fleet
from ..errors import BackupNotFound, HeartbeatError, InvalidSettings
from ..stores.base import Store
from .guards import meant, too_many_lost
from .keeping import location
from .refs import Refs, Snapshot
from .session import Chosen, all_trees
from .spec import TreeSpec
from .vault import Vault

LATEST = "latest"


def listing(store: Store, machine_id: str) -> List[Dict[str, Any]]:
    """Every sound snapshot of a machine, the newest of each tree first."""
    with Refs(location(store)) as refs:
        trees = [tree for machine, tree in refs.machines() if machine == machine_id]
        return [as_dict(tree, one) for tree in sorted(trees) for one in reversed(refs.snapshots(machine_id, tree))]


def as_dict(tree: str, snapshot: Snapshot) -> Dict[str, Any]:
    return {"tree": tree, "snapshot": snapshot.number, "captured_at": iso(snapshot.at)}


def choose(
    store: Store, fleet: Fleet, source: str, target: str, asked: str, names: Sequence[str]
) -> Tuple[List[Chosen], List[str]]:
    """The snapshots that are meant, and the trees that there are none of.

    :param source: the machine that they are of.
    :param target: the machine that they are for; only its trees count.
    :param asked: ``latest``, a number, or a time: the newest one that is not younger.
    :param names: of these trees only; of all, if empty.
    :raises InvalidSettings: it cannot be meant.
    :raises BackupNotFound: there is no such snapshot.
    """
    specs = _trees(fleet, target, names)
    number, moment = _parse(asked)
    if number is not None and len(specs) > 1:
        raise InvalidSettings(
            "snapshot: each tree counts its own; name one with trees (%s), or give a time"
            % ", ".join(spec.name for spec in specs)
        )
    found: List[Chosen] = []
    missing: List[str] = []
    with Refs(location(store)) as refs:
        for spec in specs:
            there = [
                one
                for one in refs.snapshots(source, spec.name)
                if (number is None or one.number == number) and (moment is None or one.at // 1000 <= moment // 1000)
            ]
            if there:
                found.append(Chosen(spec, there[-1]))
            else:
                missing.append(spec.name)
    if not found or (names and missing):
        raise BackupNotFound(
            "%s has no snapshot (%s) of %s; heartbeat_backup_info with its machine_id lists those there are, and "
            "heartbeat_sync with event: capture takes one" % (source, asked, ", ".join(missing)),
            machine_id=source,
        )
    return found, missing


def doubts(store: Store, source: str, chosen: Sequence[Chosen]) -> List[str]:
    """A word on each snapshot that shows a loss, rather than what was there before it.

    A tree may have been captured once more after its files were gone.
    """
    found = []
    with Refs(location(store)) as refs, Vault(location(store)) as vault:
        for spec, snapshot in chosen:
            earlier = [one for one in refs.snapshots(source, spec.name) if one.number < snapshot.number]
            if not earlier or earlier[-1].manifest == snapshot.manifest:
                continue
            try:
                before, after = (vault.manifest(one.manifest, spec.max_entries) for one in (earlier[-1], snapshot))
            except HeartbeatError as exc:  # it is restored all the same
                found.append(
                    "whether the snapshot %d of %s shows a loss cannot be said: %s"
                    % (snapshot.number, spec.name, exc.message)
                )
                continue
            lost = too_many_lost(meant(before, spec), after)
            if lost:
                found.append(
                    "%d files of %s are gone in its snapshot %d, which was taken at %s. If that is what you want "
                    "undone, restore snapshot %d"
                    % (len(lost), spec.name, snapshot.number, iso(snapshot.at), earlier[-1].number)
                )
    return found


def _parse(asked: str) -> Tuple[Optional[int], Optional[int]]:
    """A number, or a moment; times are told to the microsecond, so they count to the microsecond."""
    if asked == LATEST:
        return None, None
    if asked.isascii() and asked.isdigit() and len(asked) < 19:
        return int(asked), None
    try:
        return None, parse_iso(asked)
    except (ValueError, OverflowError) as exc:
        raise InvalidSettings(
            "snapshot: %r is neither latest, nor a number, nor a time such as 2026-01-31T12:00:00Z" % asked[:80]
        ) from exc


def _trees(fleet: Fleet, target: str, names: Sequence[str]) -> List[TreeSpec]:
    mine = [spec for spec in all_trees(fleet) if spec.applies_to(target)]
    unknown = sorted(set(names) - {spec.name for spec in mine})
    if unknown or not mine:
        raise InvalidSettings(
            "%s: %s of %s; sync_paths of heartbeat_fleet says which trees a machine has"
            % ("trees", "%s: no tree" % ", ".join(unknown)[:200] if unknown else "there is none", target),
            machine_id=target,
        )
    return [spec for spec in mine if not names or spec.name in names]
