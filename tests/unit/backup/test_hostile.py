# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Archives that were made to do harm are refused, and nothing is written anywhere."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any, Callable, Dict

import pytest

from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.backup import catalogue, tarball
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.backup.gzipped import GzipSink
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.backup.members import DIRECTORY, Member
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.errors import BackupCorrupt, HeartbeatError
from ansible_collections.roosync.heartbeat.tests.unit.backup.forging import Forger
from ansible_collections.roosync.heartbeat.tests.unit.backup.scenes import Scene, looks
from ansible_collections.roosync.heartbeat.tests.unit.checker.children import environment


def changed(**values: Any) -> Callable[[tarfile.TarInfo], None]:
    def change(info: tarfile.TarInfo) -> None:
        for name, value in values.items():
            setattr(info, name, value)

    return change


def proper() -> Forger:
    return Forger().folders("heartbeats", "logs")


def member(path: str, **values: Any) -> Forger:
    return proper().add(path, b"x", **values)


ODD_PATHS = [
    "/etc/passwd",
    "../x",
    "heartbeats/../../x",
    "heartbeats/./x.json",
    "heartbeats//x.json",
    "heartbeats/x.json/",
    "heartbeats/\0x.json",
    "heartbeats/a\nb.json",
    "heartbeats/a\\b.json",
    "..",
    ".",
    "heartbeats/" + "x" * 300,
    "/".join(["logs"] * 40),
    "backups/evil.tar.gz",
    "locks/check.lock",
    "nowhere/x.json",
    "fleet.json/x",
]
HOSTILE: Dict[str, Callable[[], Forger]] = {
    **{"path " + repr(path)[:40]: lambda path=path: member(path) for path in ODD_PATHS},  # type: ignore[misc]
    "a symbolic link": lambda: proper().tar(changed(type=tarfile.SYMTYPE, linkname="/etc/passwd")),
    "a hard link": lambda: proper().tar(changed(type=tarfile.LNKTYPE, linkname="../../etc/passwd")),
    "a device": lambda: proper().tar(changed(type=tarfile.BLKTYPE, devmajor=8)),
    "a pipe": lambda: proper().tar(changed(type=tarfile.FIFOTYPE)),
    "a sparse file": lambda: proper().tar(changed(type=tarfile.GNUTYPE_SPARSE)),
    "a long name of GNU": lambda: proper().tar(changed(type=tarfile.GNUTYPE_LONGNAME)),
    "a directory that says it is a file": lambda: proper().tar(changed(type=tarfile.DIRTYPE)),
    "another name in tar": lambda: proper().tar(changed(name="heartbeats/y.json")),
    "a path out of it in tar": lambda: proper().tar(changed(name="../../x")),
    "another size in tar": lambda: proper().tar(changed(size=512)),
    "a member twice": lambda: proper().add("heartbeats/x.json").add("heartbeats/x.json"),
    "a commit twice": lambda: (
        Forger()
        .folders("journal", "journal/archive")
        .add("journal/archive/%020d.json" % 1)
        .add("journal/%020d.json" % 1)
    ),
    "out of order": lambda: proper().add("heartbeats/x.json").add("fleet.json"),
    "a directory after files": lambda: proper().add("fleet.json").add("zz", kind=DIRECTORY),
    "a directory twice": lambda: proper().add("logs", kind=DIRECTORY),
    "a directory with a content": lambda: Forger().folders().add("zz", b"x", kind=DIRECTORY),
    "a file in the place of a directory": lambda: proper().add("logs"),
    "a file in the place of the fleet": lambda: Forger().add(""),
    "a file in no directory": lambda: Forger().folders().add("x/y"),
    "a record that is too large": lambda: member("heartbeats/x.json", size=300_000),
    "a size that no file has": lambda: member("logs/x", size=1 << 40),
    "an impossible mode": lambda: member("logs/x", row='["logs/x","f",65535,0,0,0,"","",1]'),
    "a negative size": lambda: member("logs/x", row='["logs/x","f",420,0,0,0,"","",-1]'),
    "a size that is no number": lambda: member("logs/x", row='["logs/x","f",420,0,0,0,"","",true]'),
    "an impossible time": lambda: member("logs/x", row='["logs/x","f",420,%d,0,0,"","",1]' % (1 << 70)),
    "an impossible owner": lambda: member("logs/x", row='["logs/x","f",420,0,-1,0,"","",1]'),
    "an impossible kind": lambda: member("logs/x", row='["logs/x","l",420,0,0,0,"","",1]'),
    "a header that is no JSON": lambda: member("logs/x", row="[" * 5000),
    "a header with too little": lambda: member("logs/x", row='["logs/x"]'),
    "a header that is no list": lambda: member("logs/x", row='{"path":"logs/x"}'),
    "a head of a later format": lambda: Forger(format=2).folders(),
    "a head without a time": lambda: Forger(created_at="now").folders(),
    "a head of no time": lambda: Forger(created_at=10**30).folders(),
    "a head of before all time": lambda: Forger(created_at=-1).folders(),
    "a head with an impossible commit": lambda: Forger(commit=10**40).folders(),
    "a head with too many machines": lambda: Forger(machines=10**40).folders(),
    "a commit that no journal comes to": lambda: Forger().folders("journal").add("journal/%020d.json" % (10**19)),
    "a commit far beyond the others": lambda: (
        Forger()
        .folders("journal", "journal/archive")
        .add("journal/archive/%020d.json" % 7)
        .add("journal/%020d.json" % (1 << 30))
    ),
    "a head with an impossible machine": lambda: Forger(machine_id="../x").folders(),
}


