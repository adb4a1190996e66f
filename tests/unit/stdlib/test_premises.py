# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The directory of a store: made, mended, and no way out of it."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Dict, Optional

import pytest

from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.errors import InvalidSettings
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.premises import Premises, group_id
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.stores.file import FOLDERS
from ansible_collections.roosync.heartbeat.tests.unit.stdlib.support import Fleet, tree

# A group that this process may give files to.
GROUP = max([*os.getgroups(), os.getegid()]) if os.geteuid() else 12345


def prepared(root: Path, gid: Optional[int] = GROUP, dry_run: bool = False) -> Premises:
    work = Premises(str(root), "default", gid, dry_run)
    work.prepare()
    return work


def shown(path: Path) -> str:
    state = path.stat()
    return "%o %d" % (stat.S_IMODE(state.st_mode), state.st_gid)


def modes(fleet: Fleet) -> Dict[str, str]:
    folders = [fleet.root, fleet.location, *(fleet.location / name for name in FOLDERS)]
    return {str(path): shown(path) for path in folders}


def test_a_new_directory(tmp_path: Path) -> None:
    root = tmp_path / "a" / "store"
    umask = os.umask(0o077)
    try:
        would = prepared(root, dry_run=True)
        assert would.changed
        assert not (tmp_path / "a").exists()
        made = prepared(root)
    finally:
        os.umask(umask)
    assert made.changed
    assert made.diff() == would.diff()
    assert shown(root) == "2775 %d" % GROUP
    assert stat.S_IMODE(root.parent.stat().st_mode) == 0o755, "others have to get to it"
    again = prepared(root)
    assert (again.changed, again.diff()) == (False, {"before": "", "after": ""})


def test_a_fleet_that_was_made_otherwise(fleet: Fleet) -> None:
    """By a root with a umask of its own and no group in mind, say."""
    for path in (fleet.location, fleet.location / "journal", fleet.location / "journal" / "archive"):
        path.chmod(0o700)
    (fleet.location / "fleet.json").chmod(0o600)
    before = tree(fleet.root)
    would = prepared(fleet.root, dry_run=True)
    assert tree(fleet.root) == before
    work = prepared(fleet.root)
    assert work.changed
    assert work.diff() == would.diff()
    assert set(modes(fleet).values()) == {"2775 %d" % GROUP}
    assert shown(fleet.location / "fleet.json") == "664 %d" % GROUP
    assert not prepared(fleet.root).changed


def test_backups_that_were_closed_stay_closed(fleet: Fleet) -> None:
    """The group may write in the folder only until its owner has made a backup there."""
    backups = fleet.location / "backups"
    prepared(fleet.root)
    assert shown(backups) == "2775 %d" % GROUP
    backups.chmod(0o700)
    before = shown(backups)
    assert not prepared(fleet.root).changed
    (fleet.location / "fleet.json").unlink()
    with fleet.store() as store:
        store.create()
    assert shown(backups) == before


def test_without_a_group_they_keep_theirs(fleet: Fleet) -> None:
    fleet.root.chmod(0o755)
    work = prepared(fleet.root, gid=None)
    assert set(work.after) == {str(fleet.root), str(fleet.location / "fleet.json")}
    assert shown(fleet.root) == "2775 %d" % fleet.location.stat().st_gid


def test_a_directory_that_is_no_fleet_is_left_alone(tmp_path: Path) -> None:
    other = tmp_path / "store" / "default" / "journal"
    other.mkdir(parents=True)
    other.chmod(0o700)
    prepared(tmp_path / "store")
    assert stat.S_IMODE(other.stat().st_mode) == 0o700


def test_links_lead_nowhere(fleet: Fleet, tmp_path: Path) -> None:
    """Everybody in the group can put one into the place of a folder."""
    precious = tmp_path / "precious"
    precious.mkdir(mode=0o700)
    (fleet.location / "vault").rmdir()
    (fleet.location / "vault").symlink_to(precious)
    (fleet.location / "logs").rmdir()
    (fleet.location / "logs").write_text("no folder")
    mark = fleet.location / "fleet.json"
    before = shown(precious)
    prepared(fleet.root)
    assert shown(precious) == before
    mark.unlink()
    mark.symlink_to(precious / "secret")
    (precious / "secret").write_text("x")
    (precious / "secret").chmod(0o600)
    prepared(fleet.root)
    assert stat.S_IMODE((precious / "secret").stat().st_mode) == 0o600


def test_a_file_system_with_a_mind_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that says yes and keeps its modes, as some shares do. None can be mounted here."""
    tmp_path.chmod(0o755)
    monkeypatch.setattr(os, "fchmod", lambda fd, mode: None)
    work = prepared(tmp_path, gid=None)
    assert (work.changed, work.kept) == (False, [str(tmp_path)])


def test_groups() -> None:
    assert group_id("root") == 0
    assert group_id("0") == 0
    for name in ("no-such-group", "a\0b", "9" * 30, "\u00b2", ""):
        with pytest.raises(InvalidSettings, match="is not there; make it first"):
            group_id(name)
