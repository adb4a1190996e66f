# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Machines as other monitors list them: files of the earlier RooSync heartbeat tools, plain JSON, plain CSV.

The earlier tools kept one file for the fleet (``heartbeat.json`` or ``heartbeats.json``, with all machines under
``heartbeats``), or one file for each machine. Their times are those of each machine's own clock.
"""

from __future__ import annotations

import csv
import io
import json
import os
import re
import stat
from dataclasses import dataclass, field
from typing import Any, Dict, Iterable, Iterator, List, Mapping, Optional, Sequence, Tuple

from ..clock import NS, parse_iso
from ..errors import HeartbeatError, InvalidSettings
from ..metadata import strict_json

MAX_BYTES = 64 << 20
MAX_FILES = 200_000
NAMES = ("machine_id", "machine", "host_name", "host", "name", "id", "node", "server")
TIMES = (
    "last_heartbeat",
    "last_seen",
    "last_beat",
    "last_contact",
    "last_check",
    "last_ping",
    "received_at",
    "timestamp",
    "updated_at",
    "time",
)
_NO_TIME = ("", "never", "none", "null", "n/a", "-")
_ZERO_DATES = ("0000-00-00", "0001-01-01")
"""What databases and programs write for a time that is not set."""
_FIRST_BARE = 10**8
"""The smallest number that is taken for a time where nothing says that it is one: a version is none."""
_BOM = b"\xef\xbb\xbf"


@dataclass
class Found:
    """One machine of a list."""

    name: Any
    seen: Any = None
    """When it was last heard of, as the list has it: to be read by :func:`moment`."""
    metadata: Dict[str, Any] = field(default_factory=dict)
    where: str = ""


@dataclass(frozen=True)
class Columns:
    """Which columns or keys hold what, where that cannot be guessed."""

    name: Optional[str] = None
    seen: Optional[str] = None


def read(path: str, kind: str = "auto", columns: Optional[Columns] = None) -> List[Found]:
    """The machines of a file, or of a directory with one file for each.

    :param kind: ``json``, ``csv``, or ``auto``: by what the file looks like.
    :raises InvalidSettings: there is no such file, or nobody could make sense of it.
    """
    if not path.startswith("/") or "\0" in path:
        raise InvalidSettings("src: give an absolute path, not %r" % path[:200])
    try:
        if os.path.isdir(path):
            return list(_directory(path, columns or Columns()))
        data = _content(path)
    except FileNotFoundError as exc:
        raise InvalidSettings("src: there is no file %s on the host that runs the module" % path, path=path) from exc
    except OSError as exc:
        raise InvalidSettings("src: %s cannot be read: %s" % (path, exc.strerror), cause=exc) from exc
    return _parse(data, path, kind, columns or Columns())


def _content(path: str) -> bytes:
    with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as stream:
        state = os.fstat(stream.fileno())
        if not stat.S_ISREG(state.st_mode) or state.st_size > MAX_BYTES:
            raise InvalidSettings("src: %s is no file, or larger than %d MiB" % (path, MAX_BYTES >> 20), path=path)
        data = stream.read(MAX_BYTES + 1)
    return data[len(_BOM) :] if data.startswith(_BOM) else data


def _directory(path: str, columns: Columns) -> Iterator[Found]:
    names = sorted(name for name in os.listdir(path) if name.endswith(".json"))
    if len(names) > MAX_FILES:
        raise InvalidSettings("src: %s has more than %d files" % (path, MAX_FILES), path=path)
    for name in names:
        one = os.path.join(path, name)
        try:
            document = _json(_content(one), one)
        except (InvalidSettings, OSError) as exc:
            yield Found(name[:-5], exc, where=one)
            continue
        if not isinstance(document, dict):
            continue
        named = any(_get(document, NAMES, said) is not None for said in (None, columns.name))
        if named or "heartbeats" in document:
            yield from _machines(document, one, columns)


def _parse(data: bytes, path: str, kind: str, columns: Columns) -> List[Found]:
    if kind == "json" or (kind == "auto" and data.lstrip()[:1] in (b"{", b"[")):
        return list(_machines(_json(data, path), path, columns))
    return list(_csv(data, path, columns))


def _json(data: bytes, path: str) -> Any:
    try:
        return strict_json(data.decode("utf-8"))
    except HeartbeatError as exc:
        raise InvalidSettings("src: %s cannot be used: %s" % (path, exc.message), path=path) from exc
    except (ValueError, RecursionError) as exc:
        raise InvalidSettings("src: %s is torn, or no JSON: %s" % (path, exc), path=path) from exc


def _machines(document: Any, path: str, columns: Columns) -> Iterator[Found]:
    """The machines of a JSON document, in whichever form it has them."""
    if isinstance(document, dict):
        inner = next((document[key] for key in ("heartbeats", "machines", "hosts") if key in document), None)
        if isinstance(inner, (dict, list)):
            document = inner
        elif _get(document, NAMES, columns.name) is not None:
            document = [document]
    if isinstance(document, dict):
        kinds = {isinstance(value, dict) for value in document.values() if value is not None}
        if len(kinds) > 1:
            raise InvalidSettings(
                "src: %s holds machines and other values side by side (%s), and nobody can tell them apart; put the "
                "machines into a mapping of their own, under machines" % (path, _told(list(map(str, document)))),
                path=path,
            )
        for name, value in document.items():
            if isinstance(value, dict):
                yield _one(dict({"machine_id": name}, **value), path, columns)
            else:
                yield Found(name, _bare(value), where=path)
    elif isinstance(document, list):
        for value in document:
            yield _one(value, path, columns)
    else:
        raise InvalidSettings(
            "src: %s holds no machines: a list is needed, a mapping by name, or a heartbeat.json" % path, path=path
        )


def _bare(value: Any) -> Any:
    """A value that may be the time of the machine that it stands beside."""
    if isinstance(value, (int, float)) and value < _FIRST_BARE:
        return ValueError("%s is no time" % json.dumps(value))
    return value


def _one(value: Any, path: str, columns: Columns) -> Found:
    if not isinstance(value, dict):
        return Found(value, where=path)
    name_key, time_key = _key(value, NAMES, columns.name), _key(value, TIMES, columns.seen)
    metadata = value.get("metadata")
    if not isinstance(metadata, dict):
        own = {name_key, time_key, "status", "missedHeartbeats", "offlineSince"}
        metadata = {str(key): item for key, item in value.items() if key not in own}
    return Found(value.get(name_key or ""), value.get(time_key or ""), dict(metadata), path)


def _told(columns: Sequence[str]) -> str:
    """Names of columns for an error; the line of a file that is something else is not for everybody to read."""
    plain = all(re.match(r"[A-Za-z][\w .-]{0,39}\Z", name) for name in columns)
    return (", ".join(columns)[:200] if plain else "a first line that is no names of columns") or "nothing"


def _csv(data: bytes, path: str, columns: Columns) -> Iterator[Found]:
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as exc:
        raise InvalidSettings("src: %s is not UTF-8 text" % path, path=path) from exc
    first = text.lstrip("\n").split("\n", 1)[0]
    delimiter = max(",;\t", key=first.count)
    rows = csv.DictReader(io.StringIO(text), delimiter=delimiter, restkey=None)
    try:
        names = [name.strip() for name in rows.fieldnames or [] if name]
        header = dict.fromkeys(names, "")
        name_key, time_key = _key(header, NAMES, columns.name), _key(header, TIMES, columns.seen)
        if name_key is None:
            raise InvalidSettings(
                "src: %s has no column with the machines' names (it has: %s); name it in columns"
                % (path, _told(names)),
                path=path,
            )
        if columns.seen is not None and time_key is None:
            raise InvalidSettings(
                "src: %s has no column %.80s (it has: %s); correct it in columns" % (path, columns.seen, _told(names)),
                path=path,
            )
        for row in rows:
            values = {key.strip(): (value or "").strip() for key, value in row.items() if isinstance(key, str)}
            rest = {key: value for key, value in values.items() if value and key not in (name_key, time_key)}
            yield Found(values.get(name_key, ""), values.get(time_key or "") or None, rest, path)
    except csv.Error as exc:
        raise InvalidSettings("src: %s is no CSV: %s" % (path, exc), path=path) from exc


def _key(values: Mapping[str, Any], known: Iterable[str], said: Optional[str] = None) -> Optional[str]:
    """The key that holds what is looked for: the one that was said, or the first of those that are usual."""
    if said is not None:
        return said if said in values else None
    spelled = {str(key).lower().replace(" ", "_").replace("-", "_"): key for key in values}
    for name in known:
        found = spelled.get(name, spelled.get(name.replace("_", "")))
        if found is not None:
            return str(found)
    return None


def _get(values: Mapping[str, Any], known: Tuple[str, ...], said: Optional[str] = None) -> Any:
    found = _key(values, known, said)
    return None if found is None else values.get(found)


def moment(value: Any, offset: Optional[str]) -> Optional[int]:
    """A time as lists have it, in nanoseconds; None if there is none.

    Numbers are seconds since the epoch, or milliseconds, or finer, by their size.

    :param offset: what a time without an offset is meant in, as ``+01:00``.
    :raises ValueError: it is no time, or means a different moment on every host.
    """
    if isinstance(value, Exception):
        raise ValueError(str(value))
    if isinstance(value, bool):
        raise ValueError("%r is no time" % value)
    if isinstance(value, str):
        text = value.strip()
        if text.lower() in _NO_TIME or text.startswith(_ZERO_DATES):
            return None
        try:
            value = float(text) if "." in text else int(text)
        except ValueError:
            return _iso(text, offset) or None
    if value is None:
        return None
    if not isinstance(value, (int, float)) or not 0 <= value < 1 << 62:
        raise ValueError("%s is no time" % json.dumps(value, default=str)[:80])
    scale = next(factor for limit, factor in ((1e11, NS), (1e14, NS // 1000), (1e17, 1000), (1e30, 1)) if value < limit)
    return int(value * scale) or None


def _iso(text: str, offset: Optional[str]) -> int:
    try:
        at = parse_iso(text)
    except (ValueError, OverflowError) as exc:
        if "no offset" not in str(exc):
            raise ValueError("%r is no time" % text[:80]) from exc
        if offset is None:
            raise ValueError(
                "%r is no time with an offset; say what such times are meant in with utc_offset" % text[:80]
            ) from exc
        at = parse_iso(text + offset)
    if at < 0:
        raise ValueError("%r is before 1970" % text[:80])
    return at


def check_offset(offset: Optional[str]) -> None:
    """
    :raises InvalidSettings: not of the form ``+01:00``.
    """
    try:
        if offset is not None:
            parse_iso("2026-01-01T00:00:00" + offset)
    except ValueError as exc:
        raise InvalidSettings("utc_offset: %r is not of the form +01:00" % offset) from exc
