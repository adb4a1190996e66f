# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every document of a store, each of its values edited into nonsense: a check and a look go on, and tell no nonsense.

The documents are those of a fleet to which much has happened. What is put into them is well-formed JSON that Python
reads: text that is no Unicode, numbers that are none, and times that are out of range or far in the future.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, Tuple

import pytest

from ansible_collections.roosync.heartbeat.plugins.module_utils._engine import documents, journal, maintenance, sealed
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.check import run_check
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.diagnose import run_diagnosis
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.diagnosis.finding import Limits
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.drill import document as drills
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.errors import IdentityConflict
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.look import Question, info
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.record import Missed
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.register import register
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.stores.file import FileStore
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.sync.settling import open_decisions
from ansible_collections.roosync.heartbeat.tests.unit.checker.trees import Trees
from ansible_collections.roosync.heartbeat.tests.unit.drill import samples

NUMBERS = ["1" + "0" * 33, "-1" + "0" * 33, "1" + "0" * 400, "1e999", "NaN", r'{"\udfff": NaN}']
TEXTS = [r'"\ud800"', r'"9999-12-31T23:59:59Z"', r'"0001-01-01T00:00:00+23:59"', r'"%s"' % ("9" * 5000), '"\\u0000"']
FAR = [253_402_300_799, 15_032_385_535, -2_147_483_648]
MACHINES = ("web", "db", "mail")
HERE = "the value to be put in here"

Edit = Callable[[bytes], Iterator[Tuple[str, bytes]]]


