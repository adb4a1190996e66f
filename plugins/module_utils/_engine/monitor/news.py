# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is new since this monitor last looked, and the command that is told of it.

The journal numbers all events, whoever recorded them. The monitor remembers the number up to which its command was told
of everything. So nothing is lost if it is killed, if the command fails, or if another checker was first: whatever is
beyond that number is told at the next run, at least once.
"""

from __future__ import annotations

import json
import os
from typing import Any, Dict, List, Optional

from .. import journal, programs
from ..agent.local import write_local
from ..errors import HeartbeatError, InvalidSettings
from ..observe import load_fleet
from ..report import transition_dict
from ..state import OFFLINE
from ..stores.base import Store
from .config import TOLD, Config

MAX_EVENTS = 500
"""How many are told at once. So many names, of 253 characters each, are what a variable of the environment can hold."""


class News:
    """The events that the command has not been told of yet.

    :param config: the monitor's configuration.
    """

    def __init__(self, config: Config) -> None:
        self._config = config
        self._path = os.path.join(config.state_dir, TOLD)
        self._store_id = ""
        self._last = 0
        self._told = 0

    def begin(self, store: Store) -> None:
        """Before the check: at the first run, and for another store, everything so far counts as told."""
        self._store_id = load_fleet(store).store_id
        event = journal.load(store).state.event
        told = self._remembered()
        self._told = event if told is None or told > event else told
        if told != self._told:
            self._remember(self._told)

    def since(self, store: Store) -> List[Dict[str, Any]]:
        """After the check: the machines that went offline unplanned, as their events; those that are too many later."""
        ledger = journal.load(store)
        found = journal.first_since(
            store, ledger, self._told, MAX_EVENTS, lambda t: t.to_status == OFFLINE and not t.planned
        )
        self._last = ledger.state.event if len(found) < MAX_EVENTS else found[-1].event
        return [transition_dict(t) for t in found]

    def done(self) -> None:
        """Everything that :meth:`since` has returned was told."""
        if self._last != self._told:
            self._remember(self._last)
            self._told = self._last

    def _remembered(self) -> Optional[int]:
        """The number, if it is of this store, and sound."""
        try:
            with open(self._path, encoding="ascii") as stream:
                kept = json.loads(stream.read(1 << 16))
            event = kept["event"]
            if kept["store_id"] == self._store_id and isinstance(event, int) and event >= 0:
                return event
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            pass
        return None

    def _remember(self, event: int) -> None:
        try:
            write_local(self._path, json.dumps({"store_id": self._store_id, "event": event}).encode())
        except OSError as exc:
            raise InvalidSettings(
                "the monitor's state_dir %s cannot be written: %s" % (self._config.state_dir, exc.strerror), exc
            ) from exc


class HookFailed(HeartbeatError):
    """The command could not be run, or ended otherwise than with 0. It is told again."""

    error_code = "HOOK_FAILED"


def tell(config: Config, events: List[Dict[str, Any]], result: Dict[str, Any]) -> None:
    """Run the command, with what is new as JSON on its standard input.

    :raises HookFailed: with the reason.
    """
    names = sorted({event["machine_id"] for event in events})
    told = {
        "store": config.store,
        "fleet": config.fleet,
        "newly_offline": names,
        "transitions": events,
        "checked_at": result.get("checked_at"),
        "summary": result.get("summary"),
    }
    try:
        ended = programs.run(
            config.hook,
            config.hook_timeout,
            json.dumps(told).encode() + b"\n",
            {"ROOSYNC_NEWLY_OFFLINE": " ".join(names)},
            listen=False,
        )
    except OSError as exc:
        raise HookFailed("the hook %s cannot be run: %s" % (config.hook[0], exc.strerror or exc), exc) from exc
    except programs.TookTooLong as exc:
        raise HookFailed("the hook " + str(exc)) from exc
    if ended.status != 0:
        raise HookFailed("the hook %s ended with status %d" % (config.hook[0], ended.status))
