# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Capturing a tree: its manifest, and every content that the manifest names, in the vault or in a bundle for it."""

from __future__ import annotations

import os
from typing import NamedTuple

from . import manifest as manifests
from .apart import refuse_vault_inside
from .files import UNSTEADY, FileReader
from .found import Scan
from .manifest import FILE
from .packing import PackWriter
from .place import TreeUnreadable, open_root
from .scan import scan

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, Iterable, List, Optional, Set, Tuple

    from .manifest import Manifest
    from .spec import TreeSpec
    from .vault import Vault


class Capture(NamedTuple):
    """A tree, of which everything that its manifest names is in the vault."""

    scan: Scan
    digest: str
    """Of the manifest, which is in the vault as well; empty when the tree has vanished."""
    bytes_added: int
    """How many bytes of files were new to the vault."""

    @property
    def manifest(self) -> Manifest:
        return self.scan.manifest


def capture(spec: TreeSpec, vault: Vault, cache: Optional[str] = None, last: str = "") -> Capture:
    """Scan a tree of this machine, and put what is new into the vault.

    :param cache: where the machine remembers what it has read.
    :param last: digest of a manifest that is kept in the vault (the machine's last snapshot): if the tree is still like
        that, the vault is not even looked at, unless it lacks something that the tree has.
    :raises TreeUnreadable: nothing can be said of the tree.
    :raises InvalidSettings: the vault is a part of it.
    """
    refuse_vault_inside(spec, vault.path)
    found = scan(spec, cache, vault.writer)
    if found.vanished:
        return Capture(found, "", 0)
    lacked = vault.wanted()
    if last and found.digest == last and not (lacked and lacked & named(found.manifest, last)):
        return Capture(found, last, 0)
    data = found.data
    with vault.writer() as writer:
        missing = vault.rely_on(contents(found.manifest))
        lost, added = add_files(spec, found.manifest, missing, writer)
        if lost:
            forget(found.manifest, lost)
            data = manifests.dump(found.manifest)
        digest = writer.add_bytes(data)
        writer.commit()
    vault.came(named(found.manifest, digest))
    return Capture(found, digest, found.bytes_added + added)


def contents(manifest: Manifest) -> Dict[str, int]:
    """The contents that a manifest names, with their lengths."""
    return {entry.content: entry.size for entry in manifest.entries.values() if entry.kind == FILE}


def named(manifest: Manifest, digest: str) -> Set[str]:
    """All that must be in the vault for a manifest of that digest."""
    return {digest, *contents(manifest)}


def forget(manifest: Manifest, lost: Iterable[str]) -> None:
    """Let files be unknown whose content could not be kept, because it changed after the scan."""
    for path in lost:
        del manifest.entries[path]
        manifest.unknown[path] = UNSTEADY


def bundle(spec: TreeSpec, manifest: Manifest, wanted: Iterable[str], path: str) -> List[str]:
    """Put contents of a tree of this machine into a bundle, to be carried to the vault.

    :param manifest: of the tree, as it was scanned.
    :param wanted: the contents.
    :param path: of the bundle, readable by this user alone.
    :returns: the paths whose content has changed since, and so is not in it.
    """
    wanted = set(wanted)
    directory, name = os.path.split(os.path.abspath(path))
    dir_fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        others = {bytes.fromhex(digest) for digest in wanted}.__contains__
        with PackWriter(dir_fd, directory, lambda digest: not others(digest), name=name, mode=0o600) as writer:
            lost, _added = add_files(spec, manifest, wanted, writer)
            writer.commit()
    finally:
        os.close(dir_fd)
    return lost


def add_files(spec: TreeSpec, manifest: Manifest, wanted: Iterable[str], writer: PackWriter) -> Tuple[List[str], int]:
    """Read contents again that a scan has found, and add them to a pack.

    :returns: the paths whose content is no longer there to be read, and how many bytes were added.
    """
    holders: Dict[str, List[str]] = {digest: [] for digest in wanted}
    if not holders:
        return [], 0
    for path in sorted(manifest.entries):
        entry = manifest.entries[path]
        if entry.kind == FILE and entry.content in holders:
            holders[entry.content].append(path)
    sizes = {digest: manifest.entries[paths[0]].size for digest, paths in holders.items() if paths}
    writer.reserve(sum(sizes.values()))
    root = open_root(spec.path)
    if root is None:
        raise TreeUnreadable(
            "the tree %s has vanished while it was captured; mount it again" % spec.path, path=spec.path
        )
    lost: List[str] = []
    try:
        reader = FileReader(root, os.fstat(root).st_dev, spec.max_file_size, writer=writer)
        first = [(paths[0], 0) for _digest, paths in sorted(holders.items(), key=lambda item: item[1][:1]) if paths]
        added = 0
        for found in reader.read_all(first):
            added += found.added
            digest = manifest.entries[found.path].content
            if found.digest == digest:
                continue
            others = reader.read_all((path, 0) for path in holders[digest][1:])
            if not any(other.digest == digest for other in others):
                lost.extend(holders[digest])
    finally:
        os.close(root)
    return lost, added
