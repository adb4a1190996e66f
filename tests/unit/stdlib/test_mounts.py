# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which file system a path is on, and whether it is the one that is meant."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Optional

import pytest

from ansible_collections.roosync.heartbeat.plugins.module_utils._engine import mounts
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.errors import StoreUnavailable
from ansible_collections.roosync.heartbeat.tests.unit.stdlib.faults import mounted, python

MOUNTINFO = r"""22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw,discard
30 22 0:25 / /srv rw,relatime - nfs4 server:/srv rw,vers=4.2
31 22 0:26 / /srv\040of\040us rw - xfs /dev/vdb rw,usrquota,prjquota
32 30 0:27 / /srv/data ro - ext4 /dev/vdc rw
33 22 0:28 / /auto rw - autofs systemd-1 rw
34 22 0:29 / /srv rw - tmpfs none rw
nonsense
"""
FSTAB = r"""# /etc/fstab
UUID=1 / ext4 defaults 0 1
server:/x /mnt/share/ nfs rw 0 0
/dev/sdb1 none swap sw 0 0
/dev/sdc1 /srv\040of\040us xfs noauto 0 0
//server/auto /auto cifs x-systemd.automount 0 0
#/dev/sdd1 /opt ext4 rw 0 0
short /line
"""


@pytest.mark.parametrize(
    ("path", "point", "kind"),
    [
        ("/", "/", "ext4"),
        ("/srv", "/srv", "tmpfs"),
        ("/srv/heartbeat", "/srv", "tmpfs"),
        ("/srvx", "/", "ext4"),
        ("/srv of us/a", "/srv of us", "xfs"),
        ("/srv/data/x", "/srv/data", "ext4"),
    ],
)
def test_the_file_system_of_a_path(path: str, point: str, kind: str) -> None:
    """The last of several on one point counts, for it hides the others."""
    found = mounts.mount_of(path, mounts.mounted(MOUNTINFO))
    assert (found.point, found.kind) == (point, kind)
    assert found.read_only is (path == "/srv/data/x")


def test_options_of_both_kinds() -> None:
    (found,) = [m for m in mounts.mounted(MOUNTINFO) if m.kind == "xfs"]
    assert {"usrquota", "prjquota", "rw"} <= found.options
    assert not found.remote
    assert [m.remote for m in mounts.mounted(MOUNTINFO) if m.kind == "nfs4"] == [True]


@pytest.mark.parametrize(
    ("path", "wanted", "complaint"),
    [
        ("/srv/heartbeat", None, None),
        ("/srv/heartbeat", "/srv", None),
        ("/srv/heartbeat", "/", None),
        ("/srv/heartbeat", "/srv/heartbeat", "/srv/heartbeat is meant to be a mount point, and nothing is mounted"),
        ("/srv/heartbeat", "/opt", "/srv/heartbeat does not lie on the mount point /opt"),
        ("/mnt/share/heartbeat", None, "/mnt/share is meant to be a mount point by /etc/fstab"),
        ("/mnt/share", None, "/mnt/share is meant to be a mount point by /etc/fstab"),
        ("/mnt/shared", None, None),
        ("/srv of us/heartbeat", None, None),
        ("/auto/heartbeat", None, "/auto is meant to be a mount point by /etc/fstab"),
        ("/opt/heartbeat", None, None),
    ],
)
def test_what_has_to_be_mounted(path: str, wanted: Optional[str], complaint: Optional[str]) -> None:
    known = mounts.mounted(MOUNTINFO)
    if complaint is None:
        mounts.require(path, wanted, known, FSTAB)
        return
    with pytest.raises(StoreUnavailable) as caught:
        mounts.require(path, wanted, known, FSTAB)
    assert caught.value.message.startswith(complaint)
    assert caught.value.details["path"]


def test_this_machine(tmp_path: Path) -> None:
    """Its own table is understood: every path is on a file system that the system itself puts it on."""
    known = mounts.mounted(mounts.read(mounts.MOUNTINFO))
    assert {"/", "/proc"} <= {mount.point for mount in known}
    for path in ("/", "/proc/self", "/dev/null", str(tmp_path)):
        point = mounts.mount_of(os.path.realpath(path), known).point
        assert os.stat(point).st_dev == os.stat(path).st_dev or path == "/dev/null"


def test_the_nearest_that_is_there(tmp_path: Path) -> None:
    assert mounts.nearest(str(tmp_path / "a" / "b")) == str(tmp_path)
    assert mounts.nearest(str(tmp_path)) == str(tmp_path)


def test_a_real_mount_that_goes(tmp_path: Path) -> None:
    body = """
import subprocess
from _engine import mounts
share = sys.argv[1]
def ask():
    return outcome(mounts.require, share + "/store", share, mounts.mounted(mounts.read(mounts.MOUNTINFO)), "")
seen = [mounts.mount_of(share + "/store", mounts.mounted(mounts.read(mounts.MOUNTINFO))).kind, ask()]
subprocess.run(["umount", share], check=True)
print(json.dumps(seen + [ask()]))
"""
    kind, before, after = python(body, str(tmp_path), wrapper=mounted('mount -t tmpfs none "$1"', str(tmp_path)))
    assert (kind, before) == ("tmpfs", {"result": None})
    assert after["error_code"] == "STORE_UNAVAILABLE"
