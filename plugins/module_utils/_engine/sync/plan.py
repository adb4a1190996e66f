# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan of an apply, as it lies in the staging directory: what recovery goes by. Standard library only.

It is written by this engine into a directory that is open to nobody else. It is read as if that were not so.
"""

from __future__ import annotations

import hashlib
import json
from typing import NamedTuple

from ..errors import SyncOnlineFailed
from . import steps
from .attributes import Attributes
from .beneath import Signature
from .paths import refusal, text_refusal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, List, Optional

FORMAT = 1
MAX_BYTES = 1 << 30
KINDS = (
    steps.REMOVE,
    steps.REMOVE_DIRECTORY,
    steps.NARROW,
    steps.MAKE_DIRECTORY,
    steps.PUT,
    steps.CHANGE,
    steps.FINISH,
)
_MAX_ID = 2**32 - 1
_MAX_INT = 2**64
_NEEDS_OLD = (steps.REMOVE_DIRECTORY, steps.NARROW, steps.CHANGE, steps.FINISH)
_NEEDS_NEW = (steps.NARROW, steps.CHANGE, steps.FINISH)


class Operation(NamedTuple):
    """One step, with all that is needed to do it, to do it again, and to undo it."""

    kind: str
    path: str
    number: int
    """Names what is staged for it below ``new``, and what it replaces below ``old``."""
    before: Optional[Signature] = None
    """What it replaces, removes or changes; None where nothing may be."""
    staged: Optional[Signature] = None
    """What it puts there."""
    old: Optional[Attributes] = None
    new: Optional[Attributes] = None
    mtime_ns: Optional[int] = None
    """Of a directory: when it is finished, or made again by an undo."""


def dump(operations: List[Operation]) -> bytes:
    """A plan as bytes; the last line is the SHA-256 of what stands before it."""
    body = json.dumps({"format": FORMAT, "operations": operations}, separators=(",", ":")).encode("ascii") + b"\n"
    return body + hashlib.sha256(body).hexdigest().encode("ascii") + b"\n"


def load(data: bytes, bits: int, label: str) -> List[Operation]:
    """The operations of a plan.

    :param bits: the mode bits that are synced; the plan may give no others to a file.
    :param label: path of the plan, for messages.
    :raises SyncOnlineFailed: it is damaged, or asks for what this engine would not.
    """
    body, digest = data[:-65], data[-65:]
    if hashlib.sha256(body).hexdigest().encode("ascii") + b"\n" != digest:
        raise _refused("its checksum is wrong", label)
    try:
        content = json.loads(body.decode("ascii"))
    except (ValueError, RecursionError) as exc:
        raise _refused("it is no JSON", label) from exc
    if (
        not isinstance(content, dict)
        or content.get("format") != FORMAT
        or content.get("operations").__class__ is not list
    ):
        raise _refused("it is not of format %d" % FORMAT, label)
    return [_operation(row, bits, label) for row in content["operations"]]


def _refused(why: str, label: str) -> SyncOnlineFailed:
    return SyncOnlineFailed(
        "the plan of an interrupted sync is not believed: %s: %s. What it was replacing is kept in old/ beside it: "
        "look at it, put back what is missing, then remove the directory" % (label, why),
        path=label,
    )


def _operation(row: Any, bits: int, label: str) -> Operation:
    if row.__class__ is not list or len(row) != len(Operation._fields):
        raise _refused("an operation is no list of %d values" % len(Operation._fields), label)
    kind, path, number, before, staged, old, new, mtime_ns = row
    why = refusal(path)
    if why:
        raise _refused("the path %.100r: %s" % (path, why), label)
    if kind not in KINDS or not _is_number(number, _MAX_INT):
        raise _refused("there is no operation %.100r" % (kind,), label)
    for value in (before, staged):
        if value is not None and not _numbers(value, 4, _MAX_INT):
            raise _refused("a signature of %.100r" % path, label)
    for value in (old, new):
        if value is not None and not _is_attributes(value):
            raise _refused("the attributes of %.100r" % path, label)
    if (old is None and kind in _NEEDS_OLD) or (new is None and kind in _NEEDS_NEW):
        raise _refused("attributes of %.100r are missing" % path, label)
    if kind == steps.CHANGE and new[0] & ~old[0] & ~bits:
        raise _refused("special mode bits for %.100r" % path, label)
    if mtime_ns is not None and (mtime_ns.__class__ is not int or abs(mtime_ns) > 2**63):
        raise _refused("the time of %.100r" % path, label)
    return Operation(
        kind,
        path,
        number,
        None if before is None else Signature._make(before),
        None if staged is None else Signature._make(staged),
        None if old is None else Attributes._make(old),
        None if new is None else Attributes._make(new),
        mtime_ns,
    )


def _is_number(value: object, most: int, least: int = 0) -> bool:
    return value.__class__ is int and least <= value <= most


def _numbers(value: Any, count: int, most: int) -> bool:
    return value.__class__ is list and len(value) == count and all(_is_number(each, most, -most) for each in value)


def _is_attributes(value: Any) -> bool:
    if value.__class__ is not list or len(value) != len(Attributes._fields):
        return False
    mode, uid, gid, context = value
    if not (_is_number(mode, 0o7777) and _is_number(uid, _MAX_ID) and _is_number(gid, _MAX_ID, -1)):
        return False
    return context == "" or not text_refusal(context, 4096)
