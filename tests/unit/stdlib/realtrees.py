# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Real trees for the tests of sync: made, looked at byte by byte, and changed by the engine."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, Optional

from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.sync.apply import Applied, apply
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.sync.manifest import Manifest
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.sync.paths import STAGING, encode
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.sync.scan import Scan, scan
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.sync.spec import TreeSpec

NAME = "www"


class Link(str):
    """The target of a symbolic link."""


class Directory:
    """A directory, made for its mode."""

    def __init__(self, mode: int = 0o755) -> None:
        self.mode = mode


def make(root: Any, content: Dict[str, Any]) -> None:
    """Make what is described: text (a file), :class:`Link`, :class:`Directory`, or (text, mode); parents come along."""
    for path, what in content.items():
        full = os.path.join(encode(str(root)), encode(path))
        os.makedirs(os.path.dirname(full), 0o755, exist_ok=True)
        if isinstance(what, Directory):
            os.makedirs(full, exist_ok=True)
        elif isinstance(what, Link):
            os.symlink(encode(what), full)
        else:
            text, mode = what if isinstance(what, tuple) else (what, 0o644)
            with open(full, "wb") as stream:
                stream.write(text.encode() if isinstance(text, str) else text)
            os.chmod(full, mode)
    for path, what in sorted(content.items(), reverse=True):
        if isinstance(what, Directory):
            os.chmod(os.path.join(encode(str(root)), encode(path)), what.mode)


def look(root: Any, times: bool = False) -> Dict[bytes, Any]:
    """Everything that is beneath a directory: kind, mode, owner, content; for a file also its time if asked for."""
    found: Dict[bytes, Any] = {}
    top = encode(str(root))
    for above, directories, files in os.walk(top):
        for name in directories + files:
            full = os.path.join(above, name)
            state = os.lstat(full)
            content: Any = None
            if stat.S_ISLNK(state.st_mode):
                content = os.readlink(full)
            elif stat.S_ISREG(state.st_mode):
                with open(full, "rb") as stream:
                    content = stream.read()
            row = (oct(state.st_mode), state.st_uid, state.st_gid, content)
            found[os.path.relpath(full, top)] = row + ((state.st_mtime_ns,) if times and content is not None else ())
    return found


class Blobs(Dict[str, bytes]):
    """Contents by digest, as a vault would have them; remembers what was asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: Dict[str, int] = {}

    def keep(self, root: Any) -> None:
        for row in look(root).values():
            if isinstance(row[3], bytes):
                self[hashlib.sha256(row[3]).hexdigest()] = row[3]

    def fetch(self, digest: str, fd: int) -> Optional[bool]:
        self.asked[digest] = self.asked.get(digest, 0) + 1
        data = self[digest]
        while data:
            data = data[os.write(fd, data) :]
        return None


@contextmanager
def in_memory() -> Iterator[Path]:
    """A directory in memory, where there is one: a process that is killed leaves the same there as on any disk."""
    place = "/dev/shm" if os.access("/dev/shm", os.W_OK | os.X_OK) else None
    directory = Path(tempfile.mkdtemp(prefix="heartbeat-", dir=place))
    try:
        yield directory
    finally:
        shutil.rmtree(str(directory))


class Tree:
    """A tree that is synced, next to what it should become."""

    def __init__(self, directory: Any, **options: Any) -> None:
        self.root = str(directory / "tree")
        self.goal = str(directory / "goal")
        os.mkdir(self.root)
        os.mkdir(self.goal)
        self.options = options
        self.blobs = Blobs()

    def spec(self, path: str) -> TreeSpec:
        return TreeSpec(NAME, path, **self.options)

    def scan(self, path: Optional[str] = None) -> Scan:
        self.blobs.keep(path or self.root)
        return scan(self.spec(path or self.root))

    def manifest(self, path: Optional[str] = None) -> Manifest:
        return self.scan(path).manifest

    def apply(
        self,
        after: Optional[Manifest] = None,
        before: Optional[Scan] = None,
        fetch: Optional[Callable[..., Any]] = None,
    ) -> Applied:
        """Make the tree what the goal is, or ``after``."""
        after = after if after is not None else self.manifest(self.goal)
        before = before or self.scan()
        return apply(
            self.root,
            self.spec(self.root),
            before.manifest,
            after,
            fetch or self.blobs.fetch,
            before.signatures,
        )

    def staging(self) -> bool:
        return os.path.lexists(os.path.join(self.root, STAGING))