@pytest.fixture(scope="module")
def eventful(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with a document of every kind; what is copied is as old as it was."""
    root = tmp_path_factory.mktemp("eventful")
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("XDG_CACHE_HOME", str(root / "cache"))
        return much_happens(Trees(root / "work", *MACHINES))


def much_happens(trees: Trees) -> Path:
    for machine in ("web", "db"):
        trees.put(machine, index="of " + machine)
        trees.sync(machine, "online")
    fleet = trees.fleet
    fleet.check()
    racks = ["rack-%d" % number for number in range(7)]
    fleet.beat(*racks, metadata_json='{"rack":"r1","load":[0.5,{"a":1}]}', fingerprint="1" * 32)
    with fleet.open() as store:
        wanted = maintenance.Request("work", ["web"], {"rack": "r1"}, duration=3600, reason="work")
        maintenance.set_window(store, wanted)
        with pytest.raises(IdentityConflict):
            register(store, "rack-6", fingerprint="2" * 32)
        drills.write(store, samples.story(1)[0])
    fleet.check()
    for machine in racks[:6]:
        fleet.age(machine, 500)
    fleet.beat("mail", age=1, missed=Missed(2, 9_000, 5_000, "STORE_UNAVAILABLE"), leaving="stop")
    fleet.beat("rack-6", sent_at="2001-01-01T00:00:00Z", fingerprint="1" * 32, boot_id="2", previous_boot_id="1")
    fleet.record("web").write_bytes(b"torn")
    fleet.check()
    with fleet.open() as store:
        ledger = journal.load(store)
        store.write(journal.CHECKPOINT, sealed.seal(documents.dump_state(ledger.state)))
        run_diagnosis(store, Limits())
    assert [i.kind for i in ledger.state.incidents.values()] == ["mass_failure"]
    return fleet.root


def newest(folder: str) -> Callable[[Path], Path]:
    return lambda fleet: max((fleet / folder).glob("*.json"), key=lambda path: path.name)


KINDS: Dict[str, Tuple[Callable[[Path], Path], bool]] = {
    "a beat": (lambda fleet: fleet / "heartbeats/mail.json", False),
    "a conflict": (newest("conflicts"), False),
    "an incident": (newest("incidents"), False),
    "the last check": (lambda fleet: fleet / "last_check.json", False),
    "a maintenance window": (newest("maintenance"), False),
    "a decision": (newest("decisions"), False),
    "a diagnosis": (lambda fleet: max((fleet / "diagnostics").glob("2*.json")), False),
    "what a diagnosis remembers": (lambda fleet: fleet / "diagnostics/beats.json", True),
    "a drill": (newest("drills"), False),
    "the checkpoint": (lambda fleet: fleet / "checkpoint.json", True),
    "a commit": (newest("journal"), True),
}
"""Kind -> which of its documents, and whether it carries a checksum."""


def places(value: Any, path: Tuple[Any, ...] = (), known: Any = None) -> Iterator[Tuple[Any, ...]]:
    """The path to every value in a document; of those in a list or under a name, the first."""
    known = set() if known is None else known
    yield path
    if isinstance(value, (dict, list)):
        items = list(value.items() if isinstance(value, dict) else enumerate(value))
        for key, item in items:
            place = tuple("*" if k in MACHINES or re.search(r"\d|-", str(k)) else k for k in (*path, key))
            if place not in known:
                known.add(place)
                yield from places(item, (*path, key), known)


def edited(text: bytes) -> Iterator[Tuple[str, bytes]]:
    """The document with nonsense in each of its places in turn; where those are many, two kinds of it in each."""
    found = list(places(json.loads(text)))[1:]
    for number, path in enumerate(found):
        whole = json.loads(text)
        inner = whole
        for key in path[:-1]:
            inner = inner[key]
        before, inner[path[-1]] = inner[path[-1]], HERE
        likely = TEXTS if isinstance(before, str) else NUMBERS if isinstance(before, (int, float)) else NUMBERS + TEXTS
        several = likely if len(found) < 15 else {likely[number % len(likely)], likely[(number + 2) % len(likely)]}
        for nonsense in several:
            yield "%s: %.40s" % (path, nonsense), json.dumps(whole).replace('"%s"' % HERE, nonsense).encode()


def fleet_itself(store: FileStore) -> Iterator[Any]:
    """What there is to be seen of a fleet, and then what a check makes of it."""
    yield info(store, Question(include_heartbeats=True, include_incidents=True, events_since=0))
    yield run_check(store, cache_ttl=600)
    yield run_check(store, force=True, include_details=True)


READERS: Dict[str, Callable[[FileStore], Iterator[Any]]] = {
    "a decision": lambda store: iter([open_decisions(store)]),
    "a drill": lambda store: iter([[asdict(drill) for drill in drills.load_all(store)]]),
    "a diagnosis": lambda store: iter([run_diagnosis(store, Limits())]),
    "what a diagnosis remembers": lambda store: iter([run_diagnosis(store, Limits())]),
}
"""Who reads the documents that a check and a look leave alone."""


def sound(fleet: Path, kind: str, what: str) -> None:
    """All of it works, and is JSON that Ansible can hand on: valid Unicode and finite numbers."""
    with FileStore(str(fleet.parent), fleet.name) as store:
        for result in READERS.get(kind, fleet_itself)(store):
            try:
                json.dumps(result, ensure_ascii=False, allow_nan=False).encode("utf-8")
            except ValueError as exc:
                raise AssertionError(what) from exc


def copied(store: Path, target: Path) -> Path:
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(store / "default", target / "default", ignore=shutil.ignore_patterns("vault", "reports"))
    for folder in ("vault", "reports"):
        (target / "default" / folder).mkdir()
    return target / "default"


@pytest.mark.parametrize("kind", KINDS)
def test_no_value_of_a_document_stops_a_check(
    eventful: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr(os, "fsync", lambda fd: None)  # nothing here is to outlive a power cut
    choose, is_sealed = KINDS[kind]
    fleet = copied(eventful, tmp_path / "store")
    sound(fleet, "", "as it was")
    sound(fleet, kind, "as it was")
    path = choose(eventful / "default")
    name = path.relative_to(eventful / "default")
    data = path.read_bytes()
    tried = 0
    for what, nonsense in edited(sealed.unseal(data) if is_sealed else data):
        fleet = copied(eventful, tmp_path / "store")
        if kind == "a commit":
            (fleet / "checkpoint.json").unlink()
        state = (fleet / name).stat()
        (fleet / name).write_bytes(sealed.seal(nonsense) if is_sealed else nonsense)
        os.utime(fleet / name, ns=(state.st_atime_ns, state.st_mtime_ns))
        try:
            sound(fleet, kind, what)
        except Exception as exc:
            raise AssertionError("%s of %s" % (what, kind)) from exc
        tried += 1
    assert tried > 10
