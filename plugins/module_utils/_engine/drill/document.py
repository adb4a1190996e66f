# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``drills/<id>.json``: a drill from its beginning to its report, in a form that people can read.

All times are those of the store, in ISO 8601.
"""

from __future__ import annotations

import json
import re
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar, Dict, Iterator, List, Optional

from .. import documents
from ..clock import parse_iso
from ..errors import HeartbeatError, InvalidSettings, LockTimeout, StoreCorrupt
from ..identity import is_machine_id
from ..stores.base import Store, read_if_file
from .trees import is_drill_id

FOLDER = "drills"
RUNNING = "running"
ENDED = "ended"
PASSED = "passed"
FAILED = "failed"
LOCK_PATIENCE = 15.0
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")


@dataclass
class Mark:
    """Something that the drill did to a machine, and that the journal knows nothing of."""

    __pydantic_config__: ClassVar[Dict[str, Any]] = {"extra": "forbid", "strict": True}

    machine_id: str
    step: str
    at: str


@dataclass
class Step:
    """One moment of a drill on a machine."""

    __pydantic_config__: ClassVar[Dict[str, Any]] = {"extra": "forbid", "strict": True}

    step: str
    at: str
    seconds: Optional[float]
    """Since the loss; negative before it."""
    source: str
    """``journal``, ``heartbeat`` or ``drill``: who knows the time."""


@dataclass
class Difference:
    """One path of a tree that is not as it was before the loss."""

    __pydantic_config__: ClassVar[Dict[str, Any]] = {"extra": "ignore", "strict": True}

    tree: str
    path: str
    what: str
    before: Optional[str] = None
    after: Optional[str] = None


@dataclass
class MachineReport:
    """What a drill has measured on one machine. A duration is in seconds, and None where it could not be measured."""

    __pydantic_config__: ClassVar[Dict[str, Any]] = {"extra": "forbid", "strict": True}

    machine_id: str
    verdict: str
    reason: str = ""
    detection_seconds: Optional[float] = None
    rto_seconds: Optional[float] = None
    rpo_seconds: Optional[float] = None
    unprepared_rpo_seconds: Optional[float] = None
    unprepared_changes: Optional[int] = None
    entries: int = 0
    differing: int = 0
    differences: List[Difference] = field(default_factory=list)
    changed_meanwhile: List[Difference] = field(default_factory=list)
    kept: Optional[str] = None
    planned: bool = False
    steps: List[Step] = field(default_factory=list)


@dataclass
class Drill:
    """A drill, running or ended."""

    __pydantic_config__: ClassVar[Dict[str, Any]] = {"extra": "forbid", "strict": True}

    drill_id: str
    state: str
    began_at: str
    expires_at: str
    """When a drill that was cut off no longer stands in the way of another one."""
    loss: str
    destroys: str
    """The tree that is destroyed; empty for none."""
    scratch: bool
    chosen_at_random: bool
    candidates: List[str]
    machines: List[str]
    trees: Dict[str, List[str]]
    """Machine -> its trees."""
    commit: int
    """The last commit of the journal before the drill."""
    baselines: Dict[str, int] = field(default_factory=dict)
    """Tree -> version of its baseline before the drill."""
    snapshots: Dict[str, Dict[str, str]] = field(default_factory=dict)
    """Machine -> tree -> when the last snapshot before the drill was taken."""
    marks: List[Mark] = field(default_factory=list)
    ended_at: Optional[str] = None
    verdict: Optional[str] = None
    summary: str = ""
    reports: List[MachineReport] = field(default_factory=list)

    def mark(self, machine_id: str, step: str) -> Optional[int]:
        """When the drill first did something to a machine."""
        times = [parse_iso(one.at) for one in self.marks if (one.machine_id, one.step) == (machine_id, step)]
        return min(times) if times else None


def path_of(drill_id: str, suffix: str = ".json") -> str:
    """The name of a drill's document in the store."""
    return "%s/%s%s" % (FOLDER, drill_id, suffix)


def write(store: Store, drill: Drill) -> None:
    """Put a drill in place of what was known of it."""
    store.write(path_of(drill.drill_id), (json.dumps(asdict(drill), indent=2) + "\n").encode("ascii"))


@contextmanager
def changing(store: Store) -> Iterator[None]:
    """The documents of drills are nobody else's to write meanwhile.

    :raises LockTimeout: somebody else has been writing them all the time.
    """
    with store.lock("drills", LOCK_PATIENCE, needed=True) as held:
        if not held:
            raise LockTimeout("somebody else is writing the document of a drill; try again")
        yield


def read(store: Store, drill_id: str) -> Drill:
    """One drill.

    :raises InvalidSettings: there is none of that id.
    :raises StoreCorrupt: its document is damaged.
    """
    try:
        found = read_if_file(store, path_of(drill_id)) if is_drill_id(drill_id) else None
        if found is None:
            raise InvalidSettings("there is no drill %.80s; heartbeat_drill_info lists those there are" % drill_id)
        return _checked(documents.load(Drill, found.data), drill_id)
    except ValueError as exc:
        raise StoreCorrupt("the drill %s cannot be read: %.200s; move its document away" % (drill_id, exc)) from exc


def ids(store: Store) -> List[str]:
    """The drills there are, the oldest first. What else lies there is left alone."""
    return [n[:-5] for n in store.names(FOLDER) if n.endswith(".json") and is_drill_id(n[:-5])]


def load_all(store: Store) -> List[Drill]:
    """Every drill that can be read, the oldest first."""
    found = []
    for drill_id in ids(store):
        try:
            found.append(read(store, drill_id))
        except HeartbeatError as exc:
            if not isinstance(exc, (StoreCorrupt, InvalidSettings)):
                raise
    return found


def _checked(drill: Drill, drill_id: str) -> Drill:
    """A drill whose parts are what they are used as.

    :raises ValueError: they are not.
    """
    times = [drill.began_at, drill.expires_at, *(one.at for one in drill.marks)]
    times += [] if drill.ended_at is None else [drill.ended_at]
    times += [one.at for report in drill.reports for one in report.steps]
    times += [at for trees in drill.snapshots.values() for at in trees.values()]
    if drill.drill_id != drill_id:
        raise ValueError("it is not under its name")
    if drill.state not in (RUNNING, ENDED) or not all(_TIME.fullmatch(time) for time in times):
        raise ValueError("it has an impossible state or time")
    for time in times:
        parse_iso(time)
    if not all(map(is_machine_id, [*drill.machines, *drill.candidates, *(one.machine_id for one in drill.reports)])):
        raise ValueError("it has an impossible machine id")
    return drill
