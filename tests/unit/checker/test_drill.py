# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A drill from its beginning to its report, with a real store, journal and vault; only the agents are not there."""

from __future__ import annotations

import json
import shutil
import time
from dataclasses import replace
from pathlib import Path
from typing import Any, Dict, List

import pytest

from ansible_collections.roosync.heartbeat.plugins.module_utils._engine import journal
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.clock import NS, iso
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.drill import (
    begin,
    document,
    end,
    measure,
    scratch,
)
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.drill.document import Drill
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.drill.trees import DrilledMachine
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.errors import (
    InvalidSettings,
    LockTimeout,
    MachineNotOnline,
    MachineUnknown,
    ServiceAlreadyRunning,
    StoreCorrupt,
    SyncMassDelete,
)
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.fleet import Request, manage
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.observe import load_fleet
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.state import Commit, Memory
from ansible_collections.roosync.heartbeat.tests.unit.checker.trees import Trees
from ansible_collections.roosync.heartbeat.tests.unit.stdlib.support import wait_until

FOLDER = "/drills"


@pytest.fixture
def trees(tmp_path: Path) -> Trees:
    """Four machines, all of them online. (So many that the loss of two is no mass failure.)"""
    made = Trees(tmp_path, "web", "db", "mail", "dns")
    made.put("web", index="hello", a__b="deep")
    made.put("db", own="of db")
    return made


class Played:
    """A drill of one machine, step by step, as the playbook plays it."""

    def __init__(self, trees: Trees, machine: str = "web", **wanted: Any) -> None:
        self.trees = trees
        self.machine = machine
        with trees.fleet.open() as store:
            found = begin.begin(store, begin.Wanted([machine], folder=FOLDER, **wanted))
        self.drill: Drill = found["drill"]
        self.here = DrilledMachine(self.drill.drill_id, FOLDER, found["trees"][machine], str(trees.folder / machine))
        self.own = self.drill.destroys if self.drill.scratch else ""

    def until_lost(self) -> None:
        self.here.prepare(self.own)
        self.trees.sync(self.machine, "online")
        self.here.remember()
        with self.trees.fleet.open() as store:
            end.mark(store, self.drill.drill_id, [], "stopping")
        self.trees.lose(self.machine)
        self.trees.sync(self.machine, "offline")
        if self.drill.destroys:
            self.here.destroy(self.drill.destroys, self.drill.scratch)

    def until_back(self) -> Dict[str, Any]:
        self.trees.back(self.machine)
        self.trees.sync(self.machine, "online", restore=bool(self.drill.destroys))
        found: Dict[str, Any] = self.here.compare()["trees"]
        return found

    def end(self, trouble: str = "", compared: Any = None) -> Drill:
        kept = self.here.finish(bool(compared), self.own, str(self.trees.folder / self.machine / "state"))["kept"]
        with self.trees.fleet.open() as store:
            told = {self.machine: measure.Told(trouble, kept, compared or {})}
            done: Drill = end.end(store, self.drill.drill_id, told, keep=100, dry_run=False)["drill"]
        return done


def drills(trees: Trees) -> List[Drill]:
    with trees.fleet.open() as store:
        return document.load_all(store)


@pytest.mark.parametrize("destroys", ["", "site", "scratch"])
def test_from_the_beginning_to_the_report(trees: Trees, destroys: str) -> None:
    settings = (trees.fleet.path / "fleet.json").read_bytes()
    before = trees.whole("web")
    played = Played(trees, destroys=destroys)
    played.until_lost()
    done = played.end(compared=played.until_back())
    (one,) = done.reports
    assert (done.verdict, one.verdict, one.reason) == ("passed", "passed", "")
    assert one.detection_seconds is not None
    assert one.rto_seconds is not None
    assert 499 < one.detection_seconds < one.rto_seconds < 560, "its last beat was 500 s ago"
    assert one.rpo_seconds is not None, "the sync came after the last beat"
    assert 0 <= one.rpo_seconds < 60, "what was recovered is as old as that sync, and not as the last beat"
    assert one.entries == 3 + (8 if destroys == "scratch" else 0)
    assert (one.differing, one.differences, one.kept) == (0, [], None)
    assert trees.whole("web") == before
    assert drills(trees) == [done], "what was written can be read"
    assert (trees.fleet.path / "drills" / (done.drill_id + ".html")).read_text().startswith("<!DOCTYPE html>")
    assert (trees.fleet.path / "fleet.json").read_bytes() == settings
    assert not list((trees.fleet.path / "vault").rglob("*drill*"))
    assert not trees.sync("web", "online")["changed"]


