# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Registering heartbeats: one machine, or many in one call. Standard library only.

The rules that only a host under another's name meets are imported when it does: as a task of Ansible's, every file
that is imported is compiled anew.
"""

from __future__ import annotations

import os
import time
from dataclasses import replace

from .clock import iso, to_ns
from .errors import (
    HeartbeatError,
    HeartbeatRegistrationFailed,
    IdentityConflict,
    InvalidMachineId,
    InvalidMetadata,
    StoreCorrupt,
)
from .identity import normalise_machine_id
from .metadata import encode_metadata, strict_json
from .record import Beat, decode, encode, sent_now, skew_ms

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Iterable, List, Optional

    from .settings import Settings
    from .stores.base import Received, Store

VERSION = "0.1.0"
ATTEMPTS = 5


def read_settings(store: Store, now: Optional[int] = None) -> Settings:
    """The fleet's settings for a host that only beats: damage is the checkers' to report, here defaults serve.

    :param now: the store's time, to judge another host by them: then :mod:`.earlier` thresholds count as well.
    """
    from .settings import Settings, from_mapping
    from .stores.base import read_if_file

    try:
        found = read_if_file(store, "fleet.json")
        raw = strict_json((found.data if found is not None else b"").decode("utf-8"))
        settings = from_mapping(raw.get("settings", {}), sync=False)
    except (ValueError, AttributeError, HeartbeatError):
        return Settings()
    if now is None or not raw.get("earlier"):
        return settings
    from . import earlier

    return earlier.in_force(settings, earlier.parse(raw["earlier"]), now)


def place(store: Store, beat: Beat, allow_takeover: bool = False, away_ns: int = 0) -> Placed:
    """Put a beat in its machine's place, unless that place is another host's.

    :param beat: its ``sequence`` is the least it will get; the record's own goes on if that is higher.
    :param away_ns: for how long this host itself could not reach the store: that time proves nothing about the holder.
    :raises IdentityConflict: another host beats under this name.
    """
    for _attempt in range(ATTEMPTS):
        found = store.read_beat(beat.machine_id)
        previous = _previous(found, beat.machine_id)
        if found is None:
            received_at = store.write_beat(beat.machine_id, encode(beat), first=True)
            if received_at is None:
                continue  # somebody was first; look who
            return Placed(beat, received_at, True)
        if previous is not None:
            try:
                beat = _succeed(store, beat, previous, found.received_at, allow_takeover, away_ns)
            except IdentityConflict as exc:
                from .conflicts import write_down

                write_down(store, exc, beat.fingerprint, os.uname().nodename)
                raise
        received_at = store.write_beat(beat.machine_id, encode(beat))
        return Placed(beat, received_at or 0, False)
    raise HeartbeatRegistrationFailed(
        "the record of %s appears and disappears; is something cleaning the store?" % beat.machine_id,
        machine_id=beat.machine_id,
    )


class Placed:
    """A beat that is in the store."""

    def __init__(self, beat: Beat, received_at: int, is_new: bool) -> None:
        self.beat = beat
        self.received_at = received_at
        self.is_new = is_new


def _previous(found: Optional[Received], machine_id: str) -> Optional[Beat]:
    if found is None:
        return None
    try:
        return decode(found.data, machine_id)
    except StoreCorrupt:
        return None  # a torn record says nothing of its owner; this beat heals it


def _succeed(
    store: Store,
    beat: Beat,
    previous: Beat,
    previous_at: int,
    allow_takeover: bool,
    away_ns: int,
) -> Beat:
    """The beat as successor of the one in its place; see the rules of identity in docs/architecture.md."""
    same = previous.fingerprint == beat.fingerprint
    # Only a hand writes a sequence that no beat will ever reach; counting on from there would soon be no record.
    least = previous.sequence + 1 if previous.sequence < 1 << 62 else 1
    sequence = max(beat.sequence, least)
    replaced = previous.replaced if same else {}
    if (previous.fingerprint and not same) or (same and _another_run(previous, beat)):
        from .conflicts import both_alive, conflict_error, replaced_by

        now = store.now()
        age = now - previous_at - away_ns
        limits = read_settings(store, now).for_machine(beat.machine_id)
        alive = age < to_ns(limits.offline_after) and previous.leaving is None
        if alive and not allow_takeover and (not same or both_alive(previous, beat)):
            raise conflict_error(previous, previous_at, same)
        if same:
            replaced = replaced_by(sequence, previous, alive)
    booted = same and previous.boot_id != beat.boot_id
    return replace(
        beat,
        sequence=sequence,
        took_over=previous.took_over if same else previous.fingerprint or None,
        previous_boot_id=previous.boot_id if booted else previous.previous_boot_id,
        replaced=replaced,
    )


def _another_run(previous: Beat, beat: Beat) -> bool:
    """Whether two beats of one fingerprint come from two boots, or from two hosts that share one as containers do."""
    if previous.boot_id != beat.boot_id:
        return bool(previous.boot_id and beat.boot_id)
    return bool(previous.instance and beat.instance) and previous.instance != beat.instance


def register(
    store: Store,
    machine_id: str,
    metadata: Any = None,
    fingerprint: str = "",
    boot: str = "",
    allow_takeover: bool = False,
    dry_run: bool = False,
) -> Dict[str, Any]:
    """Register one machine's heartbeat.

    :param fingerprint: of the host that attests the beat, ``""`` when it is registered on a machine's behalf.
    :returns: what ``heartbeat_register`` returns for one machine.
    """
    name = normalise_machine_id(machine_id)
    text, warning = encode_metadata(metadata)
    store.connect()
    started = time.monotonic()
    beat = Beat(
        machine_id=name,
        sequence=1,
        sent_at=sent_now(),
        fingerprint=fingerprint,
        boot_id=boot,
        agent_version=VERSION,
        metadata_json=text,
    )
    if dry_run:
        found = store.read_beat(name)
        previous = _previous(found, name)
        if found is not None and previous is not None:
            beat = _succeed(store, beat, previous, found.received_at, allow_takeover, 0)
        placed = Placed(beat, store.now(), found is None)
    else:
        placed = place(store, beat, allow_takeover)
    return _registered(placed, started, warning)


def _registered(placed: Placed, started: float, warning: Optional[str]) -> Dict[str, Any]:
    return {
        "machine_id": placed.beat.machine_id,
        "received_at": iso(placed.received_at),
        "status": "online",
        "is_new_machine": placed.is_new,
        "sequence": placed.beat.sequence,
        "latency_ms": round((time.monotonic() - started) * 1000, 3),
        "clock_skew_ms": skew_ms(placed.beat, placed.received_at),
        "warnings": [warning] if warning else [],
    }


def register_many(
    store: Store, machines: Iterable[Any], allow_takeover: bool = False, dry_run: bool = False
) -> Dict[str, Any]:
    """Register heartbeats on behalf of many machines; a bad one fails alone.

    :param machines: each a mapping with ``machine_id`` and, if wanted, ``metadata``.
    :param allow_takeover: take over names from hosts that are still beating under them.
    :raises StoreUnavailable: there is no store; nothing was kept.
    """
    store.connect()
    kept: List[Dict[str, Any]] = []
    failed: List[Dict[str, Any]] = []
    for index, machine in enumerate(machines):
        name = machine.get("machine_id") if isinstance(machine, dict) else None
        name = "" if name is None else name
        try:
            metadata = _metadata_of(machine)
            kept.append(register(store, name, metadata, allow_takeover=allow_takeover, dry_run=dry_run))
        except HeartbeatError as exc:
            failed.append(dict(exc.as_result(), index=index, machine_id=str(name)[:80], msg=exc.message))
    return {"registered": kept, "failed_machines": failed}


def _metadata_of(machine: Any) -> Any:
    """What an item of ``machines`` says besides the name; it is refused if it is none."""
    if not isinstance(machine, dict):
        raise InvalidMachineId("%.80r is no machine; give a dictionary with machine_id and metadata" % (machine,))
    unknown = sorted(set(map(str, machine)) - {"machine_id", "metadata"})
    if unknown:
        raise InvalidMetadata("unknown key %.80s; put what is to be kept with the heartbeat into metadata" % unknown[0])
    return machine.get("metadata")
