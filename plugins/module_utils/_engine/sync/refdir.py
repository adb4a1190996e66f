# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Small sealed JSON documents in folders below one root, by name or by number. Standard library only.

A name is put in place once and for all (:meth:`RefDir.create`, as in the journal: of two writers one wins), or replaced
as a whole. What is read back is checked against its seal, and is still no more than JSON that anybody may have written.
"""

from __future__ import annotations

import errno
import json
import os

from .. import sealed
from ..clock import NS
from ..errors import HeartbeatError, StoreCorrupt, StoreUnavailable, from_os_error
from ..stores import atomic
from .folders import make_folder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, Optional

DIGITS = 20
MOST = 1 << 62
"""No count gets there; and beyond twice as much, what has such a number is refused."""
MAX_BYTES = 16 << 20
TORN_GRACE = int(2 * atomic.MAKING_LIMIT) * NS
_OPEN = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Found:
    """A document as it lies there."""

    __slots__ = ("name", "stamp", "value")

    def __init__(self, name: str, value: Any, stamp: int) -> None:
        self.name = name
        self.value = value
        self.stamp = stamp


class RefDir:
    """Documents below a root.

    :param root: a directory; it is made when the first document is written, but not what it lies in.
    """

    def __init__(self, root: str) -> None:
        self.root = root
        self._fds: Dict[str, int] = {}

    def close(self) -> None:
        for fd in self._fds.values():
            os.close(fd)
        self._fds.clear()

    def __enter__(self) -> RefDir:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    # -- folders -------------------------------------------------------------------------------------------------

    def _folder(self, folder: str, make: bool = False) -> int:
        """A descriptor of a folder; each part is opened below the one before, so that no link leads elsewhere.

        :raises FileNotFoundError: it is not there, and is not to be made.
        """
        if folder in self._fds:
            return self._fds[folder]
        if not folder:
            if make:
                make_folder(self.root)
            fd = os.open(self.root, _OPEN)
        else:
            above, _slash, name = folder.rpartition("/")
            if name in ("", ".", ".."):
                raise ValueError("%r is no folder" % folder)
            holder = self._folder(above, make)
            if make:
                make_folder(name, holder)
            fd = os.open(name, _OPEN, dir_fd=holder)
        self._fds[folder] = fd
        return fd

    def _failed(self, exc: OSError, doing: str, folder: str, name: str = "") -> HeartbeatError:
        return from_os_error(exc, doing, os.path.join(self.root, folder, name))

    def names(self, folder: str) -> List[str]:
        """What lies in a folder, sorted; nothing when it is not there."""
        try:
            return sorted(name for name in os.listdir(self._folder(folder)) if name[:1] != ".")
        except FileNotFoundError:
            return []
        except OSError as exc:
            raise self._failed(exc, "list the vault's documents", folder) from exc

    def numbers(self, folder: str) -> List[int]:
        """The numbers that are taken in a folder, sorted."""
        names = (name[:-5] for name in self.names(folder) if name.endswith(".json"))
        return sorted(int(name) for name in names if len(name) == DIGITS and name.isascii() and name.isdigit())

    # -- documents -----------------------------------------------------------------------------------------------

    def read(self, folder: str, name: str) -> Optional[Found]:
        """A document, or None.

        :raises StoreCorrupt: it is there, and is not what was once written; ``torn`` in the details says that its
            writer may have died (or be) in the middle of it.
        """
        path = os.path.join(self.root, folder, name)
        try:
            found = atomic.read(self._folder(folder), name, MAX_BYTES)
        except FileNotFoundError:
            return None
        except OSError as exc:
            raise self._failed(exc, "read a document of the vault", folder, name) from exc
        if found is None:
            return None
        data, state = found
        try:
            value = json.loads(sealed.unseal(data))
        except (ValueError, RecursionError) as exc:
            torn = not data or data[:1] == atomic.IN_THE_MAKING
            raise StoreCorrupt(
                "%s cannot be used: %.200s; restore it, or move it away if nothing else has it" % (path, exc),
                path=path,
                torn=torn,
                stamp=state.st_mtime_ns,
            ) from exc
        return Found(name, value, state.st_mtime_ns)

    def create(self, folder: str, name: str, value: Any) -> bool:
        """Put a document in place; False when there is something of that name already."""
        try:
            fd = self._folder(folder, make=True)
            if atomic.create(fd, name, _sealed(value)) is None:
                return False
            atomic.sync_directory(fd)
        except OSError as exc:
            raise self._failed(exc, "write a document of the vault", folder, name) from exc
        return True

    def replace(self, folder: str, name: str, value: Any) -> None:
        """Put a document in place, whatever was there."""
        try:
            fd = self._folder(folder, make=True)
            atomic.replace(fd, name, _sealed(value))
            atomic.sync_directory(fd)
        except OSError as exc:
            raise self._failed(exc, "write a document of the vault", folder, name) from exc

    def remove(self, folder: str, name: str) -> bool:
        """Take a document away; whether it was there."""
        try:
            os.unlink(name, dir_fd=self._folder(folder))
        except FileNotFoundError:
            return False
        except OSError as exc:
            raise self._failed(exc, "remove a document of the vault", folder, name) from exc
        return True

    def remove_folder(self, folder: str) -> bool:
        """Take a folder away in which there is nothing; whether it is gone."""
        above, _slash, name = folder.rpartition("/")
        fd = self._fds.pop(folder, None)
        if fd is not None:
            os.close(fd)
        try:
            os.rmdir(name, dir_fd=self._folder(above))
        except FileNotFoundError:
            return True
        except OSError as exc:
            if exc.errno in (errno.ENOTEMPTY, errno.EEXIST):
                return False
            raise self._failed(exc, "remove a folder of the vault", folder) from exc
        return True

    # -- numbered ones -------------------------------------------------------------------------------------------

    def last(self, folder: str, now: int) -> Optional[Found]:
        """The document with the highest number; torn ones whose writer must be dead by now are passed over.

        :param now: the store's time.
        :raises StoreUnavailable: one is torn, and its writer may still be at it.
        """
        for number in reversed(self.numbers(folder)):
            try:
                found = self.read(folder, numbered(number))
            except StoreCorrupt as exc:
                if not exc.details["torn"]:
                    raise
                if abs(now - exc.details["stamp"]) < TORN_GRACE:
                    raise StoreUnavailable(
                        "%s is being written, or its writer died; it is passed over %d s after it began, so try again "
                        "then" % (exc.details["path"], TORN_GRACE // NS),
                        path=exc.details["path"],
                    ) from exc
                continue
            if found is not None:
                return found
        return None

    def append(self, folder: str, number: int, value: Any) -> bool:
        """Put a document under a number; False when it is taken."""
        return self.create(folder, numbered(number), value)

    def next_number(self, folder: str) -> int:
        """One more than the highest that is taken, by whatever is there.

        :raises StoreCorrupt: nobody would find what had that number.
        """
        taken = self.numbers(folder)
        if taken and taken[-1] >= MOST:
            path = os.path.join(self.root, folder, numbered(taken[-1]))
            why = "%s was put there by hand, and leaves no number for the next; move it away"
            raise StoreCorrupt(why % path, path=path)
        return taken[-1] + 1 if taken else 1


def numbered(number: int) -> str:
    """The name of a numbered document."""
    return "%0*d.json" % (DIGITS, number)


def _sealed(value: Any) -> bytes:
    return sealed.seal(json.dumps(value, separators=(",", ":"), sort_keys=True).encode("ascii"))
