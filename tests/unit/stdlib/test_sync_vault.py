# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The vault: what is put into it stays, what is taken out is verified, and what nobody needs goes."""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path
from typing import Any, Dict, Iterable, Iterator, List, Set

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.errors import (
    InvalidSettings,
    StoreCorrupt,
    StoreUnavailable,
)
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.sync import manifest, packset, upkeep
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.sync.capture import (
    Capture,
    bundle,
    capture,
    contents,
)
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.sync.spec import TreeSpec
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.sync.vault import Vault
from ansible_collections.roosync.heartbeat.tests.unit.stdlib.faults import python
from ansible_collections.roosync.heartbeat.tests.unit.stdlib.support import open_descriptors

DAY = 24 * 3600 * 10**9
LIMIT = 1 << 20


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.fixture
def vault(tmp_path: Path) -> Iterator[Vault]:
    before = open_descriptors()
    with Vault(str(tmp_path / "vault"), create=True) as made:
        yield made
    assert open_descriptors() == before


def add(vault: Vault, *data: bytes) -> List[str]:
    with vault.writer() as writer:
        digests = [writer.add_bytes(content) for content in data]
        writer.commit()
    return digests


def packs(vault: Vault) -> Set[str]:
    return set(vault.packs.names())


def files(vault: Vault) -> Set[str]:
    return set(os.listdir(vault.dir_fd))


def age(vault: Vault, names: Iterable[str], days: float = 2) -> None:
    for name in names:
        then = os.stat(name, dir_fd=vault.dir_fd).st_mtime_ns - int(days * DAY)
        os.utime(name, ns=(then, then), dir_fd=vault.dir_fd)


def now(vault: Vault) -> int:
    return max(os.stat(name, dir_fd=vault.dir_fd).st_mtime_ns for name in [".", *files(vault)]) + 1


def test_what_is_put_in_is_there(vault: Vault, tmp_path: Path) -> None:
    one, two = add(vault, b"one", b"two" * 1000)
    assert vault.has(one)
    assert not vault.has(sha256(b"three"))
    assert vault.missing([one, sha256(b"three"), two]) == {sha256(b"three")}
    assert vault.read(two, LIMIT) == b"two" * 1000
    assert vault.size(two) == 3000
    assert vault.size(sha256(b"three")) is None
    with (tmp_path / "copy").open("w+b") as copy:
        copy.write(b"something longer than what comes")
        copy.flush()
        vault.copy_to(one, copy.fileno())
    assert (tmp_path / "copy").read_bytes() == b"one"
    with pytest.raises(StoreCorrupt, match="not in the vault"):
        vault.read(sha256(b"three"), LIMIT)
    with pytest.raises(StoreCorrupt, match="more than 100 bytes"):
        vault.read(two, 100)


def test_only_a_fleet_that_is_there_gets_a_vault(tmp_path: Path) -> None:
    """Else one would be made on the bare mount point of a share that is not mounted."""
    with pytest.raises(StoreUnavailable):
        Vault(str(tmp_path / "fleet/vault"), create=True)
    with pytest.raises(StoreUnavailable):
        Vault(str(tmp_path / "vault"))
    assert list(tmp_path.iterdir()) == []


