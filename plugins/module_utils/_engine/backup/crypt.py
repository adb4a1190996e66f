# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Encryption at rest in the format of the tool ``age`` (version 1, with a passphrase).

The format is public, reviewed and stable, so a backup can be opened without this collection too: ``age --decrypt``. The
cipher is ChaCha20-Poly1305 of the library ``cryptography``, which ansible-core itself needs for Ansible Vault, so there
is nothing to install where Ansible is, and the passphrase reaches no command line. scrypt and HKDF are Python's own.
Every byte of such a file is authenticated: a change anywhere, and a piece that is missing, is found.

Both classes work piece by piece: memory does not grow with the backup. scrypt alone takes 128 MiB, once.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import re
from typing import TYPE_CHECKING, Callable, Tuple

from ..errors import BackupCorrupt, InvalidSettings

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

Sink = Callable[[bytes], None]
Source = Callable[[int], bytes]

INTRO = b"age-encryption.org/v1\n"
LONGEST_HEADER = 256
CHUNK = 65_536
TAG = 16
WORK_FACTOR = 17
"""scrypt's cost of a new backup, as a power of two: 128 MiB of memory and less than a second."""
MAX_WORK_FACTOR = 18
"""What a file may ask for; the tool's own default. Whoever wrote the file decides, so there must be a limit."""
_HEADER = re.compile(
    rb"age-encryption\.org/v1\n-> scrypt ([A-Za-z0-9+/]{22}) ([1-9][0-9]?)\n"
    rb"([A-Za-z0-9+/]{43})\n--- ([A-Za-z0-9+/]{43})\n"
)


def _base64(data: bytes) -> bytes:
    return base64.b64encode(data).rstrip(b"=")


def _unbase64(text: bytes) -> bytes:
    """Strictly: a text that would be written in another way is no text of this format."""
    data = base64.b64decode(text + b"=" * (-len(text) % 4), validate=True)
    if _base64(data) != text:
        raise BackupCorrupt("it cannot be opened: its header is damaged")
    return data


def _hkdf(key: bytes, salt: bytes, info: bytes) -> bytes:
    """HKDF-SHA-256 (RFC 5869), of one block."""
    extracted = hmac.new(salt or bytes(32), key, hashlib.sha256).digest()
    return hmac.new(extracted, info + b"\1", hashlib.sha256).digest()


def _cipher(key: bytes) -> ChaCha20Poly1305:
    """The cipher.

    :raises InvalidSettings: the library is missing, or the host's policy forbids the algorithm.
    """
    try:
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
    except ImportError as exc:
        raise InvalidSettings(
            "passphrase: encryption needs the Python library cryptography on the host that runs the module; install it "
            "there (ansible-core brings it along)"
        ) from exc
    try:
        return ChaCha20Poly1305(key)
    except UnsupportedAlgorithm as exc:
        raise InvalidSettings(
            "passphrase: the cryptography library of this host does not allow ChaCha20-Poly1305 (FIPS mode?); run the "
            "module on another host, or leave encryption to the file system"
        ) from exc


def _wrapping_key(passphrase: str, salt: bytes, work_factor: int) -> bytes:
    cost = 1 << work_factor
    label = b"age-encryption.org/v1/scrypt"
    secret = passphrase.encode("utf-8", "surrogateescape")
    return hashlib.scrypt(secret, salt=label + salt, n=cost, r=8, p=1, maxmem=cost * 1024 + (1 << 20), dklen=32)


def _chunk_nonce(counter: int, last: bool) -> bytes:
    return counter.to_bytes(11, "big") + (b"\1" if last else b"\0")


