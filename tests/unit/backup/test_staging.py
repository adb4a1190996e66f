# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The directory in which a restore works: whoever may write beside it gets nothing moved, made or opened by it."""

from __future__ import annotations

import errno
import os
import tempfile
from pathlib import Path
from typing import Any, Callable

import pytest

from ansible_collections.roosync.heartbeat.plugins.module_utils._engine import mounts
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.backup import restore, swap
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.backup.place import Place
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.errors import HeartbeatError, RestoreFailed
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.forked import as_user
from ansible_collections.roosync.heartbeat.tests.unit.backup.scenes import Scene, looks
from ansible_collections.roosync.heartbeat.tests.unit.stdlib.faults import root_only


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """Files that are nobody's business, on the same file system."""
    folder = tmp_path / "secret"
    folder.mkdir(mode=0o700)
    (folder / "key").write_text("secret")
    (folder / "default@20260101T000000.000000Z.tar.gz").write_text("secret")
    return folder


def planted(scene: Scene, secret: Path) -> Path:
    """What somebody in the group puts beside a fleet, so that it looks like a restore that was interrupted."""
    (scene.path / ".restore").touch()
    new = scene.real.root / ".restore-default" / "new"
    new.mkdir(parents=True)
    (new / "backups").symlink_to(secret)
    return new.parent


def open_to_others(staging: Path) -> None:
    staging.chmod(0o770)


def of_somebody_else(staging: Path) -> None:
    staging.chmod(0o700)
    os.chown(staging, 65534, -1)


def a_link(staging: Path) -> None:
    staging.chmod(0o700)
    staging.rename(staging.with_name("elsewhere"))
    staging.symlink_to(staging.with_name("elsewhere"))


def a_file(staging: Path) -> None:
    staging.rename(staging.with_name("elsewhere"))
    staging.touch()


@pytest.mark.parametrize("made", [open_to_others, of_somebody_else, a_link, a_file])
def test_nothing_that_others_prepared_is_put_in_place(scene: Scene, secret: Path, made: Callable[[Path], None]) -> None:
    if made is of_somebody_else:
        root_only()
    scene.backup()
    (scene.path / "heartbeats" / "web-02.json").unlink()
    made(planted(scene, secret))
    before, inside = looks(scene.real.root), looks(secret)
    with pytest.raises(RestoreFailed, match="this user's restores did not make it"):
        scene.restore()
    assert looks(secret) == inside
    assert looks(scene.real.root) == before
    assert sorted(p.name for p in scene.real.root.iterdir() if p.name.endswith(("probe", "lock"))) == []


def test_a_link_in_the_former_state_is_not_followed(scene: Scene, secret: Path) -> None:
    """Whoever may write in the fleet can put one there while it is replaced."""
    scene.backup()
    planted(scene, secret).chmod(0o700)
    inside = looks(secret)
    scene.restore()
    assert looks(secret) == inside
    assert list((scene.path / "backups").iterdir()) == []
    assert not list(scene.real.root.glob(".*"))


def test_a_link_is_not_followed_to_link_backups(scene: Scene, secret: Path) -> None:
    with scene.open() as store:
        place = Place(store)
    place.begin()
    Path(place.new, "backups").mkdir()
    (scene.path / "backups").rmdir()
    (scene.path / "backups").symlink_to(secret)
    swap.link_backups(place)
    assert os.listdir(os.path.join(place.new, "backups")) == []
    place.release()


