# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Upkeep of a vault: what retention keeps, that nothing needed ever goes, and that damage is seen."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Callable, Dict, List

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.clock import NS
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.errors import InvalidSettings, StoreCorrupt
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.fleet import Request, manage
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.settings import Settings
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.sync import keeping, seen, upkeep
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.sync import session as sync
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.sync.localsite import LocalSite
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.sync.refs import Baseline, Refs
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.sync.run import run
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.sync.session import Captured
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.sync.vault import Vault
from ansible_collections.roosync.heartbeat.tests.unit.checker.trees import Trees


@pytest.fixture
def trees(tmp_path: Path) -> Trees:
    return Trees(tmp_path, "web", "db", "mail", keep_snapshots=2)


def packs(trees: Trees) -> List[Path]:
    return sorted((trees.fleet.path / "vault" / "packs").glob("*.pack"))


def keep_up(trees: Trees, grace: float = 0.0, dry_run: bool = False) -> Dict[str, Any]:
    """Prune, then take away, with the contents an hour older than they are."""
    for pack in packs(trees):
        aged = pack.stat().st_mtime_ns - 3600 * NS
        os.utime(pack, ns=(aged, aged))
    with trees.fleet.open() as store:
        return keeping.keep_up(store, True, True, grace, dry_run)


@given(
    st.lists(st.integers(0, 1000), max_size=20).map(sorted),
    st.integers(1, 10),
    st.none() | st.integers(0, 1000),
    st.integers(0, 1500),
)
def test_retention(times: List[int], count: int, seconds: Any, now: int) -> None:
    settings = Settings(keep_snapshots=count, keep_snapshots_for=seconds)
    gone = keeping.expired([at * NS for at in times], lambda at: at, settings, now * NS)
    kept = times[len(gone) :]
    assert [at * NS for at in times[: len(gone)]] == gone, "the oldest go"
    assert len(kept) >= min(count, len(times))
    if seconds is None:
        assert len(kept) == min(count, len(times))
    else:
        assert all(at < now - seconds for at in times[: len(gone)])


def test_nothing_that_is_needed_goes(trees: Trees) -> None:
    for turn in range(6):
        trees.put("web", index="version %d" % turn, **{"file%d" % turn: "x" * turn})
        trees.sync("web", "online")
    trees.sync("db", "online")
    trees.put("db", index="of db")
    trees.put("web", index="of web")
    trees.sync("db", "online")
    trees.sync("web", "online")
    planned = keep_up(trees, dry_run=True)
    done = keep_up(trees)
    assert planned["pruned"] == dict(done["pruned"])
    assert done["pruned"]["snapshots"] >= 4
    assert done["verified"]["missing"] == done["verified"]["lost"] == []
    assert done["collected"]["packs"] > 0
    rolled = trees.sync("db", "rollback")
    assert rolled["changed"]
    assert not keep_up(trees)["pruned"]["snapshots"] > 1


def test_a_dry_run_says_what_is_then_done(trees: Trees, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeping, "YOUNG", 0)
    for turn in range(5):
        trees.put("web", index="version %d" % turn)
        trees.sync("web", "online")
    planned, done = keep_up(trees, dry_run=True), keep_up(trees)
    assert done["collected"]["packs"] > 0
    assert (planned["pruned"], planned["collected"]) == (done["pruned"], done["collected"])


def test_what_was_relied_on_just_now_stays(trees: Trees) -> None:
    trees.put("web", index="only for a moment")
    trees.sync("web", "capture")
    for turn in range(3):
        trees.put("web", index="version %d" % turn)
        trees.sync("web", "capture")
    assert keep_up(trees, grace=7200.0)["collected"]["packs"] == 0
    assert keep_up(trees)["collected"]["packs"] > 0


