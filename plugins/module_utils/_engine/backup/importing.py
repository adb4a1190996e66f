# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Taking over machines from another monitor: what is known of each, and no more than that.

A machine that was last heard of at some moment gets a heartbeat of that moment, so that it is as dead here as it was
there. One without such a moment, or with one that has yet to come, is only expected, and unknown until it beats.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, List, Optional, Tuple

from ..clock import iso
from ..errors import HeartbeatError, HeartbeatRegistrationFailed, InvalidSettings
from ..fleet import Request as FleetRequest
from ..fleet import manage
from ..identity import normalise_machine_id
from ..metadata import encode_metadata
from ..record import Beat, decode, encode
from ..register import VERSION
from ..stores.file import FileStore
from . import foreign
from .machine import put_record

IMPORTED, EXPECTED, KEPT = "imported", "expected", "kept"


@dataclass
class Request:
    """What is to be taken over, and how it is to be read."""

    src: str
    format: str = "auto"
    columns: Optional[foreign.Columns] = None
    utc_offset: Optional[str] = None
    expect: bool = True


@dataclass
class Machine:
    """One machine of the list, as this collection can keep it."""

    name: str
    at: Optional[int]
    metadata_json: str
    warnings: List[str]


def run(store: FileStore, request: Request, dry_run: bool = False) -> Dict[str, Any]:
    """Take over the machines of a file; a bad one fails alone.

    :returns: ``changed``, ``machines``, ``failed_machines``, ``warnings``, ``diff``, and ``failure`` if any failed.
    :raises InvalidSettings: the file as a whole is no use; nothing was changed.
    """
    store.connect()
    foreign.check_offset(request.utc_offset)
    listed = foreign.read(request.src, request.format, request.columns)
    if not listed:
        raise InvalidSettings("src: %s lists no machines" % request.src, path=request.src)
    now = store.now()
    machines, failed = _understood(listed, request)
    result: List[Dict[str, Any]] = []
    warnings: List[str] = []
    for machine in machines:
        try:
            result.append(_take(store, machine, now, dry_run))
            warnings.extend("%s: %s" % (machine.name, text) for text in machine.warnings)
        except HeartbeatError as exc:
            if exc.error_code in ("STORE_UNAVAILABLE", "DISK_SPACE_LOW"):
                raise
            failed.append(dict(exc.as_result(), machine_id=machine.name, msg=exc.message))
    names = [entry["machine_id"] for entry in result]
    expected: Dict[str, Any] = {"changed": False, "diff": {}}
    if request.expect:
        expected = manage(store, FleetRequest(expect=names), dry_run)
    imported = [entry for entry in result if entry["action"] == IMPORTED]
    answer: Dict[str, Any] = {
        "changed": bool(imported) or expected["changed"],
        "machines": result,
        "failed_machines": failed,
        "warnings": warnings[:20],
        "diff": _diff(imported, expected["diff"]),
    }
    if failed:
        answer["error_code"] = HeartbeatRegistrationFailed.error_code
        answer["cause_code"] = failed[0]["error_code"]
        answer["failure"] = "%d of %d machines were not imported: %s" % (
            len(failed),
            len(failed) + len(result),
            "; ".join("%s: %s" % (f["machine_id"] or "?", f["msg"]) for f in failed[:3]),
        )
    return answer


def _understood(listed: List[foreign.Found], request: Request) -> Tuple[List[Machine], List[Dict[str, Any]]]:
    """The machines by their names here, each once, and those that nobody could make sense of."""
    found: Dict[str, Machine] = {}
    failed: List[Dict[str, Any]] = []
    for index, one in enumerate(listed):
        try:
            machine = _machine(one, request)
        except HeartbeatError as exc:
            name = "" if one.name is None else str(one.name)[:80]
            failed.append(dict(exc.as_result(), index=index, machine_id=name, msg=exc.message))
            continue
        before = found.get(machine.name)
        if before is None or (machine.at or 0) > (before.at or 0):
            found[machine.name] = machine
    return [found[name] for name in sorted(found)], failed


def _machine(one: foreign.Found, request: Request) -> Machine:
    if isinstance(one.name, bool) or not isinstance(one.name, (str, int)):
        raise InvalidSettings("an entry of %s has no name; say with columns where it is" % one.where)
    name = normalise_machine_id(str(one.name))
    try:
        at = foreign.moment(one.seen, request.utc_offset)
    except ValueError as exc:
        raise InvalidSettings("last heard of at a time that cannot be used: %s" % exc) from exc
    text, warning = encode_metadata(one.metadata)
    return Machine(name, at, text, [warning] if warning else [])


def _take(store: FileStore, machine: Machine, now: int, dry_run: bool) -> Dict[str, Any]:
    entry: Dict[str, Any] = {"machine_id": machine.name, "last_heartbeat": None, "action": EXPECTED}
    if machine.at is None:
        return entry
    if machine.at > now:
        machine.warnings.append(
            "it was last heard of at %s, which has yet to come, so it is expected and no more" % iso(machine.at)
        )
        return entry
    entry["last_heartbeat"] = iso(machine.at)
    sequence = 1
    current = store.read_beat(machine.name)
    if current is not None:
        try:
            beat = decode(current.data, machine.name)
        except HeartbeatError:
            beat = None  # torn: anything is better
        if beat is not None and (current.received_at >= machine.at or beat.fingerprint or beat.boot_id):
            return dict(entry, last_heartbeat=iso(current.received_at), action=KEPT)
        sequence = beat.sequence + 1 if beat is not None else 1
    if not dry_run:
        beat = Beat(
            machine_id=machine.name,
            sequence=sequence,
            sent_at=iso(machine.at),
            agent_version=VERSION,
            metadata_json=machine.metadata_json,
        )
        put_record(store, machine.name, encode(beat), machine.at)
    return dict(entry, action=IMPORTED)


def _diff(imported: List[Dict[str, Any]], expected: Dict[str, Any]) -> Dict[str, Any]:
    before: Dict[str, Any] = {"imported": []}
    after: Dict[str, Any] = {"imported": [entry["machine_id"] for entry in imported]}
    for side, shown in (("before", before), ("after", after)):
        if "expected" in expected.get(side, {}):
            shown["expected"] = expected[side]["expected"]
    return {"before": before, "after": after}
