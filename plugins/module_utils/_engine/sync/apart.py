# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The vault must be no part of what is kept in it: each snapshot would hold all that were before it."""

from __future__ import annotations

import os

from ..errors import InvalidSettings
from .paths import decode, encode
from .place import mounts

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .spec import TreeSpec

_PACK = "/" + "0" * 64 + ".pack"


def refuse_vault_inside(spec: TreeSpec, packs: str) -> None:
    """See that a tree does not hold the vault that it is captured into.

    :param packs: the directory of the vault's packs, as it is reached from here.
    :raises InvalidSettings: it does.
    """
    try:
        root = os.stat(encode(spec.path), follow_symlinks=False)
        inner = above = os.path.realpath(encode(packs))
        while not os.path.isdir(above):
            above = os.path.dirname(above)  # there is no vault yet
        while above != b"/":
            state = os.stat(above)
            if state.st_dev != root.st_dev:
                return  # no scan looks into another file system
            if state.st_ino == root.st_ino:
                _refuse(spec, decode(inner[len(above) + 1 :]))
                return
            above = os.path.dirname(above)
    except OSError:
        return  # the tree is not there


def _refuse(spec: TreeSpec, relpath: str) -> None:
    """:param relpath: of the packs, in the tree."""
    fd = os.open(encode(spec.path), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        mounted = any((relpath + "/").startswith(point + "/") for point in mounts(fd)[1])
    finally:
        os.close(fd)
    if mounted or not spec.wanted(relpath + _PACK, False):
        return
    fleet = relpath.rpartition("/vault/")[0]
    raise InvalidSettings(
        "the tree %s holds the store itself, so that each snapshot of it would hold all that were before it; %s"
        % (
            spec.name,
            "exclude it in sync_paths (exclude: ['/%s/']), or move the store" % fleet
            if fleet
            else "declare another path for the tree",
        ),
        path=spec.path,
    )
