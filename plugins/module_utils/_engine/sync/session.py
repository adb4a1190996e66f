# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What one sync of one machine works with: what was asked for, the fleet's settings, the vault and its documents."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Protocol, Tuple

from ..documents import Fleet
from ..errors import InvalidSettings, StoreCorrupt
from ..record import Beat, decode
from ..stores.base import Store
from . import spec as specs
from .capture import contents
from .claim import Claim
from .decisions import shown
from .manifest import Manifest, digest, dump
from .refs import Base, Refs, Snapshot, new_sync_id
from .spec import TreeSpec
from .vault import Vault


class Captured(NamedTuple):
    """A tree as it was found on its machine."""

    manifest: Optional[Manifest]
    """None: the tree's directory is not there."""
    digest: str = ""
    """Of the manifest, in the vault."""
    bytes: int = 0
    """How much of its content was new to the vault."""


class Step(NamedTuple):
    """What is to become of a tree on its machine."""

    spec: TreeSpec
    before: Manifest
    """As it was captured."""
    after: Manifest


class Applied(NamedTuple):
    """What has become of it."""

    left: Dict[str, str]
    """Path -> why it was left alone: mostly because somebody changed it after the capture."""


class Chosen(NamedTuple):
    """A snapshot of one tree that is to be restored."""

    spec: TreeSpec
    snapshot: Snapshot


class Site(Protocol):
    """Where a machine's trees are: this host, or another one at the end of a connection."""

    def capture(self, session: Session, trees: List[TreeSpec], last: Dict[str, str]) -> Dict[str, Captured]:
        """Look at the trees. Afterwards all that they hold is in the vault, but for a dry run, which writes nothing.

        :param last: tree -> digest of the manifest of its last snapshot.
        """

    def apply(self, session: Session, steps: List[Step]) -> Dict[str, Applied]:
        """Bring the trees to what they should be, each whole or not at all."""


@dataclass(frozen=True)
class Request:
    """What is asked for.

    :param event: ``offline``, ``online``, ``capture``, ``rollback`` or ``restore``.
    :param sync_from_baseline: change the machine's trees, too.
    :param conflict_policy: instead of the fleet's.
    :param force: even if most of a tree's files are gone.
    :param sync_id: of the sync that a rollback takes back; None for the machine's last one.
    :param source: the machine whose snapshots are restored.
    :param chosen: those snapshots.
    :param restore: what the machine does not have was lost and not deleted: it comes back from the baseline.
    """

    machine_id: str
    event: str
    create_backup: bool = True
    dry_run: bool = False
    sync_from_baseline: bool = True
    conflict_policy: Optional[str] = None
    force: bool = False
    sync_id: Optional[str] = None
    source: str = ""
    chosen: Tuple[Chosen, ...] = ()
    restore: bool = False

    @property
    def has_options(self) -> bool:
        """Whether it asks for something else than the sync that a transition leaves pending."""
        return replace(self, machine_id="", event="") != Request("", "")


def request_from(params: Mapping[str, Any], check_mode: bool) -> Request:
    """What the options of ``heartbeat_sync`` ask for."""
    return Request(
        machine_id=params["machine_id"] or "",
        event=params["event"] or "",
        create_backup=params["create_backup"],
        dry_run=params["dry_run"] or check_mode,
        sync_from_baseline=params["sync_from_baseline"],
        conflict_policy=params["conflict_policy"],
        force=params["force"],
        sync_id=params["sync_id"],
        restore=params["restore"],
    )


