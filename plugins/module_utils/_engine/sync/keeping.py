# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What of a vault is kept, and for how long: retention of snapshots, records and versions, then what nothing names.

Never taken away, however old: the newest snapshot of a tree, the baseline's current version, the version that a
machine's base rests on, and what an open decision is about. Nor is a version of the last hour.
"""

from __future__ import annotations

import os
from typing import Any, Callable, Dict, FrozenSet, Iterable, List, NamedTuple, Optional, Sequence, Set, Tuple, TypeVar

from ..clock import NS, iso, to_ns
from ..errors import HeartbeatError, InvalidSettings, StoreCorrupt
from ..observe import load_fleet
from ..settings import Settings
from ..stores.base import Store
from . import decisions, upkeep, wanted
from .manifest import FILE
from .refs import Refs, is_digest
from .spec import MOST_ENTRIES
from .vault import Vault

MOST_GRACE = 10 * 366 * 86_400
DECISIONS_KEPT = 30 * 86_400.0
YOUNG = 3600 * NS
Item = TypeVar("Item")


def location(store: Store) -> str:
    """The vault's directory."""
    return os.path.join(store.location, "vault")


def has_vault(store: Store) -> bool:
    """Whether anything was ever captured."""
    store.connect()
    return os.path.isdir(os.path.join(location(store), "packs"))


def expired(items: Sequence[Item], at: Callable[[Item], int], settings: Settings, now: int) -> List[Item]:
    """What retention lets go of: neither among the newest, nor young enough. Pure.

    :param items: the oldest first.
    """
    old = list(items[: max(0, len(items) - settings.keep_snapshots)])
    if settings.keep_snapshots_for is None:
        return old
    since = now - to_ns(settings.keep_snapshots_for)
    return [item for item in old if at(item) < since]


class Outdated(NamedTuple):
    """What retention does not keep."""

    snapshots: FrozenSet[Tuple[str, str, int]] = frozenset()
    """Machine, tree and number."""
    records: FrozenSet[str] = frozenset()
    versions: FrozenSet[Tuple[str, int]] = frozenset()
    """Tree and number."""


NOTHING_OUTDATED = Outdated()


def outdated(store: Store, refs: Refs, now: int) -> Outdated:
    """What retention lets go of now."""
    settings = load_fleet(store).settings
    rested_on = _versions_in_use(refs)
    return Outdated(
        frozenset(
            (machine, tree, one.number)
            for machine, tree in refs.machines()
            for one in expired(refs.snapshots(machine, tree), lambda one: one.at, settings, now)
        ),
        frozenset(_old_records(refs, settings, now)),
        frozenset(
            (tree, one.version)
            for tree in refs.trees()
            for one in expired(refs.baseline_versions(tree), lambda one: one.at, settings, now)
            if one.at < now - YOUNG  # a young one keeps its number from whoever is just about to publish
        )
        - rested_on,
    )


def prune(store: Store, dry_run: bool = False) -> Tuple[Dict[str, Any], Outdated]:
    """Let go of snapshots, records and versions that retention does not keep. Their contents stay until ``gc``.

    :returns: ``changed``, ``snapshots``, ``records``, ``versions``, ``decisions``: how many went; and which.
    """
    now = store.now()
    with Refs(location(store)) as refs:
        old = outdated(store, refs, now)
        gone = {
            "snapshots": sum(dry_run or refs.drop_snapshot(*one) for one in old.snapshots),
            "records": sum(dry_run or refs.drop_record(one) for one in old.records),
            "versions": sum(dry_run or refs.drop_baseline(*one) for one in old.versions),
        }
    gone["decisions"] = decisions.forget(store, iso(now - to_ns(DECISIONS_KEPT)), dry_run)
    return dict(gone, changed=any(gone.values())), old


def _old_records(refs: Refs, settings: Settings, now: int) -> List[str]:
    """The records that go: of each machine, all but the newest."""
    by_machine: Dict[str, List[Tuple[str, int]]] = {}
    for sync_id in refs.sync_ids():
        record = refs.record(sync_id)
        if record is not None and isinstance(record.get("at"), int):
            by_machine.setdefault(str(record["machine_id"]), []).append((sync_id, record["at"]))
    return [
        sync_id for found in by_machine.values() for sync_id, _at in expired(found, lambda one: one[1], settings, now)
    ]


def _versions_in_use(refs: Refs) -> Set[Tuple[str, int]]:
    found = set()
    for machine, tree in refs.machines():
        base = refs.base(machine, tree)
        if base is not None:
            found.add((tree, base.baseline_version))
    return found


def needed(
    store: Store, refs: Refs, vault: Vault, strict: bool = True, without: Outdated = NOTHING_OUTDATED
) -> Set[str]:
    """Every content that a document of the vault or an open decision names.

    :param strict: whether each manifest has to be there; else what it names is left out.
    :param without: documents that count as gone.
    :raises StoreCorrupt: a document or a manifest cannot be read. Then nobody knows what it names, and nothing may go.
    """
    manifests: Set[str] = set()
    contents: Set[str] = set()
    for machine, tree in refs.machines():
        snapshots = refs.strict_snapshots(machine, tree)
        manifests.update(one.manifest for one in snapshots if (machine, tree, one.number) not in without.snapshots)
        base = refs.base(machine, tree)
        if base is not None:
            manifests.add(base.manifest)
    for tree in refs.trees():
        versions = refs.strict_baselines(tree)
        manifests.update(one.manifest for one in versions if (tree, one.version) not in without.versions)
    for sync_id in set(refs.sync_ids()) - without.records:
        record = refs.record(sync_id)
        try:
            for known in record["trees"].values() if record is not None else ():
                manifests.update(_manifests_of(known))
                contents.update(_contents_of(known))
        except (AttributeError, KeyError, TypeError) as exc:
            raise StoreCorrupt(
                "the record of the sync %s makes no sense: %.200s; move %s.json away from vault/refs/syncs"
                % (sync_id, exc, sync_id)
            ) from exc
    for one in decisions.load_all(store):
        if one.is_live:
            manifests.update((one.machine_manifest, one.baseline_manifest))
    return upkeep.reach(vault, manifests, MOST_ENTRIES, strict) | contents


