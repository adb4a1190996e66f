# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writing one archive: into a file without a name, verified there, and only then put under its name.

Wherever the writer dies, there is no new backup, or a whole one. What it leaves behind has a name that no backup has,
and the next one removes it. Only the owner can read a backup, and list a directory of backups that was made here.
"""

from __future__ import annotations

import errno
import json
import os
import stat
import time
from dataclasses import asdict, dataclass, replace
from tempfile import SpooledTemporaryFile
from typing import Any, Dict, List, Optional, Tuple

from .. import documents
from ..errors import DiskSpaceLow, HeartbeatError, StoreUnavailable
from ..record import file_name
from ..register import VERSION
from ..stores.atomic import discard, sync_directory
from ..stores.file import FileStore
from . import catalogue
from .archive import Writer
from .catalogue import FOLDER, Backup
from .members import FORMAT, Head
from .walk import Tree

LEFT_BEHIND_AFTER = 3600.0
SPOOL = 4 << 20
"""How large a manifest may get in memory; a larger one goes into a file without a name."""
RESERVE = 32 << 20
"""What a backup leaves free on its disk, or a twentieth of the disk where that is less: machines must go on beating."""
ATTEMPTS = 3
"""How often all is read anew if upkeep of the vault gets in between."""
DIR_MODE = 0o700
FILE_MODE = 0o600
_NO_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK)


@dataclass(frozen=True)
class Order:
    """How an archive is to be written.

    :param machine: of this machine only; of the whole fleet, if None.
    :param strict: fail for a file that cannot be read, rather than leave it out.
    :param before_restore: it is of what a restore is about to replace.
    """

    machine: Optional[str] = None
    passphrase: Optional[str] = None
    verify: bool = True
    reason: str = ""
    strict: bool = True
    before_restore: bool = False


def prepare(directory: str, own: bool) -> None:
    """Make the directory, for its owner alone; ``backups`` of a fleet is closed to others too.

    :param own: it is the folder ``backups`` of a fleet, which was made for everybody in the group.
    """
    try:
        os.makedirs(directory, mode=DIR_MODE, exist_ok=True)
        state = os.lstat(directory)
        if own and stat.S_ISDIR(state.st_mode) and state.st_uid == os.geteuid() and state.st_mode & 0o077:
            os.chmod(directory, DIR_MODE)
        for name in os.listdir(directory):
            if name.startswith(catalogue.PARTIAL):
                path = os.path.join(directory, name)
                if time.time() - os.lstat(path).st_mtime > LEFT_BEHIND_AFTER:
                    os.unlink(path)
    except FileNotFoundError:
        pass  # somebody else has tidied up
    except (FileExistsError, NotADirectoryError) as exc:
        raise catalogue.no_directory(directory) from exc
    except OSError as exc:
        raise catalogue.unusable(exc, "prepare the directory of backups", directory) from exc


def write(store: FileStore, directory: str, order: Order, now: int) -> Tuple[Dict[str, Any], List[str]]:
    """Make one backup.

    :returns: what was made, and warnings.
    """
    prepare(directory, directory == os.path.join(store.location, FOLDER))
    temporary = "%s%d-%s" % (catalogue.PARTIAL, os.getpid(), os.urandom(6).hex())
    named = catalogue.new(
        directory, store.fleet, order.machine, now, order.passphrase is not None, order.before_restore
    )
    partial = replace(named, name=temporary)
    try:
        fd = os.open(partial.path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, FILE_MODE)
        try:
            seal, skipped = _filled(fd, store, partial, order, now)
            os.fsync(fd)
            held = catalogue.verify(partial, order.passphrase) if order.verify else {"sha256": seal}
            finished = _publish(fd, partial)
        except BaseException:
            _discard(partial.path)
            raise
        finally:
            os.close(fd)
    except OSError as exc:
        raise catalogue.unusable(exc, "write a backup", directory) from exc
    warnings = ["left out of the backup: " + what for what in skipped[:20]]
    if len(skipped) > 20:
        warnings.append("left out of the backup: %d more" % (len(skipped) - 20))
    return dict(held, **finished.as_dict()), warnings


def _filled(fd: int, store: FileStore, partial: Backup, order: Order, now: int) -> Tuple[str, List[str]]:
    """As :func:`_fill`, again where upkeep of the vault has moved what was needed while it was read.

    :raises StoreUnavailable: it does so all the time, and nothing may be left out.
    """
    seal = ""
    skipped: List[str] = []
    gone: List[str] = []
    for _attempt in range(ATTEMPTS):
        os.ftruncate(fd, 0)
        os.lseek(fd, 0, os.SEEK_SET)
        seal, skipped, gone = _fill(fd, store, partial, order, now)
        if not gone:
            return seal, skipped
    if order.strict:
        raise StoreUnavailable(
            "upkeep of the vault has put packs together while they were read, %d times; try again at another time"
            % ATTEMPTS,
            path=os.path.join(store.location, gone[0]),
        )
    return seal, [*skipped, *("%s: it was put together with others meanwhile" % path for path in gone)]


def _fill(fd: int, store: FileStore, partial: Backup, order: Order, now: int) -> Tuple[str, List[str], List[str]]:
    with SpooledTemporaryFile(SPOOL, dir=partial.directory) as manifest, Tree(store.location, order.strict) as tree:
        writer = Writer(fd, order.passphrase, manifest, lambda: _check_space(fd, partial.directory))
        journal = [] if partial.machine is not None else tree.journal()
        moment = _moment(store, now)
        head = _head(store, partial, tree.newest_commit, order.reason, moment)
        writer.head((json.dumps(asdict(head), indent=2) + "\n").encode("ascii"), moment)
        folders = tree.folders()
        if partial.machine is not None:
            folders = [f for f in folders if f.path in ("", "heartbeats")]
        for folder in folders:
            writer.add(folder, lambda size: b"")
        there = {folder.path for folder in folders}
        single = ["heartbeats/" + file_name(partial.machine)] if partial.machine is not None else None
        for path in single or tree.paths(journal, folders):
            _add(writer, tree, path, there)
        return writer.close(), tree.skipped, tree.gone


def _moment(store: FileStore, now: int) -> int:
    """The store's time, after the journal was listed; of what is left of a fleet, the time that is known."""
    try:
        return store.now()
    except HeartbeatError:
        return now


