# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A tree that others write to while it is changed, and a staging directory that somebody has forged."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List

import pytest

from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.errors import (
    DiskSpaceLow,
    HeartbeatError,
    LockTimeout,
    SyncOnlineFailed,
)
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.sync import plan
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.sync.apply import apply, recover
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.sync.attributes import Attributes
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.sync.beneath import Signature
from ansible_collections.roosync.heartbeat.tests.unit.stdlib.changing import Counter, killed_at, watched
from ansible_collections.roosync.heartbeat.tests.unit.stdlib.faults import not_run, root_only
from ansible_collections.roosync.heartbeat.tests.unit.stdlib.realtrees import (
    Directory,
    Link,
    Tree,
    in_memory,
    look,
    make,
)

BEFORE: Dict[str, Any] = {
    "a/b/c/edited": "old",
    "a/b/c/removed": "gone",
    "a/b/chmod": ("same", 0o600),
    "a/b/going/inside": "gone",
}
AFTER: Dict[str, Any] = {
    "a/b/c/edited": "new",
    "a/b/c/added": "new",
    "a/b/chmod": ("same", 0o644),
    "a/b/new/inside": "new",
}
OUTSIDE = {**BEFORE, "b/c/edited": "precious", "b/chmod": "precious", "c/edited": "precious", "edited": "precious"}


@pytest.fixture
def tree() -> Iterator[Tree]:
    """A tree with a sentinel beside it that looks like parts of it; afterwards that is as it was."""
    with in_memory() as directory:
        made = Tree(directory)
        make(made.root, BEFORE)
        make(made.goal, AFTER)
        outside = str(directory / "outside")
        os.mkdir(outside)
        make(outside, OUTSIDE)
        was = look(outside, times=True)
        yield made
        assert look(outside, times=True) == was


@pytest.fixture
def on_disk(tmp_path: Path) -> Tree:
    made = Tree(tmp_path)
    make(made.root, BEFORE)
    make(made.goal, AFTER)
    return made


def outside(tree: Tree) -> str:
    return os.path.join(os.path.dirname(tree.root), "outside")


@pytest.mark.parametrize("part", ["a", "a/b", "a/b/c", "a/b/c/edited", "a/b/chmod", "a/b/going"])
def test_a_link_swapped_in_at_any_moment_leads_nowhere(tree: Tree, part: str) -> None:
    counter = Counter()
    after = tree.manifest(tree.goal)
    pristine = tree.root + ".pristine"
    shutil.copytree(tree.root, pristine)
    with watched(counter):
        tree.apply(after)
    for moment in range(1, len(counter.calls) + 1):
        shutil.rmtree(tree.root)
        shutil.copytree(pristine, tree.root)

        def swap(count: int, _name: str, _arguments: Any, moment: int = moment) -> None:
            full = os.path.join(tree.root, part)
            if count == moment and os.path.lexists(full):
                REAL["rename"](full, tree.root + "/aside")
                REAL["symlink"](os.path.join(outside(tree), part.rpartition("/")[2]), full)

        with watched(Counter(swap)):
            try:
                tree.apply(after)
            except HeartbeatError:
                pass  # what else becomes of it depends on the moment
        recover(tree.root, tree.spec(tree.root))
        assert not tree.staging()


REAL: Dict[str, Callable[..., Any]] = {"rename": os.rename, "symlink": os.symlink}


@pytest.mark.parametrize("path", ["a/b/c/edited", "a/b/c/removed", "a/b/chmod"])
@pytest.mark.parametrize(
    "change", ["edited in place", "replaced", "removed", "made a directory", "made a fifo", "chmod"]
)
def test_what_is_changed_meanwhile_is_left_alone(tree: Tree, path: str, change: str) -> None:
    full = os.path.join(tree.root, path)
    before, after = tree.scan(), tree.manifest(tree.goal)
    if change == "edited in place":  # with the same size, and the same time
        state = os.stat(full)
        Path(full).write_bytes(b"x" * state.st_size)
        os.utime(full, ns=(state.st_atime_ns, state.st_mtime_ns))
    elif change == "chmod":
        os.chmod(full, 0o611)
    else:
        os.unlink(full)
    if change == "replaced":
        Path(full).write_text("mine")
    elif change == "made a directory":
        make(tree.root, {path + "/mine": "mine"})
    elif change == "made a fifo":
        os.mkfifo(full)
    now = look_at(full)
    done = tree.apply(after, before)
    assert list(done.left) == [path]
    assert done.left[path] in ("changed meanwhile", "removed meanwhile")
    assert look_at(full) == now
    others = {key: row for key, row in look(tree.root).items() if not key.startswith(path.encode())}
    goal = {key: row for key, row in look(tree.goal).items() if not key.startswith(path.encode())}
    assert others == goal