@pytest.mark.parametrize("changes", [0, 2])
def test_the_age_of_what_was_recovered(tmp_path: Path, changes: int) -> None:
    """With the sync that a drill begins with, and without it. The loss takes its real time here."""
    # Long enough for a busy machine to go from one heartbeat to the next step.
    fast = {"web": {"heartbeat_interval": 1, "warning_after": 4, "offline_after": 5}}
    trees = Trees(tmp_path, "web", "db", "mail", overrides=fast)
    trees.put("web", index="hello")
    trees.sync("web", "online")
    if changes:
        trees.put("web", index="changed", news="new")
    synced = time.time()
    time.sleep(0.3)  # the snapshot gets old
    trees.back("web")
    played = Played(trees)
    played.here.prepare("")
    trees.back("web")
    prepared = time.time()
    trees.sync("web", "online")
    played.here.remember()
    trees.back("web")
    beaten = time.time()
    wait_until(lambda: "web" in trees.fleet.check()["offline"], "the loss of the machine", 60)
    trees.sync("web", "offline")
    (one,) = played.end(compared=played.until_back()).reports
    assert (one.verdict, one.unprepared_changes) == ("passed", changes)
    assert one.rpo_seconds is not None
    assert one.unprepared_rpo_seconds is not None
    tick = 0.05  # what the clock that stamps files may be behind
    assert 0 <= one.rpo_seconds < beaten - prepared + tick
    if changes:
        assert one.unprepared_rpo_seconds > one.rpo_seconds + prepared - synced - tick
    else:
        assert one.unprepared_rpo_seconds == one.rpo_seconds, "nothing had changed since: it was as good as new"


def test_of_two_that_begin_at_once_one_is_refused(trees: Trees, monkeypatch: pytest.MonkeyPatch) -> None:
    """One begins while another is being prepared; neither has seen the other's document when it looks."""
    note, refused = begin._note_vault, []

    def meanwhile(*arguments: Any) -> None:
        monkeypatch.setattr(begin, "_note_vault", note)
        try:
            Played(trees, "db")
        except (ServiceAlreadyRunning, LockTimeout) as exc:
            refused.append(exc)
        note(*arguments)

    monkeypatch.setattr(document, "LOCK_PATIENCE", 0.1)
    monkeypatch.setattr(begin, "_note_vault", meanwhile)
    Played(trees, "web")
    assert len(refused) == 1
    assert [drill.machines for drill in drills(trees)] == [["web"]]


def test_one_that_cannot_begin_is_in_nobodys_way(trees: Trees, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scratch, "LOCK_PATIENCE", 0.1)
    with trees.fleet.open() as store, store.lock("fleet", 5), pytest.raises(LockTimeout):
        Played(trees, destroys="scratch")
    assert drills(trees) == []
    Played(trees, destroys="scratch")


@pytest.mark.parametrize("patience", [float("nan"), float("inf"), 1e300, 0.0, -1.0])
def test_a_patience_that_makes_no_sense(trees: Trees, patience: float) -> None:
    with pytest.raises(InvalidSettings, match="patience"):
        Played(trees, patience=patience)
    assert drills(trees) == []


@pytest.mark.parametrize("tree", [1, {}, {"entries": 1, "differing": 0, "differences": [{"path": 1}]}])
def test_comparisons_that_make_no_sense(tree: Any) -> None:
    with pytest.raises(InvalidSettings, match="heartbeat_drill_tree"):
        measure.Told(compared={"site": tree})


def test_what_is_damaged_in_the_vault_keeps_no_drill_from_its_end(trees: Trees) -> None:
    """What is looked up there only adds to the report; without an end the next drill is refused."""
    trees.sync("web", "capture")
    packs = list((trees.fleet.path / "vault" / "packs").glob("*.pack"))
    trees.put("web", index="changed", a__b="changed as well")
    played = Played(trees)
    played.until_lost()
    trees.put("db", own="published meanwhile")
    trees.sync("db", "online")
    found = played.until_back()
    assert found["site"]["differing"]
    for pack in packs:
        pack.unlink()
    (one,) = played.end(compared=found).reports
    assert (one.unprepared_changes, one.unprepared_rpo_seconds) == (None, None)
    assert one.rpo_seconds is not None


def test_what_differs_fails_and_what_others_have_published_does_not(trees: Trees) -> None:
    trees.sync("web", "online")
    trees.sync("db", "online")
    played = Played(trees)
    played.until_lost()
    trees.put("db", index="changed by db meanwhile")
    trees.sync("db", "online")
    found = played.until_back()
    assert [one["path"] for one in found["site"]["differences"]] == ["index"]
    (one,) = played.end(compared=found).reports
    assert (one.verdict, one.differing) == ("passed", 0)
    assert [each.path for each in one.changed_meanwhile] == ["index"]

    again = Played(trees)
    again.until_lost()
    trees.back("web")
    trees.put("web", a__b="changed on the machine itself")
    done = again.end(compared=again.until_back())
    assert done.verdict == "failed"
    assert done.reports[0].reason == "1 of %d entries are not as they were" % done.reports[0].entries
    assert [(each.path, each.what) for each in done.reports[0].differences] == [("a/b", "content")]


