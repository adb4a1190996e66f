# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Machines with a tree each, below one folder: their place in the fleet, and their files."""

from __future__ import annotations

import copy
import os
import shutil
import stat
from pathlib import Path
from typing import Any, Dict, List, Tuple, Union

from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.sync.localsite import LocalSite
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.sync.pending import run_pending
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.sync.run import run
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.sync.session import Request
from ansible_collections.roosync.heartbeat.tests.unit.checker.real import RealFleet

SITE = {"site": {"path": "/www"}}
Content = Union[str, bytes, None]


class Trees:
    """A fleet that keeps ``/www`` of its machines in sync; each machine's ``/`` is a folder of its own."""

    def __init__(self, folder: Path, *machines: str, **settings: Any) -> None:
        self.folder = folder
        self.fleet = RealFleet(folder / "store", sync_paths=settings.pop("sync_paths", SITE), **settings)
        for machine in machines:
            self.www(machine).mkdir(parents=True)
        self.fleet.beat(*machines)
        self.fleet.check()

    def moved(self, folder: Path) -> Trees:
        """The same, where somebody has copied it to."""
        there = copy.copy(self)
        there.folder = folder
        there.fleet = copy.copy(self.fleet)
        there.fleet.root = folder / "store"
        there.fleet.path = there.fleet.root / "default"
        return there

    def www(self, machine: str) -> Path:
        return self.folder / machine / "www"

    def site(self, machine: str) -> LocalSite:
        return LocalSite(str(self.folder / machine), str(self.folder / machine / "state"))

    # -- files ---------------------------------------------------------------------------------------------------

    def put(self, machine: str, **files: Content) -> None:
        """Write files (``a__b`` is ``a/b``); None takes a path away, whatever is there."""
        for name, content in files.items():
            path = self.www(machine) / name.replace("__", "/")
            if content is None:
                shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.encode() if isinstance(content, str) else content)

    def files(self, machine: str) -> Dict[str, str]:
        """The files of a machine's tree with their contents."""
        root = self.www(machine)
        return {str(p.relative_to(root)): p.read_text() for p in sorted(root.rglob("*")) if p.is_file()}

    def whole(self, machine: str) -> Dict[str, Tuple[Any, ...]]:
        """Every entry of a machine's tree, with all that counts."""
        found: Dict[str, Tuple[Any, ...]] = {}
        root = self.www(machine)
        for path in sorted(root.rglob("*")):
            state = path.lstat()
            content: Any = None
            if path.is_symlink():
                content = os.readlink(path)
            elif stat.S_ISREG(state.st_mode):
                content = path.read_bytes()
            found[str(path.relative_to(root))] = (state.st_mode, state.st_uid, state.st_gid, content)
        return found

    # -- syncs ---------------------------------------------------------------------------------------------------

    def sync(self, machine: str, event: str, **options: Any) -> Dict[str, Any]:
        with self.fleet.open() as store:
            return run(store, Request(machine, event, **options), self.site(machine), self.fleet.open)

    def pending(self, *reachable: str, **options: Any) -> Dict[str, Any]:
        """Work on what is pending, with the trees of these machines within reach."""
        machine = options.pop("machine_id", None)
        with self.fleet.open() as store:
            return run_pending(
                store,
                Request("", "", **options),
                lambda name: self.site(name) if name in reachable else None,
                self.fleet.open,
                machine,
            )

    def lose(self, *machines: str) -> None:
        """The machines are offline, and a check has found it."""
        for machine in machines:
            self.fleet.age(machine, 500)
        self.fleet.check()

    def back(self, *machines: str) -> None:
        self.fleet.beat(*machines)
        self.fleet.check()

    def open_entries(self) -> List[Tuple[str, str, str]]:
        return [(e.machine_id, e.event, e.state) for e in self.fleet.ledger().state.syncs.values()]
