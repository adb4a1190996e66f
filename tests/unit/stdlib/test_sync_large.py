# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Large files and large trees: constant memory, holes that stay holes, and two processes that find what one finds."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.sync.files import shares
from ansible_collections.roosync.heartbeat.tests.unit.stdlib.faults import python

# In a process of its own, which has no threads, as a module or an agent has none.
IMPORTS = """
import signal
from _engine.sync import capture, manifest, scan, seen, sharing, spec, upkeep, vault
def look(folder, cache=None):
    with vault.Vault(folder + "/vault", create=True) as opened:
        return capture.capture(spec.TreeSpec("www", folder + "/tree"), opened, cache)
"""
# Two shares of each: some files are equal, some are large.
TREE = """
os.makedirs(sys.argv[1] + "/tree/dir")
for number in range(40):
    with open("%s/tree/%s%d" % (sys.argv[1], "dir/" * (number % 2), number), "wb") as stream:
        stream.write(bytes([number % 10]) * (1 << 20) + b"x" * (number % 7))
"""


def test_a_file_of_2_gib_goes_through_in_constant_memory_and_keeps_its_holes(tmp_path: Path) -> None:
    found = python(
        IMPORTS
        + """
import hashlib
folder, size = sys.argv[1], 2 << 30
os.mkdir(folder + "/tree")
with open(folder + "/tree/image", "wb") as stream:
    for at in (0, 1 << 30, size - 5000):
        stream.seek(at)
        stream.write(b"data" * 1000)
    stream.truncate(size)
first = look(folder)
entry = first.manifest.entries["image"]
with vault.Vault(folder + "/vault") as opened:
    with open(folder + "/copy", "wb") as copy:
        opened.copy_to(entry.content, copy.fileno())
pieces = []
with open(folder + "/copy", "rb") as copy:
    for at in (0, 1 << 30, size - 5000):
        copy.seek(at)
        pieces.append(copy.read(4000) == b"data" * 1000)
with open("/proc/self/status") as stream:
    status = stream.readlines()
print(json.dumps({
    "size": [entry.size, os.stat(folder + "/copy").st_size],
    "blocks": [os.stat(folder + "/tree/image").st_blocks, os.stat(folder + "/copy").st_blocks],
    "vault": sum(os.stat(folder + "/vault/packs/" + name).st_size for name in os.listdir(folder + "/vault/packs")),
    "pieces": pieces,
    # Of this program alone: what getrusage tells goes on from the process that started it.
    "kilobytes": int(next(line.split()[1] for line in status if line.startswith("VmHWM:"))),
}))
""",
        str(tmp_path),
    )
    assert found["size"] == [2 << 30, 2 << 30]
    assert max(found["blocks"]) < 1000  # where they lie is for the file system to say, and may take some more
    assert found["vault"] < 100_000
    assert found["pieces"] == [True, True, True]
    assert found["kilobytes"] < 64 << 10


