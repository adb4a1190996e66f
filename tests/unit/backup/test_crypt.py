# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The format is that of the tool ``age``: what the tool has written is read, and what is written is of its form."""

from __future__ import annotations

import base64
import io
import os
import re

import pytest

from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.backup.crypt import CHUNK, Decryptor, Encryptor
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.errors import BackupCorrupt, InvalidSettings

# Written by age 1.1.1: ``age --passphrase``, with the passphrase below.
BY_THE_TOOL = (
    "YWdlLWVuY3J5cHRpb24ub3JnL3YxCi0+IHNjcnlwdCB6Q0FRK0VBT3FKYkRxZzZxZ2h4RGp3IDE4ClEzWGRCbjRrT2xaaFNJZjVi"
    "OUhwaDYzbzlKVzdBQzJQNjk2aHdvNExyWmsKLS0tIDk3V1ZJVWIraU9RemUvSzc2Szg3NnEyMS9BeXkxSWVyMnFaMVFDeFpiSWMK"
    "LZleTIwezwBDaZ7g2Rv5eWyJH1+JoSKsRxEqGm5gRlGAjFqMR7RCI1nutjeCqOxV7GZCR6SqCa37MQDwiXwzpu5r0AB34gEMAdRY"
    "ebYeR0n72g1/ZEwWoMNhYUQZhJbQUSV5KudYFFVWCe6jxGYaxAI="
)
PASSPHRASE = "über alles geheim"
PLAIN = b"made by the tool age 1.1.1\n" * 3


def opened(data: bytes, passphrase: str) -> bytes:
    decryptor = Decryptor(io.BytesIO(data).read, passphrase)
    return b"".join(iter(lambda: decryptor.read(CHUNK), b""))


def closed(data: bytes, passphrase: str, piece: int = 1000) -> bytes:
    out = bytearray()
    encryptor = Encryptor(out.extend, passphrase)
    for start in range(0, len(data), piece):
        encryptor.write(data[start : start + piece])
    encryptor.close()
    return bytes(out)


def test_what_the_tool_has_written_is_read() -> None:
    assert opened(base64.b64decode(BY_THE_TOOL), PASSPHRASE) == PLAIN


def test_what_the_tool_has_written_is_not_read_with_another_passphrase() -> None:
    with pytest.raises(BackupCorrupt, match="not the one it was made with"):
        opened(base64.b64decode(BY_THE_TOOL), PASSPHRASE + " ")


@pytest.mark.parametrize("size", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 3 * CHUNK + 7])
def test_every_length_at_the_borders_of_chunks(cheap_key: None, size: int) -> None:
    data = os.urandom(size)
    sealed = closed(data, "x")
    assert opened(sealed, "x") == data
    chunks = max(1, -(-size // CHUNK))
    header = re.match(rb"age-encryption\.org/v1\n-> scrypt [\w+/]{22} 2\n[\w+/]{43}\n--- [\w+/]{43}\n", sealed)
    assert header is not None
    assert len(sealed) == header.end() + 16 + size + 16 * chunks


def test_chunks_cannot_be_dropped_doubled_or_exchanged(cheap_key: None) -> None:
    sealed = closed(os.urandom(3 * CHUNK), "x")
    start = len(sealed) - 3 * (CHUNK + 16)
    head, one, two, three = sealed[:start], *(sealed[start + n * (CHUNK + 16) :][: CHUNK + 16] for n in range(3))
    assert opened(head + one + two + three, "x")
    for order in ([one, two], [one, three], [two, one, three], [one, one, two, three], [one, two, three, three], []):
        with pytest.raises(BackupCorrupt):
            opened(head + b"".join(order), "x")


def test_no_two_are_alike(cheap_key: None) -> None:
    assert closed(b"data", "x")[30:] != closed(b"data", "x")[30:]


def test_an_empty_passphrase_is_none() -> None:
    with pytest.raises(InvalidSettings, match="is empty"):
        closed(b"", "")
