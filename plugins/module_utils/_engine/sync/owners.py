# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names of users and groups for their numbers, each asked for once."""

from __future__ import annotations

import grp
import pwd

from .paths import text_refusal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict

MAX_NAME = 256


class Owners:
    """The names this machine knows."""

    def __init__(self) -> None:
        self.users: Dict[int, str] = {}
        self.groups: Dict[int, str] = {}

    def user(self, uid: int) -> str:
        """A user's name; empty when the number has none."""
        name = self.users.get(uid)
        if name is None:
            try:
                name = pwd.getpwuid(uid).pw_name
            except (KeyError, OSError):
                name = ""
            name = self.users[uid] = _usable(name)
        return name

    def group(self, gid: int) -> str:
        """A group's name; empty when the number has none."""
        name = self.groups.get(gid)
        if name is None:
            try:
                name = grp.getgrgid(gid).gr_name
            except (KeyError, OSError):
                name = ""
            name = self.groups[gid] = _usable(name)
        return name


def _usable(name: str) -> str:
    return "" if text_refusal(name, MAX_NAME) else name
