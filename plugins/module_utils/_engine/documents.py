# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The documents of a store, guarded by pydantic: nothing from a file gets further without passing here.

The types themselves are the plain dataclasses of :mod:`.state` and :mod:`.settings`; this file only reads and writes
them. pydantic is imported at its first use; callers on a user's path check for it before that (``boundary.require``).
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Dict, Iterable, List, Mapping, Optional, Type, TypeVar

from . import earlier, sealed
from .clock import EARLIEST, LATEST
from .errors import HeartbeatError, InvalidSettings, StoreCorrupt
from .identity import is_machine_id
from .metadata import plain_json, strict_json
from .settings import SETTING_NAMES, Settings, from_mapping
from .state import STATUSES, Commit, Incident, Memory, State

if TYPE_CHECKING:
    from pydantic import TypeAdapter

Document = TypeVar("Document")


@dataclass
class FleetFile:
    """``fleet.json`` as it lies in the store: the mark of a real store, and the fleet's settings."""

    __pydantic_config__: ClassVar[Dict[str, Any]] = {"extra": "forbid", "strict": True}

    store_id: str
    created_at: str
    settings: Dict[str, Any] = field(default_factory=dict)
    expected: List[str] = field(default_factory=list)
    earlier: List[Dict[str, Any]] = field(default_factory=list)
    """Thresholds that were replaced, and when; see :mod:`.earlier`."""


@dataclass
class MaintenanceFile:
    """``maintenance/<name>.json``, in the form that a person can read and edit."""

    __pydantic_config__: ClassVar[Dict[str, Any]] = {"extra": "forbid", "strict": True}

    window_id: str
    start: str
    end: str
    created_at: str
    machines: List[str] = field(default_factory=list)
    metadata: Dict[str, Any] = field(default_factory=dict)
    duration: Optional[float] = None
    reason: str = ""


@dataclass
class IncidentFile:
    """``incidents/<id>.json``: what people read, and the incident as the journal recorded it."""

    recorded: Incident


@dataclass
class LastCheck:
    """``last_check.json``: what the last check found, so that a fresh enough result need not be found again."""

    __pydantic_config__: ClassVar[Dict[str, Any]] = {"extra": "forbid", "strict": True}

    checked_at: int
    number: int
    cursor: str = ""
    result: Dict[str, Any] = field(default_factory=dict)


@dataclass
class _LastResult:
    """What ``LastCheck.result`` must look like to be of use."""

    __pydantic_config__: ClassVar[Dict[str, Any]] = {"allow_inf_nan": False, "strict": True}

    skewed: Dict[str, float] = field(default_factory=dict)
    torn: Dict[str, str] = field(default_factory=dict)
    problems: List[Dict[str, str]] = field(default_factory=list)
    first_event: int = 0
    documented: int = 0


@dataclass
class Checkpoint:
    """``checkpoint.json``: the state, with its roster as one string, which is read ten times as fast as a mapping."""

    __pydantic_config__: ClassVar[Dict[str, Any]] = {"extra": "forbid", "strict": True}

    roster: str
    """All machine ids, sorted, one a line."""
    state: State


_ADAPTERS: Dict[type, TypeAdapter[Any]] = {}


def _adapter(kind: type) -> TypeAdapter[Any]:
    """The validator of a type, made once."""
    if kind not in _ADAPTERS:
        from pydantic import TypeAdapter

        _ADAPTERS[kind] = TypeAdapter(kind)
    return _ADAPTERS[kind]


