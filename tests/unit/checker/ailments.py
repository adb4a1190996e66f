# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults to be found by a diagnosis, seeded into a real fleet that is well."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Callable, Dict, List

from ansible_collections.roosync.heartbeat.plugins.module_utils._engine import diagnose, journal
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.clock import NS, iso, to_ns
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.diagnosis.finding import Limits
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.errors import IdentityConflict
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.fleet import Request, manage
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.register import VERSION, register
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.state import FAILED, PENDING, Commit, SyncEntry
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.sync import entries
from ansible_collections.roosync.heartbeat.tests.unit.checker.real import RealFleet

MACHINES = ["web-%02d" % n for n in range(12)]
DEAD_LOCK = """
import fcntl, os, signal, sys
fd = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT, 0o664)
fcntl.flock(fd, fcntl.LOCK_EX)
child = os.fork()
if child:  # the process that took the lock ends; the kernel keeps it for the child that inherited it
    print(child, flush=True)
    os._exit(0)
os.close(1)
os.close(2)
signal.pause()
"""


class Patient:
    """A fleet that is well: every machine beats, and checks are made.

    :param root: where its store is to be.
    """

    def __init__(self, root: Path) -> None:
        self.fleet = RealFleet(root)
        self.limits: Dict[str, Any] = {"latency_warning": 60.0}  # others may keep this disk busy
        self._children: List[int] = []
        with self.fleet.open() as store:
            manage(store, Request(expect=MACHINES))
        # Their first heartbeats are old enough to tell at what pace they beat since.
        for machine in MACHINES:
            self.beat(machine, age=80, sequence=1)
        self.fleet.check()
        for machine in MACHINES:
            self.beat(machine)

    def beat(self, machine: str, age: float = 5, **fields: Any) -> None:
        """A machine has beaten, and its clock is right."""
        values = {"agent_version": VERSION, "sequence": 4, "sent_at": iso(time.time_ns() - to_ns(age)), **fields}
        self.fleet.beat(machine, age=age, **values)

    def commit(self, *given: SyncEntry) -> None:
        with self.fleet.open() as store:
            ledger = journal.load(store)
            commit = Commit(ledger.next_number, store.now(), "test", syncs={e.event_id: e for e in given})
            assert journal.append(store, ledger, commit, commit.at)

    def diagnose(self, **options: Any) -> Dict[str, Any]:
        dry_run = options.pop("dry_run", False)
        with self.fleet.open() as store:
            return diagnose.run_diagnosis(store, Limits(**{**self.limits, **options}), dry_run)

    def lock(self, name: str) -> Path:
        """A lock whose holder has died."""
        path = self.fleet.path / "locks" / name
        done = subprocess.run([sys.executable, "-c", DEAD_LOCK, str(path)], capture_output=True, check=True, timeout=30)
        self._children.append(int(done.stdout))
        return path

    def close(self) -> None:
        for child in self._children:
            os.kill(child, signal.SIGKILL)


def free_space(patient: Patient) -> None:
    """The disk is as it is, and more than it has is asked for."""
    patient.limits["free_space_failed"] = 1e12


def latency(patient: Patient) -> None:
    patient.limits["latency_warning"] = 0.0


def permissions(patient: Patient) -> None:
    (patient.fleet.path / "reports").chmod(0o2777)


def missing_folder(patient: Patient) -> None:
    (patient.fleet.path / "incidents").rmdir()


def dead_lock(patient: Patient) -> None:
    patient.lock("syncs.lock")


def dead_claim(patient: Patient) -> None:
    """A worker took an entry and was killed; its lease has run out."""
    now = patient.diagnose(dry_run=True)["diagnosed_at"]
    assert now is not None
    patient.commit(SyncEntry("claimed", "web-03", "online", PENDING, opened_at=_ago(patient, 60)))
    with patient.fleet.open() as store:
        claimed = entries.ask(store, "web-03", "online", worker="gone:1:2", lease=-NS)
        assert claimed.event_id == "claimed"


def nonsense(patient: Patient) -> None:
    path = patient.fleet.path / "fleet.json"
    path.write_text(path.read_text().replace('"settings": {', '"settings": {"warning_after": 31'))


