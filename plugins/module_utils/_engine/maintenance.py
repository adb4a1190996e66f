# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Maintenance windows as documents of the store: set, changed, ended early, and read for a check."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import Any, Dict, Iterable, List, Mapping, Optional, Tuple

from . import documents
from .clock import iso, parse_iso, to_ns, to_seconds
from .detect.planned import Calendar, Maintenance
from .errors import InvalidSettings
from .identity import is_machine_id
from .metadata import validate
from .stores.base import Store, printable, read_if_file

FOLDER = "maintenance"
KEEP = to_ns(7 * 86_400)
"""How long a window that is over is kept for people to see; it is removed when the next one is set."""
SHORTEST = 0.001
LONGEST = 366 * 86_400.0
_PATTERN = frozenset("*?[]!")


@dataclass
class Request:
    """What somebody wants of a window; what is not given stays as it is, or has its default."""

    name: str
    machines: Iterable[str] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict)
    start: Optional[str] = None
    end: Optional[str] = None
    duration: Optional[float] = None
    flexible: bool = False
    reason: str = ""


def load(store: Store) -> Tuple[Calendar, List[Dict[str, object]]]:
    """All windows, and what is wrong with documents that cannot be used. One bad document spoils no other."""
    windows: List[Maintenance] = []
    problems: List[Dict[str, object]] = []
    for name in store.names(FOLDER):
        path = "%s/%s" % (FOLDER, name)
        try:
            found = read_if_file(store, path)
            if found is not None:
                windows.append(_from_file(documents.load_maintenance(found.data), name))
        except ValueError as exc:
            problems.append({"kind": "bad_maintenance", "path": printable(path), "what": "%s; passed over" % exc})
    return Calendar(windows), problems


def _from_file(found: documents.MaintenanceFile, name: str) -> Maintenance:
    """A window from its document, which a person may have edited.

    :raises ValueError: it makes no sense.
    """
    if name != found.window_id + ".json":
        raise ValueError("it names another window: %s" % found.window_id[:80])
    try:
        window = Maintenance(
            window_id=_name(found.window_id),
            start=_time("start", found.start),
            end=_time("end", found.end),
            machines=sorted({_pattern(m) for m in found.machines}),
            metadata=found.metadata,
            duration=None if found.duration is None else _duration(found.duration),
            reason=found.reason,
            created_at=_time("created_at", found.created_at),
        )
    except InvalidSettings as exc:
        raise ValueError(exc.message) from exc
    if window.end < window.start or not (window.machines or window.metadata):
        raise ValueError("it ends before it starts, or is meant for nobody")
    return window


def as_dict(window: Maintenance, now: int) -> Dict[str, Any]:
    """A window for people and programs."""
    phase = "future" if now < window.start else "active" if now < window.last_end else "over"
    return {
        "name": window.window_id,
        "machines": window.machines,
        "metadata": window.metadata,
        "start": iso(window.start),
        "end": iso(window.end),
        "duration": None if window.duration is None else to_seconds(window.duration),
        "flexible": window.duration is not None,
        "reason": window.reason,
        "phase": phase,
    }


def current(calendar: Calendar, now: int) -> List[Dict[str, Any]]:
    """The windows that are active or to come."""
    return [as_dict(w, now) for w in calendar.windows if now < w.last_end]


def set_window(store: Store, request: Request, dry_run: bool = False) -> Dict[str, Any]:
    """Set a window, or change one that is not over yet.

    :returns: ``changed``, ``window``, ``diff``.
    :raises InvalidSettings: what is asked for makes no sense; nothing was changed. ``InvalidMetadata`` likewise.
    """
    store.connect()
    now = store.now()
    before = _find(store, request.name)
    if before is not None and before.last_end <= now:
        before = None  # that one is over; this is another of the same name
    after = _checked(_wanted(request, before, now))
    changed = after != before
    if changed and not dry_run:
        _remove_old(store, now)
        _save(store, after)
    return _result(changed, before, after, now)


def end_window(store: Store, name: str, dry_run: bool = False) -> Dict[str, Any]:
    """End a window now; one that has not begun is removed, and so is a document that nobody can read.

    That there is none, or that it is over, is fine.
    """
    store.connect()
    now = store.now()
    before = _find(store, _name(name))
    if before is None and store.read(_path(name)) is not None:
        if not dry_run:
            store.delete(_path(name))
        return _result(True, None, None, now)
    if before is None or before.last_end <= now:
        return _result(False, before, before, now)
    # A flexible one that nobody can begin any more still covers who is away: until now, not until its own end.
    after = None if now < before.start else replace(before, end=now, duration=None)
    if not dry_run:
        if after is None:
            store.delete(_path(name))
        else:
            _save(store, after)
    return _result(True, before, after, now)


