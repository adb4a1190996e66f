# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The results of checks, one file each, and the newest once more under a name that stays the same.

The files are this host's: of several monitors that share a folder each one clears away its own. In the folder of the
store everybody of the group may write, so nothing there is followed, and nothing is read.
"""

from __future__ import annotations

import os
import re
import time
from calendar import timegm
from typing import Any, Dict, List

from ..clock import iso, parse_iso
from ..errors import HeartbeatError, from_os_error
from ..stores import atomic
from .config import Config

LATEST = "latest.json"
_LEFT_BEHIND_AFTER = 3600.0
_LEFT_BEHIND = re.compile(re.escape(atomic.TEMPORARY) + r"\d+-[0-9a-f]{12}")
"""As :mod:`..stores.atomic` names them: in a folder that a person has named, others may be at work too."""
_STAMP = "%Y%m%dT%H%M%S"


def host_name() -> str:
    """This host's name, as a part of a file's name."""
    return re.sub(r"[^a-z0-9.-]", "-", os.uname().nodename.lower())[:100] or "host"


class Results:
    """The folder of the results.

    :param config: where it is, and how much is kept.
    :param host: the part of the names that is this host's.
    """

    def __init__(self, config: Config, host: str) -> None:
        self.folder = config.results or os.path.join(location(config), "logs")
        self._config = config
        self._host = host
        self._mine = re.compile(r"check-(\d{8}T\d{6})\.\d{6}Z-%s\.json" % re.escape(host))

    def keep(self, text: bytes, moment: str) -> str:
        """Write a result, and clear away what is too old or too much.

        :param moment: when the check was, in ISO 8601.
        :returns: the path of the file.
        :raises HeartbeatError: it cannot be written.
        """
        name = "check-%s-%s.json" % (moment.replace("-", "").replace(":", ""), self._host)
        try:
            follow = 0 if self._config.results else os.O_NOFOLLOW  # a link that somebody has named is meant
            fd = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | follow)
            try:
                atomic.replace(fd, name, text, durable=False)
                atomic.replace(fd, LATEST, text, durable=False)
                self._clear(fd, name)
            finally:
                os.close(fd)
        except OSError as exc:
            raise from_os_error(exc, "keep the check's result", self.folder) from exc
        return os.path.join(self.folder, name)

    def _clear(self, fd: int, newest: str) -> None:
        """By number and by age, counted from the newest: a clock that jumped must not take everything away."""
        names = os.listdir(fd)
        mine = sorted(name for name in names if self._mine.fullmatch(name))
        kept = mine[-self._config.keep :]
        limit = self._stamp(newest) - self._config.keep_days * 86_400
        for name in mine:
            if name != newest and (name not in kept or self._stamp(name) < limit):
                atomic.discard(fd, name)
        if self._config.results:  # what lies in the store is swept with the store
            self._sweep(fd, names)

    def _stamp(self, name: str) -> float:
        found = self._mine.fullmatch(name)
        return timegm(time.strptime(found.group(1), _STAMP)) if found else 0.0

    @staticmethod
    def _sweep(fd: int, names: List[str]) -> None:
        """Take away what a monitor that was killed left half-written."""
        now = time.time()
        for name in names:
            if _LEFT_BEHIND.fullmatch(name):
                try:
                    if now - os.stat(name, dir_fd=fd, follow_symlinks=False).st_mtime > _LEFT_BEHIND_AFTER:
                        os.unlink(name, dir_fd=fd)
                except OSError:
                    continue


def location(config: Config) -> str:
    """The fleet's directory."""
    from ..stores import open_store

    return open_store(config.store, config.fleet).location


def moment_of(result: Dict[str, Any]) -> str:
    """When a check was: by the store's clock, or by this host's where the store was not there to be asked."""
    moment = str(result.get("checked_at") or iso(time.time_ns()))
    parse_iso(moment)
    return moment


def failure(exc: HeartbeatError) -> Dict[str, Any]:
    """A check without a verdict, as a result."""
    return dict(exc.as_result(), msg=exc.message, failed=True)