def test_a_drill_is_no_sign_of_flapping(trees: Trees) -> None:
    trees.lose("web")
    trees.back("web")
    real = trees.fleet.ledger().state.machines["web"].changes
    assert len(real) == 2
    played = Played(trees)
    played.until_lost()
    compared = played.until_back()
    assert len(trees.fleet.ledger().state.machines["web"].changes) == 4
    played.end(compared=compared)
    assert trees.fleet.ledger().state.machines["web"].changes == real
    assert trees.fleet.check()["online"] == ["db", "dns", "mail", "web"]


def test_who_goes_and_comes_already_is_not_drilled(trees: Trees) -> None:
    slot = 120 * NS
    memory = replace(Memory("online", 0, 0), changes=[])
    with trees.fleet.open() as store:
        for number in range(4, 12, 2):
            memory = replace(memory, since=store.now(), changes=[*memory.changes, store.now() - number * slot])
        ledger = journal.load(store)
        commit = Commit(ledger.next_number, store.now(), "test", memories={"web": memory})
        assert journal.append(store, ledger, commit, store.now())
    assert not trees.fleet.ledger().state.machines["web"].flapping
    with pytest.raises(MachineNotOnline, match="that one more loss would be flapping"):
        refused(trees, "web")


def test_what_was_not_done_is_said(trees: Trees) -> None:
    nothing = Played(trees)
    nothing.here.prepare("")
    assert nothing.end().reports[0].reason == "no check found that the machine was offline"
    lost = Played(trees)
    lost.until_lost()
    assert lost.end().reports[0].reason == "no check found that the machine was back"
    trees.back("web")
    half = Played(trees)
    half.until_lost()
    trees.back("web")
    assert half.end().reports[0].reason == "its trees were not brought up to date after its return"
    told = Played(trees)
    told.until_lost()
    told.until_back()
    assert told.end("it went wrong").reports[0].reason == "it went wrong"
    unread = Played(trees)
    unread.until_lost()
    unread.until_back()
    assert unread.end().reports[0].reason == "not compared: site"
    assert [one.verdict for one in drills(trees)] == ["failed"] * 5


def test_a_machine_that_nobody_speaks_of_has_failed_and_ending_again_changes_nothing(trees: Trees) -> None:
    played = Played(trees)
    with trees.fleet.open() as store:
        first = end.end(store, played.drill.drill_id, {}, 100, dry_run=False)
        assert first["drill"].reports[0].reason == "the drill was cut off"
        again = end.end(store, played.drill.drill_id, {"web": measure.Told()}, 100, dry_run=False)
    assert (first["changed"], again["changed"]) == (True, False)
    assert again["drill"] == first["drill"]


# -- what is refused ---------------------------------------------------------------------------------------------


def refused(trees: Trees, *machines: str, **wanted: Any) -> None:
    before = sorted(trees.fleet.path.rglob("*"))
    with trees.fleet.open() as store:
        begin.begin(store, begin.Wanted(list(machines), folder=FOLDER, **wanted))
    assert sorted(trees.fleet.path.rglob("*")) == before


def test_who_cannot_be_drilled(trees: Trees) -> None:
    with pytest.raises(InvalidSettings, match="name the machines of the drill; no other is touched"):
        refused(trees)
    with pytest.raises(MachineUnknown, match="no machine nobody has ever beaten"):
        refused(trees, "nobody")
    with pytest.raises(InvalidSettings, match="the loss of 3 of 4 machines at once is a mass failure"):
        refused(trees, "web", "db", "mail")
    trees.fleet.age("db", 100)
    trees.fleet.check()
    with pytest.raises(MachineNotOnline, match="db is warning"):
        refused(trees, "web", "db")
    assert drills(trees) == []


def test_only_those_that_are_well_are_drawn(trees: Trees) -> None:
    trees.lose("db")
    for _draw in range(10):
        with trees.fleet.open() as store:
            found = begin.begin(store, begin.Wanted(["db", "web"], choose_one=True), dry_run=True)["drill"]
        assert (found.machines, found.candidates, found.chosen_at_random) == (["web"], ["web"], True)


def test_during_an_incident(trees: Trees) -> None:
    trees.lose("web", "db", "mail")
    with pytest.raises(LockTimeout, match="no drill is played during an incident"):
        refused(trees, "dns")


def test_during_another_drill_until_that_is_forgotten(trees: Trees) -> None:
    Played(trees)
    with pytest.raises(ServiceAlreadyRunning, match=r"the drill .* has been running since"):
        refused(trees, "db")
    with trees.fleet.open() as store:
        (cut_off,) = document.load_all(store)
        cut_off.expires_at = iso(store.now() - NS)
        document.write(store, cut_off)
    Played(trees, "db")
    assert len(drills(trees)) == 2


