# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Snapshots of the trees that the fleet declares for this machine, put into the vault by the machine itself.

In a process of its own, which no beat waits for, with a bound on its time. Whoever may write the fleet's settings says
which directories are meant, so nothing is read but what the agent's user may read, and no link on the way is followed.
What cannot be read is unknown, and nobody takes it for deleted. Standard library only.
"""

from __future__ import annotations

import os
import signal

from ..errors import (
    DiskSpaceLow,
    HeartbeatError,
    IdentityConflict,
    MachineUnknown,
    StoreCorrupt,
    StoreUnavailable,
    SyncMassDelete,
    SyncOnlineFailed,
)
from ..metadata import strict_json
from ..record import decode
from ..settings import from_mapping
from ..stores import open_store
from ..sync import spec as specs
from ..sync.capture import capture
from ..sync.guards import meant, too_many_lost
from ..sync.paths import STAGING
from ..sync.place import open_root
from ..sync.places import cache_path
from ..sync.refs import Refs
from ..sync.vault import Vault
from .beater import own_fingerprint
from .local import CAPTURE_LOCK, CAPTURE_SEEN, Lock, prepare_state_dir
from .service import say

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, List, Optional

    from ..stores.file import FileStore
    from ..sync.capture import Capture
    from ..sync.manifest import Manifest
    from ..sync.spec import TreeSpec
    from .config import Config

HELD = "a capture is still at work here (pid %s); wait for it"
LIMIT = 6 * 3600.0
GRACE = 60.0
SHOWN = 3


def run(config: Config) -> None:
    """``agent capture``: say what is new. A tree that cannot be captured stops no other.

    :raises StoreUnavailable: the store, or its vault, is out of reach; so it is with ``DiskSpaceLow``.
    :raises HeartbeatError: of the last tree that could not be captured; the others are said.
    """
    prepare_state_dir(config.state_dir)
    with Lock(config.state_dir, CAPTURE_LOCK, HELD), _Bound(LIMIT), open_store(config.store, config.fleet) as store:
        store.connect()
        _check_identity(store, config)
        trees = declared(store, config.machine_id)
        if not trees:
            return
        trouble: List[HeartbeatError] = []
        location = os.path.join(store.location, "vault")
        with Vault(location, create=True) as vault, Refs(location) as refs:
            for spec in trees:
                try:
                    found = _capture(store, vault, refs, config, spec)
                    if found:
                        say(found)
                except (StoreUnavailable, DiskSpaceLow, _TimeIsUp):
                    raise
                except HeartbeatError as exc:
                    trouble.append(exc)
        for one in trouble[:-1]:
            say("%s: %s" % (one.error_code, one.message))
        if trouble:
            raise trouble[-1]


def _check_identity(store: FileStore, config: Config) -> None:
    """See that it is this host that beats under the machine's name: another one's trees are not the machine's.

    :raises MachineUnknown: nobody has beaten under it yet.
    """
    found = store.read_beat(config.machine_id)
    if found is None:
        raise MachineUnknown(
            "%s has not beaten yet, so nobody knows whose trees these are; beat first" % config.machine_id,
            machine_id=config.machine_id,
        )
    holder = decode(found.data, config.machine_id).fingerprint
    if holder and holder != own_fingerprint(config):
        raise IdentityConflict(
            "another host beats as %s, so nothing was captured; give one of the two another machine_id"
            % config.machine_id,
            machine_id=config.machine_id,
        )


def declared(store: FileStore, machine_id: str) -> List[TreeSpec]:
    """This machine's trees.

    :raises StoreCorrupt: the fleet's settings cannot be read.
    :raises InvalidSettings: they make no sense.
    """
    try:
        known: Any = strict_json((store.read("fleet.json") or b"").decode("utf-8"))
        values = known["settings"]
    except (ValueError, KeyError, TypeError) as exc:
        raise StoreCorrupt(
            "the fleet's settings cannot be read (%.200s); heartbeat_check says more of them" % exc
        ) from exc
    trees = from_mapping(values).sync_paths
    found = [specs.from_mapping(name, tree) for name, tree in sorted(trees.items())]
    return [spec for spec in found if spec.applies_to(machine_id)]


def _capture(store: FileStore, vault: Vault, refs: Refs, config: Config, spec: TreeSpec) -> Optional[str]:
    """Capture one tree; what is new, in words."""
    machine_id = config.machine_id
    turn = refs.snapshot_turn(machine_id, spec.name)
    at = store.now()
    last = refs.snapshot(machine_id, spec.name, at)
    if _is_being_changed(spec):
        return "%s was not captured: a sync is changing it, or was cut off; the next sync ends that" % spec.name
    cache = cache_path(os.path.join(config.state_dir, CAPTURE_SEEN), spec)
    done = capture(spec, vault, cache, last.manifest if last is not None else "")
    if done.scan.vanished:
        return "%s was not captured: its directory is not there" % spec.name
    if last is not None and done.digest == last.manifest:
        return None
    if _is_being_changed(spec):
        return "%s was not captured: a sync has changed it meanwhile" % spec.name
    if last is not None:
        _refuse_mass_delete(vault, last.manifest, done.manifest, spec)
    store.now()  # the store is still there: what is written is written into it, and not beneath its mount point
    if refs.take_turn(machine_id, spec.name, turn, at, done.digest, own_fingerprint(config)) is None:
        return "%s was captured by somebody else meanwhile" % spec.name
    return "captured %s: %s" % (spec.name, _summary(done))


def _is_being_changed(spec: TreeSpec) -> bool:
    """Whether the tree may be between two states: an apply is at work on it, or was cut off."""
    fd = open_root(spec.path)
    if fd is None:
        return False
    try:
        os.stat(STAGING, dir_fd=fd, follow_symlinks=False)
    except OSError:
        return False
    finally:
        os.close(fd)
    return True


def _refuse_mass_delete(vault: Vault, last: str, now: Manifest, spec: TreeSpec) -> None:
    """Nobody looks on here: an unmounted disk must not take the place of what was on it, not even as a snapshot.

    :raises SyncMassDelete: most files are gone since the last snapshot.
    """
    try:
        before = vault.manifest(last, spec.max_entries)
    except StoreCorrupt:
        return
    lost = too_many_lost(meant(before, spec), now)
    if lost:
        raise SyncMassDelete(
            "%s has lost %d files since its last snapshot (a disk that is not mounted?), so that one is kept and no "
            "other is taken. If they are meant to be gone, say so with heartbeat_sync, event: capture"
            % (spec.name, len(lost)),
            tree=spec.name,
            lost=len(lost),
        )


def _summary(done: Capture) -> str:
    unknown = done.manifest.unknown
    text = "%d entries, %d bytes new to the vault" % (len(done.manifest.entries), done.bytes_added)
    if not unknown:
        return text
    first = ["%s: %s" % (ascii(path)[1:-1], unknown[path]) for path in sorted(unknown)[:SHOWN]]
    return "%s, %d unknown (%s%s)" % (text, len(unknown), "; ".join(first), "; ..." if len(unknown) > SHOWN else "")


class _TimeIsUp(SyncOnlineFailed):
    """Of all trees, not of the one that was at work."""


class _Bound:
    """An end to the process's work by a signal, first as an error, and if that cannot end it, for good."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def __enter__(self) -> _Bound:
        signal.signal(signal.SIGALRM, self._up)
        signal.setitimer(signal.ITIMER_REAL, self._seconds)
        return self

    def _up(self, _number: int, _frame: Any) -> None:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_REAL, GRACE)
        raise _TimeIsUp(
            "the capture took longer than %g s and was ended; exclude from the trees what need not be kept, or "
            "see why the disk or the store is so slow" % self._seconds
        )

    def __exit__(self, *exc_info: object) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)
