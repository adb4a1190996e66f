# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Putting the agent on a host: which files it takes, and whether the host can beat with them. Standard library only."""

from __future__ import annotations

import os
import signal
import time

from ..clock import iso
from ..register import read_settings
from ..releases import CURRENT, PACKAGE, closure, keep_to_minutes, read
from ..settings import Settings
from ..stores import base, open_store
from .beater import own_fingerprint
from .config import Config
from .local import CAPTURE_LOCK, CAPTURE_SEEN, INSTANCE, LOCK, PREPARED, SPOOL, running_pid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List

ENDING = 10.0
REMEMBERED = (LOCK, SPOOL, PREPARED, INSTANCE, CAPTURE_LOCK, CAPTURE_SEEN)
FILES = (
    "__init__.py",
    "clock.py",
    "conflicts.py",
    "earlier.py",
    "errors.py",
    "identity.py",
    "metadata.py",
    "patterns.py",
    "record.py",
    "register.py",
    "settings.py",
    "agent/__init__.py",
    "agent/__main__.py",
    "agent/beater.py",
    "agent/cli.py",
    "agent/config.py",
    "agent/local.py",
    "agent/quick.py",
    "agent/service.py",
    "stores/__init__.py",
    "stores/atomic.py",
    "stores/base.py",
    "stores/file.py",
    "stores/locks.py",
)


def packed() -> None:
    """Never called: names what Ansible must send along when this module runs on another host."""
    from . import __main__, beater, capture, cli, config, local, quick, service

    del __main__, beater, capture, cli, config, local, quick, service


def sources(captures: bool = False) -> Dict[str, bytes]:
    """The agent's files.

    :param captures: also those that captures need, which a host that only beats does without.
    """
    return {**read(FILES), **(closure("agent/capture.py") if captures else {})}


def command(python: str, prefix: str, config: str) -> List[str]:
    """How a scheduler starts one beat; with ``capture`` at its end, one capture."""
    return [python, "-I", "-S", os.path.join(prefix, CURRENT, PACKAGE, "agent", "quick.py"), config]


def end_capture(state_dir: str) -> None:
    """End a capture that is at work: of what is to go nothing may be in use. What it has not finished, it throws away.

    The pid is from a file of the agent's user, so no process of anybody else is touched.
    """
    pid = running_pid(state_dir, CAPTURE_LOCK)
    if pid is None:
        return
    try:
        if os.stat("/proc/%d" % pid).st_uid != os.stat(os.path.join(state_dir, CAPTURE_LOCK)).st_uid:
            return
        for one in [pid, *_children(pid)]:
            os.kill(one, signal.SIGKILL)
    except OSError:
        return  # it has ended by itself
    deadline = time.monotonic() + ENDING
    while running_pid(state_dir, CAPTURE_LOCK) == pid and time.monotonic() < deadline:
        time.sleep(0.02)


def _children(pid: int) -> List[int]:
    try:
        with open("/proc/%d/task/%d/children" % (pid, pid), encoding="ascii") as stream:
            return [int(word) for word in stream.read().split()]
    except (OSError, ValueError):
        return []


def examine(config: Config, whole_minutes: bool) -> Dict[str, Any]:
    """Whether this host can beat with this configuration: the store is there, and the scheduler can keep its time.

    To be asked as the agent's user, by :func:`..forked.as_user`. That is why all that this needs is imported above.

    :param whole_minutes: the scheduler knows whole minutes only (cron).
    :returns: ``heartbeat_interval`` of the machine in seconds, and as ``beat`` what tells a beat of this deployment
        from others: ``machine_id``, ``fingerprint``, ``since`` (by the store's clock).
    :raises StoreUnavailable: there is no fleet at the store's address; most likely the share is not mounted here.
    :raises InvalidSettings: the interval is not made of whole minutes, or nothing would tell this host from others.
    """
    own = own_fingerprint(config)
    with open_store(config.store, config.fleet) as opened:
        store: base.Store = opened
        store.connect()
        now = store.now()  # a real write: a store that is full or read-only is found out now, not by the first beat
        settings: Settings = read_settings(store)
    interval = settings.for_machine(config.machine_id).heartbeat_interval
    if whole_minutes:
        keep_to_minutes(
            interval,
            "%s is to beat" % config.machine_id,
            "set heartbeat_interval (for this machine an override will do) to",
        )
        if config.capture_every:
            keep_to_minutes(
                interval * config.capture_every,
                "%s is to be captured" % config.machine_id,
                "choose capture_every so that it is",
            )
    return {
        "heartbeat_interval": interval,
        "beat": {"machine_id": config.machine_id, "fingerprint": own, "since": iso(now)},
    }
