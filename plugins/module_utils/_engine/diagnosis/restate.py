# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What one state knows and another does not, as a commit: so that what a checkpoint still knows outlives it. Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import Dict, List

from ..state import SKIPPED, Commit, Incident, Memory, State, SyncEntry

CLOSED_BY = "repair"


def restating(commit: Commit, known: State, told: State) -> Commit:
    """The commit with all that takes the state that the journal tells to the one that is known.

    :param commit: its number, time and writer are kept, and what else is in it.
    :param known: the state that is to be; folding the commit into it changes nothing.
    :param told: what the journal adds up to without the commits that are lost.
    """
    forgotten = [machine for machine in told.roster if machine not in known.roster]
    memories: Dict[str, Memory | None] = {
        machine: known.machines.get(machine)
        for machine in {**known.machines, **told.machines}
        if machine not in forgotten and known.machines.get(machine) != told.machines.get(machine)
    }
    return replace(
        commit,
        joined=[machine for machine in known.roster if machine not in told.roster],
        forgotten=forgotten,
        memories=memories,
        syncs={**_syncs(known, told), **commit.syncs},
        incidents=_incidents(commit, known, told),
        windows=list(known.windows) if known.windows != told.windows else None,
        zones={machine: zone for machine, zone in known.zones.items() if told.zones.get(machine) != zone},
        hosts={machine: host for machine, host in known.hosts.items() if told.hosts.get(machine) != host},
    )


def _syncs(known: State, told: State) -> Dict[str, SyncEntry]:
    found = {event_id: entry for event_id, entry in known.syncs.items() if told.syncs.get(event_id) != entry}
    for event_id, entry in told.syncs.items():
        if event_id not in known.syncs:
            found[event_id] = replace(entry, state=SKIPPED, reason="it was closed by a commit that is lost")
    return found


def _incidents(commit: Commit, known: State, told: State) -> Dict[str, Incident]:
    found = {name: incident for name, incident in known.incidents.items() if told.incidents.get(name) != incident}
    for name, incident in told.incidents.items():
        if name not in known.incidents:
            found[name] = replace(incident, until=commit.at, closed_at=commit.at, closed_by=CLOSED_BY)
    return found


def is_empty(commit: Commit) -> bool:
    """Whether a commit would say nothing at all."""
    contents: List[object] = [commit.joined, commit.forgotten, commit.memories, commit.syncs, commit.incidents]
    return commit.windows is None and not any([*contents, commit.zones, commit.hosts, commit.voids])
