# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Archives as somebody else would make them: changed, or made to do harm. Sealed, and wrong inside only."""

from __future__ import annotations

import hashlib
import json
import os
import tarfile
import tempfile
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Callable, List, Optional

from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.backup import tarball
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.backup.archive import Reader, Writer
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.backup.gzipped import PIECE, GzipSink
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.backup.members import (
    DIRECTORY,
    FILE,
    HEAD,
    MANIFEST,
    Member,
)


def aged(path: Path, nanoseconds: int) -> None:
    """Make a backup one of its fleet as it was earlier."""
    fd = os.open(path, os.O_RDONLY)
    out = os.open(path.with_suffix(".new"), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        reader = Reader(fd, None)
        with tempfile.TemporaryFile() as manifest:
            writer = Writer(out, None, manifest, lambda: None)
            head = replace(reader.head, created_at=reader.head.created_at - nanoseconds)
            writer.head(json.dumps(asdict(head)).encode(), 0)
            reader.run(lambda m, content: writer.add(replace(m, mtime_ns=m.mtime_ns - nanoseconds), content))
            writer.close()
    finally:
        os.close(fd)
        os.close(out)
    path.with_suffix(".new").rename(path)


class Forger:
    """Puts an archive together piece by piece; nothing is checked."""

    def __init__(self, **head: Any) -> None:
        self.blocks: List[bytes] = []
        self.lines: List[bytes] = []
        values = {"format": 1, "created_at": 1, "fleet": "default", **head}
        self.raw(Member(HEAD, FILE, 0o600, size=0), json.dumps(values).encode())

    def raw(self, member: Member, data: bytes = b"") -> None:
        member = replace(member, size=len(data))
        self.blocks.append(tarball.header(member) + data + tarball.padding(len(data)))

    def add(self, path: str, data: bytes = b"", kind: str = FILE, row: Optional[str] = None, **values: Any) -> Forger:
        """A member, with a line in the manifest.

        :param row: what its header says of it, if it is not the truth.
        """
        member = Member(path, kind, values.pop("mode", 0o644), size=values.pop("size", len(data)), **values)
        block = tarball.header(member)
        if row is not None:
            block = _with_comment(member, row)
        self.blocks.append(block + data + tarball.padding(len(data)))
        self.lines.append(member.line(hashlib.sha256(data).hexdigest() if kind == FILE else ""))
        return self

    def folders(self, *paths: str) -> Forger:
        for path in ("", *paths):
            self.add(path, kind=DIRECTORY, mode=0o755)
        return self

    def tar(self, change: Callable[[tarfile.TarInfo], None], path: str = "heartbeats/x.json") -> Forger:
        """A member whose tar header was changed, after a proper one of ours."""
        member = Member(path, FILE, 0o644)
        info = tarfile.TarInfo(path)
        info.pax_headers = {"comment": member.row()}
        change(info)
        self.blocks.append(info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape"))
        self.lines.append(member.line(hashlib.sha256(b"").hexdigest()))
        return self

    def finish(self, path: Path, manifest: Optional[bytes] = None, tail: bytes = tarball.END) -> Path:
        lines = b"".join(self.lines) if manifest is None else manifest
        self.raw(Member(MANIFEST, FILE, 0o600), lines)
        with open(path, "wb") as stream:
            sink = GzipSink(lambda data: stream.writelines([data]))
            data = b"".join(self.blocks) + tail
            for start in range(0, len(data), PIECE):
                sink.write(data[start : start + PIECE])
            sink.close()
        return path


def _with_comment(member: Member, text: str) -> bytes:
    info = tarfile.TarInfo(member.path or ".")
    info.type = tarfile.DIRTYPE if member.kind == DIRECTORY else tarfile.REGTYPE
    info.size = member.size
    info.pax_headers = {"comment": text}
    return info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")
