# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names of entries below a tree's root: text that stands for bytes, and never leads anywhere else.

A path is relative, its parts divided by ``/``, and decoded as UTF-8 with ``surrogateescape``, whatever the locale of
the machine is: so every name that a file system can hold has exactly one text, the same on all machines.
"""

from __future__ import annotations

STAGING = ".roosync-sync"
"""Where changes are prepared, below the root. Nothing of that name, at any depth, belongs to a tree."""
MAX_PART = 255
MAX_PATH = 4095


def encode(path: str) -> bytes:
    """The bytes that a file system knows a path by."""
    return path.encode("utf-8", "surrogateescape")


def decode(name: bytes) -> str:
    """The text of a name or a path."""
    return name.decode("utf-8", "surrogateescape")


def to_hex(path: str) -> str:
    """A path as any program can pass it on: Ansible refuses the result of a module that has other bytes than UTF-8."""
    return encode(path).hex()


def from_hex(text: str) -> str:
    """The path that :func:`to_hex` was given."""
    return decode(bytes.fromhex(text))


def parent(path: str) -> str:
    """The path of the directory that holds an entry; ``""`` for the root."""
    return path.rpartition("/")[0]


def refusal(path: object) -> str:
    """Why something is not a path below a root; ``""`` when it is one."""
    why = text_refusal(path, MAX_PATH)
    if why:
        return why
    if not isinstance(path, str):
        raise AssertionError("a path that is no string")
    if path[0] == "/":
        return "absolute"
    for part in path.split("/"):
        if part in ("", ".", ".."):
            return "part %r" % part
        if part == STAGING:
            return "reserved name"
        if len(part) > MAX_PART // 4 and len(encode(part)) > MAX_PART:
            return "a part of more than %d bytes" % MAX_PART
    return ""


def text_refusal(text: object, limit: int) -> str:
    """Why something is not the text of a non-empty name that a file system could hold; ``""`` when it is.

    :param limit: the most bytes it may have.
    """
    if text.__class__ is not str:
        return "not a string"
    if not text:
        return "empty"
    if len(text) > limit:
        return "more than %d bytes" % limit
    if "\0" in text:
        return "a NUL inside"
    if text.isascii():
        return ""
    try:
        raw = encode(text)
    except UnicodeEncodeError:
        return "not text"
    if len(raw) > limit:
        return "more than %d bytes" % limit
    # Escaped bytes that are UTF-8 after all would be a second text for the same name.
    return "" if decode(raw) == text else "not the usual text of its bytes"
