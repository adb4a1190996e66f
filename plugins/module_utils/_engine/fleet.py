# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Creating a fleet, changing its settings, expecting and forgetting machines: first a plan, then the doing."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Dict, Iterable, List, Mapping, Optional

from . import documents, earlier, journal
from .clock import iso, to_ns
from .detect.ages import same_arrival
from .errors import InvalidSettings, LockTimeout
from .identity import normalise_machine_id
from .report import shorten
from .settings import SETTING_NAMES, Settings, from_mapping
from .state import OFFLINE, SKIPPED, Commit, Memory, State
from .stores.file import FileStore

LOCK_PATIENCE = 15.0
MAX_RACES = 100


@dataclass
class Request:
    """What somebody wants of a fleet; a setting that is not named stays as it is."""

    settings: Mapping[str, Any] = field(default_factory=dict)
    expect: Iterable[str] = ()
    forget: Iterable[str] = ()
    forget_offline: bool = False


@dataclass
class Plan:
    """What would change."""

    creates: bool
    before: Optional[documents.Fleet]
    after: documents.Fleet
    forgets: List[str]
    unknown: List[str]
    """Names in the fleet's file that are no settings; they are dropped."""
    retimed: List[str]
    """The machines that beat, and are to do so at another interval."""

    @property
    def changed(self) -> bool:
        return self.creates or bool(self.forgets) or self.rewrites

    @property
    def rewrites(self) -> bool:
        """Whether the fleet's file changes. It is the text that counts: the order of patterns in overrides matters."""
        return self.before is None or self.before.dump() != self.after.dump()

    @property
    def warnings(self) -> List[str]:
        """What a person has to know, or to do besides."""
        found = ["fleet.json had an unknown setting, which is dropped: %.80s" % name for name in self.unknown]
        if self.retimed:
            found.append(
                "%s are to beat at another interval from now on. Agents that systemd or cron starts keep the interval "
                "that they were deployed with: run roosync.heartbeat.deploy again, and shorten thresholds only after "
                "that" % shorten(self.retimed)
            )
        return found

    def diff(self) -> Dict[str, Any]:
        """The two states, for ``--diff``."""
        return {"before": _shown(self.before, []), "after": _shown(self.after, self.forgets)}


def _shown(fleet: Optional[documents.Fleet], forgotten: List[str]) -> Dict[str, Any]:
    if fleet is None:
        return {}
    shown: Dict[str, Any] = {"settings": asdict(fleet.settings), "expected": fleet.expected}
    if forgotten:
        shown["forgotten"] = forgotten
    return shown


def manage(store: FileStore, request: Request, dry_run: bool = False) -> Dict[str, Any]:
    """Bring a fleet to what is asked for.

    :returns: ``changed``, ``created``, ``settings``, ``expected``, ``forgotten``, ``diff``, ``warnings``.
    :raises InvalidSettings: with the reason and the nearest sane value; nothing was changed.
    :raises InvalidMachineId: in ``expect`` or ``forget``; nothing was changed.
    """
    if dry_run or not store.exists():
        plan = _plan(store, request)
        if not dry_run:
            store.create()
            plan = _locked(store, request)
    else:
        plan = _locked(store, request)
    return {
        "changed": plan.changed,
        "created": plan.creates,
        "settings": asdict(plan.after.settings),
        "expected": plan.after.expected,
        "forgotten": plan.forgets,
        "diff": plan.diff(),
        "warnings": plan.warnings,
    }


def _locked(store: FileStore, request: Request) -> Plan:
    """Plan again under the lock, then do it: two people who change settings at once must not undo each other."""
    with store.lock("fleet", LOCK_PATIENCE, needed=True) as held:
        if not held:
            raise LockTimeout(
                "somebody else has been changing the fleet at %s for %d s; try again, or remove locks/fleet.lock there "
                "if nobody is" % (store.location, LOCK_PATIENCE)
            )
        plan = _plan(store, request)
        if plan.creates:
            plan.after = replace(plan.after, created_at=iso(store.now()))
        if plan.rewrites:
            plan.after = replace(plan.after, earlier=_earlier(plan, store.now()))
            store.write("fleet.json", plan.after.dump())
        if plan.forgets:
            _forget(store, plan.forgets)
    return plan