def look_at(full: str) -> Any:
    if not os.path.lexists(full):
        return None
    state = os.lstat(full)
    content = Path(full).read_bytes() if os.path.isfile(full) else look(full)
    return (state.st_mode, state.st_ino, content)


@pytest.mark.parametrize("there", ["file", "link", "fifo", "directory"])
@pytest.mark.parametrize("path", ["a/b/c/added", "a/b/new", "a/b/new/inside"])
def test_what_appears_meanwhile_is_left_alone(tree: Tree, path: str, there: str) -> None:
    full = os.path.join(tree.root, path)
    before, after = tree.scan(), tree.manifest(tree.goal)
    made = {"file": "mine", "link": Link(outside(tree)), "directory": Directory(0o711)}
    make(tree.root, {path: made[there]} if there in made else {})
    if there == "fifo":
        os.makedirs(os.path.dirname(full), exist_ok=True)
        os.mkfifo(full)
    state = os.lstat(full)
    done = tree.apply(after, before)
    assert path in done.left or "a/b/new" in done.left
    assert (os.lstat(full).st_ino, os.lstat(full).st_mode) == (state.st_ino, state.st_mode)
    assert Path(tree.root, "a/b/c/edited").read_text() == "new"


def test_a_file_that_is_edited_at_the_last_moment_is_put_back(tree: Tree) -> None:
    full = os.path.join(tree.root, "a/b/c/edited")
    before = tree.scan()

    def edit(_count: int, name: str, arguments: Any) -> None:
        if name == "rename" and arguments[1] == b"edited":
            with open(full, "ab") as stream:
                stream.write(b" and mine")

    with watched(Counter(edit)):
        done = tree.apply(None, before)
    assert done.left == {"a/b/c/edited": "changed meanwhile"}
    assert Path(full).read_text() == "old and mine"


@pytest.mark.parametrize("change", ["edit", "chmod"])
def test_a_file_that_is_changed_while_its_new_content_is_fetched_is_left_alone(tree: Tree, change: str) -> None:
    full = os.path.join(tree.root, "a/b/c/edited")
    Path(tree.goal, "a/b/c/edited").write_text("new, and of no other file")
    before, after = tree.scan(), tree.manifest(tree.goal)

    def fetch(digest: str, fd: int) -> None:
        if digest == after.entries["a/b/c/edited"].content:
            if change == "edit":
                Path(full).write_text("mine")
            else:
                os.chmod(full, 0o611)
        tree.blobs.fetch(digest, fd)

    done = tree.apply(after, before, fetch)
    assert done.left == {"a/b/c/edited": "changed meanwhile"}
    assert Path(full).read_text() == ("mine" if change == "edit" else "old")
    assert os.stat(full).st_mode & 0o777 == (0o611 if change == "chmod" else 0o644)


def test_a_damaged_content_is_refused_and_nothing_is_changed(tree: Tree) -> None:
    was = look(tree.root, times=True)
    for data in (b"", b"nev", b"new and more"):
        with pytest.raises(SyncOnlineFailed, match=r"the content that came for .* is not .*; nothing was changed"):
            tree.apply(fetch=lambda _digest, fd, data=data: os.write(fd, data) and None)
        assert look(tree.root, times=True) == was


def test_an_error_of_fetching_is_passed_on(tree: Tree) -> None:
    was = look(tree.root, times=True)

    def fetch(_digest: str, _fd: int) -> None:
        raise DiskSpaceLow("the bundle is not whole", path="/somewhere")

    with pytest.raises(DiskSpaceLow, match=r"the bundle is not whole \(the tree is as it was\)"):
        tree.apply(fetch=fetch)
    assert look(tree.root, times=True) == was


# A forged plan.


def staged(tree: Tree, data: bytes, mode: int = 0o700) -> Path:
    staging = Path(tree.root, ".roosync-sync")
    for name in ("", "new", "old"):
        (staging / name).mkdir(mode=mode)
    (staging / "new/1").write_text("evil")
    (staging / "plan").write_bytes(data)
    return staging


def forged(**changes: Any) -> bytes:
    state = Signature(1, 1, 1, 1)
    fields: Dict[str, Any] = {"kind": "put", "path": "a/x", "number": 1, "before": None, "staged": state}
    fields.update(changes)
    return plan.dump([plan.Operation(**fields)])