@pytest.mark.parametrize("name", sorted(HOSTILE))
def test_hostile(scene: Scene, name: str) -> None:
    path = HOSTILE[name]().finish(scene.folder / "evil.tar.gz")
    before = looks(scene.folder)
    with pytest.raises(BackupCorrupt):
        catalogue.verify(catalogue.find("/", "default", str(path)), None)
    for options in ({"force": True}, {"force": True, "machine_id": "web-02"}, {"dry_run": True}):
        with pytest.raises(HeartbeatError) as refused:
            scene.restore(backup=str(path), **options)  # type: ignore[arg-type]
        assert refused.value.error_code == "BACKUP_CORRUPT", name
    assert looks(scene.folder) == before


def test_what_a_forger_makes_is_well_formed(tmp_path: Path) -> None:
    """Or the tests above would prove nothing."""
    path = proper().add("logs/x", b"x").finish(tmp_path / "fine.tar.gz")
    assert catalogue.verify(catalogue.find("/", "default", str(path)), None)["files"] == 1


@pytest.mark.parametrize(
    ("manifest", "tail"),
    [
        (b"", None),
        (b"x" * 100, None),
        (None, b""),
        (None, bytes(512)),
        (None, bytes(1536)),
        (None, bytes(1024) + b"x" * 512),
        (None, b"x" * 1024),
    ],
)
def test_another_manifest_and_another_end(tmp_path: Path, manifest: Any, tail: Any) -> None:
    forged = proper().add("logs/x", b"x")
    path = forged.finish(tmp_path / "evil.tar.gz", manifest, bytes(1024) if tail is None else tail)
    with pytest.raises(BackupCorrupt):
        catalogue.verify(catalogue.find("/", "default", str(path)), None)


def test_a_file_far_beyond_the_journal_spoils_no_backup(scene: Scene) -> None:
    """Anybody who may write there can leave one; a backup that had it would be refused."""
    stray = scene.path / "journal" / ("%020d.json" % (10**19))
    stray.touch()
    made = scene.backup()
    assert made["warnings"] == [
        "left out of the backup: journal/%s: a number that the journal cannot have come to" % stray.name
    ]
    assert scene.restore()["backup"]["commit"] == made["backup"]["commit"] < 100


def test_modes_and_owners_from_outside_do_no_harm(scene: Scene) -> None:
    """Set-user-id is never restored, and a file is nobody's program."""
    forged = Forger().folders("heartbeats", "logs", "tools")
    forged.add("fleet.json", (scene.path / "fleet.json").read_bytes(), mode=0o6777)
    forged.add("tools/sh", b"#!/bin/sh\n", mode=0o6755)
    scene.restore(backup=str(forged.finish(scene.folder / "odd.tar.gz")), force=True)
    assert (scene.path / "tools" / "sh").stat().st_mode & 0o7000 == 0
    assert (scene.path / "fleet.json").stat().st_mode & 0o7000 == 0


LIMITED = """\
import json, resource, sys
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine import errors
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.backup import catalogue
resource.setrlimit(resource.RLIMIT_AS, (int(sys.argv[2]), int(sys.argv[2])))
resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
try:
    found = catalogue.verify(catalogue.find("/", "default", sys.argv[1]), None)
    print(json.dumps(found["content_bytes"]))
except errors.HeartbeatError as exc:
    print(json.dumps(exc.error_code))
"""
ENOUGH = 400 << 20


def verified_in_little_memory(path: Path) -> Any:
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(path), str(ENOUGH)],
        capture_output=True,
        env=environment(),
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    return json.loads(done.stdout)


def test_a_bomb_takes_no_memory(tmp_path: Path) -> None:
    """More zeros in one member than there is memory, in an archive of half a megabyte."""
    size = 512 << 20
    path = tmp_path / "bomb.tar.gz"
    blocks = Forger().folders("heartbeats", "vault", "vault/packs").blocks
    with open(path, "wb") as stream:
        sink = GzipSink(lambda data: stream.writelines([data]))
        sink.write(b"".join(blocks) + tarball.header(Member("vault/packs/x.pack", "f", 0o640, size=size + 4096)))
        zeros = bytes(1 << 20)
        for _piece in range(size >> 20):
            sink.write(zeros)
        sink.close()
    assert path.stat().st_size < 2 << 20
    assert verified_in_little_memory(path) == "BACKUP_CORRUPT"


def test_a_header_that_asks_for_memory(tmp_path: Path) -> None:
    forged = Forger().folders()
    info = tarfile.TarInfo("x")
    info.type, info.size = tarfile.XHDTYPE, 1 << 32
    forged.blocks.append(info.tobuf(tarfile.GNU_FORMAT))
    assert verified_in_little_memory(forged.finish(tmp_path / "bomb.tar.gz")) == "BACKUP_CORRUPT"


def test_a_large_backup_takes_no_memory(scene: Scene) -> None:
    pack = scene.path / "vault" / "packs" / ("1" * 64 + ".pack")
    with open(pack, "wb") as stream:
        for _piece in range(64):
            stream.write(os.urandom(1 << 20))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    made = scene.backup()["backup"]
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 48 << 10
    assert verified_in_little_memory(Path(made["location"])) == made["content_bytes"]
    assert made["content_bytes"] > 64 << 20


def test_a_passphrase_that_asks_for_memory(tmp_path: Path) -> None:
    path = tmp_path / "x.age"
    path.write_bytes(
        b"age-encryption.org/v1\n-> scrypt %s 30\n%s\n--- %s\n" % (b"A" * 22, b"A" * 43, b"A" * 43) + bytes(64)
    )
    with pytest.raises(BackupCorrupt, match="more memory than is safe"):
        catalogue.verify(catalogue.find("/", "default", str(path)), "x")
