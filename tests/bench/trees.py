# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Captures and a restore of a tree of small files, against rsync, unison and restic, and against looking at every file.

Each program runs as a process of its own on the same tree. Those that are not installed are left out, and that is said.
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from measure import Figure, Pace, compare, process, system_python

HERE = Path(__file__).resolve().parent
PEERS = ("rsync", "unison", "restic")
FLOOR = "os.walk with lstat"
LOOK = """
import os, sys
for above, _directories, names in os.walk(sys.argv[1]):
    for name in names:
        os.lstat(os.path.join(above, name))
"""
REST_UNCHANGED = (
    "starting Python and its modules; reading what is remembered; comparing each file's inode, times and size"
)
REST_FIRST = "hashing in two processes; fsync of the packs; the manifest"
REST_CHANGED = "as for unchanged, and a new manifest, a pack and its fsync"
REST_RESTORE = "verifying each content; fsync of each file, for a restore may be killed at any moment"


class Trees:
    """A tree, and what each program keeps of it."""

    def __init__(self, folder: Path, files: int) -> None:
        self.folder = folder
        self.files = files
        self.tree = folder / "tree"
        self.ours = folder / "ours"
        self.random = random.Random(1)
        self.env = dict(
            os.environ,
            RESTIC_CACHE_DIR=str(folder / "restic-cache"),
            RESTIC_PASSWORD="bench",
            UNISON=str(folder / "unison-state"),
        )
        self.ours.mkdir(parents=True)
        (folder / "unison-state").mkdir()
        for number in range(files):
            path = self._path(number)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(self.random.randbytes(self.random.randint(1 << 10, 16 << 10)))

    def _path(self, number: int) -> Path:
        return self.tree / ("%02d" % (number % 100)) / ("file-%06d" % number)

    def change(self) -> None:
        """Write other bytes into one file of a hundred."""
        for number in self.random.sample(range(self.files), max(1, self.files // 100)):
            path = self._path(number)
            path.write_bytes(self.random.randbytes(path.stat().st_size))

    def run(self, program: str, *arguments: str) -> float:
        """Run a program that says nothing; seconds."""
        path = shutil.which(program)
        if path is None:
            raise RuntimeError("%s is not installed" % program)
        return process([path, *arguments], self.env)

    def work(self, what: str, tree: Path) -> float:
        return process([system_python(), "-I", str(HERE / "treework.py"), what, str(tree), str(self.ours)])

    def capture(self, expected: int) -> float:
        """Seconds of a capture, which must read so many files."""
        took = self.work("capture", self.tree)
        found = int((self.ours / "read").read_text())
        if found != expected:
            raise RuntimeError("the capture read %d files, not %d" % (found, expected))
        return took

    def settle(self) -> None:
        """Capture until nothing is read again, as what was changed just before it was read is."""
        for _turn in range(20):
            self.work("capture", self.tree)
            if int((self.ours / "read").read_text()) == 0:
                return
            time.sleep(0.5)
        raise RuntimeError("captures read files again and again that nobody changes")

    def forget(self, *names: str) -> None:
        """Let there be nothing of some folders, and nothing of that still on its way to the disk."""
        for name in names:
            shutil.rmtree(self.folder / name, ignore_errors=True)
        os.sync()

    def first_capture(self) -> float:
        self.forget("ours")
        self.ours.mkdir()
        return self.capture(self.files)

    def changed_capture(self) -> float:
        self.change()
        return self.work("capture", self.tree)

    def restore(self) -> float:
        self.forget("restored")
        took = self.work("restore", self.folder / "restored")
        self.same("restored")
        return took

    def same(self, name: str) -> None:
        """That a copy of the tree is one."""
        for number in range(self.files):
            path = self._path(number)
            if (self.folder / name / path.relative_to(self.tree)).read_bytes() != path.read_bytes():
                raise RuntimeError("%s differs in %s" % (path, name))

    def look(self) -> float:
        return process([system_python(), "-I", "-c", LOOK, str(self.tree)])

    def rsync(self) -> float:
        return self.run("rsync", "-a", "--delete", "%s/" % self.tree, str(self.folder / "rsync"))

    def unison(self) -> float:
        arguments = ("-batch", "-auto", "-silent", "-ui", "text", "-logfile", str(self.folder / "unison.log"))
        return self.run("unison", str(self.tree), str(self.folder / "unison"), *arguments)

    def prepare_unison(self) -> None:
        """The first run, which says at length that there was none before it."""
        argv = ["unison", str(self.tree), str(self.folder / "unison"), "-batch", "-auto", "-silent", "-ui", "text"]
        subprocess.run(argv, env=self.env, check=True, capture_output=True)

    def changed_unison(self) -> float:
        self.change()
        return self.unison()

    def _restic(self, *arguments: str) -> float:
        return self.run("restic", "--quiet", "--repo", str(self.folder / "restic"), *arguments)

    def restic(self) -> float:
        return self._restic("backup", str(self.tree))

    def first_restic(self) -> float:
        self.forget("restic", "restic-cache")
        self._restic("init")
        os.sync()
        return self.restic()

    def restore_restic(self) -> float:
        self.forget("restic-restored")
        target = self.folder / "restic-restored"
        return self._restic("restore", "latest", "--target", str(target), "--verify")


def measure(folder: Path, files: int, pace: Callable[[], Pace]) -> Iterator[Figure]:
    trees = Trees(folder, files)
    there = [peer for peer in PEERS if shutil.which(peer)]
    if len(there) < len(PEERS):
        print("not installed, so not compared: %s" % ", ".join(set(PEERS) - set(there)), file=sys.stderr)

    def figure(
        what: str, subject: Callable[[], float], peer: str, run: Callable[[], float], aim: float | None, rest: str
    ) -> Iterator[Figure]:
        if peer == FLOOR or peer.split()[0] in there:
            name = "%s of %d files" % (what, files)
            found = compare({name: subject}, run, pace())
            yield Figure("sync", name, peer, aim=aim, rest=rest, **found[name])

    if "unison" in there:
        trees.prepare_unison()
    yield from figure("first capture", trees.first_capture, "restic backup", trees.first_restic, 0.6, REST_FIRST)
    trees.settle()

    def unchanged() -> float:
        return trees.capture(0)

    yield from figure("unchanged capture", unchanged, FLOOR, trees.look, None, REST_UNCHANGED)
    yield from figure("unchanged capture", unchanged, "rsync -a", trees.rsync, None, "as above")
    yield from figure("unchanged capture", unchanged, "unison", trees.unison, 1.1, "as above")
    yield from figure("unchanged capture", unchanged, "restic backup", trees.restic, 0.12, "as above")
    changed = trees.changed_capture
    yield from figure("capture of 1% changed", changed, "unison", trees.changed_unison, 1.2, REST_CHANGED)
    trees.work("capture", trees.tree)
    if "restic" in there:
        trees.restic()
    yield from figure("verified restore", trees.restore, "restic restore", trees.restore_restic, 1.0, REST_RESTORE)
