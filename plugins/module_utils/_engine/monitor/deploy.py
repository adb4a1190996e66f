# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Putting the monitor on a host: which files it takes, and whether the host can check with them."""

from __future__ import annotations

import os

from ..agent.local import LOCK
from ..errors import InvalidSettings
from ..releases import CURRENT, PACKAGE, closure, keep_to_minutes
from ..settings import MAX_SECONDS
from .config import CACHE, TOLD, Config

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, List

    from ..stores.file import FileStore

REMEMBERED = (LOCK, TOLD, CACHE)
ENTRY = "monitor/start.py"


def packed() -> None:
    """Never called: names what Ansible must send along when this module runs on another host."""
    from . import cli, start

    del cli, start


def sources() -> Dict[str, bytes]:
    """The monitor's files: the check, and all that it rests on."""
    found = closure(ENTRY)
    found.update(closure("monitor/cli.py"))
    return found


def command(python: str, prefix: str, config: str) -> List[str]:
    """How a scheduler starts one check."""
    return [python, "-I", os.path.join(prefix, CURRENT, PACKAGE, ENTRY), config]


def results_of(config: Config, store: FileStore) -> str:
    """The folder of the results."""
    return config.results or os.path.join(store.location, "logs")


def examine(store: FileStore, interval: float, whole_minutes: bool) -> None:
    """See that there is a fleet that can be written to, and that the scheduler can keep the time.

    To be asked as the monitor's user, by :func:`..forked.as_user`.

    :raises StoreUnavailable: there is no fleet at the store's address; most likely the share is not mounted here.
    :raises InvalidSettings: the interval makes no sense, or cron cannot keep it.
    """
    if not 1 <= interval <= MAX_SECONDS:
        raise InvalidSettings("interval: %g is refused: it must be a second at least, and 30 days at most" % interval)
    if whole_minutes:
        keep_to_minutes(interval, "a check is to run", "set the interval to")
    store.connect()
    store.now()
