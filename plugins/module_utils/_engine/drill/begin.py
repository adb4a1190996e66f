# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Beginning a drill: on which machines, and whether it may be played now at all."""

from __future__ import annotations

import random
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, Dict, List, Optional, Tuple

from ..clock import iso, parse_iso, to_ns
from ..errors import (
    HeartbeatError,
    InvalidSettings,
    LockTimeout,
    MachineNotOnline,
    MachineUnknown,
    ServiceAlreadyRunning,
)
from ..identity import normalise_machine_id
from ..look import View, view
from ..state import OFFLINE, ONLINE, UNKNOWN
from ..stores.file import FileStore
from ..sync.refs import Refs, new_sync_id
from ..sync.session import all_trees
from ..sync.spec import TreeSpec
from . import document, rehearsed, scratch
from .document import RUNNING, Drill
from .trees import SCRATCH

MAX_PATIENCE = 30 * 86_400


@dataclass(frozen=True)
class Wanted:
    """What is asked for.

    :param machines: the only ones that may be touched.
    :param choose_one: one of them, at random.
    :param loss: how the agents end, for the report.
    :param destroys: name of a declared tree, ``scratch`` for one that is the drill's own, or empty.
    :param folder: of the drills, on the machines.
    :param patience: how many seconds a drill that was cut off stands in the way of the next one.
    """

    machines: List[str]
    choose_one: bool = False
    loss: str = "kill"
    destroys: str = ""
    folder: str = ""
    patience: float = 3600.0

    def __post_init__(self) -> None:
        if not 0 < self.patience <= MAX_PATIENCE:
            raise InvalidSettings(
                "patience: %s is refused: it must be more than 0, and at most %d seconds"
                % (self.patience, MAX_PATIENCE),
                setting="patience",
            )


def begin(store: FileStore, wanted: Wanted, dry_run: bool = False) -> Dict[str, Any]:
    """Choose the machines and open the drill's document.

    :raises LockTimeout: an incident is open.
    :raises ServiceAlreadyRunning: so is another drill.
    :raises MachineNotOnline: and the like; nothing was changed.
    """
    store.connect()
    with nullcontext() if dry_run else document.changing(store):
        return _begin(store, wanted, dry_run)


def _begin(store: FileStore, wanted: Wanted, dry_run: bool) -> Dict[str, Any]:
    candidates = sorted({normalise_machine_id(name, "machines") for name in wanted.machines})
    if not candidates:
        raise InvalidSettings("machines is empty: name the machines of the drill; no other is touched")
    seen = view(store, set(candidates).__contains__)
    _refuse_incident(seen)
    _refuse_second(store, seen.now)
    if wanted.choose_one:
        candidates = [name for name in candidates if _unfit(seen, name) is None] or candidates
    machines = [random.SystemRandom().choice(candidates)] if wanted.choose_one else candidates
    for machine in machines:
        refusal = _unfit(seen, machine)
        if refusal is not None:
            raise refusal
    _refuse_mass(seen, machines)
    drill_id = new_sync_id(seen.now)
    declared = all_trees(seen.fleet)
    destroyed, own = _destroyed(wanted, declared, machines, drill_id)
    trees = {
        machine: {spec.name: spec.as_mapping() for spec in declared + own if spec.applies_to(machine)}
        for machine in machines
    }
    drill = Drill(
        drill_id=drill_id,
        state=RUNNING,
        began_at=iso(seen.now),
        expires_at=iso(seen.now + to_ns(wanted.patience)),
        loss=wanted.loss,
        destroys=destroyed,
        scratch=bool(own),
        chosen_at_random=wanted.choose_one,
        candidates=candidates,
        machines=machines,
        trees={machine: sorted(names) for machine, names in trees.items()},
        commit=seen.ledger.last_name,
    )
    _note_vault(store, drill, seen.now)
    if not dry_run:
        _withdraw_forgotten(store)
        # The document first: it tells whoever finds the tree which drill has to take it away again.
        document.write(store, drill)
        try:
            for spec in own:
                scratch.declare(store, spec)
        except HeartbeatError:
            store.delete(document.path_of(drill_id))
            raise
    return {"drill": drill, "trees": trees}


def _refuse_incident(seen: View) -> None:
    names = sorted(seen.state.incidents) + [w.incident_id for w in seen.state.windows if w.until is None]
    if names:
        raise LockTimeout(
            "no drill is played during an incident (%s): see to it first; heartbeat_info shows it, and "
            "heartbeat_incident releases one that is over" % ", ".join(sorted(set(names))[:5]),
            incidents=sorted(set(names)),
        )
    if not seen.live:
        raise LockTimeout("no drill is played while the store cannot be written to; see to it first")


