# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests of the standard-library part share: a small fleet in a directory, and patience with a bound."""

from __future__ import annotations

import json
import os
import stat
import time
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional

from ansible_collections.roosync.heartbeat.plugins.module_utils._engine import errors
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.record import Beat, decode, file_name
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.register import register
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.stores.file import FileStore

ENGINE = Path(errors.__file__).resolve().parent
NEIGHBOURS = ("neighbour-1", "neighbour-2")
NOBODY = 65534


class Fleet:
    """A real fleet in a directory store, with neighbours whose records no fault of another machine may touch."""

    def __init__(self, root: Path, settings: Optional[Dict[str, Any]] = None) -> None:
        self.root = root
        self.location = root / "default"
        self._open: List[FileStore] = []
        with FileStore(str(root), "default") as store:
            store.create()
            self.configure(settings or {})
            for name in NEIGHBOURS:
                register(store, name, {"kept": True}, fingerprint="fingerprint of " + name)
        self._neighbours = self.neighbours()

    def configure(self, settings: Dict[str, Any]) -> None:
        """Put new settings in place, as the one who manages the fleet does: by rename."""
        text = json.dumps({"store_id": "test", "created_at": "2026-01-01T00:00:00.000000Z", "settings": settings})
        temporary = self.location / ".tmp-fleet"
        temporary.write_text(text + "\n")
        temporary.rename(self.location / "fleet.json")

    def store(self) -> FileStore:
        """A new connection to the store; closed with the fleet."""
        store = FileStore(str(self.root), "default")
        self._open.append(store)
        return store

    def record(self, machine_id: str) -> Path:
        return self.location / "heartbeats" / file_name(machine_id)

    def beat(self, machine_id: str) -> Beat:
        """A machine's last beat, read as anybody would read it."""
        return decode(self.record(machine_id).read_bytes(), machine_id)

    def age(self, machine_id: str, seconds: float) -> None:
        """Let a machine's record be older: its mtime is when it was received."""
        path = self.record(machine_id)
        then = path.stat().st_mtime_ns - int(seconds * 1e9)
        os.utime(path, ns=(then, then))

    def neighbours(self) -> Dict[str, bytes]:
        return {name: self.record(name).read_bytes() for name in NEIGHBOURS}

    def leftovers(self) -> List[str]:
        """Temporary files that nobody took away."""
        return [str(path) for path in self.root.rglob(".tmp-*")]

    def close(self) -> None:
        """End of a test: whatever happened in it, the neighbours are as they were, and nothing lies about."""
        for store in self._open:
            store.close()
        assert self.neighbours() == self._neighbours
        assert self.leftovers() == []


def tree(root: Path) -> Dict[str, Any]:
    """Everything below a directory: kinds, contents, modes and times of change (not those of directories)."""
    found: Dict[str, Any] = {}
    for path in sorted(root.rglob("*")):
        state = path.lstat()
        if stat.S_ISREG(state.st_mode):
            found[str(path)] = (path.read_bytes(), state.st_mode, state.st_mtime_ns, state.st_ino)
        elif stat.S_ISLNK(state.st_mode):
            found[str(path)] = os.readlink(str(path))
        else:
            found[str(path)] = state.st_mode
    return found


def open_descriptors() -> List[str]:
    """What this process has open, as far as it can be named."""
    return sorted(_open(os.getpid()).values())


def open_files(pid: int) -> List[str]:
    """What a process has open beyond its standard streams; it may open and close more in the meantime."""
    return [target for number, target in _open(pid).items() if number > 2]


def _open(pid: int) -> Dict[int, str]:
    folder = "/proc/%d/fd/" % pid
    found = {}
    for name in os.listdir(folder):
        try:
            found[int(name)] = os.readlink(folder + name)
        except FileNotFoundError:  # closed since, as the descriptor of this listing itself is
            pass
    return found


def wait_until(condition: Callable[[], Any], what: str, bound: float = 60.0) -> Any:
    """Wait until a condition holds; its value. Not holding within the bound is a failure that says what was awaited.

    The bound is far beyond what even a busy machine needs: it is used up by failures alone.
    """
    deadline = time.monotonic() + bound
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, "waited %g s in vain: %s" % (bound, what)
        time.sleep(0.005)
