# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The directory store: any local directory or shared mount.

Used by every beat, so it imports the standard library only (filelock where a lock is asked for), and works through
descriptors of directories: a share that is unmounted in the middle cannot turn into the empty directory beneath it.
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import ExitStack, contextmanager

from ..errors import StoreUnavailable, from_os_error
from ..identity import is_machine_id
from ..record import MAX_RECORD_BYTES, file_name, machine_id_of
from . import atomic

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, Iterator, List, Optional

    from .base import Received, Scan

MARK = "fleet.json"
FOLDERS = (
    "heartbeats",
    "conflicts",
    "journal",
    "journal/archive",
    "maintenance",
    "incidents",
    "decisions",
    "diagnostics",
    "drills",
    "reports",
    "backups",
    "vault",
    "logs",
    "locks",
)
RESTORING = ".restore-"
"""Before a fleet's name: the directory beside it in which a restore works; left behind, it means a cut-off one."""
PRIVATE = "backups"
"""The one folder that its owner closes to the group, once there is something in it."""
LEFT_BEHIND_AFTER = 3600 * 10**9
NOTES_KEPT = {"conflicts": 7 * 86_400 * 10**9}
"""Folders whose files are notes: how long one that is not renewed is kept, in nanoseconds."""
MAX_DOCUMENT_BYTES = 1 << 30
_FOLDER_ADVICE = {
    errno.ENOENT: "make it with heartbeat_repair",
    errno.ENOTDIR: "look what it is, move it away, and make the folder with heartbeat_repair",
}
"""Where the fleet itself is there: a folder that is missing, and a file or a link in its place."""
_DIGITS = 20