def test_the_scratch_tree_of_one_that_is_forgotten_goes_when_the_next_begins(trees: Trees) -> None:
    """It is declared, and nothing is there: until then no sync of the machine goes on."""
    cut_off = Played(trees, destroys="scratch")
    cut_off.until_lost()
    trees.back("web")
    with pytest.raises(SyncMassDelete, match="tree drill-"):
        trees.sync("web", "online")
    with trees.fleet.open() as store:
        cut_off.drill.expires_at = iso(store.now() - NS)
        document.write(store, cut_off.drill)
    following = Played(trees, "db", destroys="scratch")
    with trees.fleet.open() as store:
        assert sorted(load_fleet(store).settings.sync_paths) == [following.drill.destroys, "site"]
    trees.sync("web", "online")


def test_only_trees_of_the_machine_can_be_destroyed(trees: Trees) -> None:
    with trees.fleet.open() as store:
        manage(store, Request({"sync_paths": {"site": {"path": "/www", "machines": ["db"]}}}))
    for name in ("site", "other", "../x"):
        with pytest.raises(InvalidSettings, match="has no tree"):
            refused(trees, "web", destroys=name)


def test_check_mode_writes_nothing(trees: Trees) -> None:
    before = {path: path.stat().st_mtime_ns for path in trees.fleet.path.rglob("*") if "locks" not in str(path)}
    with trees.fleet.open() as store:
        found = begin.begin(store, begin.Wanted(["web"], destroys="scratch", folder=FOLDER), dry_run=True)
    assert found["drill"].scratch
    after = {path: path.stat().st_mtime_ns for path in trees.fleet.path.rglob("*") if "locks" not in str(path)}
    assert after == before


# -- documents ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        {"drill_id": "20260131T120000Z-000000000000"},
        {"state": "gone"},
        {"began_at": "yesterday"},
        {"began_at": "2026-13-31T12:00:00.000000Z"},
        {"machines": ["../../etc"]},
        {"marks": [{"machine_id": "web", "step": "x", "at": "never"}]},
        {"reports": [{"machine_id": "<script>", "verdict": "passed"}]},
        {"commit": "0"},
        {"more": 1},
    ],
)
def test_a_document_that_cannot_be_is_passed_over(trees: Trees, change: Dict[str, Any]) -> None:
    played = Played(trees)
    path = trees.fleet.path / "drills" / (played.drill.drill_id + ".json")
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    assert drills(trees) == []
    with trees.fleet.open() as store:
        with pytest.raises(StoreCorrupt, match="cannot be read"):
            document.read(store, played.drill.drill_id)
        with pytest.raises(InvalidSettings, match="there is no drill"):
            document.read(store, "../fleet")
    Played(trees)


def test_what_else_lies_there_is_left_alone_and_old_reports_go(trees: Trees) -> None:
    folder = trees.fleet.path / "drills"
    (folder / "notes.txt").write_text("of a person")
    (folder / "README.json").mkdir()
    names = []
    for _number in range(3):
        played = Played(trees)
        names.append(played.drill.drill_id)
        with trees.fleet.open() as store:
            end.end(store, played.drill.drill_id, {}, keep=2, dry_run=False)
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        [*(name + suffix for name in names[1:] for suffix in (".html", ".json")), "README.json", "notes.txt"]
    )


def test_marks_are_of_the_drill(trees: Trees) -> None:
    played = Played(trees)
    with trees.fleet.open() as store:
        with pytest.raises(InvalidSettings, match="db is not a machine of the drill"):
            end.mark(store, played.drill.drill_id, ["db"], "stopping")
        with pytest.raises(InvalidSettings, match="a few words"):
            end.mark(store, played.drill.drill_id, [], "")
        end.end(store, played.drill.drill_id, {}, 100, dry_run=False)
        with pytest.raises(InvalidSettings, match="has ended"):
            end.mark(store, played.drill.drill_id, [], "stopping")


def test_a_scratch_tree_goes_however_the_drill_ends(trees: Trees) -> None:
    played = Played(trees, destroys="scratch")
    played.until_lost()
    shutil.rmtree(str(trees.folder / "web" / "drills"))
    settings = json.loads((trees.fleet.path / "fleet.json").read_text())["settings"]["sync_paths"]
    assert len(settings) == 2
    with trees.fleet.open() as store:
        end.end(store, played.drill.drill_id, {}, 100, dry_run=False)
    settings = json.loads((trees.fleet.path / "fleet.json").read_text())["settings"]["sync_paths"]
    assert list(settings) == ["site"]
    assert not list((trees.fleet.path / "vault").rglob("*drill*"))