def test_the_vault_is_the_groups_and_nobody_elses(tmp_path: Path) -> None:
    umask = os.umask(0o077)
    try:
        with Vault(str(tmp_path / "vault"), create=True) as vault:
            add(vault, b"one")
    finally:
        os.umask(umask)
    for path in (tmp_path / "vault", tmp_path / "vault/packs"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o2770
    for path in (tmp_path / "vault/packs").iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_a_content_is_kept_once(vault: Vault) -> None:
    add(vault, b"one")
    before = files(vault)
    add(vault, b"one")
    assert files(vault) == before


def test_what_others_add_is_found(vault: Vault) -> None:
    assert not vault.has(sha256(b"one"))
    with Vault(os.path.dirname(vault.path)) as other:
        add(other, b"one")
    assert vault.read(sha256(b"one"), LIMIT) == b"one"
    assert vault.missing([sha256(b"one")]) == set()


@pytest.mark.parametrize("many", [1, packset.FEW + 1])
def test_a_vault_of_many_packs(vault: Vault, monkeypatch: pytest.MonkeyPatch, many: int) -> None:
    """More of them than are kept open at a time, and enough questions for a table."""
    monkeypatch.setattr(packset, "MAX_OPEN", 3)
    expected = {add(vault, b"%d" % number)[0]: b"%d" % number for number in range(10)}
    with Vault(os.path.dirname(vault.path)) as other:
        for _turn in range(many):
            assert {digest: other.read(digest, LIMIT) for digest in expected} == expected
        here = [target for target in open_descriptors() if target.startswith(vault.path) and target.endswith(".pack")]
        assert 0 < len(here) <= 3
        later = add(vault, b"later")[0]
        assert other.missing([*expected, later, sha256(b"x")]) == {sha256(b"x")}
        assert other.read(later, LIMIT) == b"later"
        assert not other.has(sha256(b"x"))


def test_a_damaged_content_is_taken_from_another_pack(vault: Vault) -> None:
    digest = add(vault, b"content")[0]
    first = packs(vault)
    with vault.writer() as writer:
        writer.known = lambda _digest: False
        writer.add_bytes(b"content")
        writer.add_bytes(b"other")
        writer.commit()
    for name in first:
        damage(vault, name, b"content")
    with Vault(os.path.dirname(vault.path)) as other:
        assert other.read(digest, LIMIT) == b"content"
        found = upkeep.verify(other)
    assert set(found.damaged) == first
    assert found.lost == frozenset()


def damage(vault: Vault, name: str, content: bytes) -> None:
    path = os.path.join(vault.path, name)
    with open(path, "r+b") as stream:
        at = stream.read().index(content)
        stream.seek(at)
        stream.write(bytes([content[0] ^ 1]))


def test_a_damaged_content_is_found_and_never_given_away(vault: Vault, tmp_path: Path) -> None:
    digest, sound = add(vault, b"content", b"sound")
    damage(vault, *packs(vault), b"content")
    with pytest.raises(StoreCorrupt, match="damaged"):
        vault.read(digest, LIMIT)
    with (tmp_path / "copy").open("w+b") as copy, pytest.raises(StoreCorrupt, match="damaged"):
        vault.copy_to(digest, copy.fileno())
    assert vault.read(sound, LIMIT) == b"sound"
    found = upkeep.verify(vault)
    assert set(found.damaged) == packs(vault)
    assert found.lost == {digest}
    assert (found.packs, found.contents) == (1, 2)


def test_a_torn_pack_counts_for_nothing_and_is_named(vault: Vault) -> None:
    digest = add(vault, b"content")[0]
    name = packs(vault).pop()
    os.truncate(os.path.join(vault.path, name), 70)
    with Vault(os.path.dirname(vault.path)) as other:
        assert not other.has(digest)
        assert set(other.packs.damaged) == {name}
        assert set(upkeep.verify(other).damaged) == {name}
        assert add(other, b"content") == [digest]
        assert other.read(digest, LIMIT) == b"content"
        assert upkeep.verify(other).damaged == {}


def test_a_pack_under_the_name_of_another_is_refused(vault: Vault) -> None:
    add(vault, b"content")
    name = packs(vault).pop()
    false = "0" * 64 + ".pack"
    os.rename(name, false, src_dir_fd=vault.dir_fd, dst_dir_fd=vault.dir_fd)
    with Vault(os.path.dirname(vault.path)) as other:
        assert not other.has(sha256(b"content"))
        assert set(upkeep.verify(other).damaged) == {false}


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo, lambda path: os.symlink("/etc/passwd", path)])
def test_what_is_no_pack_disturbs_nothing(vault: Vault, make: Any) -> None:
    for name in ("0" * 64 + ".pack", "notes.txt", ".hidden"):
        make(os.path.join(vault.path, name))
    digest = add(vault, b"content")[0]
    assert vault.read(digest, LIMIT) == b"content"
    assert set(upkeep.verify(vault).damaged) == {"0" * 64 + ".pack"}


