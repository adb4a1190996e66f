# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Damage to an archive, wherever it is: found when it is verified, refused when it is to be restored."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, Iterator, Optional, Tuple

import pytest

from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.backup import catalogue
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.errors import BackupCorrupt, BackupNotFound
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.fleet import Request, manage
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.stores.file import FileStore
from ansible_collections.roosync.heartbeat.tests.unit.backup.scenes import Scene, looks
from ansible_collections.roosync.heartbeat.tests.unit.checker.real import RealFleet

KEYS = {"plain": None, "encrypted": "open sesame"}


def bad(path: Path, passphrase: Optional[str]) -> Optional[str]:
    """What is wrong with an archive; None if it passes."""
    try:
        catalogue.verify(catalogue.find("/", "default", str(path)), passphrase)
    except BackupCorrupt as exc:
        return exc.message if str(path) in exc.message else None
    return None


@pytest.fixture(params=sorted(KEYS))
def small(request: pytest.FixtureRequest, tmp_path: Path, cheap_key: None) -> Tuple[Path, Optional[str]]:
    """The backup of one machine, which has every part that any has, and its passphrase."""
    real = RealFleet(tmp_path / "store")
    real.beat("m1")
    scene = Scene.of(real, tmp_path)
    passphrase = KEYS[request.param]
    return Path(scene.backup(passphrase=passphrase, machine_id="m1")["backup"]["location"]), passphrase


def changes(content: bytes) -> Iterator[Tuple[str, bytes]]:
    """Every byte changed in three ways; every length but the right one; and more at the end."""
    for at in range(len(content)):
        for name, value in (("bits", content[at] ^ 0xFF), ("bit", content[at] ^ 1), ("sum", (content[at] + 16) % 256)):
            yield "%s at %d" % (name, at), content[:at] + bytes([value]) + content[at + 1 :]
        yield "cut at %d" % at, content[:at]
    for more in (b"\0", b"\n", content[:1], content[-1:], content):
        yield "more at the end", content + more


def test_every_byte_counts(small: Tuple[Path, Optional[str]], tmp_path: Path) -> None:
    path, passphrase = small
    content = path.read_bytes()
    assert bad(path, passphrase) is None
    damaged = tmp_path / "damaged.tar.gz"
    tried = 0
    for what, changed in changes(content):
        damaged.write_bytes(changed)
        assert bad(damaged, passphrase) is not None, what
        tried += 1
    assert tried == 4 * len(content) + 5


@pytest.mark.parametrize("key", sorted(KEYS))
@pytest.mark.parametrize("place", ["first", "head", "member", "manifest", "seal", "end", "half", "nothing"])
def test_a_damaged_backup_is_not_restored(scene: Scene, cheap_key: None, key: str, place: str) -> None:
    path = Path(scene.backup(passphrase=KEYS[key])["backup"]["location"])
    content = path.read_bytes()
    size = len(content)
    at = {"first": 0, "head": 60, "member": size // 2, "manifest": size - 400, "seal": size - 30, "end": size - 1}
    if place in at:
        path.write_bytes(content[: at[place]] + bytes([content[at[place]] ^ 4]) + content[at[place] + 1 :])
    else:
        path.write_bytes(content[: size // 2] if place == "half" else b"")
    for name in ("web-01", "web-02"):
        scene.real.record(name).unlink()
    before = scene.looks(scene.folder)
    for options in ({}, {"dry_run": True}, {"force": True}, {"machine_id": "web-02"}):
        with pytest.raises(BackupCorrupt, match="cannot be used"):
            scene.restore(passphrase=KEYS[key], **options)  # type: ignore[arg-type]
    assert scene.looks(scene.folder) == before


def test_the_wrong_passphrase(scene: Scene, cheap_key: None) -> None:
    path = Path(scene.backup(passphrase="right")["backup"]["location"])
    for wrong in ("wrong", "", "right ", "Right"):
        said = bad(path, wrong)
        assert said is not None
        assert "the passphrase is not the one it was made with" in said
        assert "right" not in said.replace(str(path), "").lower().replace("made with", "")


def test_a_passphrase_for_what_is_not_encrypted_is_not_needed(scene: Scene) -> None:
    path = Path(scene.backup()["backup"]["location"])
    assert bad(path, "something") is None


@pytest.mark.parametrize(
    "content", [b"", b"\x1f\x8b", b"PK\3\4" + bytes(100), b"age-encryption.org/v1\n", b"text" * 999]
)
def test_what_is_no_backup_at_all(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.tar.gz"
    path.write_bytes(content)
    assert bad(path, "x") is not None


def test_special_files_are_no_backups(tmp_path: Path) -> None:
    import os

    os.mkfifo(tmp_path / "fifo")
    for path in (tmp_path / "fifo", tmp_path, tmp_path / "nothing", tmp_path / "nothing" / "x"):
        with pytest.raises(BackupNotFound):
            catalogue.find("/", "default", str(path))


def test_a_backup_that_is_exchanged_between_two_looks(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is read twice: to decide, and to unpack. The second time it must be the same."""
    from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.backup import restore
    from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.errors import RestoreFailed

    path = Path(scene.backup()["backup"]["location"])
    scene.real.beat("late", age=900)
    other = Path(scene.backup()["backup"]["location"])
    scene.real.record("late").unlink()
    scene.real.record("db-01").unlink()
    before = scene.looks()
    saved = restore._save

    def exchange(*args: Any) -> Any:
        path.write_bytes(other.read_bytes())
        return saved(*args)

    monkeypatch.setattr(restore, "_save", exchange)
    with pytest.raises(RestoreFailed, match="was changed while it was restored"):
        scene.restore(backup=str(path))
    assert scene.looks() == before
    assert not list(scene.real.root.glob(".*"))


def test_a_damaged_fleet_can_be_backed_up_and_replaced(scene: Scene) -> None:
    """That is what a restore is for."""
    scene.backup()
    before: Dict[str, Any] = scene.looks()
    (scene.path / "fleet.json").write_bytes(b"{")
    (scene.path / "heartbeats" / "web-01.json").write_bytes(b"")
    (scene.path / "locks").rename(scene.folder / "away")
    (scene.path / "maintenance" / "link.json").symlink_to("/etc/passwd")
    done = scene.restore()
    assert looks(scene.path)["fleet.json"] == before["fleet.json"]
    assert any("link.json" in warning for warning in done["warnings"])
    with FileStore(str(scene.real.root), "default") as store:
        assert not manage(store, Request())["changed"]