def interval(patient: Patient) -> None:
    """The interval was made shorter a while ago, and the timer of one machine was not."""
    with patient.fleet.open() as store:
        slow = {"slow-01": {"heartbeat_interval": 300, "warning_after": 900, "offline_after": 1200}}
        manage(store, Request(settings={"overrides": slow}))
        patient.beat("slow-01", age=800, sequence=1)
        patient.fleet.check()
        patient.beat("slow-01", sequence=4)
        manage(store, Request(settings={"overrides": {}}))
        document = json.loads(store.read("fleet.json") or b"")
        document["earlier"][-1]["until"] = _ago(patient, 1000)
        store.write("fleet.json", json.dumps(document).encode())


def torn_record(patient: Patient) -> None:
    path = patient.fleet.record("web-04")
    path.write_bytes(path.read_bytes()[:40])


def not_a_record(patient: Patient) -> None:
    (patient.fleet.path / "heartbeats" / "notes.txt").write_text("mine")


def conflict(patient: Patient) -> None:
    patient.beat("web-05", age=0, fingerprint="a" * 32)
    with patient.fleet.open() as store:
        try:
            register(store, "web-05", fingerprint="b" * 32)
        except IdentityConflict:
            return
    raise AssertionError("the other host was not refused")


def skew(patient: Patient) -> None:
    patient.beat("web-06", age=0, sent_at=iso(_ago(patient, -60)))


def old_agent(patient: Patient) -> None:
    patient.beat("web-07", agent_version="0.0.9")


def bad_window(patient: Patient) -> None:
    (patient.fleet.path / "maintenance" / "work.json").write_text('{"window_id": "work"')


def gap(patient: Patient) -> None:
    """A commit that nothing but the arrival of one machine was in is lost."""
    patient.beat("late-01")
    patient.fleet.check()
    lost = patient.fleet.ledger().state.number
    patient.beat("late-03")
    patient.fleet.check()
    patient.fleet.commit_path(lost).unlink()


def torn_commit(patient: Patient) -> None:
    patient.beat("late-02")
    patient.fleet.check()
    path = patient.fleet.commit_path(patient.fleet.ledger().state.number)
    path.write_bytes(path.read_bytes()[:-20])


def stray(patient: Patient) -> None:
    (patient.fleet.path / "journal" / ("%020d.json" % 90_000)).write_text("x")


def checkpoint(patient: Patient) -> None:
    (patient.fleet.path / journal.CHECKPOINT).write_bytes(b"{}")


def nobody_checks(patient: Patient) -> None:
    (patient.fleet.path / "last_check.json").unlink()


def offline(patient: Patient) -> None:
    patient.beat("web-08", age=130)
    patient.fleet.check()


def offline_unnoticed(patient: Patient) -> None:
    patient.beat("web-08", age=130)


def late(patient: Patient) -> None:
    patient.beat("web-09", age=100)


def never_seen(patient: Patient) -> None:
    with patient.fleet.open() as store:
        manage(store, Request(expect=["web-99"]))


def incident(patient: Patient) -> None:
    """Nobody has beaten for a while: that is the store, and counts against nobody."""
    for machine in MACHINES:
        patient.beat(machine, age=100)


def waiting(patient: Patient) -> None:
    patient.commit(SyncEntry("waiting", "web-10", "online", PENDING, opened_at=_ago(patient, 7200)))


def failing(patient: Patient) -> None:
    at = _ago(patient, 60)
    patient.commit(SyncEntry("failing", "web-11", "online", FAILED, at, reason="the tree has vanished", attempts=3))


def _ago(patient: Patient, seconds: float) -> int:
    with patient.fleet.open() as store:
        return store.now() - to_ns(seconds)


FAULTS: Dict[str, Callable[[Patient], None]] = {
    "free_space": free_space,
    "store_latency": latency,
    "permissions": permissions,
    "intervals": interval,
    "records": torn_record,
    "identity_conflicts": conflict,
    "clock_skew": skew,
    "agent_versions": old_agent,
    "maintenance_windows": bad_window,
    "journal": gap,
    "machines_offline": offline,
    "machines_warning": late,
    "machines_unknown": never_seen,
    "syncs_pending": waiting,
    "syncs_failed": failing,
    "locks": dead_lock,
    "checkpoint": checkpoint,
    "checks": nobody_checks,
}
"""The check that has to name each fault. All of them can be there at once, if they are seeded in this order."""

OTHERS = (
    ("permissions", missing_folder),
    ("locks", dead_claim),
    ("records", not_a_record),
    ("journal", torn_commit),
    ("journal", stray),
    ("machines_offline", offline_unnoticed),
    ("incidents", incident),
)
"""Other faults that the same checks name, and some that do not go together with others."""