def _result(changed: bool, before: Optional[Maintenance], after: Optional[Maintenance], now: int) -> Dict[str, Any]:
    shown = [{} if w is None else as_dict(w, now) for w in (before, after)]
    return {"changed": changed, "window": shown[1], "diff": {"before": shown[0], "after": shown[1]}}


def _wanted(request: Request, before: Optional[Maintenance], now: int) -> Maintenance:
    """The window that is asked for; the start of one that has begun is kept unless another is named."""
    start = _time("start", request.start) if request.start else (before.start if before is not None else now)
    if request.flexible:
        if request.end is None or request.duration is None:
            raise InvalidSettings(
                "a flexible window needs both end and duration: until when it may begin, and how long"
            )
        end = _time("end", request.end)
    elif request.end is not None and request.duration is not None:
        raise InvalidSettings("give end or duration, not both (or flexible: true)")
    elif request.end is None and request.duration is None:
        raise InvalidSettings("give end or duration: a window without an end would silence these machines for ever")
    else:
        end = _time("end", request.end) if request.end else start + _duration(request.duration)
    if end <= start:
        raise InvalidSettings("end: %s is not after start: %s" % (iso(end), iso(start)))
    if end <= now:
        raise InvalidSettings("end: %s is over already; the store's time is %s" % (iso(end), iso(now)))
    machines = sorted({_pattern(m) for m in request.machines})
    if not machines and not request.metadata:
        raise InvalidSettings("name machines, patterns or metadata: for whom is the window?")
    validate(request.metadata, "metadata", 1)
    return Maintenance(
        window_id=_name(request.name),
        start=start,
        end=end,
        machines=machines,
        metadata=dict(request.metadata),
        duration=_duration(request.duration) if request.flexible else None,
        reason=request.reason,
        created_at=before.created_at if before is not None else now,
    )


def _checked(window: Maintenance) -> Maintenance:
    """A window as the next check will read it.

    :raises InvalidSettings: it would pass it over.
    """
    try:
        return _from_file(documents.load_maintenance(_document(window)), window.window_id + ".json")
    except ValueError as exc:
        raise InvalidSettings("no check could use this window: %s" % exc) from exc


def _name(name: str) -> str:
    if not is_machine_id(name):
        raise InvalidSettings(
            "name: %r: use lower case letters, digits, '.', '_' and '-', beginning with a letter or a digit" % name[:80]
        )
    return name


def _pattern(text: str) -> str:
    wanted = str(text).strip().lower()
    bare = "".join("x" if c in _PATTERN else c for c in wanted)
    if not is_machine_id(bare):
        raise InvalidSettings("machines: %r is neither a machine id nor a pattern of one" % wanted[:80])
    return wanted


def _time(option: str, text: str) -> int:
    try:
        moment = parse_iso(text)
        if parse_iso(iso(moment)) != moment:
            raise ValueError("%r is out of range" % text)
        return moment
    except ValueError as exc:
        raise InvalidSettings("%s: %s; write it as 2026-01-31T22:00:00+01:00" % (option, exc)) from exc


def _duration(seconds: Optional[float]) -> int:
    if seconds is None or not SHORTEST <= seconds <= LONGEST:
        raise InvalidSettings(
            "duration: %s is refused: it must be at least %g s and at most %d s" % (seconds, SHORTEST, LONGEST)
        )
    return to_ns(seconds)


def _path(name: str) -> str:
    return "%s/%s.json" % (FOLDER, name)


def _find(store: Store, name: str) -> Optional[Maintenance]:
    data = store.read(_path(_name(name)))
    if data is None:
        return None
    try:
        return _from_file(documents.load_maintenance(data), name + ".json")
    except ValueError:
        return None  # a damaged document is replaced


def _document(window: Maintenance) -> bytes:
    document = {
        "window_id": window.window_id,
        "machines": window.machines,
        "metadata": window.metadata,
        "start": iso(window.start),
        "end": iso(window.end),
        "duration": None if window.duration is None else to_seconds(window.duration),
        "reason": window.reason,
        "created_at": iso(window.created_at),
    }
    return (json.dumps(document, indent=2) + "\n").encode()


def _save(store: Store, window: Maintenance) -> None:
    store.write(_path(window.window_id), _document(window))


def _remove_old(store: Store, now: int) -> None:
    for window in load(store)[0].windows:
        if now - window.last_end > KEEP:
            store.delete(_path(window.window_id))
