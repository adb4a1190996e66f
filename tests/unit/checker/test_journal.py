# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The journal is the truth: what it folds to, what the checkpoint says, and what becomes of commits that are old."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from ansible_collections.roosync.heartbeat.plugins.module_utils._engine import documents, journal, sealed
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.fleet import Request, manage
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.stores.file import FileStore
from ansible_collections.roosync.heartbeat.tests.unit.checker.real import RealFleet, folded, history, write_history


def events_of(commits: list) -> list[int]:
    return [t.event for commit in commits for t in commit.transitions]


def test_every_commit_comes_back_as_it_was_written() -> None:
    for commit in history(60):
        assert documents.load_commit(sealed.seal(documents.dump(commit)), commit.number) == commit


def test_the_checkpoint_is_the_folded_journal(fleet: RealFleet, store: FileStore) -> None:
    commits = history(40)
    ledger = journal.load(store)
    checkpoints = 0
    for commit in commits:
        assert journal.append(store, ledger, commit, commit.at)
        expected = folded(commits[: commit.number])
        assert ledger.state == expected
        assert journal.load(store).state == expected
        if (fleet.path / "checkpoint.json").exists():
            state = documents.load_state((fleet.path / "checkpoint.json").read_bytes())
            assert state == folded(commits[: state.number])
            checkpoints += state.number == commit.number
    assert checkpoints == 40 // journal.CHECKPOINT_EVERY
    assert journal.rebuild(store).state == ledger.state
    assert [t.event for t in journal.transitions_since(store, ledger, 0)] == events_of(commits)


def test_a_number_is_given_once(store: FileStore) -> None:
    """Of two checkers with the same ledger one commits; the other must read on."""
    first, second = history(2)
    one, other = journal.load(store), journal.load(store)
    assert journal.append(store, one, first, first.at)
    assert not journal.append(store, other, replace(first, writer="another"), first.at)
    other = journal.load(store)
    assert journal.append(store, other, second, second.at)
    assert journal.load(store).state == folded([first, second])


@pytest.mark.parametrize("number", [0, 1, 3])
def test_a_commit_must_have_the_next_number(store: FileStore, number: int) -> None:
    commits = history(2)
    write_history(store, commits[:1])
    with pytest.raises(ValueError, match="next number"):
        journal.append(store, journal.load(store), replace(commits[1], number=number), commits[1].at)


def test_a_machine_that_joins_anew_was_never_away(fleet: RealFleet, store: FileStore) -> None:
    fleet.beat("web", "db")
    fleet.check()
    fleet.age("web", 10_000)
    fleet.check()
    assert journal.last_absence(store, fleet.ledger(), "web") is not None
    manage(store, Request(forget=["web"]))
    fleet.beat("web")
    assert fleet.changes() == [("web", "unknown", "online")]
    assert journal.last_absence(store, fleet.ledger(), "web") is None


def test_events_since_a_number(store: FileStore) -> None:
    commits = history(30)
    write_history(store, commits)
    ledger = journal.load(store)
    events = events_of(commits)
    for since in (-1, 0, 1, 7, events[-1] - 1, events[-1], events[-1] + 5):
        expected = [e for e in events if e > since]
        assert [t.event for t in journal.transitions_since(store, ledger, since)] == expected
        assert [t.event for t in journal.transitions_since(store, ledger, since, limit=5)] == expected[-5:]
    assert journal.transitions_since(store, ledger, 0, limit=0) == []


# -- archiving ---------------------------------------------------------------------------------------------------


def test_old_commits_leave_the_listing_and_can_still_be_read(fleet: RealFleet, store: FileStore) -> None:
    commits = history(450)
    write_history(store, commits)
    listed = store.commit_numbers()
    archived = store.names("journal/archive")
    assert len(archived) >= journal.KEEP_LISTED
    assert len(listed) + len(archived) == 450
    assert len(listed) < 2 * journal.KEEP_LISTED + journal.CHECKPOINT_EVERY
    ledger = journal.load(store)
    assert ledger.problems == []
    assert ledger.state == journal.rebuild(store).state == folded(commits)
    assert [t.event for t in journal.transitions_since(store, ledger, 0)] == events_of(commits)
    (fleet.path / "checkpoint.json").unlink()
    assert journal.load(store).state == folded(commits)


@pytest.fixture
def quick_archive(monkeypatch: pytest.MonkeyPatch) -> None:
    """Archive early, so that few commits show it."""
    monkeypatch.setattr(journal, "KEEP_LISTED", 4)
    monkeypatch.setattr(journal, "CHECKPOINT_EVERY", 2)


@pytest.mark.usefixtures("quick_archive")
def test_a_writer_that_slept_while_its_number_was_archived_commits_nothing(store: FileStore) -> None:
    """Its number is free in the listing again, and must not be given a second time."""
    commits = history(40)
    write_history(store, commits[:3])
    asleep = journal.load(store)
    write_history(store, commits[3:])
    assert 4 not in store.commit_numbers()
    assert not journal.append(store, asleep, replace(commits[3], writer="asleep"), commits[3].at)
    assert 4 not in store.commit_numbers()
    assert journal.rebuild(store).state == folded(commits)


@pytest.mark.usefixtures("quick_archive")
def test_a_writer_killed_over_an_archived_number_does_no_harm(fleet: RealFleet, store: FileStore) -> None:
    """It slept, linked its commit under an archived number, and was killed before it could take it back."""
    commits = history(44)
    write_history(store, commits[:40])
    assert (fleet.path / "journal/archive" / fleet.commit_path(4).name).exists()
    fleet.commit_path(4).write_bytes(sealed.seal(documents.dump(replace(commits[3], transitions=[], writer="asleep"))))
    assert journal.rebuild(store).state == folded(commits[:40])
    assert [t.event for t in journal.transitions_since(store, journal.load(store), 0)] == events_of(commits[:40])
    write_history(store, commits[40:])  # archives again
    assert journal.rebuild(store).state == folded(commits)
    assert [t.event for t in journal.transitions_since(store, journal.load(store), 0)] == events_of(commits)


def test_what_is_no_commit_is_left_alone(fleet: RealFleet, store: FileStore) -> None:
    commits = history(3)
    write_history(store, commits)
    for name in (".tmp-12-ab", "1.json", "%020d.json~" % 2, "%020d" % 9, "README"):
        (fleet.path / "journal" / name).write_bytes(b"{}")
    os.mkdir(fleet.path / "journal" / "old")
    ledger = journal.load(store)
    assert (ledger.state, ledger.problems) == (folded(commits), [])
    assert ledger.next_number == 4


@pytest.mark.parametrize("what", ["directory", "link", "fifo"])
def test_something_else_under_a_commits_name_is_passed_over(
    fleet: RealFleet, store: FileStore, tmp_path: Path, what: str
) -> None:
    commits = history(3)
    write_history(store, commits[:2])
    path = fleet.commit_path(3)
    if what == "directory":
        path.mkdir()
    elif what == "link":
        path.symlink_to(fleet.commit_path(2))
    else:
        os.mkfifo(path)
    ledger = journal.load(store)
    assert ledger.state == folded(commits[:2])
    assert [p["kind"] for p in ledger.problems] == ["journal_torn"]
    after = replace(commits[2], number=4)
    assert journal.append(store, ledger, after, after.at)
    assert journal.rebuild(store).state == replace(folded(commits), number=4)
