# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Conflicts that are left to a person: opened once, settled for what was seen, and carried out by the next sync."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict, Iterator, List

import pytest

from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.clock import NS
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.errors import (
    InvalidMachineId,
    InvalidSettings,
    MachineUnknown,
)
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.sync import attributes, decisions, seen
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.sync.manifest import Entry, Manifest
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.sync.settling import Settlement, settle
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.sync.spec import from_mapping
from ansible_collections.roosync.heartbeat.tests.unit.checker.trees import Trees


@pytest.fixture
def trees(tmp_path: Path) -> Trees:
    """web and db have both changed ``index``; the baseline has what db made of it, and web has met that."""
    trees = Trees(tmp_path, "web", "db", "mail")
    trees.put("web", index="v1", other="same")
    for machine in ("web", "db"):
        trees.sync(machine, "online")
    trees.put("web", index="of web")
    trees.put("db", index="of db")
    trees.sync("db", "online")
    met = trees.sync("web", "online")
    assert (met["conflicts_resolved"], met["decisions_created"]) == (0, 1)
    assert trees.files("web")["index"] == "of web"
    return trees


def ask(trees: Trees, dry_run: bool = False, **options: Any) -> Dict[str, Any]:
    with trees.fleet.open() as store:
        return settle(store, Settlement(**options), dry_run)


def listed(trees: Trees) -> List[Dict[str, Any]]:
    found: List[Dict[str, Any]] = ask(trees)["decisions"]
    return found


def test_it_is_opened_once_and_says_what_both_sides_have(trees: Trees) -> None:
    (found,) = listed(trees)
    assert (found["machine_id"], found["tree"], found["path"], found["state"]) == ("web", "site", "index", "open")
    assert [found[side]["size"] for side in ("machine", "baseline", "base")] == [6, 5, 2]
    again = trees.sync("web", "online")
    assert (again["changed"], again["decisions_created"]) == (False, 0)
    assert listed(trees) == [found]
    assert trees.sync("web", "online", dry_run=True)["decisions_created"] == 0


@pytest.mark.parametrize(("keep", "wins"), [("machine", "of web"), ("baseline", "of db")])
def test_a_side_that_is_kept(trees: Trees, keep: str, wins: str) -> None:
    (found,) = listed(trees)
    before = trees.fleet.tree()
    assert ask(trees, dry_run=True, keep=keep)["changed"]
    assert trees.fleet.tree() == before
    done = ask(trees, keep=keep, decision_id=found["decision_id"], reason="we looked")
    assert done["settled"] == [found["decision_id"]]
    assert not ask(trees, keep=keep)["changed"]
    for machine in ("web", "db"):
        trees.sync(machine, "online")
        assert trees.files(machine) == {"index": wins, "other": "same"}
    assert listed(trees) == []
    assert not trees.sync("web", "online")["changed"]


def test_a_file_that_is_given(trees: Trees, tmp_path: Path) -> None:
    (found,) = listed(trees)
    given = tmp_path / "both"
    given.write_text("the best of both")
    with pytest.raises(InvalidSettings, match="needs src"):
        ask(trees, keep="file")
    with pytest.raises(InvalidSettings, match="no regular file"):
        ask(trees, keep="file", src=str(tmp_path))
    done = ask(trees, keep="file", decision_id=found["decision_id"], src=str(given))
    assert done["decisions"][0]["keep"] == "baseline"
    for machine in ("web", "db"):
        trees.sync(machine, "online")
        assert trees.files(machine) == {"index": "the best of both", "other": "same"}
    assert listed(trees) == []


def test_what_was_settled_holds_for_what_was_seen(trees: Trees) -> None:
    """web's file is changed once more after somebody has decided to drop it."""
    ask(trees, keep="baseline")
    trees.put("web", index="of web, and better")
    done = trees.sync("web", "online")
    assert (done["conflicts_resolved"], done["decisions_created"]) == (0, 1)
    assert trees.files("web")["index"] == "of web, and better"
    (found,) = listed(trees)
    assert (found["state"], found["keep"]) == ("open", None)