class Encryptor:
    """Encrypts what is written to it, into ``sink``."""

    def __init__(self, sink: Sink, passphrase: str) -> None:
        if not passphrase:
            raise InvalidSettings("passphrase: is empty; give one, or leave the option out")
        self._sink = sink
        self._buffer = bytearray()
        self._counter = 0
        file_key, salt, nonce = os.urandom(16), os.urandom(16), os.urandom(16)
        wrapped = _cipher(_wrapping_key(passphrase, salt, WORK_FACTOR)).encrypt(bytes(12), file_key, None)
        header = INTRO + b"-> scrypt %s %d\n%s\n---" % (_base64(salt), WORK_FACTOR, _base64(wrapped))
        mac = hmac.new(_hkdf(file_key, b"", b"header"), header, hashlib.sha256).digest()
        self._payload = _cipher(_hkdf(file_key, nonce, b"payload"))
        sink(header + b" " + _base64(mac) + b"\n" + nonce)

    def write(self, data: bytes) -> None:
        self._buffer += data
        while len(self._buffer) > CHUNK:  # a full chunk that may be the last one waits
            self._emit(bytes(self._buffer[:CHUNK]), False)
            del self._buffer[:CHUNK]

    def close(self) -> None:
        """Write what is left, with the mark of the end."""
        self._emit(bytes(self._buffer), True)
        self._buffer.clear()

    def _emit(self, chunk: bytes, last: bool) -> None:
        self._sink(self._payload.encrypt(_chunk_nonce(self._counter, last), chunk, None))
        self._counter += 1


class Decryptor:
    """Decrypts a source piece by piece.

    :raises BackupCorrupt: the header is damaged, or the passphrase is another one.
    """

    def __init__(self, source: Source, passphrase: str) -> None:
        self._source = source
        self._counter = 0
        self._done = False
        file_key, rest = self._open(passphrase)
        while len(rest) < 16:
            more = source(16 - len(rest))
            if not more:
                raise BackupCorrupt("it is truncated: it ends in its header")
            rest += more
        self._buffer = bytearray(rest[16:])
        self._payload = _cipher(_hkdf(file_key, rest[:16], b"payload"))

    def _open(self, passphrase: str) -> Tuple[bytes, bytes]:
        """The file's key, and what was read beyond the header."""
        from cryptography.exceptions import InvalidTag

        start = b""
        while len(start) < LONGEST_HEADER:
            more = self._source(LONGEST_HEADER - len(start))
            if not more:
                break
            start += more
        found = _HEADER.match(start)
        if found is None:
            raise BackupCorrupt("it cannot be opened: its header is damaged, or it was not encrypted with a passphrase")
        salt, factor, wrapped, mac = found.groups()
        if int(factor) > MAX_WORK_FACTOR:
            raise BackupCorrupt("it cannot be opened: it asks for more memory than is safe (scrypt 2^%d)" % int(factor))
        key = _wrapping_key(passphrase, _unbase64(salt), int(factor))
        try:
            file_key = _cipher(key).decrypt(bytes(12), _unbase64(wrapped), None)
        except InvalidTag as exc:
            raise BackupCorrupt(
                "it cannot be opened: the passphrase is not the one it was made with, or its header is damaged"
            ) from exc
        header = start[: found.end()].rpartition(b" ")[0]
        expected = hmac.new(_hkdf(file_key, b"", b"header"), header, hashlib.sha256).digest()
        if len(file_key) != 16 or not hmac.compare_digest(_base64(expected), mac):
            raise BackupCorrupt("it cannot be opened: its header is damaged")
        return file_key, start[found.end() :]

    def read(self, _size: int) -> bytes:
        """The next piece; ``b""`` at the end."""
        from cryptography.exceptions import InvalidTag

        if self._done:
            return b""
        full = CHUNK + TAG
        while len(self._buffer) <= full:
            more = self._source(full)
            if not more:
                break
            self._buffer += more
        last = len(self._buffer) <= full
        chunk = bytes(self._buffer[:full])
        del self._buffer[:full]
        try:
            data = self._payload.decrypt(_chunk_nonce(self._counter, last), chunk, None)
        except InvalidTag as exc:
            raise BackupCorrupt("it is damaged or truncated in the piece at %d" % (self._counter * CHUNK)) from exc
        if last and not data and self._counter:
            raise BackupCorrupt("it is damaged: its last piece is empty")
        self._counter += 1
        self._done = last
        return data
