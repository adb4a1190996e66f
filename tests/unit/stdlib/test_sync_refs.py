# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The documents of a vault: put once, replaced whole, and believed only as far as they make sense."""

from __future__ import annotations

import json
import os
import stat
import time
from pathlib import Path
from typing import Any, Iterator

import pytest

from ansible_collections.roosync.heartbeat.plugins.module_utils._engine import sealed
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.errors import (
    InvalidSettings,
    StoreCorrupt,
    StoreUnavailable,
)
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.sync.refdir import TORN_GRACE
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.sync.refs import (
    Base,
    Baseline,
    Refs,
    is_sync_id,
    new_sync_id,
)

ONE, TWO = "1" * 64, "2" * 64
NOW = time.time_ns()


@pytest.fixture
def vault(tmp_path: Path) -> Path:
    (tmp_path / "vault").mkdir()
    return tmp_path / "vault"


@pytest.fixture
def refs(vault: Path) -> Iterator[Refs]:
    with Refs(str(vault)) as opened:
        yield opened


def version(number: int, manifest: str = ONE) -> Baseline:
    return Baseline(number, NOW, "web", new_sync_id(NOW), manifest)


def test_reading_makes_nothing(vault: Path, refs: Refs) -> None:
    assert refs.baseline("site", NOW) is None
    assert refs.base("web", "site") is None
    assert refs.snapshot("web", "site", NOW) is None
    assert refs.record(new_sync_id(NOW)) is None
    assert (refs.trees(), refs.machines(), refs.sync_ids(), refs.snapshots("web", "site")) == ([], [], [], [])
    assert list(vault.iterdir()) == []


def test_of_two_that_publish_one_wins(vault: Path, refs: Refs) -> None:
    with Refs(str(vault)) as other:
        assert refs.publish("site", version(1))
        assert not other.publish("site", version(1, TWO))
        assert other.publish("site", version(2, TWO))
        assert other.baseline("site", NOW) == refs.baseline("site", NOW)
    newest = refs.baseline("site", NOW)
    assert newest is not None
    assert (newest.version, newest.manifest) == (2, TWO)
    assert [ref.version for ref in refs.baseline_versions("site")] == [1, 2]


def test_a_base_is_replaced(refs: Refs) -> None:
    for manifest in (ONE, TWO):
        refs.set_base("web", "site", Base(manifest, 1, NOW, new_sync_id(NOW)))
    found = refs.base("web", "site")
    assert found is not None
    assert found.manifest == TWO
    refs.drop_base("web", "site")
    assert refs.base("web", "site") is None


def test_snapshots_are_numbered(refs: Refs) -> None:
    assert [refs.add_snapshot("web", "site", NOW + n, ONE).number for n in range(3)] == [1, 2, 3]
    assert refs.drop_snapshot("web", "site", 1)
    assert [ref.number for ref in refs.snapshots("web", "site")] == [2, 3]
    assert refs.add_snapshot("web", "site", NOW, TWO).number == 4
    assert refs.machines() == [("web", "site")]


def test_folders_are_for_the_group_of_the_store(vault: Path, refs: Refs) -> None:
    refs.add_snapshot("web", "site", NOW, ONE)
    folders = [path for path in vault.rglob("*") if path.is_dir()]
    assert {stat.S_IMODE(path.stat().st_mode) for path in folders} == {0o2770}


@pytest.mark.parametrize("name", ["../x", "", ".", "a/b", "UPPER", "x" * 300])
def test_names_that_could_lead_elsewhere_are_refused(refs: Refs, name: str) -> None:
    for attempt in (
        lambda: refs.base(name, "site"),
        lambda: refs.base("web", name),
        lambda: refs.publish(name, version(1)),
        lambda: refs.record(name),
    ):
        with pytest.raises(InvalidSettings):
            attempt()


def test_a_link_in_the_place_of_a_folder_is_not_followed(vault: Path, refs: Refs, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (vault / "refs").mkdir()
    (vault / "refs" / "baseline").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StoreUnavailable):
        refs.publish("site", version(1))
    assert list((tmp_path / "elsewhere").iterdir()) == []


def path_of(vault: Path, number: int) -> Path:
    return vault / "refs" / "baseline" / "site" / ("%020d.json" % number)


def test_a_damaged_baseline_is_not_passed_over(vault: Path, refs: Refs) -> None:
    """The version before it would look as if everybody's last changes had been taken back."""
    refs.publish("site", version(1))
    refs.publish("site", version(2))
    data = bytearray(path_of(vault, 2).read_bytes())
    data[30] ^= 1
    path_of(vault, 2).write_bytes(data)
    with pytest.raises(StoreCorrupt, match="restore it"):
        refs.baseline("site", NOW)


def test_a_torn_one_is_passed_over_when_its_writer_must_be_dead(vault: Path, refs: Refs) -> None:
    refs.publish("site", version(1))
    path_of(vault, 2).write_bytes(b'\n{"body":{"vers')
    stamp = path_of(vault, 2).stat().st_mtime_ns
    with pytest.raises(StoreUnavailable, match="try again"):
        refs.baseline("site", stamp)
    found = refs.baseline("site", stamp + TORN_GRACE)
    assert found is not None
    assert found.version == 1
    assert not refs.publish("site", version(2)), "its number is taken all the same"


SOUND = {"version": 1, "at": 1, "machine_id": "web", "sync_id": "20260131T120000Z-00", "manifest": ONE}


@pytest.mark.parametrize(
    "value",
    [
        [],
        5,
        dict(SOUND, version=-1),
        dict(SOUND, version=True),
        dict(SOUND, version="1"),
        dict(SOUND, at=1 << 70),
        dict(SOUND, machine_id="../web"),
        dict(SOUND, sync_id="../../x-0000000000000000"),
        dict(SOUND, manifest="../" + ONE[3:]),
        dict(SOUND, manifest=ONE[1:]),
        {key: SOUND[key] for key in SOUND if key != "at"},
    ],
    ids=range(11),
)
def test_what_makes_no_sense_is_not_believed_though_it_is_sealed(vault: Path, refs: Refs, value: Any) -> None:
    path_of(vault, 1).parent.mkdir(parents=True)
    path_of(vault, 1).write_bytes(sealed.seal(json.dumps(value).encode()))
    with pytest.raises(StoreCorrupt):
        refs.baseline("site", NOW)
    path_of(vault, 1).write_bytes(sealed.seal(json.dumps(SOUND).encode()))
    assert refs.baseline("site", NOW) == Baseline(**SOUND)  # type: ignore[arg-type]


def test_ids_sort_by_time() -> None:
    ids = [new_sync_id(seconds * 10**9) for seconds in (0, 1, 60, 3_000_000_000)]
    assert ids == sorted(ids)
    assert all(map(is_sync_id, ids))
    assert not is_sync_id("../../../../etc/passwd")
    assert os.path.basename(ids[0]) == ids[0]