PATHS = [
    "../outside/edited",
    "/etc/motd",
    "a/../../outside/edited",
    "a//x",
    "./x",
    "",
    ".",
    "..",
    "a/.roosync-sync/x",
    "x\0y",
]
BAD: List[bytes] = [
    *(forged(path=path) for path in PATHS),
    forged(path=["a"]),
    forged(number=-1),
    forged(number="../1"),
    forged(kind="exec"),
    forged(kind=["put"]),
    forged(before=(1, 2, 3)),
    forged(before=(1, 2, 3, "4")),
    forged(kind="finish"),
    forged(kind="change", old=Attributes(0o755, 0, 0), new=Attributes(0o4755, 0, 0)),
    forged(kind="change", old=Attributes(0o755, 0, 0), new=Attributes(0o10755, 0, 0)),
    forged(kind="change", old=Attributes(0o755, 0, 0), new=Attributes(0o755, -5, 0)),
    forged(mtime_ns=1.5),
    b"",
    b"{}\n",
    forged()[:-10],
    forged().replace(b"a/x", b"a/y"),
]


def test_a_forged_plan_is_not_believed(tree: Tree) -> None:
    for data in BAD:
        staging = staged(tree, data)
        was = look(tree.root, times=True)
        with pytest.raises(SyncOnlineFailed, match="is not believed"):
            recover(tree.root, tree.spec(tree.root))
        with pytest.raises(SyncOnlineFailed, match="is not believed"):
            tree.apply()
        assert look(tree.root, times=True) == was
        shutil.rmtree(str(staging))


def test_garbage_in_a_plan_is_refused(tree: Tree) -> None:
    for content in ([], {"format": 1}, {"format": 2, "operations": []}, {"format": 1, "operations": [[]]}, "x"):
        body = json.dumps(content).encode() + b"\n"
        staging = staged(tree, body + hashlib.sha256(body).hexdigest().encode() + b"\n")
        with pytest.raises(SyncOnlineFailed, match="is not believed"):
            recover(tree.root, tree.spec(tree.root))
        shutil.rmtree(str(staging))


def test_a_plan_through_a_link_stays_in_the_tree(tree: Tree) -> None:
    os.symlink(outside(tree), tree.root + "/way-out")
    staged(tree, forged(path="way-out/edited"))
    recovered = recover(tree.root, tree.spec(tree.root))
    assert recovered.left == {"way-out/edited": "what it belongs in is no directory"}


def as_link(staging: Path) -> None:
    staging.symlink_to(staging.parent / "a")


def as_file(staging: Path) -> None:
    staging.write_text("mine")


def with_more(staging: Path) -> None:
    (staging / "mine").mkdir(parents=True)
    staging.chmod(0o700)


def with_names(staging: Path) -> None:
    (staging / "old/mine").mkdir(parents=True)
    staging.chmod(0o700)


def open_to_others(staging: Path) -> None:
    staging.mkdir()
    staging.chmod(0o770)


def of_somebody_else(staging: Path) -> None:
    staging.mkdir(mode=0o700)
    root_only()
    os.chown(str(staging), 40_000, 40_000)


@pytest.mark.parametrize("forge", [as_link, as_file, with_more, with_names, open_to_others, of_somebody_else])
def test_what_is_no_staging_directory_is_not_touched(tree: Tree, forge: Callable[[Path], None]) -> None:
    forge(Path(tree.root, ".roosync-sync"))
    was = look(tree.root, times=True)
    with pytest.raises(SyncOnlineFailed, match=r"\.roosync-sync is in the way: .*Move it away, then sync again"):
        tree.apply()
    assert look(tree.root, times=True) == was


# A root whose owner is not to be trusted.


def give_away(path: str) -> None:
    root_only()
    os.chown(path, 40_000, 40_000)


def open_up(path: str) -> None:
    os.chmod(path, 0o777)


@pytest.mark.parametrize("forge", [give_away, open_up])
@pytest.mark.parametrize("name", [b".roosync-sync", b"new", b"old"])
def test_a_staging_directory_that_is_swapped_while_it_is_made_is_refused(
    tree: Tree, monkeypatch: pytest.MonkeyPatch, name: bytes, forge: Callable[[str], None]
) -> None:
    real = os.mkdir

    def make_and_swap(path: Any, mode: int = 0o777, *, dir_fd: Any = None) -> None:
        real(path, mode, dir_fd=dir_fd)
        if path == name:
            os.rename(path, b"99", src_dir_fd=dir_fd, dst_dir_fd=dir_fd)
            real(path, 0o700, dir_fd=dir_fd)
            forge("/proc/self/fd/%d/%s" % (dir_fd, name.decode()))

    was = look(tree.root)
    monkeypatch.setattr(os, "mkdir", make_and_swap)
    with pytest.raises(SyncOnlineFailed, match=r"is in the way: .*belongs to somebody else, or is open to others"):
        tree.apply()
    there = look(tree.root)
    assert {path: there[path] for path in was} == was


