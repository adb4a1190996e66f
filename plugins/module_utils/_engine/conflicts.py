# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Identity conflicts: two hosts under one machine id. The refused host writes one down; every check shows it.

Standard library only: the agent writes them.
"""

from __future__ import annotations

import hashlib
import json

from .clock import iso, to_ns
from .errors import HeartbeatError, IdentityConflict
from .identity import is_machine_id
from .metadata import plain_json
from .record import MAX_REPLACED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List

    from .record import Beat
    from .settings import Settings
    from .stores.base import Store

FOLDER = "conflicts"
MAX_SHOWN = 100


def run_of(beat: Beat) -> str:
    """What tells apart two hosts of one fingerprint, or of none: each boots by itself."""
    return "%s:%s" % (beat.boot_id, beat.instance)


def both_alive(previous: Beat, beat: Beat) -> bool:
    """Whether the host of the beat in place and the one that asks for it must both be alive.

    A boot that has ended never comes back. One return may be a host whose memory was restored from a snapshot; but of
    two hosts that beat in turn, each returns after the other, within a few beats.
    """
    return run_of(previous) in previous.replaced and run_of(beat) in previous.replaced


def replaced_by(sequence: int, previous: Beat, alive: bool) -> Dict[str, int]:
    """The runs that were replaced within the last beats, now that a beat of another run has come.

    :param sequence: of that beat.
    :param alive: whether its predecessor seemed alive. What said goodbye, or fell silent, may well come back.
    """
    known = {run: at for run, at in previous.replaced.items() if sequence - MAX_REPLACED < at < sequence}
    if alive:
        known[run_of(previous)] = sequence
    return known


def conflict_error(first: Beat, received_at: int, cloned: bool) -> IdentityConflict:
    """The error for a host that asks for a name which another live host holds.

    :param first: the last beat of the host that holds the name.
    :param cloned: whether both have the same fingerprint, or none.
    """
    advice = "another machine_id"
    if cloned:
        advice = "a /etc/machine-id and a machine_id of its own (both have the same fingerprint: one is a clone)"
        if not first.fingerprint:
            advice = "a host_id and a machine_id of its own (both have no /etc/machine-id)"
    return IdentityConflict(
        "%s is in use by another host (fingerprint %s, last heartbeat %s); give this host %s, stop the other one, or "
        "let this one take the name over (allow_takeover of heartbeat_register, takeover = true of the agent)"
        % (first.machine_id, first.fingerprint or "none", iso(received_at), advice),
        machine_id=first.machine_id,
        holder=first.fingerprint,
        last_heartbeat=iso(received_at),
    )


def write_down(store: Store, refusal: IdentityConflict, fingerprint: str, host: str) -> None:
    """Let every check know that this host was refused.

    :param fingerprint: of the refused host.
    :param host: what the refused host calls itself.
    """
    machine_id = str(refusal.details["machine_id"])
    name = hashlib.sha256(("%s|%s" % (machine_id, fingerprint)).encode()).hexdigest()[:32]
    document = {
        "machine_id": machine_id,
        "holder": refusal.details["holder"],
        "refused": fingerprint,
        "refused_host": host,
    }
    try:
        store.write("%s/%s.json" % (FOLDER, name), (json.dumps(document) + "\n").encode(), durable=False)
    except HeartbeatError:
        pass  # the refusal itself must reach the caller, whether or not it could be written down


def live_conflicts(store: Store, now: int, settings: Settings) -> List[Dict[str, Any]]:
    """The conflicts that are going on: those whose refused host tried again within ``offline_after``."""
    from .stores.base import read_if_file

    found: List[Dict[str, Any]] = []
    for name in store.names(FOLDER):
        if len(found) == MAX_SHOWN:
            break
        try:
            stamped = read_if_file(store, "%s/%s" % (FOLDER, name))
            if stamped is None:
                continue
            raw = plain_json(stamped.data, "note")
            machine_id = raw["machine_id"]
        except (ValueError, KeyError, TypeError):
            continue
        if not isinstance(machine_id, str) or not is_machine_id(machine_id):
            continue
        # One from the future says nothing: the store's clock was set, or a hand wrote it.
        if abs(now - stamped.received_at) > to_ns(settings.for_machine(machine_id).offline_after):
            continue
        entry = {key: str(raw.get(key, ""))[:253] for key in ("machine_id", "holder", "refused", "refused_host")}
        found.append(dict(entry, refused_at=iso(stamped.received_at)))
    return sorted(found, key=lambda c: (c["machine_id"], c["refused"]))
