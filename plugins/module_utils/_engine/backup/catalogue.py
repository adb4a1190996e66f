# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The backups in a directory: their names, what is known of each, which of them may go, and verifying them.

``<fleet>@<time>.tar.gz`` is a backup of a whole fleet, ``<fleet>@<machine>@<time>.tar.gz`` one of a machine; ``.age``
at the end says that it is encrypted. The time is the store's, and names sort by it. ``.before-restore`` behind the time
is of what a restore was about to replace: nobody wants that back who asks for the newest, so it counts by itself.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import stat
from dataclasses import dataclass
from typing import Any, Dict, List, Optional, Tuple

from ..clock import iso, parse_iso
from ..errors import BackupCorrupt, BackupNotFound, HeartbeatError, InvalidSettings, from_os_error
from ..stores.file import FileStore
from .archive import Reader
from .crypt import INTRO
from .members import Head

SUFFIX = ".tar.gz"
ENCRYPTED = ".age"
BEFORE_RESTORE = ".before-restore"
FOLDER = "backups"
LATEST = "latest"
PARTIAL = ".tmp-backup-"
_NAME = re.compile(
    r"(?P<fleet>[a-z0-9][a-z0-9._-]{0,63})@(?:(?P<machine>[a-z0-9._~-]{1,120})@)?"
    r"(?P<stamp>\d{8}T\d{6}\.\d{6}Z)(?P<before>\.before-restore)?\.tar\.gz(?P<age>\.age)?"
)
_LONGEST_MACHINE = 100


@dataclass(frozen=True)
class Backup:
    """One archive, as its name tells."""

    directory: str
    name: str
    fleet: str
    machine: Optional[str]
    at: int
    encrypted: bool
    bytes: int = 0
    before_restore: bool = False
    """Whether it is of what a restore was about to replace."""

    @property
    def path(self) -> str:
        return os.path.join(self.directory, self.name)

    def as_dict(self) -> Dict[str, Any]:
        return {
            "name": self.name,
            "location": self.path,
            "machine_id": self.machine,
            "created_at": iso(self.at),
            "encrypted": self.encrypted,
            "bytes": self.bytes,
            "before_restore": self.before_restore,
        }


def directory_of(store: FileStore, directory: Optional[str]) -> str:
    """Where the backups are: in the fleet itself, if nothing else is said.

    :raises InvalidSettings: not an absolute path.
    """
    if directory is None:
        return os.path.join(store.location, FOLDER)
    if not directory.startswith("/") or "\0" in directory:
        raise InvalidSettings("directory: give an absolute path, not %r" % directory[:200])
    return directory


def check_lasting(store: FileStore, directory: str) -> None:
    """Whether backups in a directory outlive a restore: of the fleet itself, only ``backups/`` does.

    :raises InvalidSettings: they do not.
    """
    fleet, path = os.path.realpath(store.location), os.path.realpath(directory)
    kept = os.path.join(fleet, FOLDER)
    if os.path.commonpath((fleet, path)) == fleet and os.path.commonpath((kept, path)) != kept:
        raise InvalidSettings(
            "directory: %s lies in the fleet itself, and a restore would take away what is there; move the backups "
            "into %s, or to a directory outside" % (directory, kept),
            path=directory,
        )


def _short(machine: str) -> str:
    """A machine's name as a part of a file name, which has room for 255 characters in all."""
    if len(machine) <= _LONGEST_MACHINE:
        return machine
    return "%s~%s" % (machine[:80], hashlib.sha256(machine.encode()).hexdigest()[:16])


def new(directory: str, fleet: str, machine: Optional[str], at: int, encrypted: bool, before: bool = False) -> Backup:
    """A new backup, by its name.

    :param before: it is of what a restore is about to replace.
    """
    stamp = iso(at).replace("-", "").replace(":", "") + (BEFORE_RESTORE if before else "")
    middle = "" if machine is None else _short(machine) + "@"
    name = "%s@%s%s%s%s" % (fleet, middle, stamp, SUFFIX, ENCRYPTED if encrypted else "")
    return Backup(directory, name, fleet, machine, at, encrypted, before_restore=before)


def parse(directory: str, name: str, size: int = 0) -> Optional[Backup]:
    """A backup by its file name, or None for another file."""
    found = _NAME.fullmatch(name)
    if found is None:
        return None
    stamp = found["stamp"]
    try:
        at = parse_iso("%s-%s-%sT%s:%s:%s" % (stamp[:4], stamp[4:6], stamp[6:8], stamp[9:11], stamp[11:13], stamp[13:]))
    except ValueError:
        return None
    encrypted, before = found["age"] is not None, found["before"] is not None
    return Backup(directory, name, found["fleet"], found["machine"], at, encrypted, size, before)


def is_of(backup: Backup, machine: str) -> bool:
    """Whether a backup is one of this machine."""
    return backup.machine in (machine, _short(machine))


def no_directory(path: str) -> InvalidSettings:
    """The error for a file where the backups should be."""
    return InvalidSettings(
        "directory: %s is a file, or leads through one; give a directory for the backups" % path, path=path
    )


def unusable(exc: OSError, doing: str, path: str) -> HeartbeatError:
    """The error for backups that this user cannot read or write. They are their owner's: the group gets no rights."""
    advice = None
    if exc.errno in (errno.EACCES, errno.EPERM):
        advice = "run the task as the user whose backups these are, or give another directory"
    return from_os_error(exc, doing, path, advice)