def _plan(store: FileStore, request: Request) -> Plan:
    expect = {normalise_machine_id(name, "expect") for name in request.expect}
    forget = {normalise_machine_id(name, "forget") for name in request.forget}
    both = sorted(expect & forget)
    if both:
        raise InvalidSettings("%s is both to be expected and to be forgotten; say one of the two" % both[0])
    document = _existing(store)
    base = document or documents.FleetFile(os.urandom(16).hex(), "")
    unknown = sorted(set(base.settings) - set(SETTING_NAMES))
    stored = {name: value for name, value in base.settings.items() if name not in unknown}
    settings = from_mapping(dict(stored, **request.settings))
    if request.forget_offline and settings.forget_after is None:
        raise InvalidSettings("forget_offline needs forget_after: say after how many seconds offline is long enough")
    forgets: List[str] = []
    if document is not None:
        state = journal.load(store).state
        forgets = _to_forget(store, state, forget, request.forget_offline, settings)
    # Nobody named those that are forgotten for their silence: one that this task expects is still missed.
    expected = sorted((set(base.expected) - forget - set(forgets)) | expect)
    after = documents.Fleet(base.store_id, base.created_at, settings, expected, earlier.parse(base.earlier))
    before = _before(document)
    return Plan(document is None, before, after, forgets, unknown, _retimed(store, before, settings))


def _existing(store: FileStore) -> Optional[documents.FleetFile]:
    """The fleet's document as it is, be its settings sane or not: this is where they are put right."""
    data = store.read("fleet.json") if store.exists() else None
    return None if data is None else documents.parse_fleet(data, store.location + "/fleet.json")


def _before(document: Optional[documents.FleetFile]) -> Optional[documents.Fleet]:
    """The fleet before the change; None when there was none, or one with settings that nothing could work by."""
    if document is None:
        return None
    try:
        settings = from_mapping(document.settings)
    except InvalidSettings:
        return None
    kept = earlier.parse(document.earlier)
    return documents.Fleet(document.store_id, document.created_at, settings, document.expected, kept)


def _earlier(plan: Plan, now: int) -> List[earlier.Earlier]:
    """What counts besides the new thresholds for a while. If the old ones made no sense, agents took the defaults."""
    if plan.creates:
        return []
    before = plan.before.settings if plan.before is not None else Settings()
    return earlier.after_change(before, plan.after.settings, plan.after.earlier, now)


def _retimed(store: FileStore, before: Optional[documents.Fleet], after: Settings) -> List[str]:
    if before is None or (before.settings.heartbeat_interval, before.settings.overrides) == (
        after.heartbeat_interval,
        after.overrides,
    ):
        return []

    def interval(settings: Settings, machine: str) -> float:
        return settings.for_machine(machine).heartbeat_interval

    return sorted(m for m in store.scan().received if interval(before.settings, m) != interval(after, m))


def _to_forget(
    store: FileStore, state: State, named: Iterable[str], all_offline: bool, settings: Settings
) -> List[str]:
    known = {m for m in named if m in state.roster or store.read_beat(m) is not None}
    if all_offline:
        limit = store.now() - to_ns(settings.forget_after or 0)
        for machine, memory in state.machines.items():
            long_gone = memory.status == OFFLINE and memory.offline_since is not None and memory.offline_since <= limit
            if long_gone and not _has_beaten(store, machine, memory):
                known.add(machine)
    return sorted(known)


def _has_beaten(store: FileStore, machine: str, memory: Memory) -> bool:
    """Whether an offline machine is back, and no check has seen that yet."""
    found = store.read_beat(machine)
    return found is not None and not same_arrival(found.received_at, memory.received_at)


def _forget(store: FileStore, machines: List[str]) -> None:
    """Remove the records, then say so in the journal; entries that ask for work on these machines are skipped."""
    for machine in machines:
        store.delete_beat(machine)
    for _race in range(MAX_RACES):
        ledger = journal.load(store)
        now = store.now()
        syncs = {
            event_id: replace(entry, state=SKIPPED, reason="the machine was forgotten", held_by=None)
            for event_id, entry in ledger.state.syncs.items()
            if entry.machine_id in machines
        }
        commit = Commit(ledger.next_number, now, journal.writer_name(), forgotten=machines, syncs=syncs)
        if journal.append(store, ledger, commit, now):
            return
    raise LockTimeout("checkers were always first in the journal, %d times; try again" % MAX_RACES)
