# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Upkeep of a vault: checking every content, and taking away what no manifest names.

Captures go on meanwhile. Whoever relies on a content that is there already makes its pack new again (``PackSet.keep``),
and a pack is only ever taken away when it was old and is still old once it is out of the others' sight.
"""

from __future__ import annotations

import os
from typing import NamedTuple

from ..errors import HeartbeatError, StoreCorrupt, from_os_error
from ..stores.atomic import TEMPORARY, discard
from . import wanted as wanting
from .manifest import FILE
from .pack import HEADER, check_pack
from .packing import PackWriter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, FrozenSet, Iterable, List, Optional, Set, Tuple

    from .pack import PackReader
    from .vault import Vault

TRASH = ".trash-"
NS = 1_000_000_000
GRACE_NS = 24 * 3600 * NS
"""No sync takes longer than this."""
MAX_SMALL = 8 << 20
MANY_SMALL = 16
"""So many packs below that size are put together."""


class Verified(NamedTuple):
    """What checking a vault gave."""

    packs: int
    contents: int
    bytes: int
    damaged: Dict[str, str]
    """Pack -> what is wrong with it."""
    lost: FrozenSet[str]
    """Contents that are damaged, and whole nowhere else."""


class Collected(NamedTuple):
    """What was taken away, or would be."""

    packs: int
    contents: int
    bytes: int


def verify(vault: Vault) -> Verified:
    """Check every content of a vault against its digest."""
    whole: Set[bytes] = set()
    broken: Set[bytes] = set()
    damaged: Dict[str, str] = {}
    count = size = 0
    names = vault.packs.names()
    for name in names:
        try:
            reader = vault.packs.open(name)
        except FileNotFoundError:
            continue
        except HeartbeatError as exc:
            damaged[name] = exc.message
            continue
        with reader:
            size += reader.size
            for digest, trouble in _check(reader):
                count += 1
                (broken if trouble else whole).add(digest)
                if trouble:
                    damaged.setdefault(name, trouble)
            try:
                reader.check_layout()
            except HeartbeatError as exc:
                damaged.setdefault(name, exc.message)
    return Verified(len(names), count, size, damaged, frozenset(digest.hex() for digest in broken - whole))


def _check(reader: PackReader) -> Iterable[Tuple[bytes, str]]:
    """Each content, and what is wrong with it."""
    for row in reader.rows():
        try:
            reader.verify(row)
        except HeartbeatError as exc:
            yield row.digest, exc.message
        else:
            yield row.digest, ""


def reach(vault: Vault, manifests: Iterable[str], max_entries: int, strict: bool = True) -> Set[str]:
    """Everything that some manifests need: themselves, and the contents that they name.

    :param manifests: their digests: of all snapshots, baselines, bases and records of syncs.
    :param strict: whether each of them has to be there.
    :raises StoreCorrupt: one cannot be read. Then nothing may be taken away, for nobody knows what it names.
    """
    needed: Set[str] = set()
    for digest in set(manifests):
        needed.add(digest)
        try:
            manifest = vault.manifest(digest, max_entries)
        except StoreCorrupt:
            if strict:
                raise
            continue
        needed.update(entry.content for entry in manifest.entries.values() if entry.kind == FILE)
    return needed


def collect(vault: Vault, keep: Set[str], now_ns: int, grace_ns: int = GRACE_NS, dry_run: bool = False) -> Collected:
    """Take away what nobody needs any more, put small packs together, and replace those that a check found damaged.

    :param keep: the contents that are needed (:func:`reach`).
    :param now_ns: the store's time.
    :param grace_ns: packs that were added, or relied on, within that time stay as they are.
    :param dry_run: only say what would be taken away.
    """
    wanted = {bytes.fromhex(digest) for digest in keep}
    before = now_ns - grace_ns
    if not dry_run:
        _sweep(vault, before)
    names = vault.packs.names()
    damaged = wanting.load(vault.dir_fd).packs
    found = [_salvage(vault, name, wanted) for name in names if name in damaged]
    ruins = [plan for plan in found if plan is not None]
    old = [name for name in names if name not in {plan.name for plan in ruins} and _is_old(vault, name, before)]
    plans = ruins + _choose([_look(vault, name, wanted) for name in old])
    if not dry_run:
        plans = [plan for plan in plans if plan in ruins or _whole(vault, plan)]
        new = _rewrite(vault, plans)
        # A ruin goes at any age: what was whole in it is in a new pack now. If it is not as it was when it was looked
        # at, somebody has put a sound one in its place.
        ages = {plan.name: plan.mtime_ns + 1 for plan in ruins}
        plans = [p for p in plans if p.name != new and _take_away(vault, p.name, ages.get(p.name, before))]
        vault.packs.refresh()
    contents = sum(plan.garbage for plan in plans)
    return Collected(len(plans), contents, sum(plan.garbage_bytes for plan in plans))


class _Plan(NamedTuple):
    """What a pack holds that is needed, and what is not."""

    name: str
    needed: List[bytes]
    garbage: int
    garbage_bytes: int
    size: int
    mtime_ns: int = 0
    """Of a damaged one, before it was looked at."""


def _look(vault: Vault, name: str, wanted: Set[bytes]) -> _Plan:
    try:
        with vault.packs.open(name) as reader:
            rows = list(reader.rows())
            garbage = [row for row in rows if row.digest not in wanted]
            needed = [row.digest for row in rows if row.digest in wanted]
            return _Plan(name, needed, len(garbage), sum(row.stored + HEADER.size for row in garbage), reader.size)
    except (FileNotFoundError, StoreCorrupt):
        # A damaged pack stays until a check has named it, and nothing needed is only there.
        return _Plan(name, [], 0, 0, MAX_SMALL)


def _salvage(vault: Vault, name: str, wanted: Set[bytes]) -> Optional[_Plan]:
    """A damaged pack, with all that is whole in it to be kept; None while something is needed that is only there."""
    whole: List[bytes] = []
    broken: Set[bytes] = set()
    rows = size = mtime_ns = 0
    try:
        mtime_ns = _mtime_ns(vault, name)
        with vault.packs.open(name) as reader:
            size = reader.size
            for row in reader.rows():
                rows += 1
                try:
                    reader.verify(row)
                    whole.append(row.digest)
                except HeartbeatError:
                    broken.add(row.digest)
    except FileNotFoundError:
        return None
    except StoreCorrupt:
        broken = wanted  # nobody knows what was in it
    if not all(_can_be_had(vault, digest) for digest in broken & wanted):
        return None
    return _Plan(name, whole, rows - len(whole), 0, size, mtime_ns)


def _can_be_had(vault: Vault, digest: bytes) -> bool:
    for reader, row in vault.packs.holders(digest):
        try:
            reader.verify(row)
            return True
        except HeartbeatError:
            continue
    return False


def _choose(plans: List[_Plan]) -> List[_Plan]:
    """The packs worth writing anew: mostly garbage, or small and many."""
    chosen = [plan for plan in plans if plan.garbage and (not plan.needed or plan.garbage_bytes * 2 > plan.size)]
    small = [plan for plan in plans if plan.size < MAX_SMALL and plan not in chosen]
    return chosen + small if len(small) >= MANY_SMALL else chosen


def _whole(vault: Vault, plan: _Plan) -> bool:
    """Whether all that is needed of a pack is undamaged in it."""
    try:
        with vault.packs.open(plan.name) as reader:
            for digest in plan.needed:
                row = reader.find(digest)
                if row is None:
                    return False
                reader.verify(row)
    except (FileNotFoundError, StoreCorrupt):
        return False
    return True


def _rewrite(vault: Vault, plans: List[_Plan]) -> Optional[str]:
    """Put what is needed of some packs into a new one, durable and verified before any of them goes; its name."""
    needed = {digest.hex() for plan in plans for digest in plan.needed}
    if not needed:
        return None
    with PackWriter(vault.dir_fd, vault.path) as writer:
        vault.copy_into(writer, needed)
        name = writer.commit()
    if name is not None:
        with vault.packs.open(name) as reader:
            check_pack(reader)
    return name


def _take_away(vault: Vault, name: str, before: int) -> bool:
    """Remove a pack, if nobody has relied on it meanwhile: out of sight first, then look again, then remove."""
    hidden = TRASH + name
    try:
        os.rename(name, hidden, src_dir_fd=vault.dir_fd, dst_dir_fd=vault.dir_fd)
        if not _is_old(vault, hidden, before):
            os.rename(hidden, name, src_dir_fd=vault.dir_fd, dst_dir_fd=vault.dir_fd)
            return False
        os.unlink(hidden, dir_fd=vault.dir_fd)
    except FileNotFoundError:
        return False
    except OSError as exc:
        raise from_os_error(exc, "take away a pack", os.path.join(vault.path, name)) from exc
    return True


def _is_old(vault: Vault, name: str, before: int) -> bool:
    try:
        return _mtime_ns(vault, name) < before
    except FileNotFoundError:
        return False


def _mtime_ns(vault: Vault, name: str) -> int:
    """:raises FileNotFoundError: it is gone."""
    try:
        return os.stat(name, dir_fd=vault.dir_fd, follow_symlinks=False).st_mtime_ns
    except FileNotFoundError:
        raise
    except OSError as exc:
        raise from_os_error(exc, "look at a pack", os.path.join(vault.path, name)) from exc


def _sweep(vault: Vault, before: int) -> None:
    """What killed processes left behind. A hidden pack comes back: somebody may have relied on it just before."""
    try:
        for name in os.listdir(vault.dir_fd):
            if name.startswith(TRASH):
                os.rename(name, name[len(TRASH) :], src_dir_fd=vault.dir_fd, dst_dir_fd=vault.dir_fd)
            elif name.startswith(TEMPORARY) and _is_old(vault, name, before):
                discard(vault.dir_fd, name)
    except OSError as exc:
        raise from_os_error(exc, "clean the vault", vault.path) from exc