def _explain(exc: ValueError) -> str:
    """The first thing wrong. pydantic's error is a ValueError, as are those of JSON and of the seal."""
    if not hasattr(exc, "errors"):
        return str(exc)
    first = exc.errors(include_url=False, include_context=False, include_input=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    return "%s%s" % (where + ": " if where else "", first["msg"])


def dump(value: Any) -> bytes:
    """A document as JSON bytes."""
    data: bytes = _adapter(type(value)).dump_json(value)
    return data


def load(kind: Type[Document], data: bytes) -> Document:
    """A document of a type, which a person may have edited.

    :raises ValueError: with what is wrong with it.
    """
    try:
        plain_json(data, "document")
        found: Document = _adapter(kind).validate_json(data)
    except ValueError as exc:
        raise ValueError(_explain(exc)) from exc
    return found


def load_commit(data: bytes, number: int) -> Commit:
    """A commit of the journal.

    :raises ValueError: torn, edited, not a commit, or under another number than its own.
    """
    try:
        commit: Commit = _adapter(Commit).validate_json(sealed.unseal(data), strict=True)
    except ValueError as exc:
        raise ValueError(_explain(exc)) from exc
    _check_statuses(memory for memory in commit.memories.values() if memory is not None)
    _check_incidents(commit.incidents)
    if commit.number != number:
        raise ValueError("it says it is number %d" % commit.number)
    return commit


def load_state(data: bytes) -> State:
    """A checkpoint.

    :raises ValueError: torn, edited, or no checkpoint.
    """
    try:
        checkpoint: Checkpoint = _adapter(Checkpoint).validate_json(sealed.unseal(data), strict=True)
    except ValueError as exc:
        raise ValueError(_explain(exc)) from exc
    if checkpoint.state.number < 0:
        raise ValueError("it is from before the first commit")  # from there on would be read for ever
    _check_statuses(checkpoint.state.machines.values())
    _check_incidents(checkpoint.state.incidents)
    checkpoint.state.roster = dict.fromkeys(checkpoint.roster.split("\n") if checkpoint.roster else ())
    return checkpoint.state


def _check_statuses(memories: Iterable[Memory]) -> None:
    if any(memory.status not in STATUSES for memory in memories):
        raise ValueError("it has a status that there is not")


def _check_incidents(incidents: Mapping[str, Incident]) -> None:
    """Their documents are named by them: what is no plain name would lead out of the folder, or out of the store."""
    if any(not is_machine_id(name) or name != incident.incident_id for name, incident in incidents.items()):
        raise ValueError("it names an incident as none is named")


def dump_state(state: State) -> bytes:
    """A checkpoint as JSON bytes, to be sealed."""
    checkpoint = Checkpoint("\n".join(sorted(state.roster)), state)
    data: bytes = _adapter(Checkpoint).dump_json(checkpoint, exclude={"state": {"roster"}})
    return data


def load_maintenance(data: bytes) -> MaintenanceFile:
    """A maintenance window.

    :raises ValueError: with what is wrong with it.
    """
    return load(MaintenanceFile, data)


def load_incident(data: bytes) -> Incident:
    """An incident, from its document.

    :raises ValueError: unusable.
    """
    incident = load(IncidentFile, data).recorded
    for time in (incident.opened_at, incident.since, incident.until, incident.closed_at):
        _check_time(time)
    return incident


def load_last_check(data: bytes) -> LastCheck:
    """The cached result of a check.

    :raises ValueError: unusable; the caller simply checks anew.
    """
    found: LastCheck = _adapter(LastCheck).validate_json(data)
    _check_time(found.checked_at)
    # As JSON: to be strict, pydantic wants an instance in the place of a dictionary of Python's.
    _adapter(_LastResult).validate_json(json.dumps(found.result))
    return found


def _check_time(ns: Optional[int]) -> None:
    if ns is not None and not EARLIEST <= ns <= LATEST:
        raise ValueError("a time is out of range")


@dataclass
class Fleet:
    """A fleet's settings and expectations, validated."""

    store_id: str
    created_at: str
    settings: Settings
    expected: List[str]
    earlier: List[earlier.Earlier] = field(default_factory=list)

    def settings_at(self, now: int) -> Settings:
        """The settings to judge machines by at a moment of the store's."""
        return earlier.in_force(self.settings, self.earlier, now)

    def dump(self) -> bytes:
        """``fleet.json``: every setting that differs from its default, in a form a person can read and edit."""
        defaults = asdict(Settings())
        values = {name: value for name, value in asdict(self.settings).items() if value != defaults[name]}
        document = asdict(FleetFile(self.store_id, self.created_at, values, sorted(self.expected)))
        document["earlier"] = earlier.dump(self.earlier)
        if not self.earlier:
            del document["earlier"]
        # In the order in which they are, not sorted: of two patterns in overrides the earlier one wins.
        return (json.dumps(document, indent=2) + "\n").encode()


def parse_fleet(data: bytes, where: str) -> FleetFile:
    """``fleet.json`` as a document, whatever its settings say.

    :raises StoreCorrupt: not a fleet file at all (empty, torn, duplicate keys, missing parts).
    """
    try:
        strict_json(data.decode("utf-8"))  # pydantic takes duplicate keys; here they are an error
        document: FleetFile = _adapter(FleetFile).validate_json(data)
    except ValueError as exc:
        raise _corrupt_fleet(where, _explain(exc)) from exc
    bad = [name for name in document.expected if not is_machine_id(name)]
    if bad:
        raise _corrupt_fleet(where, "expected names an impossible machine id: %r" % bad[0][:80])
    document.expected = list(dict.fromkeys(document.expected))
    return document


def load_fleet(data: bytes, where: str) -> Fleet:
    """``fleet.json``, which a person may have edited.

    :param where: how errors name the file.
    :raises StoreCorrupt: see :func:`parse_fleet`.
    :raises InvalidSettings: well-formed, with settings that make no sense.
    """
    document = parse_fleet(data, where)
    try:
        settings = from_mapping(document.settings)
    except HeartbeatError as exc:
        raise InvalidSettings(
            "%s holds settings that make no sense: %s; correct them with heartbeat_fleet" % (where, exc.message),
            path=where,
            **exc.details,
        ) from exc
    return Fleet(document.store_id, document.created_at, settings, document.expected, earlier.parse(document.earlier))


def _corrupt_fleet(where: str, reason: str) -> StoreCorrupt:
    return StoreCorrupt(
        "%s cannot be used: %s; correct it by hand, or move it away and run heartbeat_fleet again "
        "(known settings are: %s)" % (where, reason, ", ".join(SETTING_NAMES)),
        path=where,
    )