@pytest.mark.parametrize("grace", [-1.0, float("nan"), float("inf"), 1e30])
def test_a_grace_that_makes_no_sense_is_refused(trees: Trees, grace: float) -> None:
    for content in ("first", "second", "third"):
        trees.put("web", index=content)
        trees.sync("web", "capture")
    with trees.fleet.open() as store, Refs(keeping.location(store)) as refs:
        with pytest.raises(InvalidSettings, match="grace must be a number of seconds from 0"):
            keeping.keep_up(store, False, True, grace, False)
        assert len(refs.snapshots("web", "site")) == 3, "nothing was done"


def test_a_vault_that_was_never_used(trees: Trees) -> None:
    done = keep_up(trees)
    assert not done["changed"]
    assert done["verified"]["packs"] == 0
    assert "failure" not in done


def test_damage_is_seen_and_named(trees: Trees) -> None:
    trees.put("web", index="x" * 5000)
    trees.sync("web", "capture")
    pack = max(packs(trees), key=lambda path: path.stat().st_size)
    data = bytearray(pack.read_bytes())
    data[200] ^= 1
    pack.chmod(0o640)
    pack.write_bytes(data)
    with trees.fleet.open() as store:
        done = keeping.keep_up(store, True, False, None, False)
    assert done["error_code"] == "STORE_CORRUPT"
    assert len(done["verified"]["lost"]) == 1
    assert "1 damaged packs, and 1 contents" in done["failure"]


class Interrupted(LocalSite):
    """A machine on which something else happens right after its trees were looked at."""

    def __init__(self, trees: Trees, machine: str, meanwhile: Callable[[], None]) -> None:
        super().__init__(str(trees.folder / machine), str(trees.folder / machine / "state"))
        self.meanwhile = meanwhile

    def capture(self, *args: Any) -> Dict[str, Captured]:
        found = super().capture(*args)
        self.meanwhile()
        return found


def forget_what_the_machine_had(trees: Trees) -> None:
    """A file is removed and the tree captured anew; then upkeep finds that nothing names the file any more."""
    trees.put("web", precious=None)
    trees.sync("web", "capture")
    with trees.fleet.open() as store:
        keeping.keep_up(store, False, True, 1800.0, False)


@pytest.fixture
def captured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Trees:
    """A machine that was captured long ago, in a vault that keeps one snapshot."""
    monkeypatch.setattr(seen, "LOCAL_SLACK", -3600 * NS)
    trees = Trees(tmp_path, "web", "db", "mail", keep_snapshots=1)
    trees.put("web", other="other")
    trees.sync("web", "capture")
    trees.put("web", precious="precious" * 1000)
    trees.sync("web", "capture")
    for pack in packs(trees):
        os.utime(pack, (1e9, 1e9))
    return trees


def test_what_upkeep_takes_away_during_a_sync_is_not_published(captured: Trees) -> None:
    site = Interrupted(captured, "web", lambda: forget_what_the_machine_had(captured))
    with captured.fleet.open() as store, pytest.raises(StoreCorrupt, match="of precious in site is not in the vault"):
        run(store, sync.Request("web", "online"), site, captured.fleet.open)
    assert "failure" not in verified(captured)
    assert captured.sync("web", "online")["baseline"] == {"site": 1}
    captured.sync("db", "online")
    assert captured.files("db") == {"other": "other"}
    assert "failure" not in verified(captured)


def test_upkeep_leaves_what_a_sync_is_about_to_publish(captured: Trees, monkeypatch: pytest.MonkeyPatch) -> None:
    real = Refs.publish

    def publish(refs: Refs, tree: str, ref: Baseline) -> bool:
        forget_what_the_machine_had(captured)
        return real(refs, tree, ref)

    monkeypatch.setattr(Refs, "publish", publish)
    assert captured.sync("web", "online", create_backup=False)["baseline"] == {"site": 1}
    monkeypatch.undo()
    captured.sync("db", "online")
    assert captured.files("db") == {"other": "other", "precious": "precious" * 1000}
    assert "failure" not in verified(captured)


def flip(trees: Trees, content: bytes) -> Path:
    """Change one byte of a content, wherever it lies; the pack."""
    found = [pack for pack in packs(trees) if content in pack.read_bytes()]
    for pack in found:
        pack.chmod(0o640)
        pack.write_bytes(pack.read_bytes().replace(content, content[:-1] + b"?"))
    return found[0]


