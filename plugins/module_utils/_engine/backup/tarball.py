# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Headers of a tar archive (POSIX pax), written so that ``tar`` can unpack a backup, and read very strictly.

What this collection uses of a header is the record ``comment``, which no other program minds. The rest is for ``tar``.
Anything that this collection would not write is refused: links, devices, sparse files, other kinds of headers.
"""

from __future__ import annotations

import re
import tarfile
from typing import Callable, Dict, Tuple

from ..clock import NS
from ..errors import BackupCorrupt
from .members import DIRECTORY, FILE, MAX_ENTRY, Member, member_of

BLOCK = 512
END = bytes(2 * BLOCK)
_ENTRY = "comment"
_KNOWN = {_ENTRY, "path", "mtime", "size", "uid", "gid", "uname", "gname"}
_TYPES = {FILE: tarfile.REGTYPE, DIRECTORY: tarfile.DIRTYPE}
_LENGTH = re.compile(rb"([1-9]\d{0,5}) ")


def header(member: Member) -> bytes:
    """The blocks that stand before a member's content."""
    info = tarfile.TarInfo(member.path or ".")
    info.type = _TYPES[member.kind]
    info.mode, info.size, info.uid, info.gid = member.mode, member.size, member.uid, member.gid
    info.uname, info.gname = member.owner, member.group
    info.pax_headers = {_ENTRY: member.row(), "mtime": "%d.%09d" % divmod(member.mtime_ns, NS)}
    return info.tobuf(tarfile.PAX_FORMAT, "utf-8", "strict")


def padding(size: int) -> bytes:
    """What fills the last block of a content."""
    return bytes(-size % BLOCK)


def read_member(block: bytes, read: Callable[[int], bytes]) -> Member:
    """A member, from its first block and those that follow.

    :param read: gives exactly so many bytes.
    :raises BackupCorrupt: not a member as this collection writes it.
    """
    info = _parse(block)
    if info.type != tarfile.XHDTYPE or not 0 < info.size <= MAX_ENTRY + BLOCK:
        raise BackupCorrupt("it is refused: it holds %s, which no backup has" % _what(info))
    records = _records(read(info.size + len(padding(info.size)))[: info.size])
    info = _parse(read(BLOCK))
    member = member_of(records.get(_ENTRY, ""))
    if info.type != _TYPES[member.kind] or info.linkname:
        raise BackupCorrupt("it is refused: %s is %s" % (member.path, _what(info)))
    name = records.get("path", info.name).rstrip("/")
    if name != (member.path or ".") or records.get("size", str(info.size)) != str(member.size):
        raise BackupCorrupt("it is refused: %s has two names or two sizes" % member.path)
    return member


def _parse(block: bytes) -> tarfile.TarInfo:
    try:
        return tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except (tarfile.HeaderError, ValueError) as exc:
        raise BackupCorrupt("it is damaged: a header cannot be read (%s)" % exc) from exc


def _records(data: bytes) -> Dict[str, str]:
    """The records of a pax header: ``length key=value`` and a newline, each."""
    found: Dict[str, str] = {}
    while data:
        record, data = _first(data)
        name, separator, value = record.partition(b"=")
        try:
            text = name.decode("ascii")
            if not separator or text not in _KNOWN or text in found:
                raise BackupCorrupt("it is refused: a header has a record that no backup has")
            found[text] = value.decode("utf-8")
        except UnicodeDecodeError as exc:
            raise BackupCorrupt("it is damaged: a header is not UTF-8") from exc
    return found


def _first(data: bytes) -> Tuple[bytes, bytes]:
    length = _LENGTH.match(data)
    end = int(length.group(1)) if length else 0
    if length is None or end > len(data) or end <= length.end() or data[end - 1 : end] != b"\n":
        raise BackupCorrupt("it is damaged: a header has a record of no proper length")
    return data[length.end() : end - 1], data[end:]


def _what(info: tarfile.TarInfo) -> str:
    """What a header stands for, in words."""
    kinds = (
        (info.issym() or info.islnk(), "a link"),
        (info.isdev(), "a device or a pipe"),
        (info.isdir(), "a directory without a header of its own"),
        (info.isreg(), "a file without a header of its own"),
    )
    return next((name for true, name in kinds if true), "something of an unknown kind")
