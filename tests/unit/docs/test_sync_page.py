# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""docs/sync.md: every row of the table of two-sided changes is played on real trees, by each policy."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path
from typing import Callable, Dict, Set

import pytest

from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.settings import CONFLICT_POLICIES
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.sync.run import EVENTS
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.sync.vault import Vault
from ansible_collections.roosync.heartbeat.tests.docs.pages import page, rows
from ansible_collections.roosync.heartbeat.tests.unit.checker.trees import Trees
from ansible_collections.roosync.heartbeat.tests.unit.stdlib.faults import root_only

PAGE = page("sync.md")
ROWS = rows(PAGE.section("Both sides have changed"))
LATER = 2_000_000_000


def edit(root: Path, who: str) -> None:
    (root / "file").write_text("edited by " + who)


def later(path: Path, who: str) -> None:
    """The machine's change is the later one."""
    at = LATER + (who == "web")
    os.utime(path, (at, at), follow_symlinks=False)


def rename(root: Path, who: str) -> None:
    (root / "file").rename(root / ("file-of-" + who))


def relink(root: Path, who: str) -> None:
    (root / "link").unlink()
    (root / "link").symlink_to(who)
    later(root / "link", who)


def make_link(root: Path, who: str) -> None:
    (root / "file").unlink()
    (root / "file").symlink_to(who)
    later(root / "file", who)


def make_directory(root: Path, who: str) -> None:
    (root / "file").unlink()
    (root / "file").mkdir()
    (root / "file" / "inside").write_text(who)
    later(root / "file" / "inside", who)
    later(root / "file", who)


def make_file(root: Path, who: str) -> None:
    shutil.rmtree(root / "directory")
    (root / "directory").write_text(who)
    later(root / "directory", who)


def edit_inside(root: Path, who: str) -> None:
    (root / "directory" / "inside").write_text("edited by " + who)
    later(root / "directory" / "inside", who)


def create(root: Path, who: str) -> None:
    (root / "new").write_text(who)
    later(root / "new", who)


def edit_at(root: Path, who: str) -> None:
    edit(root, who)
    later(root / "file", who)


ACTS: Dict[str, Callable[[Path, str], None]] = {
    "edits": edit_at,
    "creates": create,
    "deletes": lambda root, who: (root / "file").unlink(),
    "leaves it": lambda root, who: None,
    "renames": rename,
    "points a link elsewhere": relink,
    "points it elsewhere": relink,
    "makes a link of a file": make_link,
    "changes the mode": lambda root, who: (root / "file").chmod(0o600 if who == "web" else 0o640),
    "changes the owner": lambda root, who: os.chown(root / "file", 1234 if who == "web" else 4321, -1),
    "makes an empty directory": lambda root, who: (root / "empty").mkdir(),
    "makes a directory of a file": make_directory,
    "makes a file of a directory": make_file,
    "edits inside": edit_inside,
}


def contents(trees: Trees, machine: str) -> Set[str]:
    """The hashes of all files of a machine."""
    found = [entry[3] for entry in trees.whole(machine).values()]
    return {hashlib.sha256(content).hexdigest() for content in found if isinstance(content, bytes)}


def lost(trees: Trees, before: Set[str]) -> Set[str]:
    """What is not in the vault of all that there was."""
    with Vault(str(trees.fleet.path / "vault")) as vault:
        return vault.missing(before)


@pytest.mark.parametrize("number", range(len(ROWS)), ids=[" - ".join(row[:2]) for row in ROWS])
def test_the_table_is_true(tmp_path: Path, number: int) -> None:
    """Each policy says what it would do; one of them, another one in each row, then does it."""
    row = ROWS[number]
    if "changes the owner" in row:
        root_only()
    trees = Trees(tmp_path, "web", "db", "mail")
    trees.put("db", file="base", directory__inside="base", more="1", yet_more="2")
    (trees.www("db") / "link").symlink_to("base")
    for path in trees.www("db").rglob("*"):
        os.utime(path, (1_000_000_000,) * 2, follow_symlinks=False)
    for machine in ("db", "web"):
        trees.sync(machine, "online")
    ACTS[row[0]](trees.www("web"), "web")
    ACTS[row[1]](trees.www("db"), "db")
    before = contents(trees, "web") | contents(trees, "db")
    trees.sync("db", "online")
    for policy, expected in zip(CONFLICT_POLICIES, row[2:]):
        planned = trees.sync("web", "online", conflict_policy=policy, dry_run=True)
        assert {conflict["resolution"] for conflict in planned["conflicts"]} == {expected} - {"both"}, policy
    policy, expected = list(zip(CONFLICT_POLICIES, row[2:]))[number % len(CONFLICT_POLICIES)]
    done = trees.sync("web", "online", conflict_policy=policy)
    assert {conflict["resolution"] for conflict in done["conflicts"]} == {expected} - {"both"}
    assert done["decisions_created"] == (expected == "open")
    assert lost(trees, before) == set()
    trees.sync("db", "online")
    again = trees.sync("web", "online", conflict_policy=policy)
    assert (again["changed"], again["plan"]) == (False, [])
    if expected != "open":
        assert trees.whole("web") == trees.whole("db")


def test_every_event_is_there() -> None:
    assert [row[0].strip("`") for row in rows(PAGE.section("What happens when"))[: len(EVENTS)]] == list(EVENTS)


def test_the_policies_are_the_columns() -> None:
    head = next(line for line in PAGE.text.splitlines() if line.startswith("| The machine | The baseline | `"))
    assert [cell.strip(" `") for cell in head.strip("|").split("|")[2:]] == list(CONFLICT_POLICIES)
