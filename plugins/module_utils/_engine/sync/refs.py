# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the vault's content means: the baseline's versions, each machine's base and snapshots, and what each sync did.

::

    baseline/<tree>/<20 digits>.json            the fleet's agreed tree, version by version; put if absent
    machines/<id>/<tree>/base.json              the tree after the machine's last sync
    machines/<id>/<tree>/snapshots/<20 digits>.json
    syncs/<sync id>.json                        what a sync changed, and how it was before: the backup for a rollback

Standard library only: the agent takes snapshots. Nothing read here is believed; see :func:`_checked`.
"""

from __future__ import annotations

import os
import time
from typing import NamedTuple

from ..clock import NS
from ..errors import InvalidSettings, LockTimeout, StoreCorrupt
from ..identity import is_machine_id
from .refdir import Found, RefDir
from .spec import is_tree_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, Optional, Tuple, Type, TypeVar

    Ref = TypeVar("Ref", "Baseline", "Base", "Snapshot")

MAX_RACES = 100
MAX_FINGERPRINT = 200
BASE = "base.json"
_HEX = frozenset("0123456789abcdef")
_SYNC_ID = frozenset("0123456789abcdefTZ-")


class Baseline(NamedTuple):
    """One version of the fleet's agreed tree."""

    version: int
    at: int
    machine_id: str
    """Of the machine whose sync published it; empty for a person's decision."""
    sync_id: str
    manifest: str


class Base(NamedTuple):
    """A machine's tree after its last sync."""

    manifest: str
    baseline_version: int
    at: int
    sync_id: str
    host: str = ""
    """The fingerprint of the host that had the tree; empty where that is not known."""


class Snapshot(NamedTuple):
    """A machine's tree at a moment."""

    number: int
    at: int
    manifest: str
    host: str = ""