@dataclass
class Session:
    """One sync at work; used in a ``with`` block.

    :param claim: of the machine; None on a dry run, and for a mere capture.
    """

    store: Store
    fleet: Fleet
    request: Request
    event_id: str = ""
    claim: Optional[Claim] = None
    sync_id: str = ""
    began: int = 0
    _vault: Optional[Vault] = None
    _refs: Optional[Refs] = None
    _manifests: Dict[str, Manifest] = field(default_factory=dict)
    _beat: Optional[Beat] = None

    def __enter__(self) -> Session:
        self.began = self.store.now()
        self.sync_id = new_sync_id(self.began)
        return self

    def __exit__(self, *exc_info: object) -> None:
        for opened in (self._vault, self._refs):
            if opened is not None:
                opened.close()

    @property
    def machine_id(self) -> str:
        return self.request.machine_id

    @property
    def policy(self) -> str:
        return self.request.conflict_policy or self.fleet.settings.conflict_policy

    @property
    def location(self) -> str:
        """The vault's directory."""
        return os.path.join(self.store.location, "vault")

    @property
    def refs(self) -> Refs:
        if self._refs is None:
            self.store.connect()
            self._refs = Refs(self.location)
        return self._refs

    @property
    def vault(self) -> Vault:
        """Opened at its first use: on a dry run there may be none, and none is made."""
        if self._vault is None:
            self.store.connect()
            self._vault = Vault(self.location, create=not self.request.dry_run)
        return self._vault

    @property
    def host(self) -> str:
        """The fingerprint of the host that has the machine's name now; empty where nobody can tell."""
        return self.beat.fingerprint

    @property
    def beat(self) -> Beat:
        """The machine's last heartbeat; one that says nothing where there is none that can be read."""
        if self._beat is None:
            self._beat = Beat(machine_id=self.machine_id, sequence=0, sent_at="")
            found = self.store.read_beat(self.machine_id)
            try:
                self._beat = self._beat if found is None else decode(found.data, self.machine_id)
            except StoreCorrupt:  # a torn record: the next beat replaces it, if there is one
                pass
        return self._beat

    def is_of_another_host(self, base: Optional[Base], host: str) -> bool:
        """Whether a base is of another host than the one that a tree is of.

        Where one of the two is not known, as in a base from before they named one or after a torn heartbeat, it is
        believed if nobody has taken the machine's name over.
        """
        if base is None:
            return False
        return base.host != host and (bool(base.host and host) or self.beat.took_over is not None)

    def check(self) -> None:
        """Before each step that others would see: that the store is there, and nobody else is at work on this."""
        self.store.now()
        if self.claim is not None:
            self.claim.check()

    def trees(self) -> List[TreeSpec]:
        """The machine's trees.

        :raises InvalidSettings: it has none.
        """
        mine = trees_of(self.fleet, self.machine_id)
        if not mine:
            raise InvalidSettings(nothing_to_sync(self.fleet, self.machine_id), machine_id=self.machine_id)
        return mine

    def manifest(self, name: Optional[str], tree: TreeSpec) -> Manifest:
        """The manifest of that digest; an empty one for None."""
        if name is None:
            return Manifest(tree.name, {})
        if name not in self._manifests:
            self._manifests[name] = self.vault.manifest(name, tree.max_entries)
        return self._manifests[name]

    def rely_on(self, manifest: Manifest, known: Manifest) -> None:
        """See that all is in the vault that a document is about to name, and let upkeep leave it there until it does.

        Upkeep may run at any time, and take away what only a snapshot named that has gone since.

        :param known: what of it is named already, so that its absence is no news.
        :raises StoreCorrupt: something is not there.
        """
        missing = self.vault.rely_on(contents(manifest)) - set(contents(known))
        if missing:
            paths = sorted(path for path, entry in manifest.entries.items() if entry.content in missing)
            raise StoreCorrupt(
                "the content of %s%s in %s is not in the vault any more, and nothing was changed. Sync again; if that "
                "does not help, run heartbeat_vault with verify: true, then capture the machines that have it"
                % (shown(paths[0]), " and %d others" % (len(paths) - 1) if paths[1:] else "", manifest.tree),
                tree=manifest.tree,
                examples=[shown(path) for path in paths[:5]],
            )

    def keep_manifests(self, manifests: List[Manifest]) -> List[str]:
        """Put manifests into the vault; their digests. All that they name stays there. On a dry run they are only
        named."""
        named = [(digest(data), data, one) for data, one in ((dump(one), one) for one in manifests)]
        self._manifests.update({name: one for name, _data, one in named})
        if not self.request.dry_run:
            for one in manifests:
                self.vault.rely_on(contents(one))
            with self.vault.writer() as writer:
                for _name, data, _one in named:
                    writer.add_bytes(data)
                writer.commit()
        return [name for name, _data, _one in named]


def all_trees(fleet: Fleet) -> List[TreeSpec]:
    """The trees that the fleet declares, by name."""
    return [specs.from_mapping(name, values) for name, values in sorted(fleet.settings.sync_paths.items())]


def trees_of(fleet: Fleet, machine_id: str) -> List[TreeSpec]:
    """Those of one machine."""
    return [tree for tree in all_trees(fleet) if tree.applies_to(machine_id)]


def nothing_to_sync(fleet: Fleet, machine_id: str) -> str:
    """Why a machine has no trees."""
    why = "the fleet has trees for other machines only" if all_trees(fleet) else "the fleet has no trees"
    return "there is nothing to sync on %s: %s; name its trees with sync_paths of heartbeat_fleet" % (machine_id, why)
