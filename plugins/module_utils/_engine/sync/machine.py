# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a machine does for a sync that is led from elsewhere. Standard library only.

``capture`` looks at the trees, ``bundle`` packs contents that the vault does not have, ``apply`` brings the trees to
what was decided. Where the fleet's own vault can be reached from the machine, contents go there and come from there
directly. What passes between two of these lies in a folder that the other side has made for it.
"""

from __future__ import annotations

import json
import os

from ..errors import HeartbeatError, InvalidSettings, StoreCorrupt, from_os_error
from ..metadata import strict_json
from ..stores import open_store
from . import manifest as manifests
from .apart import refuse_vault_inside
from .apply import apply, recover
from .capture import bundle, capture, forget
from .pack import open_pack
from .paths import to_hex
from .places import cache_path, placed
from .scan import scan
from .spec import from_mapping, is_tree_name
from .vault import PACKS, Vault

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, Mapping, Optional, Tuple

    from .manifest import Manifest
    from .pack import PackReader
    from .spec import TreeSpec

MAX_LIST = 1 << 30


class Machine:
    """This machine, for one operation.

    :param trees: name -> tree as ``sync_paths`` has it.
    :param root: what their paths count from.
    :param workdir: where files for the other side are put, and found; empty where there is no other side.
    :raises InvalidSettings: of a tree, or of ``workdir``, which no path can be.
    """

    def __init__(self, trees: Mapping[str, Any], root: str, state_dir: str, workdir: str) -> None:
        if "\0" in workdir:
            raise InvalidSettings("workdir is no path: it has a NUL byte in it; heartbeat_sync gives the right one")
        self.trees: Dict[str, TreeSpec] = {
            name: placed(from_mapping(name, given), root) for name, given in sorted(trees.items())
        }
        self.state_dir = state_dir
        self.workdir = workdir

    def run(
        self, op: str, number: int, last: Mapping[str, str], location: Optional[str], dry_run: bool
    ) -> Dict[str, Any]:
        """One operation, by its name.

        :param location: of the vault, if it can be reached from here.
        """
        if op == "bundle":
            return {"changed": False, "mounted": False, "trees": self.bundle(number)}
        vault = None if location is None or dry_run else Vault(location, create=True)
        try:
            if op == "apply":
                return {"changed": True, "mounted": vault is not None, "trees": self.apply(vault)}
            if location is not None:
                for spec in self.trees.values():
                    refuse_vault_inside(spec, os.path.join(location, PACKS))
            found = self.capture(last, vault, dry_run)
            return {"changed": False, "mounted": vault is not None, "trees": found, "free": self._free()}
        finally:
            if vault is not None:
                vault.close()

    # -- what is there -------------------------------------------------------------------------------------------

    def capture(self, last: Mapping[str, str], vault: Optional[Vault], dry_run: bool) -> Dict[str, Any]:
        """Look at every tree.

        :param last: tree -> digest of the manifest of its last snapshot.
        :param vault: the fleet's, if it can be reached from here.
        :returns: tree -> ``vanished``, ``digest`` and ``bytes`` (new to the vault), and ``manifest``: the file that has
            it, where there is no vault.
        """
        found = {}
        for name, spec in self.trees.items():
            if not dry_run:
                recover(spec.path, spec)
            if vault is not None and not dry_run:
                done = capture(spec, vault, cache_path(self.state_dir, spec), last.get(name, ""))
                found[name] = {"vanished": done.scan.vanished, "digest": done.digest, "bytes": done.bytes_added}
                self._note(name, done.scan.signatures)
                continue
            seen = scan(spec, None if dry_run else cache_path(self.state_dir, spec))
            found[name] = {"vanished": seen.vanished, "digest": "", "bytes": 0}
            self._note(name, seen.signatures)
            if not seen.vanished:
                found[name].update(self._keep(name, seen.manifest))
        return found

    def _keep(self, name: str, manifest: Manifest) -> Dict[str, Any]:
        data = manifests.dump(manifest)
        return {"digest": manifests.digest(data), "manifest": self._write("manifest-" + name, data)}

    def _note(self, name: str, signatures: Mapping[str, Tuple[int, int, int, int]]) -> None:
        """For the apply that may follow, in a process of its own."""
        self._write("signatures-" + name, json.dumps(signatures).encode("ascii"))

    def _free(self) -> int:
        """How many bytes are free for what may be sent."""
        if not self.workdir:
            return 0
        state = os.statvfs(self.workdir)
        return state.f_bavail * state.f_frsize

    # -- what the vault does not have ----------------------------------------------------------------------------

    def bundle(self, number: int) -> Dict[str, Any]:
        """Pack the contents that the file ``wanted-<number>`` names: tree -> digests. The bundles before it have been
        fetched, and go.

        :returns: tree -> ``bundle`` (the file), its ``bytes``, and ``lost``: what has changed since it was captured,
            each path as :func:`.paths.to_hex` gives it.
        """
        found: Dict[str, Any] = {}
        for name in os.listdir(self.workdir):
            if name.startswith("bundle-"):
                os.unlink(os.path.join(self.workdir, name))
        wanted = self._json("wanted-%d" % number)
        for name, digests in sorted(wanted.items()):
            spec = self._tree(name)
            path = os.path.join(self.workdir, "bundle-%d-%s" % (number, name))
            manifest = self._manifest("manifest-" + name, spec)
            lost = bundle(spec, manifest, [str(digest) for digest in digests], path)
            if lost:
                forget(manifest, lost)
                self._keep(name, manifest)
            bundled = self._hand_over(path)
            found[name] = {"bundle": bundled, "bytes": os.path.getsize(path), "lost": list(map(to_hex, lost))}
        return found

    # -- what is to become of it ---------------------------------------------------------------------------------

    def apply(self, vault: Optional[Vault]) -> Dict[str, Any]:
        """Bring every tree from ``before-<tree>`` to ``after-<tree>``, by contents of the vault or of what was sent.

        :returns: tree -> ``left``: path, as :func:`.paths.to_hex` gives it -> why it was left alone.
        """
        found = {}
        with Sent(self.workdir) as sent:
            fetch = sent.copy_to if vault is None else vault.copy_to
            for name, spec in self.trees.items():
                before, after = self._manifest("before-" + name, spec), self._manifest("after-" + name, spec)
                done = apply(spec.path, spec, before, after, fetch, self._signatures(name), create=not before.entries)
                found[name] = {"left": {to_hex(path): reason for path, reason in done.left.items()}}
        return found

    def _signatures(self, name: str) -> Dict[str, Tuple[int, int, int, int]]:
        """Those of the scan; without them, files are read and compared."""
        try:
            found = json.loads(self._read("signatures-" + name).decode("ascii"))
            return {str(path): (int(a), int(b), int(c), int(d)) for path, (a, b, c, d) in found.items()}
        except (HeartbeatError, ValueError, TypeError, AttributeError):
            return {}

    # -- files ---------------------------------------------------------------------------------------------------

    def _tree(self, name: str) -> TreeSpec:
        if name not in self.trees:
            raise InvalidSettings("%.80r is not one of the trees asked for" % (name,))
        return self.trees[name]

    def _manifest(self, name: str, spec: TreeSpec) -> Manifest:
        return manifests.load(self._read(name), spec.max_entries)

    def _json(self, name: str) -> Dict[str, Any]:
        try:
            value = strict_json(self._read(name).decode("ascii"))
        except ValueError as exc:
            raise StoreCorrupt("%s is not what was sent: %s" % (name, exc)) from exc
        if not isinstance(value, dict) or not all(map(is_tree_name, value)):
            raise StoreCorrupt("%s is not what was sent" % name)
        return value

    def _read(self, name: str) -> bytes:
        path = os.path.join(self.workdir, name)
        try:
            fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
            with os.fdopen(fd, "rb") as stream:
                return stream.read(MAX_LIST)
        except OSError as exc:
            raise from_os_error(exc, "read what was sent", path) from exc

    def _write(self, name: str, data: bytes) -> str:
        if not self.workdir:
            return ""
        path = os.path.join(self.workdir, name)
        try:
            fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            with os.fdopen(fd, "wb") as stream:
                stream.write(data)
        except OSError as exc:
            raise from_os_error(exc, "write what is to be fetched", path) from exc
        return self._hand_over(path)

    def _hand_over(self, path: str) -> str:
        """Let the user fetch a file who made the folder it lies in; with become that is another one."""
        owner = os.stat(self.workdir)
        if owner.st_uid != os.geteuid():
            try:
                os.chown(path, owner.st_uid, -1, follow_symlinks=False)
            except OSError as exc:
                raise InvalidSettings(
                    "what this user reads cannot be handed to the user of the connection: become root, or connect as "
                    "the user whose trees these are",
                    exc,
                ) from exc
        return path


class Sent:
    """The contents that were sent along, in bundles."""

    def __init__(self, workdir: str) -> None:
        self.workdir = workdir
        self._readers: List[PackReader] = []

    def __enter__(self) -> Sent:
        for name in sorted(os.listdir(self.workdir)):
            if name.startswith("sent-"):
                self._readers.append(open_pack(os.path.join(self.workdir, name)))
        return self

    def __exit__(self, *exc_info: object) -> None:
        for reader in self._readers:
            reader.close()

    def copy_to(self, digest: str, fd: int) -> bool:
        """Write a content, verified, to an empty file."""
        for reader in self._readers:
            row = reader.find(bytes.fromhex(digest))
            if row is not None:
                reader.copy_to(row, fd)
                return True
        raise StoreCorrupt("the content %s was not sent along; sync again" % digest, digest=digest)


def same_store(address: str, fleet: str, store_id: str) -> Optional[str]:
    """The vault's directory, if the fleet's own store is mounted on this machine; None when it is not."""
    if not address or not store_id:
        return None
    try:
        with open_store(address, fleet) as store:
            store.connect()
            data = store.read("fleet.json") or b""
            store.now()  # it can be written by this user
            if json.loads(data.decode("utf-8")).get("store_id") != store_id:
                return None
            return os.path.join(store.location, "vault")
    except (HeartbeatError, ValueError, AttributeError):
        return None