def test_another_directory_under_the_name_is_not_written_into(
    scene: Scene, secret: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody renames the directory while it is filled, and puts a link in its place."""
    scene.backup()
    (scene.path / "heartbeats" / "web-02.json").unlink()
    staging, inside = scene.real.root / ".restore-default", looks(secret)
    real = restore.Unpacking

    def late(folder: str) -> restore.Unpacking:
        staging.rename(scene.real.root / "aside")
        (secret / "new").mkdir()
        staging.symlink_to(secret)
        return real(folder)

    monkeypatch.setattr(restore, "Unpacking", late)
    done = scene.restore()
    assert "/proc/" not in str(done["warnings"])
    (secret / "new").rmdir()
    assert looks(secret) == inside


def test_a_failure_names_the_path_that_people_see(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    scene.backup()
    (scene.path / "heartbeats" / "web-02.json").unlink()
    real = os.mkdir

    def full(path: Any, mode: int = 0o777) -> None:
        if str(path).endswith("/new/journal"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        real(path, mode)

    monkeypatch.setattr(os, "mkdir", full)
    with pytest.raises(HeartbeatError) as refused:
        scene.restore()
    assert refused.value.error_code == "DISK_SPACE_LOW"
    assert str(scene.real.root / ".restore-default" / "new" / "journal") in refused.value.message


# -- what a swap would leave behind ------------------------------------------------------------------------------


def test_a_link_to_a_folder_is_refused_before_anything_is_done(scene: Scene, tmp_path: Path) -> None:
    scene.backup()
    (tmp_path / "disk").mkdir()
    (scene.path / "backups").rmdir()
    (scene.path / "backups").symlink_to(tmp_path / "disk")
    (scene.path / "heartbeats" / "web-02.json").unlink()
    before = looks(scene.folder)
    for dry_run in (True, False):
        with pytest.raises(RestoreFailed, match="default/backups is a mount point or a link"):
            scene.restore(dry_run=dry_run)
    assert looks(scene.folder) == before
    assert scene.restore(machine_id="web-02")["changed"], "one machine is not swapped"


def test_a_mounted_folder_is_refused_before_anything_is_done(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """That it is one is only claimed here: to mount something takes rights that a test may not have."""
    scene.backup()
    (scene.path / "heartbeats" / "web-02.json").unlink()
    monkeypatch.setattr(os.path, "ismount", lambda path: path == str(scene.path / "vault" / "packs"))
    with pytest.raises(RestoreFailed, match="vault/packs is a mount point or a link"):
        scene.restore()
    assert not list(scene.real.root.glob(".*"))


@pytest.mark.parametrize("name", [".", "backups"])
def test_a_bind_mount_of_the_same_disk_is_refused_as_well(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, name: str, tmp_path: Path
) -> None:
    """Only the kernel's list knows it. Backups in it could not be brought over, and no restore went on after that."""
    scene.backup()
    (scene.path / "heartbeats" / "web-02.json").unlink()
    (tmp_path / "mountinfo").write_text("36 35 8:1 /disk %s rw - ext4 /dev/sda1 rw\n" % (scene.path / name))
    monkeypatch.setattr(mounts, "MOUNTINFO", str(tmp_path / "mountinfo"))
    before = looks(scene.folder)
    with pytest.raises(RestoreFailed, match=r"is a mount point,? or"):
        scene.restore()
    assert looks(scene.folder) == before


def test_a_folder_that_is_closed_to_this_user_is_refused_before_anything_is_done() -> None:
    """Backups that root has made lie in one: they would be left where nobody finds them, and no restore goes on."""
    root_only()
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        scene = Scene(Path(name))
        scene.backup()
        scene.backup(directory=None)
        for path in (scene.backups, *scene.backups.iterdir(), *(p for p in scene.real.root.rglob("*") if p.is_dir())):
            os.chown(path, 0 if path == scene.path / "backups" else 65534, -1)
        os.chown(scene.real.root, 65534, -1)
        (scene.path / "heartbeats" / "web-02.json").unlink()
        before = looks(scene.folder)
        for dry_run in (True, False):
            with pytest.raises(RestoreFailed, match="default/backups is closed to this user"):
                as_user("nobody", lambda dry=dry_run: scene.restore(dry_run=dry)["changed"])
        assert looks(scene.folder) == before
        assert scene.restore()["changed"], "root may"
