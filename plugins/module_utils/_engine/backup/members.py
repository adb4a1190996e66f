# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a backup is made of: its members in their order, and the head that says whose backup it is.

The order is the order in which a store must be read while it is in use (see :mod:`.walk`), and it is strict: each
member's key is greater than the one before. So a member that comes twice is seen without remembering the others.
"""

from __future__ import annotations

import json
import re
import stat
from dataclasses import dataclass
from typing import Any, ClassVar, Dict, Optional, Tuple

from ..errors import BackupCorrupt
from ..identity import is_machine_id
from ..metadata import strict_json
from ..record import MAX_RECORD_BYTES
from ..stores.file import MAX_DOCUMENT_BYTES

HEAD = "BACKUP.json"
MANIFEST = "MANIFEST.jsonl"
FORMAT = 1
FILE = "f"
DIRECTORY = "d"
PACKS = "vault/packs"
LEFT_OUT = ("backups", "locks")
"""Folders whose content is not backed up: other backups, and what means something to living processes only."""
LONGEST_PATH = 1000
DEEPEST = 16
MAX_HEAD = 1 << 16
MAX_TIME = 1 << 63
MAX_COMMIT = 10**20
FARTHEST = 1 << 20
"""How many commits may be missing in a row. A file under a number far beyond the others is none of the journal: whoever
looks for what comes before it looks for ever."""
MAX_ENTRY = 16_384
_UNFIT = re.compile("[\0-\x1f\x7f\ud800-\udfff\\\\]")
_NUMBERED = re.compile(r"journal/(?:archive/)?(\d{20}\.json)")

Key = Tuple[int, str, str]


@dataclass(frozen=True)
class Member:
    """One file or directory of a fleet, as it was; ``path`` is relative to the fleet's directory."""

    path: str
    kind: str
    mode: int
    mtime_ns: int = 0
    uid: int = 0
    gid: int = 0
    owner: str = ""
    group: str = ""
    size: int = 0

    def row(self) -> str:
        """The member for its header and, with the digest added, for the manifest."""
        values = [self.path, self.kind, self.mode, self.mtime_ns, self.uid, self.gid, self.owner, self.group, self.size]
        return json.dumps(values, separators=(",", ":"))

    def line(self, digest: str) -> bytes:
        """The member in the manifest."""
        return ("%s %s\n" % (digest or "-", self.row())).encode("ascii")


def member_of(text: str) -> Member:
    """A member, from its header; nothing in it is trusted.

    :raises BackupCorrupt: a path that leads anywhere but into the fleet, or values that no file has.
    """
    try:
        values = strict_json(text)
    except ValueError as exc:
        raise BackupCorrupt("it is damaged: a header is not JSON") from exc
    kinds = (str, str, int, int, int, int, str, str, int)
    if not isinstance(values, list) or [type(v) for v in values] != list(kinds):
        raise BackupCorrupt("it is damaged: a header has not the values it should have")
    found = Member(*values)
    if not is_safe(found.path):
        raise BackupCorrupt("it is refused: %r is no path inside a fleet" % found.path[:200])
    if found.kind not in (FILE, DIRECTORY):
        raise BackupCorrupt("it is refused: %s is neither a file nor a directory" % found.path)
    numbers = (found.mode, found.uid, found.gid, found.size)
    sane = all(n >= 0 for n in numbers) and found.mode <= 0o7777 and max(found.uid, found.gid) < 1 << 32
    if not sane or abs(found.mtime_ns) >= MAX_TIME or len(found.owner) + len(found.group) > 500:
        raise BackupCorrupt("it is damaged: the header of %s has impossible values" % found.path)
    if found.size > most_bytes(found.path) or (found.kind == DIRECTORY and found.size):
        raise BackupCorrupt("it is refused: %s is larger than it can be (%d bytes)" % (found.path, found.size))
    return found


def is_safe(path: str) -> bool:
    """Whether a path leads to a place inside a fleet that a backup may hold. ``""`` is the fleet's own directory."""
    parts = path.split("/")
    if path and (len(path) > LONGEST_PATH or len(parts) > DEEPEST or _UNFIT.search(path)):
        return False
    if any(part in ("", ".", "..") or len(part.encode()) > 255 for part in parts) and path:
        return False
    return parts[0] not in LEFT_OUT or len(parts) == 1


def most_bytes(path: str) -> int:
    """How large a file can be by what it is."""
    if path.startswith("heartbeats/"):
        return 2 * MAX_RECORD_BYTES
    return 1 << 62 if path.startswith(PACKS + "/") else MAX_DOCUMENT_BYTES


def commit_number(path: str) -> Optional[int]:
    """The number of a commit of the journal, or None for another file."""
    numbered = _NUMBERED.fullmatch(path)
    return int(numbered.group(1)[:20]) if numbered else None


def is_too_far(number: int, before: int) -> bool:
    """Whether a commit has a number that the journal cannot have come to, after one with the number ``before``."""
    return number - before > FARTHEST


def key(path: str, kind: str = FILE) -> Key:
    """Where a member stands in a backup. A commit has one place, whether it is archived or not."""
    if kind == DIRECTORY:
        return (0, path, path)
    if path in ("fleet.json", "checkpoint.json"):
        return (1 if path == "fleet.json" else 2, path, path)
    if path.startswith("journal/"):
        numbered = _NUMBERED.fullmatch(path)
        return (3, numbered.group(1), "") if numbered else (4, path, path)
    if path.startswith("heartbeats/"):
        return (6, path, path)
    return (7 if path.startswith(PACKS + "/") else 5, path, path)


@dataclass
class Head:
    """``BACKUP.json``: whose backup this is, and of when."""

    __pydantic_config__: ClassVar[Dict[str, Any]] = {"extra": "ignore", "strict": True}

    format: int
    created_at: int
    """The store's time, in nanoseconds, after the journal was read and before the heartbeats were."""
    fleet: str
    store_id: str = ""
    machine_id: Optional[str] = None
    """The machine, if it is the backup of one."""
    expected: bool = False
    """Whether that machine was expected."""
    commit: int = 0
    """The number of the last commit in it."""
    machines: int = 0
    reason: str = ""
    version: str = ""


def load_head(data: bytes) -> Head:
    """The head of a backup.

    :raises BackupCorrupt: it is none, or one of a later format.
    """
    from .. import documents

    try:
        raw = strict_json(data.decode("utf-8"))
        if isinstance(raw, dict) and isinstance(raw.get("format"), int) and raw["format"] > FORMAT:
            raise BackupCorrupt(
                "it has format %d, and this version of the collection knows format %d: use a newer one"
                % (raw["format"], FORMAT)
            )
        found: Head = documents._adapter(Head).validate_json(data)
    except ValueError as exc:
        raise BackupCorrupt("it is damaged: its head cannot be used (%s)" % documents._explain(exc)) from exc
    numbers = ((found.created_at, MAX_TIME), (found.commit, MAX_COMMIT), (found.machines, MAX_TIME))
    if not all(0 <= number < limit for number, limit in numbers):
        raise BackupCorrupt("it is damaged: its head has impossible values")
    if found.machine_id is not None and not is_machine_id(found.machine_id):
        raise BackupCorrupt("it is damaged: its head names an impossible machine")
    return found


def safe_mode(member: Member) -> int:
    """The mode that a restored member gets: never set-user-id, and set-group-id for directories only."""
    return stat.S_IMODE(member.mode) & (0o2777 if member.kind == DIRECTORY else 0o777)