def test_two_processes_find_what_one_finds(tmp_path: Path) -> None:
    found = python(
        IMPORTS
        + TREE
        + """
forks = []
fork = os.fork
os.fork = lambda: forks.append(1) or fork()
sharing.os.sched_getaffinity = lambda _pid: {0, 1}
two = look(sys.argv[1])
again = look(sys.argv[1])
sharing.MOST = 1
one = scan.scan(spec.TreeSpec("www", sys.argv[1] + "/tree"))
with vault.Vault(sys.argv[1] + "/vault") as opened:
    verified = upkeep.verify(opened)
print(json.dumps({
    "forks": len(forks),
    "same": two.manifest == one.manifest == again.manifest,
    "read": [two.scan.files_read, one.files_read],
    "added": [two.bytes_added, again.bytes_added],
    "distinct": sum({entry.content: entry.size for entry in one.manifest.entries.values()}.values()),
    "contents": [verified.contents, len({entry.content for entry in one.manifest.entries.values() if entry.content})],
    "damaged": len(verified.damaged),
}))
""",
        str(tmp_path),
    )
    assert found["forks"] == 2
    assert found["same"]
    assert found["read"] == [40, 40]
    assert found["added"] == [found["distinct"], 0]
    assert found["contents"][0] == found["contents"][1] + 1  # and the manifest
    assert found["damaged"] == 0


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO])
def test_an_error_in_the_other_process_is_the_same_error(tmp_path: Path, code: int) -> None:
    """Injected in that process only."""
    found = python(
        IMPORTS
        + TREE
        + """
sharing.os.sched_getaffinity = lambda _pid: {0, 1}
here, pwrite = os.getpid(), os.pwrite
def fail(*args):
    if os.getpid() != here:
        raise OSError(int(sys.argv[2]), "injected")
    return pwrite(*args)
os.pwrite = fail
found = outcome(look, sys.argv[1])
os.pwrite = pwrite
left = [name for name in os.listdir(sys.argv[1] + "/vault/packs") if name.startswith(".tmp-")]
print(json.dumps([found, left, look(sys.argv[1]).scan.files_read]))
""",
        str(tmp_path),
        str(int(code)),
    )
    assert found[0]["error_code"] == ("DISK_SPACE_LOW" if code == errno.ENOSPC else "STORE_UNAVAILABLE")
    assert found[0]["errno"] == errno.errorcode[code]
    assert found[1:] == [[], 40]


def test_that_the_other_process_is_killed_is_an_error(tmp_path: Path) -> None:
    found = python(
        IMPORTS
        + TREE
        + """
sharing.os.sched_getaffinity = lambda _pid: {0, 1}
here, fsync = os.getpid(), os.fsync
def die(fd):
    if os.getpid() != here:
        os.kill(os.getpid(), signal.SIGKILL)
    return fsync(fd)
os.fsync = die
found = outcome(look, sys.argv[1])
os.fsync = fsync
again = look(sys.argv[1])
with vault.Vault(sys.argv[1] + "/vault") as opened:
    damaged = upkeep.verify(opened).damaged
    missing = opened.missing(capture.contents(again.manifest))
print(json.dumps([found, again.scan.files_read, damaged, list(missing)]))
""",
        str(tmp_path),
    )
    assert found[0]["error_code"] == "SYNC_ONLINE_FAILED"
    assert "was ended; run it again" in found[0]["msg"]
    assert found[1:] == [40, {}, []]


def test_a_tree_that_may_not_fit_is_only_read_first(tmp_path: Path) -> None:
    """What is in the vault already takes no room: only what is new has to fit. How much room there is is made up here,
    because others write to this disk as well."""
    found = python(
        IMPORTS
        + TREE
        + """
from _engine.sync import packing
first = look(sys.argv[1])
with open(sys.argv[1] + "/tree/new", "wb") as stream:
    stream.write(b"new" * 1000)
class Room:
    f_frsize = 1
    f_bavail = packing.SPARE + (20 << 20)
os.fstatvfs = lambda _fd: Room
second = look(sys.argv[1])
with open(sys.argv[1] + "/tree/large", "wb") as stream:
    stream.write(os.urandom(25 << 20))
third = outcome(look, sys.argv[1])
print(json.dumps([second.bytes_added, third]))
""",
        str(tmp_path),
    )
    assert found[0] == 3000
    assert found[1]["error_code"] == "DISK_SPACE_LOW"


@pytest.mark.parametrize("count", [1, 2, 3])
def test_equal_sizes_come_into_one_share(count: int) -> None:
    jobs: Any = [("%03d" % number, (number * 7919) % 97 * 1000) for number in range(500)]
    divided = shares(jobs, count)
    assert len(divided) == count
    assert sorted(job for share in divided for job in share) == jobs
    sizes = [{size for _path, size in share} for share in divided]
    assert sum(map(len, sizes)) == len(set.union(*sizes))
    work = [sum(size for _path, size in share) for share in divided]
    assert max(work) < 1.2 * min(work)
    assert shares([], count) == []
