# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The statuses as last known, kept on the checker's own disk: what a check can still say while the store is away.

A convenience, never a source of decisions. The statuses are written when they change, the time of the last check at
each one; they are read only to be shown.
"""

from __future__ import annotations

import hashlib
import json
import os
from typing import Any, Dict, List, Mapping, Optional

from .clock import iso, parse_iso
from .identity import is_machine_id
from .state import STATUSES, UNKNOWN

MAX_BYTES = 64 << 20
_KEY = 32


def _path(location: str) -> str:
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return os.path.join(base, "roosync-heartbeat", _hash(location) + ".json")


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:_KEY]


def remember(location: str, store_id: str, number: int, as_of: int, lists: Mapping[str, List[str]]) -> None:
    """Keep the statuses, and when they were looked at. A failure to keep them is no failure.

    :param location: which fleet of which store.
    :param store_id: another store may have been put in the place of the first.
    :param number: the number of the last commit that the statuses rest on.
    """
    path = _path(location)
    # Who was never seen follows from the settings, not from the journal.
    key = _hash("%s %d %s" % (store_id, number, " ".join(lists[UNKNOWN])))
    try:
        if not _renew(path, key, as_of):
            _write(path, key, as_of, lists)
    except OSError:
        return


def _renew(path: str, key: str, as_of: int) -> bool:
    """Put the new time to statuses that are kept already; False if they are not."""
    try:
        fd = os.open(path, os.O_RDWR | os.O_NOFOLLOW)
    except FileNotFoundError:
        return False
    try:
        if os.pread(fd, _KEY, 0) != key.encode():
            return False
        os.pwrite(fd, iso(as_of).encode(), _KEY + 1)
        return True
    finally:
        os.close(fd)


def _write(path: str, key: str, as_of: int, lists: Mapping[str, List[str]]) -> None:
    statuses = json.dumps({status: lists[status] for status in STATUSES})
    temporary = "%s.tmp-%d" % (path, os.getpid())
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(fd, "w", encoding="ascii") as stream:
        stream.write("%s %s\n%s\n" % (key, iso(as_of), statuses))
    os.rename(temporary, path)


def recall(location: str) -> Optional[Dict[str, Any]]:
    """``as_of`` and ``statuses``, or None when nothing (or nothing sound) was kept here."""
    try:
        with open(_path(location), encoding="ascii") as stream:
            head, body = stream.read(MAX_BYTES).split("\n", 1)
        kept = json.loads(body)
        statuses = {status: [m for m in kept[status] if is_machine_id(m)] for status in STATUSES}
        parse_iso(head[_KEY + 1 :])
        return {"as_of": head[_KEY + 1 :], "statuses": statuses}
    except (OSError, ValueError, LookupError, TypeError):
        return None
