# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Free space, free files and quotas, and what is said of them.

File systems are real ones. Quotas are not: few kernels have them turned on, and to set one takes root. So a stand-in
for the program ``quota`` prints what the real one prints.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Dict, FrozenSet

import pytest

from ansible_collections.roosync.heartbeat.plugins.module_utils._engine import capacity
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.capacity import Limits, judge, measure
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.errors import DiskSpaceLow
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.mounts import Mount
from ansible_collections.roosync.heartbeat.tests.unit.stdlib.faults import mounted, python

POINT = "/srv of us"
QUOTA = """Disk quotas for group heartbeat (gid 3000):
     Filesystem  blocks   quota   limit   grace   files   quota   limit   grace
              /     120       0       0       0       1       0       0       0
     /srv of us     120*    100     200 1795372069      31       0      40       0
"""
KNOWN = {
    "bytes_used": 120 << 10,
    "bytes_soft": 100 << 10,
    "bytes_limit": 200 << 10,
    "files_used": 31,
    "files_soft": 0,
    "files_limit": 40,
}
NO_LIMITS = Limits(0, 0, 0, 0)


def mount(kind: str = "ext4", options: FrozenSet[str] = frozenset(("rw", "usrquota", "grpquota"))) -> Mount:
    return Mount(POINT, kind, options)


@pytest.fixture
def quota(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The stand-in: it prints a text, and notes what it was asked."""
    program = tmp_path / "bin" / "quota"
    program.parent.mkdir()
    (tmp_path / "said").write_text(QUOTA)
    program.write_text('#!/bin/sh\necho "$LC_ALL $@" >>%s/asked\ncat %s/said\nexit 1\n' % (tmp_path, tmp_path))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", "%s:%s" % (program.parent, os.environ["PATH"]))
    return tmp_path


def test_the_room_of_this_machine(tmp_path: Path) -> None:
    found = measure(str(tmp_path), mount("tmpfs"), ["root"], ["root"])
    real = os.statvfs(str(tmp_path))
    assert found["bytes_total"] == real.f_blocks * real.f_frsize
    assert 0 < found["bytes_free"] <= found["bytes_total"]
    assert (found["quotas"], found["unchecked"]) == ([], [])


def test_a_small_disk(tmp_path: Path) -> None:
    """A real one, of a million bytes and fifty files."""
    body = """
from _engine import capacity
from _engine.mounts import Mount
room = capacity.measure(sys.argv[1], Mount(sys.argv[1], "tmpfs", frozenset()), [], [])
judged = [outcome(capacity.judge, sys.argv[1], room, capacity.Limits(*limits))
          for limits in ((0, 0, 0, 0), (1 << 19, 1 << 21, 10, 100), (1 << 21, 0, 0, 0), (0, 0, 100, 0))]
print(json.dumps([room, judged]))
"""
    wrapper = mounted('mount -t tmpfs -o size=1m,nr_inodes=50 none "$1"', str(tmp_path))
    room, (fine, warned, little, few) = python(body, str(tmp_path), wrapper=wrapper)
    assert room["bytes_total"] == 1 << 20
    assert 40 < room["files_free"] < 50
    assert fine == {"result": []}
    assert warned["result"] == ["1.0 MiB left at %s" % tmp_path, "%d files left at %s" % (room["files_free"], tmp_path)]
    assert (little["error_code"], few["error_code"]) == ("DISK_SPACE_LOW", "DISK_SPACE_LOW")
    assert little["msg"].startswith("1.0 MiB left at %s, and at least 2.0 MiB are wanted" % tmp_path)
    assert few["msg"].startswith("%d files left at %s, and at least 100 files" % (room["files_free"], tmp_path))


def test_quotas_are_asked_for(quota: Path) -> None:
    found, unchecked = capacity.quotas_at(mount(), ["agent"], ["heartbeat"])
    assert unchecked == []
    assert found == [dict(KNOWN, kind="user", name="agent"), dict(KNOWN, kind="group", name="heartbeat")]
    options = "C --no-wrap --raw-grace --verbose --show-mntpoint --hide-device"
    asked = (quota / "asked").read_text().splitlines()
    assert asked == ["%s --user -- agent" % options, "%s --group -- heartbeat" % options]


@pytest.mark.parametrize(
    ("kind", "options", "asked"),
    [
        ("ext4", {"usrquota", "grpquota"}, 2),
        ("ext4", {"usrquota"}, 1),
        ("xfs", {"gquota"}, 1),
        ("ext4", {"rw"}, 0),
        ("xfs", {"noquota", "prjquota"}, 0),
        ("nfs4", {"rw"}, 2),
        ("tmpfs", {"usrquota"}, 0),
    ],
)
def test_where_there_can_be_quotas(quota: Path, kind: str, options: Any, asked: int) -> None:
    found, unchecked = capacity.quotas_at(mount(kind, frozenset(options)), ["agent"], ["heartbeat"])
    assert (len(found), unchecked) == (asked, [])


@pytest.mark.parametrize(("kind", "word"), [("cifs", "look at its server"), ("fuse.sshfs", "look"), ("btrfs", "btrfs")])
def test_what_cannot_be_found_out_is_said(kind: str, word: str) -> None:
    found, (unchecked,) = capacity.quotas_at(mount(kind), ["agent"], [])
    assert found == []
    assert word in unchecked
    assert POINT in unchecked


def test_no_program(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    found, unchecked = capacity.quotas_at(mount(), [], ["heartbeat"])
    assert found == []
    assert unchecked == ["the quota of group heartbeat on %s: the program quota is not installed" % POINT]


@pytest.mark.parametrize("said", ["", "     /srv of us     one two three four five six seven eight\n"])
def test_a_program_that_says_something_else(quota: Path, said: str) -> None:
    (quota / "said").write_text(said)
    found, unchecked = capacity.quotas_at(mount(), [], ["heartbeat"])
    assert found == []
    assert len(unchecked) == 1


def test_no_quota_for_this_one(quota: Path) -> None:
    (quota / "said").write_text("Disk quotas for group heartbeat (gid 3000): none\n")
    assert capacity.quotas_at(mount(), [], ["heartbeat"]) == ([], [])


def room(**quota: int) -> Dict[str, Any]:
    return {"bytes_free": 1 << 40, "files_free": None, "quotas": [dict(KNOWN, kind="group", name="heartbeat", **quota)]}


def test_a_quota_is_a_limit_like_any_other() -> None:
    assert len(judge("/srv", room(), NO_LIMITS)) == 1  # the time of grace
    assert judge("/srv", room(bytes_soft=0), NO_LIMITS) == []
    warnings = judge("/srv", room(bytes_soft=0), Limits(0, 1 << 20, 0, 10))
    left = " left at /srv by the quota of group heartbeat"
    assert warnings == ["80.0 KiB" + left, "9 files" + left]
    with pytest.raises(DiskSpaceLow, match="80.0 KiB" + left + ", and at least 1.0 MiB are wanted"):
        judge("/srv", room(), Limits(1 << 20, 0, 0, 0))
    with pytest.raises(DiskSpaceLow, match="0 bytes" + left):
        judge("/srv", room(bytes_used=1 << 30), Limits(1, 0, 0, 0))