# Bundles


@given(st.dictionaries(st.binary(max_size=50), st.booleans(), min_size=1, max_size=8))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=30)
def test_a_bundle_carries_just_what_is_asked_for(
    tmp_path_factory: pytest.TempPathFactory, chosen: Dict[bytes, bool]
) -> None:
    folder = tmp_path_factory.mktemp("bundles")
    (folder / "there").mkdir()
    with Vault(str(folder / "vault"), create=True) as here, Vault(str(folder / "there/v"), create=True) as there:
        add(here, *chosen)
        wanted = {sha256(data): data for data, asked in chosen.items() if asked}
        here.export(wanted, str(folder / "bundle"))
        assert (folder / "bundle").stat().st_mode & 0o777 == 0o600
        sizes = {digest: len(data) for digest, data in wanted.items()}
        assert there.adopt(str(folder / "bundle"), sizes) == set(wanted)
        assert {digest: there.read(digest, LIMIT) for digest in wanted} == wanted
        assert there.missing(map(sha256, chosen)) == {sha256(data) for data, asked in chosen.items() if not asked}
        assert upkeep.verify(there).damaged == {}


def test_nothing_is_taken_over_from_a_bundle_that_is_wrong(vault: Vault, tmp_path: Path) -> None:
    one, two = add(vault, b"content", b"sound")
    path = str(tmp_path / "bundle")
    vault.export([one, two], path)
    (tmp_path / "there").mkdir()
    with Vault(str(tmp_path / "there/vault"), create=True) as there:
        for expected in ({one: 7}, {one: 7, two: 6}, {one: 7, sha256(b"x"): 5}, {}):
            with pytest.raises(StoreCorrupt, match="nobody asked for"):
                there.adopt(path, expected)
        data = Path(path).read_bytes()
        for wrong in (data.replace(b"content", b"Content"), data[:-1], data + b"x", b"", b"\0" * len(data)):
            (tmp_path / "wrong").write_bytes(wrong)
            with pytest.raises(StoreCorrupt):
                there.adopt(str(tmp_path / "wrong"))
        (tmp_path / "link").symlink_to(path)
        os.mkfifo(str(tmp_path / "fifo"))
        for name in ("link", "nowhere"):
            with pytest.raises(StoreUnavailable):
                there.adopt(str(tmp_path / name))
        with pytest.raises(StoreCorrupt, match="no regular file"):
            there.adopt(str(tmp_path / "fifo"))
        assert files(there) == set()
        assert there.adopt(path) == {one, two}


def test_no_bundle_is_made_of_what_is_not_there(vault: Vault, tmp_path: Path) -> None:
    one = add(vault, b"content")[0]
    with pytest.raises(StoreCorrupt, match="not in the vault"):
        vault.export([one, sha256(b"x")], str(tmp_path / "bundle"))
    damage(vault, *packs(vault), b"content")
    with pytest.raises(StoreCorrupt, match="damaged"):
        vault.export([one], str(tmp_path / "bundle"))
    assert [path.name for path in tmp_path.iterdir()] == ["vault"]
    assert vault.export([], str(tmp_path / "empty")) > 0
    assert vault.adopt(str(tmp_path / "empty")) == set()


# Captures


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "tree"
    (root / "dir").mkdir(parents=True)
    for path in ("a", "b", "dir/a", "dir/c"):
        (root / path).write_bytes(path[-1].encode() * 10)
    (root / "hole").write_bytes(b"")
    os.truncate(str(root / "hole"), 5 << 20)
    return root


def check_complete(vault: Vault, found: Capture) -> None:
    """All that a capture names can be had."""
    assert vault.manifest(found.digest) == found.manifest
    for digest, size in contents(found.manifest).items():
        assert len(vault.read(digest, 1 << 30)) == size


