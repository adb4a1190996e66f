# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a check found the vault to lack, written down beside the packs. Standard library only.

Whoever captures a tree that has such a content adds it anew: without this, a tree that has not changed is not compared
with the vault, and what lies in a damaged pack seems to be there. Two that write it at once do no harm: a content that
stays in it is added once more, and one that was lost from it comes back with the next check.
"""

from __future__ import annotations

import json
from typing import NamedTuple

from ..errors import from_os_error
from ..stores import atomic
from .pack import is_pack_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import FrozenSet

NAME = "wanted.json"
MAX_BYTES = 1 << 28
_HEX = frozenset("0123456789abcdef")


class Wanted(NamedTuple):
    """What is damaged or missing."""

    contents: FrozenSet[str] = frozenset()
    """Those that are needed and whole nowhere."""
    packs: FrozenSet[str] = frozenset()
    """Those that are damaged."""


NOTHING = Wanted()


def load(dir_fd: int) -> Wanted:
    """What is wanted; nothing, if what is written down makes no sense.

    :param dir_fd: the directory of the packs.
    """
    try:
        found = atomic.read(dir_fd, NAME, MAX_BYTES)
        if found is None:
            return NOTHING
        value = json.loads(found[0].decode("ascii"))
        contents, packs = map(str, value["contents"]), map(str, value["packs"])
        return Wanted(
            frozenset(one for one in contents if len(one) == 64 and _HEX.issuperset(one)),
            frozenset(filter(is_pack_name, packs)),
        )
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return NOTHING


def note(dir_fd: int, path: str, wanted: Wanted) -> None:
    """Write down what is wanted, in the place of what was.

    :raises StoreUnavailable: that is not possible; it is if nothing has to be written.
    """
    if wanted == load(dir_fd):
        return
    try:
        if wanted == NOTHING:
            atomic.discard(dir_fd, NAME)
            return
        value = {"contents": sorted(wanted.contents), "packs": sorted(wanted.packs)}
        atomic.replace(dir_fd, NAME, json.dumps(value).encode("ascii"))
    except OSError as exc:
        raise from_os_error(exc, "write down what the vault lacks", path) from exc