def found_in(directory: str, fleet: str, machine: Optional[str] = None) -> List[Backup]:
    """The backups of a fleet, newest first. A directory that is not there has none.

    :param machine: only those of this machine.
    """
    backups = []
    try:
        for name in os.listdir(directory):
            state = os.lstat(os.path.join(directory, name))
            backup = parse(directory, name, state.st_size) if stat.S_ISREG(state.st_mode) else None
            if backup is None or backup.fleet != fleet:
                continue
            if machine is None or is_of(backup, machine):
                backups.append(backup)
    except FileNotFoundError:
        pass
    except NotADirectoryError as exc:
        raise no_directory(directory) from exc
    except OSError as exc:
        raise unusable(exc, "list the backups", directory) from exc
    return sorted(backups, key=lambda b: (b.at, b.name), reverse=True)


def find(directory: str, fleet: str, name: str, machine: Optional[str] = None) -> Backup:
    """The backup that is asked for.

    :param name: its name, its path, or ``latest``: the newest of the whole fleet (with ``machine``, of that machine),
        other than of what a restore has replaced.
    :raises BackupNotFound: there is none such.
    """
    if name == LATEST:
        there = [b for b in found_in(directory, fleet, machine) if machine or b.machine is None]
        made = [b for b in there if not b.before_restore]
        if made:
            return made[0]
        what = "no backup of %s in %s" % (machine or "the fleet " + fleet, directory)
        what += " but of what restores have replaced (%s, to be restored by name)" % there[0].name if there else ""
        raise BackupNotFound(what + ": make one with heartbeat_backup", path=directory)
    if "\0" in name or not name:
        raise InvalidSettings("backup: give a name, an absolute path, or latest")
    path = name if name.startswith("/") else os.path.join(directory, name)
    if not name.startswith("/") and ("/" in name or name in (".", "..")):
        raise InvalidSettings("backup: %r is neither a name nor an absolute path" % name[:200])
    try:
        state = os.stat(path)
    except OSError as exc:
        if isinstance(exc, (FileNotFoundError, NotADirectoryError)):
            raise BackupNotFound(
                "there is no backup %s; heartbeat_backup_info lists those there are" % path, path=path
            ) from exc
        raise unusable(exc, "open the backup", path) from exc
    if not stat.S_ISREG(state.st_mode):
        raise BackupNotFound("%s is no file; heartbeat_backup_info lists the backups there are" % path, path=path)
    folder, base = os.path.split(path)
    return parse(folder, base, state.st_size) or Backup(
        folder, base, fleet, None, state.st_mtime_ns, is_encrypted(path), state.st_size
    )


def is_encrypted(path: str) -> bool:
    """Whether a file begins as an encrypted backup does."""
    try:
        with open(path, "rb") as stream:
            return stream.read(len(INTRO)) == INTRO
    except OSError:
        return False


def open_archive(backup: Backup) -> int:
    """A descriptor of the archive."""
    try:
        return os.open(backup.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError as exc:
        raise BackupNotFound("there is no backup %s (any more)" % backup.path, path=backup.path) from exc
    except OSError as exc:
        raise unusable(exc, "open the backup", backup.path) from exc


def verify(backup: Backup, passphrase: Optional[str]) -> Dict[str, Any]:
    """Read a backup to its end, and everything in it.

    :returns: what it holds.
    :raises BackupCorrupt: with the place of the damage in words.
    """
    fd = open_archive(backup)
    try:
        reader = Reader(fd, passphrase)
        reader.run(lambda member, content: None)
        return contents(reader.head, reader)
    except HeartbeatError as exc:
        raise named(exc, backup) from exc
    except OSError as exc:
        raise unusable(exc, "read the backup", backup.path) from exc
    finally:
        os.close(fd)


def contents(head: Head, reader: Reader) -> Dict[str, Any]:
    """What a verified backup holds."""
    return {
        "created_at": iso(head.created_at),
        "machine_id": head.machine_id,
        "machines": head.machines,
        "commit": head.commit,
        "files": reader.files,
        "content_bytes": reader.bytes,
        "sha256": reader.seal,
        "reason": head.reason,
    }


def named(exc: HeartbeatError, backup: Backup) -> HeartbeatError:
    """The error, with the backup that it is about."""
    if isinstance(exc, BackupCorrupt) and "path" not in exc.details:
        return BackupCorrupt("%s cannot be used: %s" % (backup.path, exc.message), path=backup.path)
    if isinstance(exc, InvalidSettings) and exc.message.startswith("passphrase: it is"):
        return InvalidSettings("%s: %s" % (exc.message, backup.path), path=backup.path)
    return exc


def dispensable(backups: List[Backup], now: int, keep: Optional[int], keep_for: Optional[int]) -> List[Backup]:
    """Those that may go: neither among the newest ``keep``, nor younger than ``keep_for`` nanoseconds.

    Each machine's backups, and those of the whole fleet, are counted by themselves, and among them those of what a
    restore has replaced. The newest of each always stays.
    """
    if keep is None and keep_for is None:
        return []
    going: List[Backup] = []
    counted: Dict[Tuple[Optional[str], bool], int] = {}
    for backup in sorted(backups, key=lambda b: (b.at, b.name), reverse=True):
        # One that is only planned knows the machine's whole name, and those that are there what a file name holds.
        kind = backup.machine and _short(backup.machine), backup.before_restore
        number = counted[kind] = counted.get(kind, 0) + 1
        young = keep_for is not None and now - backup.at < keep_for
        if number > max(1, keep or 0) and not young:
            going.append(backup)
    return going


def remove(backup: Backup) -> None:
    """Delete an archive; that it is gone already is fine."""
    try:
        os.unlink(backup.path)
    except FileNotFoundError:
        return
    except OSError as exc:
        raise unusable(exc, "remove the backup", backup.path) from exc