@pytest.mark.parametrize("path", ["a/b/c/added", "a/b/c/edited", "a/b/new"])
def test_what_is_swapped_before_it_is_put_in_place_is_left_out(tree: Tree, path: str) -> None:
    """Even with the size and the time of what was staged."""
    was = look(tree.root)

    def swap(_count: int, name: str, arguments: Any) -> None:
        if name != "rename" or arguments[:2] != (b"plan.tmp", b"plan"):
            return
        with open(os.path.join(tree.root, ".roosync-sync/plan.tmp"), "rb") as stream:
            rows = json.loads(stream.read().split(b"\n")[0])["operations"]
        (staged,) = [row[2] for row in rows if row[1] == path and row[0] in ("put", "make-directory")]
        place = os.path.join(tree.root, ".roosync-sync/new/%d" % staged)
        state = os.lstat(place)
        REAL["rename"](place, tree.root + "/stolen")
        if os.path.isdir(tree.root + "/stolen"):
            os.mkdir(place)
            return
        Path(place).write_bytes(b"x" * state.st_size)
        os.utime(place, ns=(state.st_atime_ns, state.st_mtime_ns))

    with watched(Counter(swap)):
        done = tree.apply()
    assert done.left[path] == "what was to be put there was changed meanwhile"
    now = look(tree.root)
    assert now.get(os.fsencode(path)) == was.get(os.fsencode(path))


# Surroundings.


def test_one_apply_at_a_time(tree: Tree) -> None:
    fetch, after, errors = tree.blobs.fetch, tree.manifest(tree.goal), []

    def again(digest: str, fd: int) -> None:
        if not errors:
            with pytest.raises(LockTimeout, match=r"another sync is changing .*; wait until it is done") as caught:
                tree.apply(after)
            errors.append(caught.value)
        fetch(digest, fd)

    assert tree.apply(after, fetch=again).left == {}
    assert errors


def test_there_must_be_room(tree: Tree) -> None:
    before, after = tree.scan(), tree.manifest(tree.goal)
    free = os.statvfs(tree.root)
    entry = after.entries["a/b/c/added"]
    after.entries["a/b/c/added"] = entry._replace(size=free.f_bavail * free.f_frsize * 2)
    with pytest.raises(DiskSpaceLow, match=r"needs \d+ more bytes, and \d+ are free; nothing was changed") as caught:
        tree.apply(after, before)
    assert caught.value.details["path"] == tree.root
    assert not tree.staging()
    spec = tree.spec(tree.root)
    sizes = {entry.content: 4096}
    apply(tree.root, spec, before.manifest, after, tree.blobs.fetch, before.signatures, sizes)
    assert look(tree.root) == look(tree.goal)


def test_an_immutable_file_fails_it_all(on_disk: Tree) -> None:
    tree = on_disk
    full = os.path.join(tree.root, "a/b/c/edited")
    root_only()
    if subprocess.run(["chattr", "+i", full], stderr=subprocess.DEVNULL, check=False).returncode:
        not_run("files made immutable: the file system has none", "--allowed")
    was = look(tree.root)
    try:
        with pytest.raises(SyncOnlineFailed, match=r"immutable file .*\(the tree is as it was\)") as caught:
            tree.apply()
        assert caught.value.details["path"] == full
        assert look(tree.root) == was
    finally:
        subprocess.run(["chattr", "-i", full], check=True)
    assert tree.apply().left == {}
    assert look(tree.root) == look(tree.goal)


def test_somebody_works_on_while_it_is_interrupted(tree: Tree) -> None:
    """Killed in the middle; then a file that is still to come is edited, and one that has come already."""
    after = tree.manifest(tree.goal)
    counter = Counter()
    with watched(counter):
        tree.apply(after)
    renames = [number for number, name in enumerate(counter.calls, 1) if name == "rename"]
    shutil.rmtree(tree.root)
    os.mkdir(tree.root)
    make(tree.root, BEFORE)
    assert killed_at(renames[-1], lambda: tree.apply(after))  # inside of a/b/new
    Path(tree.root, "a/b/c/edited").write_text("mine, afterwards")
    make(tree.root, {"a/b/new/inside": "mine"})
    recovered = recover(tree.root, tree.spec(tree.root))
    assert recovered.outcome == "finished"
    assert recovered.left == {"a/b/new/inside": "something appeared there meanwhile"}
    assert Path(tree.root, "a/b/c/edited").read_text() == "mine, afterwards"
    assert Path(tree.root, "a/b/new/inside").read_text() == "mine"
