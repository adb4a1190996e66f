# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a restore leaves behind for people: a document in ``reports/``, and an incident that heartbeat_info shows."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Dict, List, Optional, Set

from .. import documents, journal, sealed
from ..clock import iso
from ..detect.planned import Calendar
from ..detect.verdict import Decision, decide
from ..errors import HeartbeatError, LockTimeout
from ..maintenance import load as load_windows
from ..metadata import strict_json
from ..observe import load_fleet, nobody, observe
from ..report import incident_dict
from ..state import Commit, Incident, Window
from ..stores.base import Received, Scan, Store
from ..stores.file import FileStore, _commit_name
from .members import Head

KIND = "restore"
PREFIX = "restore-"
MAX_RACES = 100


@dataclass
class Note:
    """One restore, as its document in ``reports/`` tells it."""

    restored_at: str
    backup: str
    backup_created_at: str
    sha256: str
    machine_id: Optional[str]
    by: str
    forced: bool
    replaced_backup: Optional[str]
    incident_id: str
    files: int
    traces: List[str] = field(default_factory=list)
    """What this restore added to what was in the backup."""

    @property
    def name(self) -> str:
        return "reports/%s%s.json" % (PREFIX, self.restored_at.replace(":", "").replace("-", ""))

    def dump(self) -> bytes:
        return (json.dumps(dict(asdict(self), kind=KIND), indent=2) + "\n").encode("ascii")


def traces_of(location: Optional[str], seal: str) -> Set[str]:
    """What restores of the backup with this digest added to it, as far as their documents can be read."""
    found: Set[str] = set()
    folder = os.path.join(location or "", "reports")
    try:
        names = [n for n in os.listdir(folder) if n.startswith(PREFIX)] if location is not None else []
    except OSError:
        names = []
    for name in names:
        try:
            with open(os.path.join(folder, name), "rb") as stream:
                document = strict_json(stream.read(1 << 20).decode("utf-8"))
        except (OSError, ValueError):
            continue
        if isinstance(document, dict) and document.get("sha256") == seal and isinstance(document.get("traces"), list):
            found.update(t for t in document["traces"] if isinstance(t, str))
    return found


def incident_of(head: Head, name: str, now: int, machine: Optional[str]) -> Incident:
    """The restore as an incident that is over: from the moment of the backup until now nobody was looking."""
    since = min(head.created_at, now)
    key = hashlib.sha256(("%s|%s|%d" % (KIND, name, now)).encode()).hexdigest()[:16]
    return Incident(
        incident_id="%s-%s" % (KIND, key),
        kind=KIND,
        opened_at=now,
        since=since,
        until=now,
        closed_at=now,
        closed_by=KIND,
        reason="restored from %s, which was made at %s" % (name, iso(head.created_at)),
        machines=[] if machine is None else [machine],
    )


def write_incident(store: Store, incident: Incident) -> str:
    """Its document, for people; the path."""
    name = "incidents/%s.json" % incident.incident_id
    document = dict(incident_dict(incident), recorded=asdict(incident))
    store.write(name, (json.dumps(document, indent=2) + "\n").encode())
    return name


def record(store: Store, incident: Incident) -> None:
    """The incident in the journal of a fleet that is in use."""
    for _race in range(MAX_RACES):
        ledger = journal.load(store)
        now = store.now()
        commit = Commit(ledger.next_number, now, journal.writer_name(), incidents={incident.incident_id: incident})
        if journal.append(store, ledger, commit, now):
            return
    raise LockTimeout("checkers were always first in the journal, %d times; try again" % MAX_RACES)


class _AsOf(FileStore):
    """A fleet as it was at a moment: what is newer arrived just then."""

    def __init__(self, root: str, fleet: str, moment: int) -> None:
        super().__init__(root, fleet)
        self._moment = moment

    def now(self) -> int:
        return self._moment

    def scan(self) -> Scan:
        found = super().scan()
        return Scan({m: min(at, self._moment) for m, at in found.received.items()}, found.oddities)

    def read_beat(self, machine_id: str) -> Optional[Received]:
        found = super().read_beat(machine_id)
        return None if found is None else Received(found.data, min(found.received_at, self._moment))


def settle(root: str, fleet: str, head: Head, incident: Incident, now: int) -> List[str]:
    """Bring a restored fleet, which nobody can see yet, to where its next check can go on.

    First what a check at the moment of the backup would have recorded: whoever was dead by then is dead, and no restore
    makes it look alive. Then the time from then until now is recorded as one in which the store was away, so that
    nobody is called dead for heartbeats that could not be restored: each machine has one ``offline_after`` to return.

    :returns: the paths of what was added.
    """
    added: List[str] = []
    with _AsOf(root, fleet, head.created_at) as store:
        ledger = journal.load(store)
        try:
            decision = _decision(store, ledger)
        except HeartbeatError:
            decision = Decision()  # settings that nobody can work by: the next check says so
        if not decision.empty:
            commit = decision.commit(ledger.next_number, head.created_at, journal.writer_name())
            added.append(_append(store, ledger, commit))
            ledger = journal.load(store)
        window = Window(incident.since, now, incident.incident_id)
        closing = Commit(
            ledger.next_number,
            now,
            journal.writer_name(),
            incidents={incident.incident_id: incident},
            windows=[*ledger.state.windows, window],
        )
        added.append(_append(store, ledger, closing))
        added.append(write_incident(store, incident))
    return added


def _decision(store: FileStore, ledger: journal.Ledger) -> Decision:
    fleet = load_fleet(store)
    calendar: Calendar = load_windows(store)[0]
    seen = observe(store, ledger.state, fleet, asked=nobody, calendar=calendar)
    return decide(seen.now, seen.received, seen.seen, seen.suspects, ledger.state, seen.settings, calendar)


def _append(store: FileStore, ledger: journal.Ledger, commit: Commit) -> str:
    """As :func:`journal.append`, without its upkeep: what was in the backup stays as it was."""
    commit = replace(commit, voids=sorted({*commit.voids, *ledger.torn}))
    store.append_commit(commit.number, sealed.seal(documents.dump(commit)))
    return "journal/" + _commit_name(commit.number)


def as_result(note: Note, place: str) -> Dict[str, Any]:
    """What the module returns of it."""
    return {"report": os.path.join(place, note.name), "incident_id": note.incident_id}