def _refuse_second(store: FileStore, now: int) -> None:
    for other in document.load_all(store):
        if other.state == RUNNING and parse_iso(other.expires_at) > now:
            raise ServiceAlreadyRunning(
                "the drill %s has been running since %s: wait for its end. If it was cut off, start what it stopped, "
                "and end it with heartbeat_drill (event: end, drill_id: %s); by itself it is forgotten at %s"
                % (other.drill_id, other.began_at, other.drill_id, other.expires_at),
                drill_id=other.drill_id,
            )


def _withdraw_forgotten(store: FileStore) -> None:
    """Take back the scratch trees of drills that were cut off: with nothing there, no sync of a machine goes on."""
    for other in document.load_all(store):
        if other.state == RUNNING and other.scratch:
            scratch.withdraw(store, other.drill_id)


def _unfit(seen: View, machine: str) -> Optional[Exception]:
    """Why a machine cannot be drilled now."""
    status = next((status for status, names in seen.lists.items() if machine in names), UNKNOWN)
    if status == UNKNOWN:
        return MachineUnknown(
            "no machine %s has ever beaten in this fleet; heartbeat_info lists those there are" % machine,
            machine_id=machine,
        )
    memory = seen.state.machines.get(machine)
    if status != ONLINE or (memory is not None and memory.flapping):
        what = "flapping" if status == ONLINE else status
        return MachineNotOnline(
            "%s is %s: a drill begins with machines that are well; see to it first, or drill another one"
            % (machine, what),
            machine_id=machine,
            status=what,
        )
    if rehearsed.would_flap(seen, machine):
        return MachineNotOnline(
            "%s has gone and come so often of late that one more loss would be flapping, on which nothing is acted; "
            "let it come to rest, or drill another one" % machine,
            machine_id=machine,
            status=status,
        )
    return None


def _refuse_mass(seen: View, machines: List[str]) -> None:
    """So many losses at once that nothing would be acted on are no drill of a loss."""
    settings = seen.fleet.settings
    zones: List[Optional[str]] = [None]
    if settings.zone_key is not None:
        zones += sorted({seen.state.zones[m] for m in machines if m in seen.state.zones})
    late = [m for status in ("warning", OFFLINE) for m in seen.lists[status]]
    for zone in zones:
        members = [m for m in seen.state.roster if zone is None or seen.state.zones.get(m) == zone]
        fallen = [m for m in members if m in machines]
        there = [m for m in members if m not in late]
        if len(fallen) > settings.mass_failure_count and len(fallen) >= settings.mass_failure_ratio * len(there):
            raise InvalidSettings(
                "the loss of %d of %d machines%s at once is a mass failure, which is held and not acted on; drill "
                "fewer machines at a time" % (len(fallen), len(there), "" if zone is None else " of zone %.80s" % zone)
            )


def _destroyed(
    wanted: Wanted, declared: List[TreeSpec], machines: List[str], drill_id: str
) -> Tuple[str, List[TreeSpec]]:
    """The name of the tree that is destroyed, and the tree that is the drill's own, if there is one."""
    if not wanted.destroys:
        return "", []
    if wanted.destroys == SCRATCH and SCRATCH not in {spec.name for spec in declared}:
        own = scratch.spec_of(drill_id, wanted.folder, machines)
        return own.name, [own]
    found = next((spec for spec in declared if spec.name == wanted.destroys), None)
    without = [m for m in machines if found is None or not found.applies_to(m)]
    if without:
        known = ", ".join(spec.name for spec in declared) or "none"
        raise InvalidSettings(
            "%s has no tree %.80s that could be destroyed: give %s, or one that sync_paths of the fleet declares for "
            "it (%s)" % (without[0], wanted.destroys, SCRATCH, known)
        )
    return wanted.destroys, []


def _note_vault(store: FileStore, drill: Drill, now: int) -> None:
    """How things stood in the vault before the drill did anything."""
    with Refs(store.location + "/vault") as refs:
        for machine, names in drill.trees.items():
            for name in names:
                baseline = refs.baseline(name, now)
                drill.baselines[name] = 0 if baseline is None else baseline.version
                last = refs.snapshot(machine, name, now)
                if last is not None:
                    drill.snapshots.setdefault(machine, {})[name] = iso(last.at)