def remove(trees: Trees, content: bytes) -> Path:
    """Remove the packs that have a content."""
    found = [pack for pack in packs(trees) if content in pack.read_bytes()]
    for pack in found:
        pack.unlink()
    return found[0]


def verified(trees: Trees, gc: bool = False, dry_run: bool = False) -> Dict[str, Any]:
    with trees.fleet.open() as store:
        return keeping.keep_up(store, True, False, 86_400.0 if gc else None, dry_run)


@pytest.mark.parametrize("harm", [flip, remove])
@pytest.mark.parametrize("event", ["capture", "online"])
def test_damage_is_healed_by_a_machine_that_has_what_is_lost(
    trees: Trees, monkeypatch: pytest.MonkeyPatch, harm: Any, event: str
) -> None:
    """Although nothing has changed there since its last snapshot, and no file is read again for itself."""
    monkeypatch.setattr(seen, "LOCAL_SLACK", -3600 * NS)
    trees.put("web", index="precious" * 100, other="other" * 100)
    trees.sync("web", "online")
    pack = harm(trees, b"precious" * 100)
    assert verified(trees, dry_run=True)["error_code"] == "STORE_CORRUPT"
    assert not trees.sync("web", event)["changed"], "nobody was told yet"
    found = verified(trees)
    assert found["failure"].endswith(
        "cannot be had from it; capture the machines that have them, or restore the vault from a backup, then verify "
        "it again"
    )
    healed = trees.sync("web", event)
    assert 800 <= healed["bytes_captured"] <= 1300
    assert healed["changed"] or event == "online"
    assert trees.sync("web", event)["bytes_captured"] == 0, "once is enough"
    after = verified(trees)
    assert (after["verified"]["lost"], after["verified"]["missing"]) == ([], [])
    if harm is flip:
        assert after["failure"].startswith("the vault has 1 damaged packs, but all that is needed of them can be had")
        assert "failure" not in verified(trees, gc=True)
        assert not pack.exists()
    assert "failure" not in verified(trees)
    trees.sync("db", "online")
    assert trees.files("db") == trees.files("web")


@pytest.mark.parametrize("harm", [flip, remove])
def test_what_a_lost_machine_had_is_saved_although_something_old_of_it_is_damaged(trees: Trees, harm: Any) -> None:
    trees.put("web", index="first" * 100)
    for machine in ("web", "db"):
        trees.sync(machine, "online")
    trees.put("db", index="second")
    trees.sync("db", "online")
    trees.put("web", work="precious")
    trees.sync("web", "capture")
    harm(trees, b"first" * 100)
    assert verified(trees)["error_code"] == "STORE_CORRUPT"
    trees.lose("web")
    assert trees.pending()["failed"] == []
    trees.sync("db", "online")
    assert trees.files("db") == {"index": "second", "work": "precious"}


def test_a_damaged_manifest_is_healed_as_well(trees: Trees) -> None:
    trees.put("web", index="hello")
    trees.sync("web", "capture")
    flip(trees, b'"tree":"site"')
    found = verified(trees)
    assert len(found["verified"]["lost"]) == 1
    trees.sync("web", "capture")
    after = verified(trees)
    assert (after["verified"]["lost"], after["verified"]["missing"]) == ([], [])


def test_a_damaged_pack_stays_while_something_needed_is_only_there(trees: Trees) -> None:
    trees.put("web", index="precious" * 100, other="other" * 100)
    trees.sync("web", "capture")
    pack = flip(trees, b"precious" * 100)
    verified(trees)
    assert verified(trees, gc=True)["collected"]["packs"] == 0
    assert pack.exists()