def new_sync_id(now: int) -> str:
    """An id that sorts by time and is never given twice.

    :param now: the store's time.
    """
    fraction = now % NS
    # Two syncs of one second keep their order; where a store knows whole seconds only, all of it is left to chance.
    unique = "%08x" % fraction + os.urandom(2).hex() if fraction else os.urandom(6).hex()
    return "%04d%02d%02dT%02d%02d%02dZ" % time.gmtime(now // NS)[:6] + "-" + unique


def is_sync_id(text: object) -> bool:
    return isinstance(text, str) and 16 < len(text) <= 64 and _SYNC_ID.issuperset(text)


class Refs:
    """The documents of one vault.

    :param vault: the vault's directory.
    """

    def __init__(self, vault: str) -> None:
        self.folder = RefDir(os.path.join(vault, "refs"))

    def close(self) -> None:
        self.folder.close()

    def __enter__(self) -> Refs:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    # -- the baseline --------------------------------------------------------------------------------------------

    def baseline(self, tree: str, now: int) -> Optional[Baseline]:
        """The baseline's newest version, or None before the first."""
        return _typed(Baseline, self.folder.last(_baseline(tree), now))

    def baseline_version(self, tree: str, version: int) -> Optional[Baseline]:
        return _typed(Baseline, self.folder.read(_baseline(tree), "%020d.json" % version))

    def baseline_turn(self, tree: str) -> int:
        """The number of the next version; to be asked for before the newest one is read. What a writer that died has
        left behind has a number as well."""
        return self.folder.next_number(_baseline(tree))

    def publish(self, tree: str, ref: Baseline) -> bool:
        """Put a version in place; False when somebody else has published since, so that it must be merged anew.

        That nothing has its number is not enough: upkeep may have taken away what had.
        """
        folder = _baseline(tree)
        return self.baseline_turn(tree) == ref.version and self.folder.append(folder, ref.version, ref._asdict())

    # -- a machine -----------------------------------------------------------------------------------------------

    def base(self, machine_id: str, tree: str) -> Optional[Base]:
        return _typed(Base, self.folder.read(_machine(machine_id, tree), BASE))

    def set_base(self, machine_id: str, tree: str, ref: Base) -> None:
        self.folder.replace(_machine(machine_id, tree), BASE, ref._asdict())

    def drop_base(self, machine_id: str, tree: str) -> None:
        """As before the machine's first sync."""
        self.folder.remove(_machine(machine_id, tree), BASE)

    def snapshot(self, machine_id: str, tree: str, now: int) -> Optional[Snapshot]:
        """The newest snapshot, or None."""
        return _typed(Snapshot, self.folder.last(_snapshots(machine_id, tree), now))

    def snapshot_turn(self, machine_id: str, tree: str) -> int:
        """The number that the next snapshot gets. Asked for before a tree is looked at: see :meth:`take_turn`."""
        return self.folder.next_number(_snapshots(machine_id, tree))

    def take_turn(
        self, machine_id: str, tree: str, turn: int, at: int, manifest: str, host: str = ""
    ) -> Optional[Snapshot]:
        """Keep a snapshot under that number; None if there is one already.

        Then the tree was captured again since it was looked at, and maybe changed by a sync in between. Were what was
        seen before put in front of that, the sync would look undone.
        """
        folder = _snapshots(machine_id, tree)
        ref = Snapshot(turn, at, manifest, host)
        if self.folder.next_number(folder) != turn or not self.folder.append(folder, turn, ref._asdict()):
            return None
        return ref

    def add_snapshot(self, machine_id: str, tree: str, at: int, manifest: str, host: str = "") -> Snapshot:
        """Keep a snapshot. The same tree as in the newest one, at a later time, replaces nothing: it is one more."""
        folder = _snapshots(machine_id, tree)
        for _race in range(MAX_RACES):
            ref = Snapshot(self.folder.next_number(folder), at, manifest, host)
            if self.folder.append(folder, ref.number, ref._asdict()):
                return ref
        raise LockTimeout("others take snapshots of %s at the same time; try again" % machine_id)

    def snapshots(self, machine_id: str, tree: str) -> List[Snapshot]:
        """All that are sound, the oldest first."""
        folder = _snapshots(machine_id, tree)
        return [ref for ref in (self._sound(Snapshot, folder, n) for n in self.folder.numbers(folder)) if ref]

    def strict_snapshots(self, machine_id: str, tree: str) -> List[Snapshot]:
        """All of them.

        :raises StoreCorrupt: one is damaged.
        """
        return self._all(Snapshot, _snapshots(machine_id, tree))

    def drop_snapshot(self, machine_id: str, tree: str, number: int) -> bool:
        return self.folder.remove(_snapshots(machine_id, tree), "%020d.json" % number)

    # -- syncs ---------------------------------------------------------------------------------------------------

    def record(self, sync_id: str) -> Optional[Dict[str, Any]]:
        """What a sync did."""
        if not is_sync_id(sync_id):
            raise InvalidSettings(
                "%.80r is no sync_id; backup_path and heartbeat_sync's sync_id tell them" % (sync_id,)
            )
        found = self.folder.read("syncs", sync_id + ".json")
        return None if found is None else dict(_checked(found, "sync_id", "machine_id", "event", "trees"))

    def write_record(self, sync_id: str, record: Dict[str, Any]) -> str:
        """Keep what a sync is about to change; the path of the document."""
        self.folder.replace("syncs", sync_id + ".json", record)
        return os.path.join(self.folder.root, "syncs", sync_id + ".json")

    def drop_record(self, sync_id: str) -> bool:
        return self.folder.remove("syncs", sync_id + ".json")

    def sync_ids(self) -> List[str]:
        """The records there are, the oldest first."""
        return [name[:-5] for name in self.folder.names("syncs") if name.endswith(".json") and is_sync_id(name[:-5])]

    # -- all of them ---------------------------------------------------------------------------------------------

    def trees(self) -> List[str]:
        """The trees that have a baseline."""
        return [name for name in self.folder.names("baseline") if is_tree_name(name)]

    def baseline_versions(self, tree: str) -> List[Baseline]:
        folder = _baseline(tree)
        return [ref for ref in (self._sound(Baseline, folder, n) for n in self.folder.numbers(folder)) if ref]

    def strict_baselines(self, tree: str) -> List[Baseline]:
        """All versions.

        :raises StoreCorrupt: one is damaged.
        """
        return self._all(Baseline, _baseline(tree))

    def drop_baseline(self, tree: str, version: int) -> bool:
        return self.folder.remove(_baseline(tree), "%020d.json" % version)

    def machines(self) -> List[Tuple[str, str]]:
        """Every machine with every tree that is known of it."""
        found: List[Tuple[str, str]] = []
        for machine in self.folder.names("machines"):
            if is_machine_id(machine):
                trees = self.folder.names("machines/" + machine)
                found.extend((machine, tree) for tree in trees if is_tree_name(tree))
        return found

    def _all(self, kind: Type[Ref], folder: str) -> List[Ref]:
        found = [_typed(kind, self.folder.read(folder, "%020d.json" % n)) for n in self.folder.numbers(folder)]
        return [ref for ref in found if ref is not None]

    def _sound(self, kind: Type[Ref], folder: str, number: int) -> Optional[Ref]:
        try:
            return _typed(kind, self.folder.read(folder, "%020d.json" % number))
        except StoreCorrupt:
            return None


def _baseline(tree: str) -> str:
    return "baseline/" + _tree(tree)


def _machine(machine_id: str, tree: str) -> str:
    if not is_machine_id(machine_id):
        raise InvalidSettings("%.80r is no machine id" % (machine_id,))
    return "machines/%s/%s" % (machine_id, _tree(tree))


def _snapshots(machine_id: str, tree: str) -> str:
    return _machine(machine_id, tree) + "/snapshots"


def _tree(tree: str) -> str:
    if not is_tree_name(tree):
        raise InvalidSettings("%.80r is no name of a tree" % (tree,))
    return tree


def is_digest(value: object) -> bool:
    """Whether something is a SHA-256 in hexadecimal."""
    return value.__class__ is str and len(value) == 64 and _HEX.issuperset(value)


def _checked(found: Found, *keys: str) -> Dict[str, Any]:
    """The value of a document, if it is a dictionary with these keys.

    :raises StoreCorrupt: it is not.
    """
    value = found.value
    if not isinstance(value, dict) or not set(keys) <= set(value):
        raise StoreCorrupt("%s in the vault is not what it should be; move it away" % found.name, path=found.name)
    return value


def _typed(kind: Type[Ref], found: Optional[Found]) -> Optional[Ref]:
    if found is None:
        return None
    value = {**kind._field_defaults, **_checked(found, *(set(kind._fields) - set(kind._field_defaults)))}
    for key in kind._fields:
        item = value[key]
        if key == "manifest":
            fine = is_digest(item)
        elif key in ("machine_id", "sync_id"):
            fine = item == "" or (is_machine_id(item) if key == "machine_id" else is_sync_id(item))
        elif key == "host":
            fine = item.__class__ is str and len(item) <= MAX_FINGERPRINT
        else:
            fine = item.__class__ is int and 0 <= item < 1 << 63
        if not fine:
            raise StoreCorrupt("%s in the vault: %s is %.80r" % (found.name, key, item), path=found.name)
    return kind(**{key: value[key] for key in kind._fields})