@pytest.mark.parametrize("way", ["lost", "not touched", "left alone"])
def test_what_cannot_be_carried_out_yet_stays_settled(trees: Trees, way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The baseline was kept, and the machine cannot be changed by this sync."""
    ask(trees, keep="baseline", reason="we looked")
    if way == "lost":
        trees.lose("web")
        planned = trees.sync("web", "offline", dry_run=True)
        (done,) = trees.pending()["syncs"]
        trees.back("web")
    elif way == "not touched":
        planned = trees.sync("web", "online", sync_from_baseline=False, dry_run=True)
        done = trees.sync("web", "online", sync_from_baseline=False)
    else:
        with monkeypatch.context() as patched:
            patched.setattr(attributes, "_user", nobody)
            done = planned = trees.sync("web", "online")
        assert [one["path"] for one in done["left_alone"]] == ["index"]
    assert (planned["conflicts_resolved"], done["conflicts_resolved"], done["decisions_created"]) == (0, 0, 0)
    (found,) = listed(trees)
    assert (found["state"], found["keep"], found["reason"]) == ("settled", "baseline", "we looked")
    assert trees.sync("web", "online")["conflicts_resolved"] == 1
    assert listed(trees) == []
    assert trees.files("web")["index"] == "of db"


def nobody(name: str, _number: int) -> int:
    raise attributes.NoSuchOwner("there is no user %s here" % name)


def test_a_policy_that_cannot_be_carried_out_yet_closes_no_decision(trees: Trees) -> None:
    done = trees.sync("web", "online", sync_from_baseline=False, conflict_policy="baseline")
    assert (done["conflicts_resolved"], done["backup_created"]) == (0, False)
    assert [one["state"] for one in listed(trees)] == ["open"]


def test_it_is_closed_when_both_sides_agree_again(trees: Trees) -> None:
    trees.put("web", index="of db")
    trees.sync("web", "online")
    assert listed(trees) == []
    with trees.fleet.open() as store:
        (closed,) = decisions.load_all(store)
        assert (closed.state, closed.reason) == ("closed", "both sides agree again")
        assert decisions.forget(store, "9999", dry_run=True) == 1
        assert decisions.forget(store, "9999") == 1


def test_one_that_is_not_there(trees: Trees) -> None:
    with pytest.raises(InvalidSettings, match="no open decision"):
        ask(trees, decision_id="0" * 16, keep="machine")


def test_a_machine_and_a_tree_are_known_or_refused(trees: Trees) -> None:
    for keep in (None, "baseline"):
        with pytest.raises(MachineUnknown, match="no machine nobody has ever beaten"):
            ask(trees, keep=keep, machine_id="nobody")
        with pytest.raises(InvalidSettings, match="no tree 'nosuch'; known are: site"):
            ask(trees, keep=keep, tree="nosuch")
    with pytest.raises(InvalidMachineId):
        ask(trees, machine_id="../x")
    assert ask(trees, machine_id="DB")["decisions"] == []
    with pytest.raises(InvalidSettings, match="src goes with keep: file alone"):
        ask(trees, keep="machine", src="/etc/hosts")
    (found,) = listed(trees)
    assert found["state"] == "open"
    assert ask(trees, machine_id=" WEB ", keep="baseline")["settled"] == [found["decision_id"]]


@pytest.mark.parametrize(
    "change",
    [
        {"path_hex": "2e2e2f78"},
        {"machine_id": "../x"},
        {"tree": "../x"},
        {"machine_manifest": "../../x"},
        {"keep": "all"},
        {"decision_id": "other"},
        {"more": 1},
        {"state": 5},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_document_that_makes_no_sense_is_not_used(trees: Trees, change: Dict[str, Any]) -> None:
    (path,) = (trees.fleet.path / "decisions").glob("*.json")
    path.write_text(json.dumps(dict(json.loads(path.read_text()), **change)))
    assert listed(trees) == []


def test_names_in_any_encoding(tmp_path: Path) -> None:
    trees = Trees(tmp_path, "web", "db", "mail")
    name = b"caf\xe9"
    for machine in ("web", "db"):
        (trees.www(machine) / name.decode("utf-8", "surrogateescape")).write_text(machine)
        met = trees.sync(machine, "online")
    json.dumps(met).encode("utf-8")
    (found,) = listed(trees)
    assert found["path"] == "caf\\xe9"
    ask(trees, keep="machine")
    trees.sync("web", "online")
    trees.sync("db", "online")
    trees.sync("web", "online")
    assert [p.read_text() for p in trees.www("web").iterdir()] == ["db"]


def test_what_is_settled_of_a_directory_holds_in_whatever_order_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first scan reads its files, the next one knows them already."""
    monkeypatch.setattr(seen, "LOCAL_SLACK", -3600 * NS)
    trees = Trees(tmp_path, "web", "db", "mail")
    trees.put("db", d="a file")
    trees.sync("db", "online")
    trees.put("web", d__a__y="1", d__a__z="2", **{"d__f%d" % number: "x" * number for number in range(9)})
    assert trees.sync("web", "online")["decisions_created"] == 1
    assert ask(trees, keep="machine")["changed"]
    done = trees.sync("web", "online")
    assert (done["conflicts_resolved"], done["decisions_created"]) == (1, 0)
    trees.sync("db", "online")
    assert trees.files("db") == trees.files("web")


def test_as_many_questions_as_a_tree_has_files() -> None:
    """Each looks at what it is about, and not at the whole tree."""

    class Looked(Dict[str, Entry]):
        times = 0

        def __iter__(self) -> Iterator[str]:
            Looked.times += 1
            return super().__iter__()

    paths = ["d", *("d/%d" % number for number in range(3))]
    found = {path: Entry(path, "f" if "/" in path else "d", 0o644, 0, 0, "", "", 0, 0, "") for path in paths}
    tree, spec = Manifest("site", Looked(found)), from_mapping("site", {"path": "/www"})
    keys = [decisions.key_of(tree, path, spec) for path in [*paths, "gone"]]
    assert (len(set(keys)), Looked.times) == (5, 1)
