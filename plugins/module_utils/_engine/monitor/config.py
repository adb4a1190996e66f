# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The monitor's config file: ``key = value`` lines, as the agent's.

============ =====================================================================================================
store        the store's address; required
fleet        the fleet's name (default ``default``)
results      the folder of the results (default: ``logs`` of the fleet, in the store)
keep         how many results to keep (default 1000)
keep_days    for how many days (default 30)
hook         a JSON list: the command to run when a machine is newly offline, and its arguments
hook_timeout after how many seconds the command is ended (default 60, at least 1)
state_dir    where the number of the last event, and the lock, are kept (default ``/var/lib/roosync-heartbeat-monitor``)
============ =====================================================================================================
"""

from __future__ import annotations

from typing import Any, Dict, List

from ..agent.config import parse, text_of
from ..errors import InvalidSettings
from ..metadata import strict_json
from ..settings import MAX_SECONDS
from ..stores import open_store

DEFAULT_CONFIG = "/etc/roosync-heartbeat/monitor.conf"
TOLD = "told.json"
CACHE = "roosync-heartbeat"
"""Names in the state_dir: the number of the last event, and what :mod:`..lastknown` keeps."""
DEFAULT_STATE_DIR = "/var/lib/roosync-heartbeat-monitor"
KEYS = ("store", "fleet", "results", "keep", "keep_days", "hook", "hook_timeout", "state_dir")
_DEFAULTS = {"keep": 1000.0, "keep_days": 30.0, "hook_timeout": 60.0}
_LEAST = {"keep": 1.0, "keep_days": 0.0, "hook_timeout": 1.0}  # a hook that is ended at once would never tell anybody
_MOST = {"keep": 1e6, "keep_days": 36_500.0, "hook_timeout": MAX_SECONDS}


class Config:
    """The monitor's settings on this host, validated.

    :param path: the file's, for messages.
    :param text: what is in it.
    """

    def __init__(self, path: str, text: str) -> None:
        self._path = path
        self._values = parse(path, text, KEYS)
        self.store = self._values.get("store") or ""
        if not self.store:
            raise self._refused("store", "is missing; name the store's directory")
        self.fleet = self._values.get("fleet") or "default"
        open_store(self.store, self.fleet)  # touches nothing; an address that cannot be meant is refused here
        self.results = self._folder("results", "")
        self.state_dir = self._folder("state_dir", DEFAULT_STATE_DIR)
        self.keep = int(self._number("keep"))
        self.keep_days = self._number("keep_days")
        self.hook_timeout = self._number("hook_timeout")
        self.hook = self._command()

    def _refused(self, key: str, reason: str) -> InvalidSettings:
        return InvalidSettings("%s: %s %s" % (self._path, key, reason), path=self._path)

    def _folder(self, key: str, default: str) -> str:
        folder = self._values.get(key) or default
        if folder and (not folder.startswith("/") or "\0" in folder):
            raise self._refused(key, "must be an absolute path, not %.80r" % folder)
        return folder.rstrip("/") or folder

    def _number(self, key: str) -> float:
        text = self._values.get(key) or str(_DEFAULTS[key])
        try:
            number = float(text)
        except ValueError:
            number = -1.0
        if not _LEAST[key] <= number <= _MOST[key] or (key == "keep" and number % 1):
            raise self._refused(key, "must be a number from %g to %g, not %.40r" % (_LEAST[key], _MOST[key], text))
        return number

    def _command(self) -> List[str]:
        text = self._values.get("hook")
        if not text:
            return []
        try:
            command: Any = strict_json(text)
        except ValueError:
            command = None
        words = command if isinstance(command, list) else []
        if not words or not all(isinstance(word, str) and "\0" not in word for word in words):
            raise self._refused("hook", 'must be a list of words, such as ["/usr/local/bin/tell", "--urgent"]')
        if not words[0].startswith("/"):
            raise self._refused("hook", "must name its program by an absolute path, not %.80r" % words[0])
        return words


def load(path: str) -> Config:
    """Read and validate the config file.

    :raises InvalidSettings: it cannot be read, or something in it makes no sense.
    """
    return Config(path, text_of(path))


def as_text(values: Dict[str, Any]) -> Dict[str, str]:
    """Values as they stand in the file; None is left out."""
    import json

    return {
        key: json.dumps(value) if isinstance(value, list) else "%s" % value
        for key, value in values.items()
        if value is not None and value != []
    }
