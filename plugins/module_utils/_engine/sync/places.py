# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where on a host a tree lies, and what the host remembers of it. Standard library only."""

from __future__ import annotations

import hashlib
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .spec import TreeSpec

DEFAULT_STATE_DIR = "/var/lib/roosync-heartbeat"


def placed(spec: TreeSpec, root: str) -> TreeSpec:
    """A tree as it lies below another root than ``/``, such as a mounted image of a machine."""
    return spec._replace(path=os.path.normpath(root + "/" + spec.path)) if root.strip("/") else spec


def cache_path(state_dir: str, spec: TreeSpec) -> str:
    """Where this host remembers what it has read of a tree."""
    where = hashlib.sha256(spec.path.encode("utf-8", "surrogateescape")).hexdigest()[:12]
    return os.path.join(state_dir, "scan", "%s-%s.json" % (spec.name, where))
