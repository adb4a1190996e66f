# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The trees of another host, at the end of a connection: manifests and missing contents are carried to and fro.

Two or three operations a machine: look at the trees, pack what the vault does not have (left out when that is nothing),
bring the trees up to date (the same). Large contents go in several bundles. Of those that come from a machine, neither
side keeps more than one at a time. What is sent to it has to be there as a whole before a tree is touched; whether it
fits is found out first. If the machine has mounted the fleet's own store, contents are not carried at all.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from typing import Any, Dict, Iterable, List, Mapping, Protocol, Set, Tuple

from ..errors import DiskSpaceLow, StoreCorrupt
from . import manifest as manifests
from .capture import contents, forget, named
from .manifest import Manifest
from .packing import SPARE
from .paths import from_hex
from .session import Applied, Captured, Session, Step
from .spec import TreeSpec
from .steps import needed

BUNDLE_BYTES = 256 << 20
"""How much content goes into one bundle, if it is not a single one that is larger."""
WORTH_TELLING = 8 << 20


class Carrier(Protocol):
    """A connection to a machine, and what runs there."""

    def call(self, **options: Any) -> Dict[str, Any]:
        """Run ``heartbeat_tree`` there; its result.

        :raises HeartbeatError: it failed.
        """

    def fetch(self, remote: str, local: str) -> None:
        """Bring a file from there."""

    def put(self, local: str, name: str) -> None:
        """Bring a file there, into the folder that both sides use."""

    def tell(self, text: str) -> None:
        """Say how far a long transfer has come."""