def test_a_damaged_pack_that_is_healed_meanwhile_stays(trees: Trees, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine sends just what was damaged: the sound pack has the same name. Its content is named from then on."""
    with trees.fleet.open() as store, Vault(keeping.location(store), create=True) as vault, vault.writer() as writer:
        writer.add_bytes(b"precious" * 100)
        writer.commit()
    (pack,) = packs(trees)
    trees.put("db", index="hello")
    trees.sync("db", "capture")
    sound = pack.read_bytes()
    flip(trees, b"precious" * 100)
    assert list(verified(trees)["verified"]["damaged"]) == [pack.name]
    real = upkeep._rewrite

    def rewrite(*args: Any) -> Any:
        new = pack.with_name("new")
        new.write_bytes(sound)
        new.rename(pack)
        return real(*args)

    monkeypatch.setattr(upkeep, "_rewrite", rewrite)
    with trees.fleet.open() as store:
        keeping.collect(store, 86_400.0)
    assert pack.read_bytes() == sound


def test_damage_that_nobody_needs_is_no_loss(trees: Trees) -> None:
    trees.put("web", index="garbage" * 100, other="other" * 100)
    trees.sync("web", "capture")
    for turn in range(2):
        trees.put("web", index="version %d" % turn)
        trees.sync("web", "capture")
    with trees.fleet.open() as store:
        keeping.prune(store)
    pack = flip(trees, b"garbage" * 100)
    found = verified(trees)
    assert (found["verified"]["lost"], list(found["verified"]["damaged"])) == ([], [pack.name])
    assert "all that is needed of them can be had" in found["failure"]
    assert "failure" not in verified(trees, gc=True)
    assert trees.sync("web", "capture")["bytes_captured"] == 0


def test_nothing_goes_while_a_document_is_damaged(trees: Trees) -> None:
    """Nobody knows what it names."""
    for turn in range(4):
        trees.put("web", index="version %d" % turn)
        trees.sync("web", "capture")
    base = next((trees.fleet.path / "vault" / "refs" / "machines").rglob("snapshots/*.json"))
    base.write_text(base.read_text().replace("manifest", "manifesto"))
    before = packs(trees)
    with trees.fleet.open() as store, pytest.raises(StoreCorrupt):
        keeping.collect(store, 0.0)
    assert packs(trees) == before


@pytest.mark.parametrize(
    "nonsense",
    [[], {"site": 5}, {"site": {"base": "x"}}, {"site": {"kept": 5}}, {"site": {"kept": [{"entry": 5}]}}],
)
def test_a_record_that_makes_no_sense_is_named(trees: Trees, nonsense: Any) -> None:
    trees.put("web", index="hello")
    trees.sync("web", "online")
    with trees.fleet.open() as store, Refs(keeping.location(store)) as refs:
        (sync_id,) = refs.sync_ids()
        refs.write_record(sync_id, {**(refs.record(sync_id) or {}), "trees": nonsense})
        with pytest.raises(StoreCorrupt, match="the record of the sync %s makes no sense" % sync_id):
            keeping.keep_up(store, False, False, 0.0, False)


def test_what_a_changed_setting_keeps(trees: Trees) -> None:
    for turn in range(5):
        trees.put("web", index="version %d" % turn)
        trees.sync("web", "capture")
    with trees.fleet.open() as store:
        manage(store, Request(settings={"keep_snapshots_for": 3600}))
    assert keep_up(trees)["pruned"]["snapshots"] == 0
    with trees.fleet.open() as store:
        manage(store, Request(settings={"keep_snapshots_for": None, "keep_snapshots": 1}))
    assert keep_up(trees)["pruned"]["snapshots"] == 4


def test_versions_of_the_last_hour_stay(trees: Trees, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who is just about to publish must not find the number free that somebody else has had."""
    for turn in range(5):
        trees.put("web", index="version %d" % turn)
        trees.sync("web", "online")
    folder = trees.fleet.path / "vault" / "refs" / "baseline" / "site"
    assert keep_up(trees)["pruned"]["versions"] == 0
    assert len(list(folder.iterdir())) == 5
    monkeypatch.setattr(keeping, "YOUNG", 0)
    assert keep_up(trees)["pruned"]["versions"] == 3