def _add(writer: Writer, tree: Tree, path: str, folders: Any) -> None:
    found = tree.read(path)
    if found is None:
        return
    member, content, opened = found
    try:
        if member.path.rpartition("/")[0] in folders:
            writer.add(member, content)
    finally:
        if opened >= 0:
            os.close(opened)


def _head(store: FileStore, partial: Backup, commit: int, reason: str, now: int) -> Head:
    try:
        fleet = documents.parse_fleet(store.read("fleet.json") or b"", store.location + "/fleet.json")
    except HeartbeatError:
        fleet = documents.FleetFile("", "")
    try:
        machines = len(store.names("heartbeats")) if partial.machine is None else 1
    except HeartbeatError:
        machines = 0
    return Head(
        format=FORMAT,
        created_at=now,
        fleet=store.fleet,
        store_id=fleet.store_id,
        machine_id=partial.machine,
        expected=partial.machine in fleet.expected,
        commit=commit,
        machines=machines,
        reason=reason[:1000],
        version=VERSION,
    )


def _check_space(fd: int, directory: str) -> None:
    """Stop before the disk is full: it is often the one that the machines beat on."""
    state = os.fstatvfs(fd)
    size, free = state.f_frsize * state.f_blocks, state.f_frsize * state.f_bavail
    if size and free < min(RESERVE, size // 20):
        raise DiskSpaceLow(
            "cannot write a backup: less than %d MiB would be left free at %s; free space there, or give another "
            "directory" % (min(RESERVE, size // 20) >> 20, directory),
            errno="ENOSPC",
            path=directory,
        )


def _publish(fd: int, partial: Backup) -> Backup:
    """Give the archive its name; should another one have it, the next later one."""
    at = partial.at
    dir_fd = os.open(partial.directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        while True:
            named = catalogue.new(
                partial.directory, partial.fleet, partial.machine, at, partial.encrypted, partial.before_restore
            )
            name = named.name
            try:
                os.link(partial.name, name, src_dir_fd=dir_fd, dst_dir_fd=dir_fd, follow_symlinks=False)
                discard(dir_fd, partial.name)
                break
            except FileExistsError:
                at += 1000
            except OSError as exc:
                if exc.errno not in _NO_LINKS:
                    raise
                os.rename(partial.name, name, src_dir_fd=dir_fd, dst_dir_fd=dir_fd)
                break
        sync_directory(dir_fd)
    finally:
        os.close(dir_fd)
    return replace(named, bytes=os.fstat(fd).st_size)


def _discard(path: str) -> None:
    try:
        os.unlink(path)
    except OSError:
        pass
