# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Incidents as documents of the store, and their release by a person. The journal stays the only truth about them."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from typing import Any, Dict, List, Optional

from . import documents, journal
from .detect import mass, outage
from .detect.syncs import let_go, what_holds
from .errors import HeartbeatError, InvalidSettings, LockTimeout
from .report import incident_dict
from .state import Commit, Incident
from .stores.base import Store, read_if_file

FOLDER = "incidents"
MAX_CATCH_UP = 500
MAX_SHOWN = 200
MAX_RACES = 100


def write_documents(store: Store, documented: int, number: int) -> int:
    """Bring the documents up to the journal.

    :param documented: the number of the last commit whose incidents are written.
    :param number: the number of the last commit.
    :returns: up to which commit they are written now; a failure is made good by the next check.
    """
    for current in range(max(documented, number - MAX_CATCH_UP) + 1, number + 1):
        try:
            found = journal.read_commit(store, current)
            if found is None:
                continue
            commit = documents.load_commit(found.data, current)
            for incident in commit.incidents.values():
                _write(store, incident)
        except ValueError:
            continue  # torn: every check reports it
        except HeartbeatError:
            return current - 1
    return number


def _write(store: Store, incident: Incident) -> None:
    document = dict(incident_dict(incident), recorded=asdict(incident))
    store.write("%s/%s.json" % (FOLDER, incident.incident_id), (json.dumps(document, indent=2) + "\n").encode())


def history(store: Store) -> List[Dict[str, Any]]:
    """The incidents of the past and the present, newest first, as their documents have them."""
    found = []
    for name in store.names(FOLDER):
        try:
            document = read_if_file(store, "%s/%s" % (FOLDER, name))
            if document is not None:
                found.append(documents.load_incident(document.data))
        except ValueError:
            continue
    found.sort(key=lambda i: (i.opened_at, i.incident_id), reverse=True)
    return [incident_dict(i) for i in found[:MAX_SHOWN]]


def release(store: Store, incident_id: str, reason: str = "", dry_run: bool = False) -> Dict[str, Any]:
    """A person lets go of an incident: what it held and is still true becomes pending.

    Of a store outage that is still going on it says: it is the machines. The next check judges them by their silence.

    :returns: ``changed`` and ``incident``.
    :raises InvalidSettings: there never was such an incident.
    """
    store.connect()
    by = "person" + (": " + reason if reason else "")
    for _race in range(MAX_RACES):
        ledger = journal.load(store)
        incident = ledger.state.incidents.get(incident_id)
        if incident is None:
            return {"changed": False, "incident": _known(store, incident_id)}
        now = store.now()
        commit = release_commit(ledger, incident, now, by)
        closed = incident_dict(commit.incidents[incident_id])
        if dry_run or journal.append(store, ledger, commit, now):
            if not dry_run:
                write_documents(store, commit.number - 1, commit.number)
            return {"changed": True, "incident": closed}
    raise LockTimeout("checkers were always first in the journal, %d times; try again" % MAX_RACES)


def release_commit(ledger: journal.Ledger, incident: Incident, now: int, by: str) -> Commit:
    """The commit that closes an incident, with all that follows from it."""
    state = ledger.state
    closed = mass.close(incident, now, by)
    commit = Commit(ledger.next_number, now, journal.writer_name(), incidents={incident.incident_id: closed})
    if incident.kind == outage.KIND:
        windows = [outage.dismissed(w) if w.incident_id == incident.incident_id else w for w in state.windows]
        return replace(commit, windows=windows)
    others = what_holds(state.machines.get, dict(state.incidents, **commit.incidents))
    return replace(
        commit,
        syncs=let_go({incident.incident_id}, state.syncs.values(), state.status_of, others),
        memories=mass.released(closed, state.machines.get),
    )


def _known(store: Store, incident_id: str) -> Dict[str, Any]:
    found: Optional[Dict[str, Any]] = next((i for i in history(store) if i["incident_id"] == incident_id), None)
    if found is None:
        raise InvalidSettings("there is no incident %r; heartbeat_info lists those there are" % incident_id[:80])
    return found
