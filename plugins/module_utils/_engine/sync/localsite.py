# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The trees of the host that this runs on."""

from __future__ import annotations

import os
from typing import Dict, List, Tuple

from . import manifest as manifests
from .apart import refuse_vault_inside
from .apply import apply, recover
from .capture import capture
from .places import DEFAULT_STATE_DIR, cache_path, placed
from .scan import scan
from .session import Applied, Captured, Session, Step
from .spec import TreeSpec
from .vault import PACKS


class LocalSite:
    """See :class:`.session.Site`.

    :param root: what the paths of the trees count from.
    :param state_dir: where this host remembers what it has read.
    """

    def __init__(self, root: str = "/", state_dir: str = DEFAULT_STATE_DIR) -> None:
        self.root = root
        self.state_dir = state_dir
        self._signatures: Dict[str, Dict[str, Tuple[int, int, int, int]]] = {}

    def capture(self, session: Session, trees: List[TreeSpec], last: Dict[str, str]) -> Dict[str, Captured]:
        return {spec.name: self._capture(session, placed(spec, self.root), last) for spec in trees}

    def _capture(self, session: Session, spec: TreeSpec, last: Dict[str, str]) -> Captured:
        if session.request.dry_run:
            refuse_vault_inside(spec, os.path.join(session.location, PACKS))
            found = scan(spec)
            digest = "" if found.vanished else manifests.digest(manifests.dump(found.manifest))
            return Captured(None if found.vanished else found.manifest, digest)
        recover(spec.path, spec)
        done = capture(spec, session.vault, cache_path(self.state_dir, spec), last.get(spec.name, ""))
        self._signatures[spec.name] = done.scan.signatures
        return Captured(None if done.scan.vanished else done.manifest, done.digest, done.bytes_added)

    def apply(self, session: Session, steps: List[Step]) -> Dict[str, Applied]:
        found = {}
        for step in steps:
            spec = placed(step.spec, self.root)
            done = apply(
                spec.path,
                spec,
                step.before,
                step.after,
                session.vault.copy_to,
                self._signatures.get(spec.name),
                create=not step.before.entries,
            )
            found[spec.name] = Applied(done.left)
        return found
