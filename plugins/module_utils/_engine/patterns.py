# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Machines by pattern: ``*``, ``?`` and ``[...]``, the same on every Python. Standard library only."""

from __future__ import annotations

import fnmatch
import re

_BRACKETS = re.compile(r"\[!?(\]?[^]]*)\]")
_RANGE = re.compile(r"([^]])-([^]])")


def matches(machine_id: str, pattern: str) -> bool:
    """Whether a machine goes by a pattern."""
    try:
        return fnmatch.fnmatchcase(machine_id, pattern)
    except re.error:  # Python before 3.10, of a range that goes downwards: later ones say that nothing is in it
        return False


def goes_downwards(pattern: str) -> bool:
    """Whether there is a range in it that nothing is in, such as ``[z-a]``."""
    return any(first > last for body in _BRACKETS.findall(pattern) for first, last in _RANGE.findall(body))
