# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An apply that is killed, or fails, at any call that changes a file: afterwards the tree is all old or all new."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path
from typing import Any, Dict, Iterator, List, Tuple

import pytest

from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.errors import HeartbeatError
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.sync import durable
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.sync.apply import Recovered, recover
from ansible_collections.roosync.heartbeat.tests.unit.stdlib.changing import Counter, failing_at, killed_at, watched
from ansible_collections.roosync.heartbeat.tests.unit.stdlib.realtrees import (
    Directory,
    Link,
    Tree,
    in_memory,
    look,
    make,
)

CODES = ("ENOSPC", "EIO", "EACCES", "EROFS")
# Each kind of step once or twice.
BEFORE: Dict[str, Any] = {
    "edited": "old",
    "removed": "gone",
    "chmod": ("same", 0o640),
    "link": Link("edited"),
    "to-directory": "text",
    "to-file/inside": "text",
    "going/deep": Directory(0o2750),
    "mode": Directory(0o750),
    "mode/inside": "old",
}
AFTER: Dict[str, Any] = {
    "edited": "new",
    "chmod": ("same", 0o604),
    "link": Link("chmod"),
    "to-directory/new": "new",
    "to-file": "text now",
    "mode": Directory(0o705),
    "mode/inside": "new",
}


class Case:
    """The tree, as it is and as it should be, made anew for every attempt."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.count = 0
        self.tree = self.fresh()
        self.old = look(self.tree.root)
        self.after = self.tree.manifest(self.tree.goal)
        self.blobs = self.tree.blobs
        self.new = look(self.tree.goal)

    def fresh(self) -> Tree:
        self.count += 1
        place = self.directory / str(self.count)
        place.mkdir()
        self.tree = Tree(place)
        make(self.tree.root, BEFORE)
        if self.count == 1:
            make(self.tree.goal, AFTER)
            if os.geteuid() == 0:
                for number, name in enumerate(["chmod", "mode", "edited", "link"]):
                    os.chown(os.path.join(self.tree.goal, name), 40_000, 50_000 + number, follow_symlinks=False)
        else:
            self.tree.blobs = self.blobs
        return self.tree

    def drop(self) -> None:
        shutil.rmtree(self.tree.root)

    def apply(self) -> Any:
        return self.tree.apply(self.after)

    def recover(self) -> Recovered:
        return recover(self.tree.root, self.tree.spec(self.tree.root))

    def check(self, outcome: str = "") -> bool:
        """Whether the tree is the new one; it must be that or the old one, and nothing may lie about."""
        now = look(self.tree.root)
        assert now in (self.old, self.new), (now, outcome)
        return now == self.new

    def finish(self) -> None:
        assert self.apply().left == {}
        assert self.check()


@pytest.fixture
def case() -> Iterator[Case]:
    with in_memory() as directory:
        yield Case(directory)


@pytest.fixture(params=["each file flushed", "all flushed at once"])
def flushing(request: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(durable, "FEW", 1000 if request.param.startswith("each") else 0)


@pytest.mark.usefixtures("flushing")
def test_killed_at_every_change(case: Case) -> None:
    outcomes: List[str] = []
    while True:
        case.fresh()
        if not killed_at(len(outcomes) + 1, case.apply):
            break
        recovered = case.recover()
        assert recovered.left == {}
        is_new = case.check(recovered.outcome)
        assert is_new == ("finished" in [*outcomes, recovered.outcome])
        outcomes.append(recovered.outcome)
        case.finish()
        case.drop()
    assert case.check()
    assert len(outcomes) > 60
    order = [name for index, name in enumerate(outcomes) if index == 0 or outcomes[index - 1] != name]
    assert order == ["nothing", "discarded", "finished", "discarded"], "points: %d" % len(outcomes)


def test_killed_at_every_change_and_again_while_it_recovers(case: Case) -> None:
    point = 0
    while True:
        point += 3
        case.fresh()
        if not killed_at(point, case.apply):
            break
        patience = 1
        while killed_at(patience, case.recover):
            patience += 2
            assert patience < 200
        case.check()
        case.finish()
        case.drop()


def points(case: Case) -> int:
    counter = Counter()
    case.fresh()
    with watched(counter):
        case.apply()
    case.drop()
    return len(counter.calls)


def attempt(case: Case, counter: Counter, work: Any, code: str) -> str:
    """What the error said; nothing when all went well."""
    try:
        with watched(counter):
            work()
    except HeartbeatError as caught:
        said = caught
    else:
        return ""
    assert said.error_code == ("DISK_SPACE_LOW" if code == "ENOSPC" else "SYNC_ONLINE_FAILED")
    assert said.details["errno"] == code
    assert said.details["path"].startswith(case.tree.root)
    return said.message


@pytest.mark.parametrize("once", [True, False], ids=["once", "from then on"])
def test_failing_at_every_change(case: Case, once: bool) -> None:
    for number, code in attempts(points(case)):
        case.fresh()
        counter = failing_at(number, getattr(errno, code), once)
        said = attempt(case, counter, case.apply, code)
        if said.endswith("(the tree is as it was)"):
            assert {path: row for path, row in look(case.tree.root).items() if b".roosync" not in path} == case.old
        elif once and said:
            assert said.endswith("(the change itself is complete)"), (number, counter.calls[number - 1], said)
        recovered = case.recover()
        assert recovered.left == {}, (number, counter.calls[number - 1])
        assert case.check(said) or said
        case.finish()
        case.drop()


def attempts(count: int) -> Iterator[Tuple[int, str]]:
    """Each point with one of the errors, or with all of them where there is time for proofs."""
    for number in range(1, count + 1):
        for code in CODES if "ROOSYNC_TEST_EXAMPLES" in os.environ else CODES[number % 4 :][:1]:
            yield number, code


def test_failing_while_it_recovers(case: Case) -> None:
    stride = 1 if "ROOSYNC_TEST_EXAMPLES" in os.environ else 7
    for number in range(points(case) - 45, points(case), stride):
        for failing in range(1, 40, stride):
            case.fresh()
            if not killed_at(number, case.apply):
                break
            code = CODES[failing % 4]
            attempt(case, failing_at(failing, getattr(errno, code), once=failing % 8 < 4), case.recover, code)
            assert case.recover().left == {}
            case.check()
            case.finish()
            case.drop()
