# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Damage to the checkpoint and to commits: reported, passed over, and healed by what comes next."""

from __future__ import annotations

import random
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Callable

import pytest

from ansible_collections.roosync.heartbeat.plugins.module_utils._engine import documents, journal, look, sealed
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.diagnose import run_diagnosis
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.diagnosis.finding import Limits
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.repair import run_repair
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.stores.file import FileStore
from ansible_collections.roosync.heartbeat.tests.unit.checker.real import (
    RealFleet,
    folded,
    history,
    kinds,
    write_history,
)
from ansible_collections.roosync.heartbeat.tests.unit.checker.test_diagnosis import finding

CHECKPOINT = "checkpoint.json"
COMMITS = history(20)  # the checkpoint is at 16
LAST = COMMITS[-1].number


@pytest.fixture
def checkpoint(fleet: RealFleet, store: FileStore) -> Path:
    """The checkpoint of a journal that has gone on a little since."""
    write_history(store, COMMITS)
    path = fleet.path / CHECKPOINT
    assert documents.load_state(path.read_bytes()).number == 16
    return path


def empty(data: bytes) -> bytes:
    return b""


def half(data: bytes) -> bytes:
    return data[: len(data) // 2]


def edited(data: bytes) -> bytes:
    assert b'"event":' in data
    return data.replace(b'"event":', b'"event":9', 1)


def doubled(data: bytes) -> bytes:
    return data.replace(b'"event":', b'"event":1,"event":', 1)


def resealed_nonsense(data: bytes) -> bytes:
    """Somebody got the checksum right, and the rest wrong."""
    return sealed.seal(b'{"number":"sixteen"}')


def no_state(data: bytes) -> bytes:
    return sealed.seal(b"[]")


def unsealed(data: bytes) -> bytes:
    return sealed.unseal(data)


def binary(data: bytes) -> bytes:
    return bytes(range(256))


@pytest.mark.parametrize("damage", [empty, half, edited, doubled, resealed_nonsense, no_state, unsealed, binary])
def test_a_damaged_checkpoint_is_rebuilt_from_the_journal(
    checkpoint: Path, store: FileStore, damage: Callable[[bytes], bytes]
) -> None:
    checkpoint.write_bytes(damage(checkpoint.read_bytes()))
    ledger = journal.load(store)
    assert ledger.state == folded(COMMITS)
    assert [p["kind"] for p in ledger.problems] == ["checkpoint_corrupt"]
    after = replace(COMMITS[-1], number=LAST + 1)
    assert journal.append(store, ledger, after, after.at)
    assert documents.load_state(checkpoint.read_bytes()).number == LAST + 1, "the next commit heals it"
    assert journal.load(store).problems == []


def test_every_truncation_and_every_flipped_bit_is_noticed(checkpoint: Path, store: FileStore) -> None:
    whole = checkpoint.read_bytes()
    chance = random.Random(20)
    lengths = [*range(120), *chance.sample(range(120, len(whole)), 60), len(whole) - 1]
    for length in lengths:
        with pytest.raises(ValueError, match=r"torn|checksum"):
            documents.load_state(whole[:length])
    for position in chance.sample(range(len(whole) * 8), 400):
        flipped = bytearray(whole)
        flipped[position // 8] ^= 1 << position % 8
        with pytest.raises(ValueError, match=r"torn|checksum"):
            documents.load_state(bytes(flipped))
    for length in chance.sample(lengths, 5):
        checkpoint.write_bytes(whole[:length])
        assert journal.load(store).state == folded(COMMITS)


def test_a_missing_checkpoint_is_nothing_to_speak_of(checkpoint: Path, store: FileStore) -> None:
    checkpoint.unlink()
    ledger = journal.load(store)
    assert (ledger.state, ledger.problems) == (folded(COMMITS), [])


def test_an_older_checkpoint_is_read_on_from(checkpoint: Path, store: FileStore) -> None:
    checkpoint.write_bytes(sealed.seal(documents.dump_state(folded(COMMITS[:7]))))
    ledger = journal.load(store)
    assert (ledger.state, ledger.problems) == (folded(COMMITS), [])


def test_a_checkpoint_newer_than_the_journal_is_not_believed(
    fleet: RealFleet, checkpoint: Path, store: FileStore
) -> None:
    """The journal came back from an older backup than the checkpoint."""
    for number in range(10, LAST + 1):
        fleet.commit_path(number).unlink()
    ledger = journal.load(store)
    assert ledger.state == folded(COMMITS[:9])
    assert [p["kind"] for p in ledger.problems] == ["checkpoint_newer"]
    commits = COMMITS[:9]
    for number in range(10, 18):  # another story is written, up to and beyond the old checkpoint's number
        commit = replace(COMMITS[number], number=number, transitions=[], syncs={})
        commits.append(commit)
        assert journal.append(store, journal.load(store), commit, commit.at)
        assert journal.load(store).state == folded(commits)
    assert journal.load(store).problems == []


def test_a_checkpoint_in_the_form_of_a_directory_is_reported(fleet: RealFleet, store: FileStore) -> None:
    write_history(store, COMMITS[:3])
    (fleet.path / CHECKPOINT).mkdir()
    ledger = journal.load(store)
    assert ledger.state == folded(COMMITS[:3])
    assert [p["kind"] for p in ledger.problems] == ["checkpoint_corrupt"]
    assert journal.append(store, ledger, COMMITS[3], COMMITS[3].at)


# -- commits -----------------------------------------------------------------------------------------------------


@pytest.fixture
def four(fleet: RealFleet, store: FileStore) -> RealFleet:
    """Four commits, and no checkpoint."""
    write_history(store, COMMITS[:4])
    assert not (fleet.path / CHECKPOINT).exists()
    return fleet


def without(*numbers: int) -> list:
    return [c for c in COMMITS[:4] if c.number not in numbers]


def test_a_commit_torn_at_any_length_is_passed_over(four: RealFleet, store: FileStore) -> None:
    path = four.commit_path(3)
    whole = path.read_bytes()
    expected = folded(without(3))
    assert expected != folded(COMMITS[:4])
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        ledger = journal.load(store)
        assert ledger.state == expected
        assert [(p["kind"], p["path"]) for p in ledger.problems] == [("journal_torn", "journal/" + path.name)]
    path.write_bytes(whole)
    assert journal.load(store).problems == []


def test_a_torn_last_commit_is_superseded_for_good(four: RealFleet, store: FileStore) -> None:
    path = four.commit_path(4)
    whole = path.read_bytes()
    path.write_bytes(whole[:100])
    ledger = journal.load(store)
    assert ledger.next_number == 5
    after = replace(COMMITS[3], number=5)
    assert journal.append(store, ledger, after, after.at)
    assert four.commit(5).voids == [4]
    expected = replace(folded(COMMITS[:4]), number=5)
    assert (journal.load(store).state, journal.load(store).problems) != (expected, [])  # still torn, still reported
    path.write_bytes(whole)  # its writer came to an end after all: it was passed over, and stays so
    ledger = journal.load(store)
    assert (ledger.state, ledger.problems) == (expected, [])
    events = [t.event for t in journal.transitions_since(store, ledger, 0)]
    assert events == [t.event for c in COMMITS[:4] for t in c.transitions]


def test_a_missing_commit_is_a_gap(four: RealFleet, store: FileStore) -> None:
    four.commit_path(2).unlink()
    ledger = journal.load(store)
    assert ledger.state == folded(without(2))
    assert [(p["kind"], p["path"]) for p in ledger.problems] == [("journal_gap", "journal/%020d.json" % 2)]
    assert ledger.next_number == 5


def test_a_commit_under_anothers_number_is_not_believed(four: RealFleet, store: FileStore) -> None:
    shutil.copyfile(four.commit_path(2), four.commit_path(3))
    ledger = journal.load(store)
    assert ledger.state == folded(without(3))
    assert "number 2" in str(ledger.problems[0]["what"])


def test_a_commit_that_holds_something_else_is_passed_over(four: RealFleet, store: FileStore) -> None:
    for body in (b"{}", b"[]", b'{"number":3,"at":1,"writer":"x","more":1,"memories":[]}', b'{"number":3.0}', b"nul"):
        four.commit_path(3).write_bytes(sealed.seal(body))
        assert journal.load(store).state == folded(without(3)), body


# -- as a check sees it ------------------------------------------------------------------------------------------


@pytest.fixture
def watched(fleet: RealFleet) -> RealFleet:
    """A fleet with a journal of three commits: all joined, ``web`` offline, ``web`` back."""
    fleet.beat("web", "db", "mail", "dns")
    assert len(fleet.changes()) == 4
    fleet.age("web", 130)
    assert fleet.changes() == [("web", "online", "offline")]
    fleet.beat("web")
    assert fleet.changes() == [("web", "offline", "online")]
    return fleet


@pytest.mark.parametrize("number", [1, 2, 3])
@pytest.mark.parametrize("damage", [empty, half, edited, None])
def test_a_check_works_on_with_a_damaged_commit(
    watched: RealFleet, number: int, damage: Callable[[bytes], bytes] | None
) -> None:
    path = watched.commit_path(number)
    first = watched.commit(number)
    if damage is None:
        path.unlink()
    else:
        path.write_bytes(damage(path.read_bytes()))
        watched_long_ago(path)
    found = watched.check()
    assert found["online"] == ["db", "dns", "mail", "web"]
    lost = damage is None and number == 3
    assert kinds(found) == [] if lost else ["journal_gap" if damage is None else "journal_torn"]
    again = watched.check()
    assert again["transitions"] == []
    if number == 1:  # the machines join once more, under the same names of the same facts
        ids = {t.machine_id: t.event_id for t in first.transitions}
        assert {t["machine_id"]: t["event_id"] for t in found["transitions"]}.items() <= ids.items()


def watched_long_ago(path: Path) -> None:
    """A torn commit is given time to be finished; this one had it."""
    import os

    os.utime(path, (1, 1))


def test_a_check_works_on_with_a_damaged_checkpoint(watched: RealFleet) -> None:
    (watched.path / CHECKPOINT).write_bytes(b"")
    found = watched.check()
    assert found["transitions"] == []
    assert kinds(found) == ["checkpoint_corrupt"]
    assert kinds(watched.check()) == [], "healed, though there was nothing to record"
    watched.age("web", 130)
    assert watched.changes() == [("web", "online", "offline")]
    assert kinds(watched.check()) == []


@pytest.mark.parametrize("lost", [b"", None])
def test_without_a_checkpoint_the_journal_is_folded_once_not_at_every_check(
    fleet: RealFleet, store: FileStore, lost: bytes | None
) -> None:
    fleet.beat("web", "db")
    fleet.check()
    write_history(store, [replace(c, number=c.number + 1, memories={}, syncs={}) for c in history(40)])
    path = fleet.path / CHECKPOINT
    path.unlink()
    if lost is not None:
        path.write_bytes(lost)
    fleet.check()  # there are machines that it has never seen, so this one records something
    path.unlink()
    if lost is not None:
        path.write_bytes(lost)
    assert fleet.check(dry_run=True)["transitions"] == []
    assert not path.exists() or path.read_bytes() == b"", "check mode leaves it as it is"
    assert fleet.check()["transitions"] == []
    assert documents.load_state(path.read_bytes()) == journal.rebuild(store).state


def test_a_check_works_on_with_a_directory_in_a_commits_place(watched: RealFleet) -> None:
    watched.commit_path(4).mkdir()
    watched.age("web", 130)
    found = watched.check()
    assert found["newly_offline"] == ["web"]
    assert kinds(found) == ["journal_torn"]
    assert watched.commit(5).voids == [4]
    assert watched.check()["transitions"] == []


# -- files under numbers that the journal never comes to ---------------------------------------------------------------


FAR = ["99999999999999999999.json", "00000000000000009999.json", "\u00b2%019d.json" % 0, "\u0665%019d.json" % 0]


@pytest.mark.parametrize("folder", ["journal", "journal/archive"])
@pytest.mark.parametrize("name", FAR)
def test_a_stray_file_under_a_far_number(watched: RealFleet, name: str, folder: str) -> None:
    """Nobody counts up to it, and the journal goes on from where it is."""
    (watched.path / folder / name).write_text("x")
    watched.age("web", 130)
    found = watched.check()
    assert found["newly_offline"] == ["web"]
    if name.isascii() and folder == "journal":
        assert [(p["kind"], p["path"]) for p in found["problems"]] == [("not_a_record", "journal/" + name)]
    assert watched.commit_path(4).exists()
    with watched.open() as store:
        seen = look.info(store, look.Question(events_since=0))
        assert [e["event"] for e in seen["events"]] == list(range(1, 8))
        assert run_repair(store)["changed"] is False
        status = "warning" if name.isascii() else "ok"
        assert finding(run_diagnosis(store, Limits()), "journal")["status"] == status
    assert watched.rebuilt().state == watched.ledger().state


def test_what_was_before_a_commit_may_all_be_lost(fleet: RealFleet, store: FileStore) -> None:
    """The checkpoint and the archive are gone: what is still there counts, and the numbers go on."""
    kept = [replace(c, number=c.number + 50_000, voids=[]) for c in COMMITS[:4]]
    for commit in kept:
        assert store.append_commit(commit.number, sealed.seal(documents.dump(commit)))
    ledger = journal.load(store)
    assert ledger.state == folded(kept)
    assert ledger.next_number == 50_005
    gap = {"kind": "journal_gap", "path": "journal/%020d.json" % 1}
    assert ledger.problems == [dict(gap, what="50000 commits from here on are missing; passed over")]
    events = [t.event for t in journal.transitions_since(store, ledger, 0)]
    assert events == [t.event for c in kept for t in c.transitions]
    assert run_repair(store)["changed"]
    assert journal.load(store).problems == []


def test_an_old_checkpoint_is_read_on_from_through_the_archive(
    fleet: RealFleet, store: FileStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal, "MAX_GAP", 2)
    write_history(store, COMMITS)
    store.archive_commits(list(range(1, 12)))
    (fleet.path / CHECKPOINT).write_bytes(sealed.seal(documents.dump_state(folded(COMMITS[:3]))))
    ledger = journal.load(store)
    assert (ledger.state, ledger.problems) == (folded(COMMITS), [])
