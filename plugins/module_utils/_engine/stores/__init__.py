# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a store's address becomes a store."""

from __future__ import annotations

from ..errors import InvalidSettings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .file import FileStore

_FLEET_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyz0123456789._-")


def open_store(address: str, fleet: str = "default") -> FileStore:
    """The store at an address; nothing is touched before its first use.

    :param address: an absolute directory path, or ``file:///path``.
    :param fleet: a name of lower case letters, digits, ``.``, ``_`` and ``-``, at most 64 characters.
    :raises InvalidSettings: an address or a fleet's name that cannot be meant.
    """
    from .file import FileStore

    if not fleet or len(fleet) > 64 or set(fleet) - _FLEET_CHARACTERS or fleet[0] in ".-":
        raise InvalidSettings(
            "fleet %r: use lower case letters, digits, '.', '_' and '-', beginning with a letter or a digit"
            % fleet[:80]
        )
    path = address
    if address.startswith("file://"):
        path = address[len("file://") :]
    elif "://" in address:
        raise InvalidSettings(
            "store %r: this version knows directories only; give an absolute path or file:///path"
            % address.split("://", 1)[0]
        )
    if not path.startswith("/") or "\0" in path:
        raise InvalidSettings("store %r: give an absolute path, /path or file:///path" % path[:200])
    return FileStore(path.rstrip("/") or "/", fleet)
