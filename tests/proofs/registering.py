# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Many processes register machines at once, while another reads all records over and over: none lost, none torn."""

from __future__ import annotations

import multiprocessing
import time
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier, Event
from pathlib import Path
from typing import Any, Dict, List

from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.errors import StoreCorrupt
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.fleet import Request, manage
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.record import decode
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.register import register_many
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.stores.file import FileStore
from ansible_collections.roosync.heartbeat.tests.proofs.terrain import fail

SHARED = ["shared-%d" % n for n in range(10)]
"""Machines that every process registers: the last one wins, and every record is whole."""


def prove(root: Path, processes: int, machines: int) -> str:
    """Register ``machines`` machines in each process.

    :returns: the figures, in one line.
    :raises ProofFailed: a record was lost or torn.
    """
    with FileStore(str(root), "default") as store:
        manage(store, Request())
    context = multiprocessing.get_context("fork")
    ready, over = context.Barrier(processes + 1), context.Event()
    near, far = context.Pipe(duplex=False)
    reader = context.Process(target=_read, args=(root, over, far))
    writers = [context.Process(target=_register, args=(root, number, machines, ready)) for number in range(processes)]
    for process in (reader, *writers):
        process.start()
    try:
        ready.wait(60)
        began = time.monotonic()
        for writer in writers:
            writer.join(600)
        took = time.monotonic() - began
        over.set()
        if not near.poll(60):
            fail("the reader did not end")
        seen = near.recv()
        reader.join(60)
    finally:
        for process in (reader, *writers):
            process.kill()
    if any(writer.exitcode for writer in writers):
        fail("a writer failed")
    _verify(root, processes, machines, seen)
    return (
        "%d processes registered %d machines each in %.1f s (%.0f a second); %d records read meanwhile, none torn"
        % (
            processes,
            machines,
            took,
            processes * machines / took,
            seen["read"],
        )
    )


def names_of(number: int, machines: int) -> List[str]:
    return ["p%d-m%04d" % (number, n) for n in range(machines)]


def _register(root: Path, number: int, machines: int, ready: Barrier) -> None:
    wanted = [{"machine_id": name, "metadata": {"by": number}} for name in names_of(number, machines)]
    for place, name in enumerate(SHARED):
        wanted.insert((place + 1) * len(wanted) // len(SHARED), {"machine_id": name, "metadata": {"by": number}})
    with FileStore(str(root), "default") as store:
        ready.wait(60)
        done = register_many(store, wanted)
    if done["failed_machines"] or len(done["registered"]) != len(wanted):
        fail("process %d: %s", number, done["failed_machines"])


def _read(root: Path, over: Event, far: Connection) -> None:
    """Decode every record there is, again and again; one more round when everything has been written."""
    found: Dict[str, Any] = {"read": 0, "torn": [], "most": 0}
    with FileStore(str(root), "default") as store:
        last = False
        while True:
            names = sorted(store.scan().received)
            if len(names) < found["most"]:
                found["torn"].append("records have vanished: %d, then %d" % (found["most"], len(names)))
            found["most"] = len(names)
            for name in names:
                record = store.read_beat(name)
                found["read"] += 1
                try:
                    decode(record.data if record is not None else b"", name)
                except StoreCorrupt as exc:
                    found["torn"].append(exc.message)
            if last:
                break
            last = over.is_set()
    far.send(found)


def _verify(root: Path, processes: int, machines: int, seen: Dict[str, Any]) -> None:
    if seen["torn"]:
        fail("%d torn or vanished: %s", len(seen["torn"]), seen["torn"][:3])
    expected = {name: number for number in range(processes) for name in names_of(number, machines)}
    with FileStore(str(root), "default") as store:
        scan = store.scan()
        if scan.oddities:
            fail("left behind: %s", scan.oddities)
        if set(scan.received) != {*expected, *SHARED}:
            fail("lost or strange: %s", sorted(set(scan.received) ^ {*expected, *SHARED})[:10])
        for name in scan.received:
            record = store.read_beat(name)
            beat = decode(record.data if record is not None else b"", name)
            if name in expected and (beat.sequence, beat.metadata) != (1, {"by": expected[name]}):
                fail("%s is not as it was registered: %s", name, beat)
    left = [p.name for p in (root / "default" / "heartbeats").iterdir() if p.name.startswith(".")]
    if left:
        fail("temporary files left: %s", left[:10])
    if seen["read"] <= len(expected):
        fail("the reader has read %d records only, while %d were written", seen["read"], len(expected))
