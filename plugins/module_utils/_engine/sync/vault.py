# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The vault: every content that a manifest names, kept once, in packs below the store.

Any machine of the fleet may add packs, at any time, without a lock: a pack appears whole, by rename, under a name that
depends on what is in it. What is read is verified, whoever wrote it. Upkeep (``upkeep.py``) alone removes something.
"""

from __future__ import annotations

import os
import stat

from ..errors import HeartbeatError, StoreCorrupt, StoreUnavailable, from_os_error
from ..stores.atomic import TEMPORARY, discard, sync_directory, write_all
from . import manifest as manifests
from . import wanted
from .folders import make_folder
from .pack import PackReader, Row, check_pack, pack_name
from .packing import PackWriter, check_space
from .packset import PackSet
from .reading import PIECE
from .spec import MAX_ENTRIES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, FrozenSet, Iterable, Mapping, Optional, Set, Tuple, TypeVar

    Result = TypeVar("Result")

PACKS = "packs"
OPEN_DIR = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Vault:
    """An open vault, used in a ``with`` block.

    :param path: the directory ``vault`` of a fleet.
    :param create: make it when it is missing; the fleet's own directory must be there.
    """

    def __init__(self, path: str, create: bool = False) -> None:
        self.path = os.path.join(path, PACKS)
        try:
            if create:
                for directory in (path, self.path):
                    make_folder(directory)
            self.dir_fd = os.open(self.path, OPEN_DIR)
        except OSError as exc:
            raise from_os_error(exc, "open the vault", self.path) from exc
        self.packs = PackSet(self.dir_fd, self.path)
        self._wanted: Optional[wanted.Wanted] = None
        self._relied: Set[str] = set()

    def __enter__(self) -> Vault:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Close all that is open; the vault cannot be used afterwards."""
        self.packs.close()
        if self.dir_fd >= 0:
            os.close(self.dir_fd)
            self.dir_fd = -1

    # What is there

    def has(self, digest: str) -> bool:
        """Whether a content is there, as far as the index of a pack tells."""
        return any(True for _holder in self.packs.holders(bytes.fromhex(digest)))

    def missing(self, digests: Iterable[str]) -> Set[str]:
        """Those of the contents that are not there. Whoever then relies on the others calls :meth:`rely_on`."""
        return self.packs.missing(digests)

    def rely_on(self, digests: Iterable[str]) -> Set[str]:
        """Those of the contents that are not there, and have to be brought. The others stay: upkeep lets them be for as
        long as it does with new ones, so that a document that names them can be written meanwhile."""
        self.wanted()
        asked = set(digests) - self._relied
        if asked:
            self.packs.refresh()
        missing = {digest for digest in asked if not self.packs.keep(bytes.fromhex(digest))}
        self._relied |= asked - missing
        return missing

    def size(self, digest: str) -> Optional[int]:
        """The length of a content; None when it is not there."""
        for _reader, row in self.packs.holders(bytes.fromhex(digest)):
            return row.logical
        return None

    def wanted(self) -> FrozenSet[str]:
        """The contents that a check found damaged or missing. Whoever has one adds it anew, and calls :meth:`came`."""
        if self._wanted is None:
            self._wanted = wanted.load(self.dir_fd)
            self.packs.distrusted = set(map(bytes.fromhex, self._wanted.contents))
        return self._wanted.contents

    def came(self, digests: Iterable[str]) -> None:
        """Some contents were added that may have been wanted."""
        found = self.wanted() & frozenset(digests)
        if not found:
            return
        self.packs.distrusted -= set(map(bytes.fromhex, found))
        now = wanted.load(self.dir_fd)
        self._wanted = now._replace(contents=now.contents - found)
        try:
            wanted.note(self.dir_fd, self.path, self._wanted)
        except HeartbeatError:
            pass  # they are added once more, by the next one that has them

    def stored(self, digests: Iterable[str]) -> int:
        """How many bytes some contents take in a pack; those that are not there take none."""
        found = 0
        for digest in digests:
            for _reader, row in self.packs.holders(bytes.fromhex(digest)):
                found += row.stored
                break
        return found

    # Reading

    def read(self, digest: str, limit: int) -> bytes:
        """A content as bytes, verified.

        :raises StoreCorrupt: it is nowhere, damaged wherever it is, or has more than ``limit`` bytes.
        """
        return self._verified(digest, lambda reader, row: reader.read(row, limit))

    def copy_to(self, digest: str, fd: int) -> bool:
        """Write a content, holes and all, into an empty file. It may only be used if this returns.

        :returns: True: what was written has been hashed on its way, and is that content.
        :raises OSError: of writing the file.
        :raises StoreCorrupt: the content is nowhere, or damaged wherever it is.
        """

        def copy(reader: PackReader, row: Row) -> bool:
            if os.lseek(fd, 0, os.SEEK_CUR):
                # A damaged one was written before it.
                os.ftruncate(fd, 0)
                os.lseek(fd, 0, os.SEEK_SET)
            reader.copy_to(row, fd)
            return True

        return self._verified(digest, copy)

    def manifest(self, digest: str, max_entries: int = MAX_ENTRIES) -> manifests.Manifest:
        """The manifest of that digest, verified.

        :raises StoreCorrupt: it is missing, damaged, or not fit to be used.
        """
        return manifests.load(self.read(digest, manifests.MAX_BYTES), max_entries)

    def _verified(self, digest: str, work: Callable[[PackReader, Row], Result]) -> Result:
        trouble: Optional[HeartbeatError] = None
        for reader, row in self.packs.holders(bytes.fromhex(digest)):
            try:
                return work(reader, row)
            except (StoreCorrupt, StoreUnavailable) as exc:
                # Another pack may have it as well.
                trouble = trouble or exc
        raise trouble or StoreCorrupt(
            "the content %s is not in the vault %s; run heartbeat_vault with verify: true, then capture the machine "
            "that has it, or restore the vault from a backup" % (digest, self.path),
            path=self.path,
            digest=digest,
        )

    # Adding

    def writer(self) -> PackWriter:
        """What new contents are added with; what is there already is passed over."""
        self.wanted()
        return PackWriter(self.dir_fd, self.path, known=self.packs.keep)

    def adopt(self, bundle: str, expected: Optional[Mapping[str, int]] = None) -> Set[str]:
        """Take over a bundle, whoever made it: it is copied, and counts only when every content in it is verified.

        :param expected: digest -> length of the contents that may be in it; default: any.
        :returns: what is in it.
        :raises StoreCorrupt: something in it is not what it should be. Nothing of it is taken over.
        """
        try:
            source = os.open(bundle, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as exc:
            raise from_os_error(exc, "read a bundle", bundle) from exc
        try:
            state = os.fstat(source)
            if not stat.S_ISREG(state.st_mode):
                raise StoreCorrupt("the bundle %s is no regular file" % bundle, path=bundle)
            check_space(self.dir_fd, state.st_size, self.path)
            temporary, name, digests = self._copy_in(source, bundle, expected)
        finally:
            os.close(source)
        try:
            if digests:
                os.rename(temporary, name, src_dir_fd=self.dir_fd, dst_dir_fd=self.dir_fd)
                sync_directory(self.dir_fd)
        except OSError as exc:
            raise from_os_error(exc, "add to the vault", self.path) from exc
        finally:
            discard(self.dir_fd, temporary)
        return digests

    def _copy_in(self, source: int, label: str, expected: Optional[Mapping[str, int]]) -> Tuple[str, str, Set[str]]:
        """A verified, durable copy under a temporary name; that, the name it is to have, and what is in it."""
        temporary = "%s%d-%s" % (TEMPORARY, os.getpid(), os.urandom(6).hex())
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            fd = os.open(temporary, flags, 0o640, dir_fd=self.dir_fd)
            try:
                os.fchmod(fd, 0o640)
                data = os.read(source, PIECE)
                while data:
                    write_all(fd, data)
                    data = os.read(source, PIECE)
                os.fsync(fd)
            except BaseException:
                os.close(fd)
                raise
            with PackReader(fd, label) as reader:
                for row in reader.check_layout() if expected is not None else ():
                    if (expected or {}).get(row.digest.hex()) != row.logical:
                        raise StoreCorrupt("the bundle %s holds a content that nobody asked for" % label, path=label)
                digests = {row.digest.hex() for row in check_pack(reader)}
                return temporary, pack_name(reader.index), digests
        except BaseException as exc:
            discard(self.dir_fd, temporary)
            if isinstance(exc, OSError):
                raise from_os_error(exc, "add to the vault", self.path) from exc
            raise

    def export(self, digests: Iterable[str], path: str) -> int:
        """Write some contents into a bundle; how many bytes it has.

        :param path: of the bundle, readable by this user alone; it replaces what is there.
        :raises StoreCorrupt: a content is missing or damaged. There is no bundle then.
        """
        directory, name = os.path.split(os.path.abspath(path))
        try:
            dir_fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as exc:
            raise from_os_error(exc, "write a bundle", directory) from exc
        try:
            with PackWriter(dir_fd, directory, name=name, mode=0o600) as writer:
                self.copy_into(writer, digests)
                writer.commit()
            return os.stat(name, dir_fd=dir_fd, follow_symlinks=False).st_size
        finally:
            os.close(dir_fd)

    def copy_into(self, writer: PackWriter, digests: Iterable[str]) -> None:
        """Add contents of this vault to a pack, each verified.

        :raises StoreCorrupt: one is missing, or damaged wherever it is.
        """

        def copy(reader: PackReader, row: Row) -> None:
            writer.reserve(row.stored)
            reader.verify(row)
            writer.add_stored(row, lambda count, at: reader.stored(row, count, at))

        for digest in sorted(set(digests)):
            self._verified(digest, copy)
