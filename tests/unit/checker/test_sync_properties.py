# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Three machines that are edited, lost, found and synced at random, with real trees and a real store, by syncs that are
killed or fail at any call that changes a file.

Whatever happens: nothing that existed on either side is gone from machine, baseline and vault alike; a second sync
changes nothing; the three settle on one baseline; a dry run writes nothing, and the real run does exactly its plan.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
import subprocess
import tempfile
from pathlib import Path
from typing import Any, Callable, Dict, Optional, Set, Tuple

import hypothesis
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.errors import (
    BackupNotFound,
    HeartbeatError,
    LockTimeout,
    SyncMassDelete,
)
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.state import RUNNING
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.sync import entries
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.sync import manifest as manifests
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.sync.places import placed
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.sync.refs import Refs
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.sync.scan import scan
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.sync.spec import from_mapping
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.sync.vault import Vault
from ansible_collections.roosync.heartbeat.tests.unit.checker.trees import SITE, Trees
from ansible_collections.roosync.heartbeat.tests.unit.stdlib.changing import failing_at, killed_at, watched

MACHINES = ("web", "db", "mail")
NAMES = ("a", "b", "d", "d/a", "d/b", "d/e", "d/e/a")
POLICIES = ("manual", "baseline", "machine", "newest")
CODES = (errno.ENOSPC, errno.EIO, errno.EACCES, errno.EROFS)
STEPS = 10
LONG = int(os.environ.get("ROOSYNC_TEST_EXAMPLES") or 0)
# An example takes a thousand times as long as one of the other properties.
EXAMPLES = max(LONG // 20, 6)

machines = st.sampled_from(MACHINES)
edits = st.lists(
    st.tuples(st.sampled_from(NAMES), st.sampled_from("fffflDx"), st.sampled_from("pqrs"), st.sampled_from("64")),
    min_size=1,
    max_size=4,
)
# At which changing call a sync is cut off, and how: by a signal, or by an error.
cuts = st.none() | st.tuples(st.integers(1, 250), st.none() | st.sampled_from(CODES))
policies = st.sampled_from(POLICIES)


class Syncs(RuleBasedStateMachine):
    """The machines, and what is to be found again."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="heartbeat-syncs-"))
        self.cache, os.environ["XDG_CACHE_HOME"] = os.environ.get("XDG_CACHE_HOME"), str(self.folder / "cache")
        self.trees = Trees(self.folder, *MACHINES)
        self.needed: Set[str] = set()
        self.lost: Optional[str] = None

    def teardown(self) -> None:
        if self.cache is None:
            del os.environ["XDG_CACHE_HOME"]
        else:
            os.environ["XDG_CACHE_HOME"] = self.cache
        shutil.rmtree(str(self.folder))

    # -- what is there -------------------------------------------------------------------------------------------

    @property
    def vault(self) -> str:
        return str(self.trees.fleet.path / "vault")

    def look(self, machine: str) -> manifests.Manifest:
        spec = placed(from_mapping("site", SITE["site"]), str(self.folder / machine))
        return scan(spec).manifest

    def everything(self) -> Tuple[Any, ...]:
        return self.trees.fleet.tree(), {machine: self.trees.whole(machine) for machine in MACHINES}

    @invariant()
    def nothing_is_gone(self) -> None:
        """Every content that a sync has met is on a machine, or in the vault, and is what it should be there."""
        there = {entry.content for machine in MACHINES for entry in self.look(machine).entries.values()}
        if self.needed:
            with Vault(self.vault, create=True) as vault:
                assert vault.missing(self.needed - there) == set(), "a content is gone"

    # -- what happens --------------------------------------------------------------------------------------------

    @rule(machine=machines, changes=edits)
    def edit(self, machine: str, changes: Any) -> None:
        for name, kind, content, mode in changes:
            path = self.trees.www(machine) / name
            if any(above.is_file() or above.is_symlink() for above in path.parents if above != self.trees.www(machine)):
                continue
            if kind == "x" or ((path.exists() or path.is_symlink()) and kind != _kind(path)):
                _remove(path)
            if kind == "x":
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            if kind == "f":
                path.write_text(content)
                path.chmod(0o600 | (0o044 if mode == "4" else 0))
            elif kind == "D":
                path.mkdir(exist_ok=True)
            else:
                _remove(path)
                path.symlink_to(content)

    def _run(self, machine: str, event: str, cut: Any, **options: Any) -> Optional[Dict[str, Any]]:
        """A sync, maybe cut off; None if it was."""

        def work() -> Dict[str, Any]:
            return self.trees.sync(machine, event, **options)

        if cut is None:
            return work()
        number, code = cut
        if code is None:
            killed_at(number, lambda: _quietly(work))
            return None  # if it came to its end before, it was not here
        try:
            with watched(failing_at(number, code, once=True)):
                return work()
        except (LockTimeout, SyncMassDelete, BackupNotFound):
            raise
        except HeartbeatError:
            return None

    def sync(self, machine: str, event: str, cut: Any, **options: Any) -> None:
        """Plan, do, and do again. If it is cut off, another worker takes it over when the claim has run out."""
        before = self.look(machine)
        state = self.everything()
        try:
            planned = self.trees.sync(machine, event, dry_run=True, **options)
        except SyncMassDelete:
            assert self.everything() == state
            options["force"] = True
            planned = self.trees.sync(machine, event, dry_run=True, **options)
        assert self.everything() == state, "a dry run has written"
        expected = None if cut is None else self.elsewhere(machine, event, **options)
        done = self._run(machine, event, cut, **options)
        if done is None:
            self.time_goes_by()
            done = self.trees.sync(machine, event, **options)
            assert self.trees.whole(machine) == expected, "it makes a difference that it was cut off"
        elif event != "rollback" or done["changed"]:
            assert done["plan"] == planned["plan"]
            assert done["diff"] == planned["diff"]
        if event != "offline":
            self.check_kept(machine, before)
        if event in ("online", "offline"):
            again = self.trees.sync(machine, event, **options)
            assert (again["changed"], again["plan"]) == (False, []), again

    def elsewhere(self, machine: str, event: str, **options: Any) -> Dict[str, Tuple[Any, ...]]:
        """What the machine has after the same sync, not cut off, of a copy of everything."""
        with tempfile.TemporaryDirectory(prefix="heartbeat-syncs-") as folder:
            subprocess.run(["cp", "-a", str(self.folder) + "/.", folder], check=True)
            copy = self.trees.moved(Path(folder))
            copy.sync(machine, event, **options)
            return copy.whole(machine)

    def check_kept(self, machine: str, before: manifests.Manifest) -> None:
        """The tree as it was before is in the vault, with every mode and owner, and stays there."""
        self.needed |= {entry.content for entry in before.entries.values() if entry.kind == "f"}
        with Refs(self.vault) as refs, Vault(self.vault) as vault:
            kept = [vault.manifest(one.manifest).entries for one in refs.strict_snapshots(machine, "site")]
        assert before.entries in kept

    def time_goes_by(self) -> None:
        """Claims of who was killed run out."""
        with self.trees.fleet.open() as store:
            for entry in self.trees.fleet.ledger().state.syncs.values():
                if entry.state == RUNNING:
                    assert entries.renew(store, entry, 0)

    @rule(machine=machines, policy=policies, cut=cuts, sync_from_baseline=st.sampled_from([True, True, False]))
    def online(self, machine: str, policy: str, cut: Any, sync_from_baseline: bool) -> None:
        options = {"conflict_policy": policy, "sync_from_baseline": sync_from_baseline}
        self.sync(machine, "online", cut, **options)

    @rule(machine=machines)
    def capture(self, machine: str) -> None:
        before = self.look(machine)
        self.trees.sync(machine, "capture")
        self.check_kept(machine, before)

    @precondition(lambda self: self.lost is None)
    @rule(machine=machines, policy=policies, cut=cuts, changes=edits)
    def lose_and_return(self, machine: str, policy: str, cut: Any, changes: Any) -> None:
        """What it changes after its last snapshot is its own until it returns."""
        self.lost = machine  # once for each story: a machine that comes and goes is flapping, and held
        self.capture(machine)
        self.edit(machine, changes)
        before = self.trees.whole(machine)
        self.trees.lose(machine)
        self.sync(machine, "offline", cut, conflict_policy=policy)
        assert self.trees.whole(machine) == before
        self.trees.back(machine)
        self.sync(machine, "online", None, conflict_policy=policy)

    @rule(machine=machines, cut=cuts)
    def roll_back(self, machine: str, cut: Any) -> None:
        try:
            self.sync(machine, "rollback", cut)
        except BackupNotFound:
            pass

    @rule(policy=st.sampled_from(POLICIES[1:]))
    def settle(self, policy: str) -> None:
        for _round in range(2):
            for machine in MACHINES:
                self.sync(machine, "online", None, conflict_policy=policy, force=True)
        found = [self.trees.whole(machine) for machine in MACHINES]
        assert found[0] == found[1] == found[2]
        with Refs(self.vault) as refs, Vault(self.vault) as vault, self.trees.fleet.open() as store:
            baseline = refs.baseline("site", store.now())
            agreed = vault.manifest(baseline.manifest).entries if baseline is not None else {}
            assert set(agreed) == set(found[0])
            for digest in self.needed:
                vault.read(digest, 1 << 20)  # what is said to be there can be read


def _kind(path: Path) -> str:
    mode = path.lstat().st_mode
    return "l" if stat.S_ISLNK(mode) else "D" if stat.S_ISDIR(mode) else "f"


def _remove(path: Path) -> None:
    if path.is_symlink() or path.is_file():
        path.unlink()
    elif path.is_dir():
        shutil.rmtree(str(path))


def _quietly(work: Callable[[], Any]) -> None:
    try:
        work()
    except HeartbeatError:
        pass


TestSyncs = Syncs.TestCase
TestSyncs.settings = hypothesis.settings(
    max_examples=EXAMPLES, stateful_step_count=STEPS, suppress_health_check=list(hypothesis.HealthCheck)
)