class CarriedSite:
    """See :class:`.session.Site`; used in a ``with`` block.

    :param carrier: the connection.
    :param direct: see whether the machine has mounted the fleet's own store; else contents are carried in any case.
    """

    def __init__(self, carrier: Carrier, direct: bool = True) -> None:
        self.carrier = carrier
        self.direct = direct
        self.mounted = False
        self._free = 0
        self._folder = ""

    def __enter__(self) -> CarriedSite:
        self._folder = tempfile.mkdtemp(prefix="roosync-heartbeat-")  # for this user alone
        return self

    def __exit__(self, *exc_info: object) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)

    def _store_id(self, session: Session) -> str:
        return session.fleet.store_id if self.direct else ""

    def _local(self, name: str) -> str:
        return os.path.join(self._folder, name)

    # -- what is there -------------------------------------------------------------------------------------------

    def capture(self, session: Session, trees: List[TreeSpec], last: Dict[str, str]) -> Dict[str, Captured]:
        declared = {spec.name: spec.as_mapping() for spec in trees}
        dry_run = session.request.dry_run
        done = self.carrier.call(
            op="capture", trees=declared, last=last, store_id=self._store_id(session), dry_run=dry_run
        )
        self.mounted = bool(done["mounted"])
        self._free = int(done["free"])
        found: Dict[str, Captured] = {}
        carried: Dict[str, Manifest] = {}
        for spec in trees:
            one = done["trees"][spec.name]
            if one["vanished"]:
                found[spec.name] = Captured(None)
            elif self.mounted:
                found[spec.name] = Captured(session.manifest(one["digest"], spec), one["digest"], int(one["bytes"]))
            else:
                carried[spec.name] = self._fetch_manifest(spec, one)
                found[spec.name] = Captured(carried[spec.name], one["digest"])
        if carried and not dry_run:
            lacked = session.vault.wanted()
            fresh = {
                name: one
                for name, one in carried.items()
                if found[name].digest != last.get(name) or (lacked and lacked & named(one, found[name].digest))
            }
            found.update(self._bring(session, declared, fresh))
        return found

    def _fetch_manifest(self, spec: TreeSpec, one: Mapping[str, Any]) -> Manifest:
        local = self._local("manifest-" + spec.name)
        self.carrier.fetch(str(one["manifest"]), local)
        with open(local, "rb") as stream:
            data = stream.read(manifests.MAX_BYTES + 1)
        if manifests.digest(data) != one["digest"]:
            raise StoreCorrupt("the manifest of %s was damaged on its way; try again" % spec.name)
        manifest = manifests.load(data, spec.max_entries)
        if manifest.tree != spec.name:
            raise StoreCorrupt("the manifest of %s is of another tree, %s" % (spec.name, manifest.tree))
        return manifest

    def _bring(self, session: Session, declared: Mapping[str, Any], fresh: Dict[str, Manifest]) -> Dict[str, Captured]:
        """Fetch the contents that the vault does not have, then keep the manifests."""
        sizes = {name: contents(manifest) for name, manifest in fresh.items()}
        # Until the manifests are kept nothing else says that what is there already is needed.
        missing = {name: session.vault.rely_on(sizes[name]) for name in fresh}
        total = sum(sizes[name][digest] for name in fresh for digest in missing[name])
        items = [(name, digest, sizes[name][digest]) for name in sorted(fresh) for digest in sorted(missing[name])]
        parts = _parts(items)
        brought: Dict[str, int] = dict.fromkeys(fresh, 0)
        done = 0
        for number, part in enumerate(parts):
            for name, (came, lost) in self._bring_part(session, declared, number, part, sizes).items():
                forget(fresh[name], [path for path in lost if path in fresh[name].entries])
                _check_all_came(fresh[name], set(part[name]) - came)
                brought[name] += sum(sizes[name][digest] for digest in came)
                done += sum(sizes[name][digest] for digest in part[name])
            self._tell("fetched", done, total)
        digests = session.keep_manifests([fresh[name] for name in sorted(fresh)])
        for name, digest in zip(sorted(fresh), digests):
            session.vault.came(named(fresh[name], digest))
        return {name: Captured(fresh[name], digest, brought[name]) for name, digest in zip(sorted(fresh), digests)}

    def _bring_part(
        self,
        session: Session,
        declared: Mapping[str, Any],
        number: int,
        part: Mapping[str, List[str]],
        sizes: Mapping[str, Mapping[str, int]],
    ) -> Dict[str, Tuple[Set[str], List[str]]]:
        """Tree -> the contents that came, and the paths of files that had changed meanwhile."""
        self._put_json("wanted-%d" % number, part)
        done = self.carrier.call(op="bundle", trees={name: declared[name] for name in part}, number=number)
        brought: Dict[str, Tuple[Set[str], List[str]]] = {}
        for name, digests in part.items():
            one = done["trees"][name]
            local = self._local("bundle")
            self.carrier.fetch(str(one["bundle"]), local)
            came = session.vault.adopt(local, {digest: sizes[name][digest] for digest in digests})
            os.unlink(local)
            brought[name] = (came, list(map(from_hex, one["lost"])))
        return brought

    # -- what is to become of it ---------------------------------------------------------------------------------

    def apply(self, session: Session, steps: List[Step]) -> Dict[str, Applied]:
        declared = {step.spec.name: step.spec.as_mapping() for step in steps}
        for step in steps:
            for when, manifest in (("before", step.before), ("after", step.after)):
                self._put_bytes("%s-%s" % (when, step.spec.name), manifests.dump(manifest))
        if not self.mounted:
            self._send(session, steps)
        done = self.carrier.call(op="apply", trees=declared, store_id=self._store_id(session))
        return {
            name: Applied({from_hex(path): str(reason) for path, reason in one["left"].items()})
            for name, one in done["trees"].items()
        }

    def _send(self, session: Session, steps: List[Step]) -> None:
        """Bring the contents there that the machine has nowhere."""
        wanted: Dict[str, int] = {}
        for step in steps:
            sizes = contents(step.after)
            wanted.update({digest: sizes[digest] for digest in needed(step.before, step.after, step.spec)})
        self._check_space(session, session.vault.stored(wanted))
        total, done = sum(wanted.values()), 0
        for number, part in enumerate(_parts([("", digest, wanted[digest]) for digest in sorted(wanted)])):
            local = self._local("bundle")
            session.vault.export(part[""], local)
            self.carrier.put(local, "sent-%d" % number)
            os.unlink(local)
            done += sum(wanted[digest] for digest in part[""])
            self._tell("sent", done, total)

    def _check_space(self, session: Session, size: int) -> None:
        """:raises DiskSpaceLow: what has to be sent does not fit on the machine."""
        if size and size + SPARE > self._free:
            raise DiskSpaceLow(
                "%d bytes are to be sent to %s, %d are to stay free there, and %d are free where Ansible keeps its "
                "temporary files (remote_tmp); no tree was changed. Make room there, or set ansible_remote_tmp to a "
                "directory that has it, then sync again" % (size, session.machine_id, SPARE, self._free),
                needed=size + SPARE,
                free=self._free,
            )

    # -- files ---------------------------------------------------------------------------------------------------

    def _put_json(self, name: str, value: Mapping[str, Any]) -> None:
        self._put_bytes(name, json.dumps(value).encode("ascii"))

    def _put_bytes(self, name: str, data: bytes) -> None:
        local = self._local(name)
        with open(local, "wb") as stream:
            stream.write(data)
        self.carrier.put(local, name)
        os.unlink(local)

    def _tell(self, what: str, done: int, total: int) -> None:
        if total >= WORTH_TELLING:
            self.carrier.tell("%s %d of %d MiB" % (what, done >> 20, total >> 20))


def _check_all_came(manifest: Manifest, rest: Set[str]) -> None:
    """:raises StoreCorrupt: a content did not come that a file of the tree still has."""
    absent = rest & set(contents(manifest))
    if absent:
        raise StoreCorrupt(
            "the machine did not send %d of the contents of %s that it was asked for, and did not say that their files "
            "have changed; nothing was synced. Sync again" % (len(absent), manifest.tree),
            tree=manifest.tree,
            absent=len(absent),
        )


def _parts(items: Iterable[Tuple[str, str, int]]) -> List[Dict[str, List[str]]]:
    """Contents, tree by tree, in parts that are not too large."""
    parts: List[Dict[str, List[str]]] = []
    room = 0
    for name, digest, size in items:
        if not parts or size > room:
            parts.append({})
            room = max(BUNDLE_BYTES, size)
        parts[-1].setdefault(name, []).append(digest)
        room -= size
    return parts
