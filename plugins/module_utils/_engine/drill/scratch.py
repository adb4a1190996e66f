# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The scratch tree: one that a drill declares for its machines alone, and takes away again with all that it left."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any, Dict, List

from ..errors import HeartbeatError, InvalidSettings, LockTimeout
from ..fleet import LOCK_PATIENCE
from ..observe import load_fleet
from ..settings import from_mapping as settings_from
from ..stores.file import FileStore
from ..sync.refs import BASE, Refs
from ..sync.spec import TreeSpec, from_mapping

PREFIX = "drill-"


def name_of(drill_id: str) -> str:
    """The name of the tree of a drill."""
    return PREFIX + drill_id.lower()


def spec_of(drill_id: str, folder: str, machines: List[str]) -> TreeSpec:
    """The tree of a drill, in the folder that the drill has on each of its machines."""
    path = os.path.normpath(os.path.join(folder, drill_id, "tree"))
    return from_mapping(name_of(drill_id), {"path": path, "machines": machines})


def declare(store: FileStore, spec: TreeSpec) -> None:
    """Let the machines of the drill have the tree."""
    _change(store, {spec.name: {"path": spec.path, "machines": list(spec.machines)}})


def withdraw(store: FileStore, drill_id: str) -> bool:
    """As if there had never been such a tree; whether there was one. Its contents go with the next upkeep of the vault.

    May be called again and again.
    """
    name = name_of(drill_id)
    changed = _change(store, {name: None})
    with Refs(os.path.join(store.location, "vault")) as refs:
        for machine, tree in refs.machines():
            if tree == name:
                _drop_machine(refs, machine, name)
        for version in refs.folder.numbers("baseline/" + name):
            changed = refs.drop_baseline(name, version) or changed
        refs.folder.remove_folder("baseline/" + name)
    return changed


def _drop_machine(refs: Refs, machine: str, name: str) -> None:
    place = "machines/%s/%s" % (machine, name)
    for number in refs.folder.numbers(place + "/snapshots"):
        refs.drop_snapshot(machine, name, number)
    refs.folder.remove(place, BASE)
    refs.folder.remove_folder(place + "/snapshots")
    refs.folder.remove_folder(place)


def _change(store: FileStore, trees: Dict[str, Any]) -> bool:
    """Declare trees (None: no longer), whatever else somebody changes in the fleet at this moment."""
    with store.lock("fleet", LOCK_PATIENCE, needed=True) as held:
        if not held:
            raise LockTimeout("somebody else is changing the settings of the fleet; try again")
        fleet = load_fleet(store)
        paths = {name: given for name, given in fleet.settings.sync_paths.items() if name not in trees}
        paths.update({name: given for name, given in trees.items() if given is not None})
        if paths == fleet.settings.sync_paths:
            return False
        try:
            settings_from({"sync_paths": paths})
        except HeartbeatError as exc:
            raise InvalidSettings("the scratch tree of the drill cannot be declared: %s" % exc.message, exc) from exc
        store.write("fleet.json", replace(fleet, settings=replace(fleet.settings, sync_paths=paths)).dump())
    return True
