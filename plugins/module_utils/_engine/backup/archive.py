# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writing and reading one archive: a tar stream, compressed and sealed, encrypted if wanted; memory does not grow.

First comes the head, then the directories, then the files, last the manifest with the digest of each. Reader and
writer make the manifest's lines as they go and compare no more than its digest, so neither has to remember them.
"""

from __future__ import annotations

import hashlib
import os
from typing import IO, Callable, Optional, Set

from ..errors import BackupCorrupt, InvalidSettings, StoreUnavailable
from ..stores.atomic import write_all
from . import tarball
from .crypt import INTRO, Decryptor, Encryptor, Source
from .gzipped import PIECE, GzipSink, GzipSource
from .members import (
    DIRECTORY,
    FILE,
    HEAD,
    MANIFEST,
    MAX_HEAD,
    Head,
    Key,
    Member,
    commit_number,
    is_too_far,
    key,
    load_head,
)

_GATHER = 1 << 18

Take = Callable[[Member, Source], None]
"""Called for each member with a function that gives its content; what is not read is read and verified all the same."""


class Writer:
    """Writes an archive into an open file.

    :param manifest: an empty file for the lines of the manifest, which are written last.
    :param checked: called before bytes are written, to stop in time.
    """

    def __init__(self, fd: int, passphrase: Optional[str], manifest: IO[bytes], checked: Callable[[], None]) -> None:
        self._fd = fd
        self._checked = checked
        self._pending = bytearray()
        self._encryptor = Encryptor(self._gather, passphrase) if passphrase is not None else None
        self._gzip = GzipSink(self._encryptor.write if self._encryptor is not None else self._gather)
        self._manifest = manifest

    def head(self, data: bytes, at: int) -> None:
        """The head, which comes first."""
        self._put(Member(HEAD, FILE, 0o600, at, size=len(data)), data)

    def add(self, member: Member, content: Source) -> None:
        """A member, with a function that gives the pieces of its content.

        :raises StoreUnavailable: the content ends early.
        """
        self._gzip.write(tarball.header(member))
        digest, left = hashlib.sha256(), member.size
        while left:
            piece = content(min(PIECE, left))
            if not piece:
                raise StoreUnavailable("%s was cut short while it was read; try again" % member.path, path=member.path)
            digest.update(piece)
            self._gzip.write(piece)
            left -= len(piece)
        self._gzip.write(tarball.padding(member.size))
        self._manifest.write(member.line("" if member.kind == DIRECTORY else digest.hexdigest()))

    def close(self) -> str:
        """The manifest, and the end; the digest that stands in the seal."""
        size = self._manifest.tell()
        self._manifest.seek(0)
        self._gzip.write(tarball.header(Member(MANIFEST, FILE, 0o600, size=size)))
        for piece in iter(lambda: self._manifest.read(PIECE), b""):
            self._gzip.write(piece)
        self._gzip.write(tarball.padding(size) + tarball.END)
        seal = self._gzip.close()
        if self._encryptor is not None:
            self._encryptor.close()
        self._flush()
        return seal

    def _put(self, member: Member, data: bytes) -> None:
        self._gzip.write(tarball.header(member) + data + tarball.padding(len(data)))

    def _gather(self, data: bytes) -> None:
        self._pending += data
        if len(self._pending) >= _GATHER:
            self._flush()

    def _flush(self) -> None:
        self._checked()
        write_all(self._fd, bytes(self._pending))
        self._pending.clear()


class Reader:
    """Reads an archive from its beginning to its end, once.

    :raises InvalidSettings: it is encrypted and there is no passphrase.
    """

    def __init__(self, fd: int, passphrase: Optional[str]) -> None:
        def source(size: int) -> bytes:
            return os.read(fd, size)

        start = os.pread(fd, len(INTRO), 0)
        self.encrypted = start == INTRO
        if self.encrypted and passphrase is None:
            raise InvalidSettings("passphrase: it is encrypted; give the passphrase that it was made with")
        decryptor = Decryptor(source, passphrase or "") if self.encrypted else None
        self._gzip = GzipSource(decryptor.read if decryptor is not None else source)
        self._held = bytearray()
        self._lines = hashlib.sha256()
        self._last: Optional[Key] = None
        self._commit = 0
        self._folders: Set[str] = set()
        self.files = self.folders = self.bytes = 0
        self.head = self._read_head()

    @property
    def seal(self) -> str:
        """The digest of the whole; there once it was read and verified."""
        return self._gzip.seal or ""

    def _read_head(self) -> Head:
        member = tarball.read_member(self._exactly(tarball.BLOCK), self._exactly)
        if member.path != HEAD or member.kind != FILE or member.size > MAX_HEAD:
            raise BackupCorrupt("it is damaged: it does not begin with its head")
        return load_head(self._content(member))

    def run(self, take: Take) -> None:
        """Every member, in its order; when this returns, each of them and the whole were verified.

        :raises BackupCorrupt: at whatever place it is found; what was taken before must not be used.
        """
        while True:
            block = self._exactly(tarball.BLOCK)
            if block == tarball.END[: tarball.BLOCK]:
                raise BackupCorrupt("it is damaged: it ends without a manifest")
            member = tarball.read_member(block, self._exactly)
            if member.path == MANIFEST:
                break
            self._accept(member)
            digest = self._pass_on(member, take)
            self._lines.update(member.line("" if member.kind == DIRECTORY else digest))
        if self._digest_of(member.size) != self._lines.hexdigest():
            raise BackupCorrupt("it is damaged: its content is not that of its manifest")
        if self._exactly(len(tarball.END)) != tarball.END or self._held or self._gzip.read(1):
            raise BackupCorrupt("it is damaged: something lies behind its end")

    def _accept(self, member: Member) -> None:
        place = key(member.path, member.kind)
        if self._last is not None and place <= self._last:
            raise BackupCorrupt(
                "it is refused: %s comes twice, or out of order" % (member.path or "the first directory")
            )
        self._last = place
        number = commit_number(member.path)
        if number is not None:
            if is_too_far(number, self._commit):
                raise BackupCorrupt("it is refused: no journal comes to the number of %s" % member.path)
            self._commit = number
        parent = member.path.rpartition("/")[0]
        if member.path and parent not in self._folders:
            raise BackupCorrupt("it is refused: %s lies in no directory of its own" % member.path)
        if member.kind == DIRECTORY:
            self._folders.add(member.path)
            self.folders += 1
        elif not member.path or member.path in self._folders:
            raise BackupCorrupt("it is refused: %s is a file and a directory" % (member.path or "the fleet itself"))
        else:
            self.files += 1
            self.bytes += member.size

    def _pass_on(self, member: Member, take: Take) -> str:
        digest, left = hashlib.sha256(), member.size

        def content(size: int) -> bytes:
            nonlocal left
            piece = self._exactly(min(size, left, PIECE))
            left -= len(piece)
            digest.update(piece)
            return piece

        take(member, content)
        while left:
            content(PIECE)
        self._exactly(len(tarball.padding(member.size)))
        return digest.hexdigest()

    def _digest_of(self, size: int) -> str:
        digest, left = hashlib.sha256(), size
        while left:
            piece = self._exactly(min(PIECE, left))
            digest.update(piece)
            left -= len(piece)
        self._exactly(len(tarball.padding(size)))
        return digest.hexdigest()

    def _content(self, member: Member) -> bytes:
        data = self._exactly(member.size)
        self._exactly(len(tarball.padding(member.size)))
        return data

    def _exactly(self, size: int) -> bytes:
        while len(self._held) < size:
            more = self._gzip.read(max(size - len(self._held), _GATHER))
            if not more:
                raise BackupCorrupt("it is truncated: its end is missing")
            self._held += more
        data = bytes(self._held[:size])
        del self._held[:size]
        return data