def test_a_capture_puts_all_that_is_new_into_the_vault(vault: Vault, tree: Path, tmp_path: Path) -> None:
    spec, cache = TreeSpec("www", str(tree)), str(tmp_path / "cache")
    first = capture(spec, vault, cache)
    check_complete(vault, first)
    assert first.bytes_added == 30 + (5 << 20)
    before = files(vault)
    second = capture(spec, vault, cache, last=first.digest)
    assert (second.digest, second.bytes_added) == (first.digest, 0)
    (tree / "dir/new").write_bytes(b"new")
    third = capture(spec, vault, cache, last=first.digest)
    check_complete(vault, third)
    assert third.bytes_added == 3
    assert before < files(vault)


def test_a_capture_fills_up_a_vault_that_has_lost_something(
    vault: Vault, tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the machine remembers it need not read; what the vault does not have it must."""
    from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.sync import seen

    monkeypatch.setattr(seen, "LOCAL_SLACK", -(10**12))
    spec, cache = TreeSpec("www", str(tree)), str(tmp_path / "cache")
    capture(spec, vault, cache)
    for name in packs(vault):
        os.unlink(name, dir_fd=vault.dir_fd)
    with Vault(os.path.dirname(vault.path)) as other:
        again = capture(spec, other, cache)
        assert again.scan.files_read == 0
        assert again.bytes_added == 30 + (5 << 20)
        check_complete(other, again)


def inside(tree: Path, **options: Any) -> TreeSpec:
    return TreeSpec("www", str(tree), **options)


@pytest.mark.parametrize(
    ("folder", "advice"), [("dir/store", r"exclude: \['/dir/store/'\]"), ("", "declare another path")]
)
def test_a_vault_inside_of_the_tree_is_refused(tree: Path, folder: str, advice: str) -> None:
    """Each snapshot would hold all that were before it."""
    store = tree / folder
    store.mkdir(exist_ok=True)
    with Vault(str(store / "vault"), create=True) as made:
        with pytest.raises(InvalidSettings, match="the tree www holds the store itself, .*" + advice):
            capture(inside(tree), made)
        (tree.parent / "link").symlink_to(store)
        with Vault(str(tree.parent / "link" / "vault")) as again, pytest.raises(InvalidSettings):
            capture(inside(tree), again)


@pytest.mark.parametrize(
    "options",
    [{"exclude": ("/dir/store/",)}, {"exclude": ("store",)}, {"exclude": ("*.pack",)}, {"include": ("*.md",)}],
)
def test_a_vault_inside_of_the_tree_may_be_excluded(tree: Path, options: Dict[str, Any]) -> None:
    (tree / "dir" / "store").mkdir()
    with Vault(str(tree / "dir" / "store" / "vault"), create=True) as made:
        assert capture(inside(tree, **options), made).digest


def test_a_vanished_tree_is_no_empty_one(vault: Vault, tmp_path: Path) -> None:
    found = capture(TreeSpec("www", str(tmp_path / "gone")), vault)
    assert found.scan.vanished
    assert found.digest == ""
    assert files(vault) == set()


def test_a_tree_is_carried_to_a_vault_elsewhere(vault: Vault, tree: Path, tmp_path: Path) -> None:
    spec = TreeSpec("www", str(tree))
    from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.sync.scan import scan

    found = scan(spec).manifest
    missing = vault.rely_on(contents(found))
    assert bundle(spec, found, missing, str(tmp_path / "bundle")) == []
    assert vault.adopt(str(tmp_path / "bundle"), contents(found)) == missing
    assert vault.missing(contents(found)) == set()
    assert (tmp_path / "bundle").stat().st_size < 1 << 20


def test_what_changes_after_the_scan_is_said_and_not_carried(vault: Vault, tree: Path, tmp_path: Path) -> None:
    from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.sync.scan import scan

    spec = TreeSpec("www", str(tree))
    found = scan(spec).manifest
    (tree / "b").write_bytes(b"changed")
    (tree / "a").unlink()  # dir/a has the same content
    (tree / "dir/c").unlink()
    wanted = contents(found)
    assert sorted(bundle(spec, found, wanted, str(tmp_path / "bundle"))) == ["b", "dir/c"]
    adopted = vault.adopt(str(tmp_path / "bundle"), wanted)
    assert adopted == {sha256(b"a" * 10), sha256(bytes(5 << 20))}
    assert sha256(b"changed") not in adopted


# Upkeep


def test_what_no_manifest_names_goes_and_the_rest_stays(vault: Vault, tree: Path) -> None:
    spec = TreeSpec("www", str(tree))
    first = capture(spec, vault)
    (tree / "a").write_bytes(b"another")
    (tree / "dir/a").unlink()
    second = capture(spec, vault)
    lost = add(vault, b"x" * 1000)[0]
    age(vault, packs(vault))
    keep = upkeep.reach(vault, [second.digest], 1000)
    planned = upkeep.collect(vault, keep, now(vault), dry_run=True)
    before = files(vault)
    assert files(vault) == before
    done = upkeep.collect(vault, keep, now(vault))
    assert done == planned
    with Vault(os.path.dirname(vault.path)) as other:
        check_complete(other, second)
        assert not other.has(lost)
        assert not other.has(first.digest) or len(packs(vault)) > 1
        assert upkeep.verify(other).damaged == {}


def test_a_pack_of_mostly_garbage_is_written_anew(vault: Vault) -> None:
    small, large = add(vault, b"small", b"large" * 1000)
    age(vault, packs(vault))
    old = packs(vault)
    done = upkeep.collect(vault, {small}, now(vault))
    assert (done.packs, done.contents) == (1, 1)
    assert done.bytes > 5000
    assert not packs(vault) & old
    assert vault.read(small, LIMIT) == b"small"
    assert not vault.has(large)
    age(vault, packs(vault))
    assert upkeep.collect(vault, {small}, now(vault)) == upkeep.Collected(0, 0, 0)


def test_many_small_packs_are_put_together(vault: Vault) -> None:
    digests = {add(vault, b"%d" % number)[0] for number in range(upkeep.MANY_SMALL)}
    age(vault, packs(vault))
    assert upkeep.collect(vault, digests, now(vault)).packs == upkeep.MANY_SMALL
    assert len(packs(vault)) == 1
    assert vault.missing(digests) == set()
    age(vault, packs(vault))
    assert upkeep.collect(vault, digests, now(vault)).packs == 0


def test_what_is_new_stays_although_nothing_names_it_yet(vault: Vault) -> None:
    """A sync that is under way has put it there."""
    digest = add(vault, b"content")[0]
    assert upkeep.collect(vault, set(), now(vault)).packs == 0
    assert vault.has(digest)


def test_what_a_running_sync_relies_on_stays(vault: Vault) -> None:
    """It is old and nothing names it any more, but somebody has just found that it need not be stored again."""
    digest = add(vault, b"content")[0]
    age(vault, packs(vault))
    with Vault(os.path.dirname(vault.path)) as running:
        assert running.writer().has(bytes.fromhex(digest))
    assert upkeep.collect(vault, set(), now(vault)).packs == 0
    age(vault, packs(vault))
    with Vault(os.path.dirname(vault.path)) as running:
        assert running.missing([digest]) == set()
    assert upkeep.collect(vault, set(), now(vault), dry_run=True).packs == 1
    with Vault(os.path.dirname(vault.path)) as running:
        assert running.rely_on([digest, sha256(b"x")]) == {sha256(b"x")}
    assert upkeep.collect(vault, set(), now(vault)).packs == 0
    assert vault.read(digest, LIMIT) == b"content"


def test_who_relies_on_a_pack_at_the_last_moment_keeps_it(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    digest = add(vault, b"content")[0]
    age(vault, packs(vault))
    real, turn = os.rename, []

    def rename(*args: Any, **kwargs: Any) -> None:
        if not turn:
            turn.append(True)
            with Vault(os.path.dirname(vault.path)) as running:
                assert running.writer().has(bytes.fromhex(digest))
        real(*args, **kwargs)

    monkeypatch.setattr(os, "rename", rename)
    assert upkeep.collect(vault, set(), now(vault)).packs == 0
    assert vault.read(digest, LIMIT) == b"content"
    assert files(vault) == packs(vault)


def test_who_comes_too_late_stores_it_again(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    digest = add(vault, b"content")[0]
    age(vault, packs(vault))
    real = os.unlink

    def unlink(*args: Any, **kwargs: Any) -> None:
        monkeypatch.setattr(os, "unlink", real)
        with Vault(os.path.dirname(vault.path)) as running:
            assert add(running, b"content") == [digest]
        real(*args, **kwargs)

    monkeypatch.setattr(os, "unlink", unlink)
    assert upkeep.collect(vault, set(), now(vault)).packs == 1
    assert vault.read(digest, LIMIT) == b"content"


def test_a_reader_outlives_the_packs_it_knew(vault: Vault) -> None:
    digest, other = add(vault, b"content", b"x" * 1000)
    with Vault(os.path.dirname(vault.path)) as reading:
        assert reading.has(digest)
        age(vault, packs(vault))
        assert upkeep.collect(vault, {digest}, now(vault)).packs == 1
        assert reading.read(digest, LIMIT) == b"content"
        assert reading.missing([digest, other]) == {other}


def test_what_killed_processes_left_is_cleaned_up(vault: Vault) -> None:
    digest = add(vault, b"content")[0]
    name = packs(vault).pop()
    os.rename(name, upkeep.TRASH + name, src_dir_fd=vault.dir_fd, dst_dir_fd=vault.dir_fd)
    for temporary in (".tmp-1-old", ".tmp-1-new"):
        (Path(vault.path) / temporary).write_bytes(b"half a pack")
    age(vault, [".tmp-1-old"])
    upkeep.collect(vault, {digest}, now(vault))
    assert files(vault) == {name, ".tmp-1-new"}
    assert vault.has(digest)


def test_a_damaged_pack_is_never_taken_away(vault: Vault) -> None:
    keep, drop = add(vault, b"content", b"garbage" * 100)
    damage(vault, *packs(vault), b"content")
    torn = "0" * 64 + ".pack"
    (Path(vault.path) / torn).write_bytes(b"torn")
    age(vault, packs(vault))
    before = files(vault)
    assert upkeep.collect(vault, {keep}, now(vault)).packs == 0
    assert files(vault) == before
    assert vault.read(drop, LIMIT) == b"garbage" * 100


def test_nothing_is_taken_away_while_a_manifest_cannot_be_read(vault: Vault, tree: Path) -> None:
    first = capture(TreeSpec("www", str(tree)), vault)
    with pytest.raises(StoreCorrupt):
        upkeep.reach(vault, [first.digest, sha256(b"lost")], 1000)
    no_manifest = add(vault, b"no manifest")[0]
    with pytest.raises(StoreCorrupt):
        upkeep.reach(vault, [first.digest, no_manifest], 1000)
    assert first.digest in upkeep.reach(vault, [first.digest], 1000)
    assert manifest.digest(manifest.dump(first.manifest)) == first.digest


LIST_TOGETHER = """
folder = sys.argv[1]
with vault.Vault(folder, create=True) as opened:
    for number in range(200):
        open("%s/packs/%064x.pack" % (folder, number), "xb").close()
    child = os.fork()
    counts = {len(opened.packs.names()) for _turn in range(300)}
    if child == 0:
        os._exit(counts != {200})
    print(json.dumps([sorted(counts), os.waitpid(child, 0)[1]]))
"""


def test_two_processes_that_share_a_vault_see_all_of_it(tmp_path: Path) -> None:
    """A capture goes on in a process and its child. What one lists must not be missing from what the other does."""
    found = python("import os\nfrom _engine.sync import vault\n" + LIST_TOGETHER, str(tmp_path))
    assert found == [[200], 0]
