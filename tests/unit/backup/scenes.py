# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A fleet with something of everything in it, and what a backup and a restore of it must keep."""

from __future__ import annotations

import hashlib
import shutil
import stat
from pathlib import Path
from typing import Any, Dict, Tuple

from ansible_collections.roosync.heartbeat.plugins.module_utils._engine import maintenance
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.backup import create, restore
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.fleet import Request, manage
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.stores import atomic
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.stores.file import FileStore
from ansible_collections.roosync.heartbeat.tests.unit.checker.real import RealFleet

Looks = Tuple[int, int, str]


class Scene:
    """A fleet of four machines, one of which is offline, with a history; ``backups`` is a folder outside of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.real = RealFleet(folder / "store")
        self.backups = folder / "backups"
        with self.open() as store:
            manage(store, Request(expect=["web-01", "web-09"]))
            maintenance.set_window(store, maintenance.Request("rack", ["lab-*"], end="2099-01-01T00:00:00Z"))
        self.real.beat("web-01", "web-02", "web-03", "db-01", age=1000, metadata_json='{"role":"x"}')
        self.real.age("web-01", 1)
        self.real.check()
        (self.path / "vault" / "packs").mkdir(mode=0o750)
        (self.path / "vault" / "packs" / ("0" * 64 + ".pack")).write_bytes(bytes(range(256)) * 5000)
        (self.path / "vault" / "packs" / ("0" * 64 + ".pack")).chmod(0o640)
        (self.path / "logs" / "empty.log").touch()
        (self.path / "journal" / "00000000000000000001.json").rename(
            self.path / "journal" / "archive" / "00000000000000000001.json"
        )

    @classmethod
    def of(cls, real: RealFleet, folder: Path) -> Scene:
        """The same with another fleet."""
        scene = cls.__new__(cls)
        scene.folder, scene.real, scene.backups = folder, real, folder / "backups"
        return scene

    @property
    def path(self) -> Path:
        return self.real.path

    def open(self) -> FileStore:
        return self.real.open()

    def backup(self, **options: Any) -> Dict[str, Any]:
        options.setdefault("directory", str(self.backups))
        with self.open() as store:
            return create.run(store, create.Request(**options))

    def restore(
        self, root: Any = None, fleet: str = "default", dry_run: bool = False, **options: Any
    ) -> Dict[str, Any]:
        options.setdefault("directory", str(self.backups))
        with FileStore(str(root or self.real.root), fleet) as store:
            return restore.run(store, restore.Request(**options), dry_run)

    def destroy(self) -> None:
        shutil.rmtree(self.path)

    def looks(self, path: Any = None) -> Dict[str, Looks]:
        return looks(path or self.path)


def looks(root: Path) -> Dict[str, Looks]:
    """Mode, time and content of all that a backup holds; of directories no time, for it is that of their use.

    Agents may be at work meanwhile: what is gone by the time it is looked at was one of their temporary files.
    """
    found: Dict[str, Looks] = {}
    for path in sorted(root.rglob("*")):
        relative = path.relative_to(root)
        if relative.parts[0] in ("backups", "locks") and len(relative.parts) > 1:
            continue
        try:
            state = path.lstat()
            content = path.read_bytes() if stat.S_ISREG(state.st_mode) else None
        except FileNotFoundError:
            assert path.name.startswith(atomic.TEMPORARY), path
            continue
        mode = stat.S_IMODE(state.st_mode)
        if content is not None:
            found[str(relative)] = (mode, state.st_mtime_ns, hashlib.sha256(content).hexdigest())
        elif str(relative) != "backups":
            found[str(relative)] = (mode, 0, "")
    return found