def _manifests_of(known: Dict[str, Any]) -> Iterable[str]:
    base = known.get("base") or {}
    named = [known.get(key) for key in ("machine_before", "machine_after", "baseline_before_manifest")]
    return [str(digest) for digest in [*named, base.get("manifest")] if is_digest(digest)]


def _contents_of(known: Dict[str, Any]) -> Iterable[str]:
    """What lost a conflict."""
    entries = [kept.get("entry", []) for kept in known.get("kept", [])]
    return [entry[9] for entry in entries if len(entry) > 9 and entry[1] == FILE and is_digest(entry[9])]


def collect(store: Store, grace: float, dry_run: bool = False, without: Outdated = NOTHING_OUTDATED) -> Dict[str, Any]:
    """Take away what nothing names.

    :param grace: seconds for which a content stays that was added or relied on.
    :param without: documents that would be gone by now, if this were no dry run.
    :returns: ``changed``, ``packs``, ``contents``, ``bytes``: what went.
    """
    if not has_vault(store):
        return {"changed": False, "packs": 0, "contents": 0, "bytes": 0}
    with Refs(location(store)) as refs, Vault(location(store)) as vault:
        now = store.now()  # before anything is looked at: what is named afterwards relied on contents afterwards
        keep = needed(store, refs, vault, without=without)
        gone = upkeep.collect(vault, keep, now, to_ns(grace), dry_run)
    return {"changed": gone.packs > 0, "packs": gone.packs, "contents": gone.contents, "bytes": gone.bytes}


def verify(store: Store, dry_run: bool = False) -> Dict[str, Any]:
    """Check every content against its hash, and that all that is named is there. What is not is written down: who
    captures a tree that has it adds it anew, and :func:`collect` replaces packs that are damaged.

    :returns: ``packs``, ``contents``, ``bytes``, ``damaged`` (pack -> what is wrong), ``lost`` (named, damaged and
        whole nowhere else), ``missing`` (named, and nowhere), ``trouble`` (why it was not written down).
    """
    if not has_vault(store):
        return {"packs": 0, "contents": 0, "bytes": 0, "damaged": {}, "lost": [], "missing": [], "trouble": ""}
    with Refs(location(store)) as refs, Vault(location(store)) as vault:
        found = upkeep.verify(vault)
        named = needed(store, refs, vault, strict=False)
        lost = named & found.lost
        missing = vault.missing(named) - lost
        # Also what is damaged and not named: somebody may find it there, and rely on it.
        lacked = wanted.Wanted(found.lost | missing, frozenset(found.damaged))
        trouble = "" if dry_run else _note(vault, lacked)
    return {
        "packs": found.packs,
        "contents": found.contents,
        "bytes": found.bytes,
        "damaged": dict(found.damaged),
        "lost": sorted(lost),
        "missing": sorted(missing),
        "trouble": trouble,
    }


def _note(vault: Vault, lacked: wanted.Wanted) -> str:
    """Write down what the vault lacks; why that was not possible. What is lacking has to be told all the same."""
    try:
        wanted.note(vault.dir_fd, vault.path, lacked)
    except HeartbeatError as exc:
        return exc.message
    return ""


def keep_up(store: Store, check: bool, let_go: bool, grace: Optional[float], dry_run: bool) -> Dict[str, Any]:
    """What ``heartbeat_vault`` does and returns.

    :param grace: see :func:`collect`; None to take nothing away.
    """
    store.connect()
    if grace is not None and not 0 <= grace <= MOST_GRACE:
        raise InvalidSettings("grace must be a number of seconds from 0 to %d" % MOST_GRACE)
    result: Dict[str, Any] = {"changed": False}
    old = NOTHING_OUTDATED
    if let_go:
        pruned, old = prune(store, dry_run)
        result["changed"] = pruned.pop("changed")
        result["pruned"] = pruned
    if grace is not None:
        collected = collect(store, grace, dry_run, old)
        result["changed"] = collected.pop("changed") or result["changed"]
        result["collected"] = collected
    if check:
        verified = result["verified"] = verify(store, dry_run)
        trouble = verified.pop("trouble")
        failure = _failure(verified)
        if failure:
            failure += "; machines are not told what to add anew: " + trouble if trouble else ""
            result.update(error_code=StoreCorrupt.error_code, failure=failure)
    return result


def _failure(verified: Dict[str, Any]) -> str:
    """What is wrong with the vault, and what to do; empty when all is well."""
    damaged, bad = len(verified["damaged"]), len(verified["lost"]) + len(verified["missing"])
    if bad:
        return (
            "the vault has %d damaged packs, and %d contents cannot be had from it; capture the machines that have "
            "them, or restore the vault from a backup, then verify it again" % (damaged, bad)
        )
    if damaged:
        return (
            "the vault has %d damaged packs, but all that is needed of them can be had; gc: true replaces them. Look "
            "after the disk that the store is on" % damaged
        )
    return ""