class FileStore:
    """One fleet in a directory store.

    :param root: the store's directory.
    :param fleet: the fleet's name, already validated.
    """

    def __init__(self, root: str, fleet: str) -> None:
        self.root = root
        self.fleet = fleet
        self.location = os.path.join(root, fleet)
        self._fds: Dict[str, int] = {}

    # -- being there ---------------------------------------------------------------------------------------------

    def connect(self) -> None:
        """See the :class:`.base.Store` protocol. A directory without ``fleet.json`` is not a store."""
        if "" in self._fds:
            return
        try:
            fd = os.open(self.location, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except FileNotFoundError as exc:
            raise self._absent(exc) from exc
        except OSError as exc:
            raise from_os_error(exc, "open the store", self.location) from exc
        try:
            os.stat(MARK, dir_fd=fd, follow_symlinks=False)
        except FileNotFoundError as exc:
            os.close(fd)
            raise self._absent(exc) from exc
        except OSError as exc:
            os.close(fd)
            raise from_os_error(exc, "open the store", self.location) from exc
        self._fds[""] = fd

    def _absent(self, exc: OSError) -> StoreUnavailable:
        root, name = os.path.split(os.path.realpath(self.location))  # a link to a fleet stays where it is
        if os.path.lexists(os.path.join(root, RESTORING + name)):
            # Where directories cannot change places in one step, a restore that is killed may leave no fleet behind.
            return StoreUnavailable(
                "the fleet at %s is being restored, or its restore was cut off: wait for it, or run heartbeat_restore "
                "again, which brings it to its end (do not create the fleet anew)" % self.location,
                errno="EBUSY",
                path=self.location,
            )
        return StoreUnavailable(
            "there is no fleet at %s: mount the share that holds it, or create the fleet with heartbeat_fleet "
            "(a directory without %s is not a store, and nothing is written into it)" % (self.location, MARK),
            errno="ENOENT",
            path=self.location,
        )

    def create(self) -> None:
        """Make the fleet's folders; ``heartbeat_fleet`` alone does this, and writes the mark afterwards."""
        self.close()
        try:
            if not os.path.isdir(self.root):
                atomic.make_path(self.root)
                os.chmod(self.root, atomic.DIR_MODE)
            root = os.open(self.root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                self._fds[""] = atomic.make_folder(root, self.fleet)
            finally:
                os.close(root)
        except OSError as exc:
            raise from_os_error(exc, "create the store", self.location) from exc
        try:
            for folder in FOLDERS:
                self.make_folder(folder)
        except BaseException:
            self.close()  # without a mark it is not a store
            raise

    def make_folder(self, folder: str) -> None:
        """Make one of the fleet's folders unless it is there, and give its group the right to write into it.

        Backups that are there stay as closed as they are.
        """
        parent, name = os.path.split(folder)
        try:
            if folder != PRIVATE or name not in os.listdir(self._folder(parent)):
                os.close(atomic.make_folder(self._folder(parent), name))
        except OSError as exc:
            raise self._failed(exc, "make a folder of the store", folder) from exc

    def exists(self) -> bool:
        """Whether a fleet is there; False also for a directory that is no store.

        :raises StoreUnavailable: something is there, and it cannot be looked at.
        """
        try:
            self.connect()
        except StoreUnavailable as exc:
            if exc.details.get("errno") == "ENOENT":
                return False
            raise
        return True

    def close(self) -> None:
        for fd in self._fds.values():
            os.close(fd)
        self._fds.clear()

    def __enter__(self) -> FileStore:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def _folder(self, folder: str) -> int:
        """A descriptor of one of the fleet's folders, opened once."""
        self.connect()
        fd = self._fds.get(folder)
        if fd is None:
            flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
            try:
                fd = os.open(folder, flags, dir_fd=self._fds[""])
            except OSError as exc:
                path = os.path.join(self.location, folder)
                advice = _FOLDER_ADVICE.get(exc.errno or 0)
                raise from_os_error(exc, "open a folder of the store", path, advice) from exc
            self._fds[folder] = fd
        return fd

    def _failed(self, exc: OSError, doing: str, name: str) -> Exception:
        return from_os_error(exc, doing, os.path.join(self.location, name))

    # -- time ----------------------------------------------------------------------------------------------------

    def now(self) -> int:
        """The time that the file server stamps on a file written just now."""
        try:
            fd = self._folder("locks")
            name, stamp = atomic.write_temporary(fd, b"now\n")
            atomic.discard(fd, name)
        except OSError as exc:
            raise self._failed(exc, "ask the store for its time", "locks") from exc
        return stamp

    # -- beats ---------------------------------------------------------------------------------------------------

    def scan(self) -> Scan:
        from .base import Scan

        result = Scan()
        # This loop is nearly all of a check of a large fleet that is well: what runs for each machine is kept short.
        received, lstat, regular = result.received, os.stat, stat.S_IFREG >> 12
        try:
            fd = self._folder("heartbeats")
            for name in os.listdir(fd):
                if name[0] == ".":
                    continue
                try:
                    state = lstat(name, dir_fd=fd, follow_symlinks=False)
                except FileNotFoundError:
                    continue
                if name[-5:] == ".json" and state.st_mode >> 12 == regular:
                    received[name[:-5]] = state.st_mtime_ns
                elif machine_id_of(name) and state.st_mode >> 12 == regular:
                    received[str(machine_id_of(name))] = state.st_mtime_ns
                else:
                    result.oddities.append((name, _what_it_is(state.st_mode)))
        except OSError as exc:
            raise self._failed(exc, "list the heartbeats", "heartbeats") from exc
        return result

    def read_beat(self, machine_id: str) -> Optional[Received]:
        if not is_machine_id(machine_id):
            return None  # a document named it; no machine can
        return self._read("heartbeats", file_name(machine_id), MAX_RECORD_BYTES)

    def write_beat(self, machine_id: str, data: bytes, first: bool = False) -> Optional[int]:
        name = file_name(machine_id)
        try:
            fd = self._folder("heartbeats")
            return atomic.create(fd, name, data) if first else atomic.replace(fd, name, data)
        except OSError as exc:
            raise self._failed(exc, "write a heartbeat", "heartbeats/" + name) from exc

    def delete_beat(self, machine_id: str) -> bool:
        if not is_machine_id(machine_id):
            return False  # as above: it would lead out of the store
        return self.delete("heartbeats/" + file_name(machine_id))

    # -- documents -----------------------------------------------------------------------------------------------

    def _read(self, folder: str, name: str, limit: int) -> Optional[Received]:
        from .base import Received

        try:
            found = atomic.read(self._folder(folder), name, limit)
        except OSError as exc:
            raise self._failed(exc, "read", os.path.join(folder, name)) from exc
        return None if found is None else Received(found[0], found[1].st_mtime_ns)

    def read(self, name: str) -> Optional[bytes]:
        found = self.read_stamped(name)
        return None if found is None else found.data

    def read_stamped(self, name: str) -> Optional[Received]:
        folder, base = os.path.split(name)
        return self._read(folder, base, MAX_DOCUMENT_BYTES)

    def write(self, name: str, data: bytes, durable: bool = True) -> None:
        folder, base = os.path.split(name)
        try:
            fd = self._folder(folder)
            atomic.replace(fd, base, data, durable)
            if durable:
                atomic.sync_directory(fd)
        except OSError as exc:
            raise self._failed(exc, "write", name) from exc

    def delete(self, name: str) -> bool:
        folder, base = os.path.split(name)
        try:
            os.unlink(base, dir_fd=self._folder(folder))
        except FileNotFoundError:
            return False
        except OSError as exc:
            raise self._failed(exc, "remove", name) from exc
        return True

    def names(self, folder: str) -> List[str]:
        try:
            return sorted(n for n in os.listdir(self._folder(folder)) if n[:1] != ".")
        except OSError as exc:
            raise self._failed(exc, "list", folder) from exc

    # -- journal -------------------------------------------------------------------------------------------------

    def commit_numbers(self) -> List[int]:
        return sorted(
            int(name[:_DIGITS])
            for name in self.names("journal")
            if len(name) == _DIGITS + 5 and name.isascii() and name[:_DIGITS].isdigit() and name.endswith(".json")
        )

    def read_commit(self, number: int) -> Optional[Received]:
        name = _commit_name(number)
        if len(name) > len(_commit_name(0)):
            return None  # a document named it; no journal gets there
        # The archived one counts: a writer that slept may have left another under the number (see append_commit). Last
        # the archive again, for the commit may have been moved in between.
        for folder in ("journal/archive", "journal", "journal/archive"):
            found = self._read(folder, name, MAX_DOCUMENT_BYTES)
            if found is not None:
                return found
        return None

    def append_commit(self, number: int, data: bytes) -> bool:
        name = _commit_name(number)
        try:
            fd = self._folder("journal")
            if atomic.create(fd, name, data) is None:
                return False
            if self._is_archived(name):  # this writer slept while the journal went on far beyond it
                atomic.discard(fd, name)
                return False
            atomic.sync_directory(fd)
        except OSError as exc:
            raise self._failed(exc, "write to the journal", "journal/" + name) from exc
        return True

    def _is_archived(self, name: str) -> bool:
        try:
            os.stat(name, dir_fd=self._folder("journal/archive"), follow_symlinks=False)
        except FileNotFoundError:
            return False
        return True

    def archive_commits(self, numbers: List[int]) -> None:
        try:
            source, target = self._folder("journal"), self._folder("journal/archive")
            for name in map(_commit_name, numbers):
                try:
                    if self._is_archived(name):
                        atomic.discard(source, name)
                    else:
                        os.rename(name, name, src_dir_fd=source, dst_dir_fd=target)
                except FileNotFoundError:
                    continue  # another checker was first
        except OSError as exc:
            raise self._failed(exc, "archive the journal", "journal/archive") from exc

    # -- upkeep --------------------------------------------------------------------------------------------------

    def sweep(self, now: int) -> None:
        """See the protocol. A writer takes far less than an hour between making its file and giving it its name."""
        for folder in ("", *FOLDERS):
            if folder == PRIVATE:
                continue  # its owner tidies up there
            fd = self._folder(folder)
            try:
                names = os.listdir(fd)
            except OSError as exc:
                raise self._failed(exc, "clean up", folder) from exc
            for name in names:
                age = LEFT_BEHIND_AFTER if name.startswith(atomic.TEMPORARY) else NOTES_KEPT.get(folder)
                try:
                    if age is not None and now - os.stat(name, dir_fd=fd, follow_symlinks=False).st_mtime_ns > age:
                        os.unlink(name, dir_fd=fd)
                except OSError:
                    continue  # somebody else swept here, or it is a directory, or another user's

    # -- locks ---------------------------------------------------------------------------------------------------

    @contextmanager
    def lock(self, name: str, timeout: float, needed: bool = False) -> Iterator[bool]:
        """See the protocol. On some network file systems it excludes nobody: it spares work, no more."""
        from .locks import hold

        folder, file = self._folder("locks"), name + ".lock"
        with ExitStack() as stack:
            try:
                held = stack.enter_context(hold(folder, file, timeout))
            except OSError as exc:
                if needed:
                    raise self._failed(exc, "take a lock", "locks/" + file) from exc
                held = False
            yield held


def _commit_name(number: int) -> str:
    return "%0*d.json" % (_DIGITS, number)


def _what_it_is(mode: int) -> str:
    for test, name in (
        (stat.S_ISLNK, "a symbolic link"),
        (stat.S_ISDIR, "a directory"),
        (stat.S_ISREG, "a file that is no record"),
    ):
        if test(mode):
            return name
    return "a special file"
