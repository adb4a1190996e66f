# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the agent keeps on its own host: the lock, the spool of missed beats, and what a quick beat needs prepared."""

from __future__ import annotations

import json
import os
import time

from ..clock import MS, NS, boot_time
from ..errors import InvalidSettings, ServiceAlreadyRunning
from ..identity import read_first_line
from ..record import Missed
from ..stores.atomic import write_all
from . import quick

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Optional

LOCK = "agent.lock"
SPOOL = "missed.json"
PREPARED = "prepared"
INSTANCE = "instance"
CAPTURE_LOCK = "capture.lock"
CAPTURE_SEEN = "captured"
"""The folder that remembers what captures have read."""
RUNNING = "an agent is already running here (pid %s); stop it first, or leave the beating to it"
UNSAID = 1.0
"""For so many seconds at most the holder of a lock is waited for that has not yet said who it is."""
REPORT_FOR = 900 * NS
"""How long after an outage its report is repeated, so that a checker that was away as well still sees it."""


def prepare_state_dir(path: str) -> None:
    """Make the state directory, for its owner alone.

    :raises InvalidSettings: it cannot be made or written.
    """
    try:
        os.makedirs(path, mode=0o700, exist_ok=True)
    except OSError as exc:
        raise InvalidSettings("cannot make the agent's state_dir %s: %s" % (path, exc.strerror), path=path) from exc
    if not os.access(path, os.W_OK | os.X_OK):
        raise InvalidSettings("the agent's state_dir %s cannot be written by this user" % path, path=path)


def instance(state_dir: str) -> str:
    """A random name for this state directory, by which hosts that have no machine id are told apart.

    :returns: ``""`` where it cannot be kept; that tells nothing.
    """
    path = os.path.join(state_dir, INSTANCE)
    name = read_first_line(path)[:32]
    if not name:
        name = os.urandom(8).hex()
        try:
            write_local(path, name.encode())
        except OSError:
            return ""
    return name


class Lock:
    """One agent per state directory. A lock of the kernel's: it cannot outlive its process.

    :param name: of its file.
    :param held: what to say when another process has it; with a ``%s`` for its pid.
    :param patience: for how many seconds to wait for that process.
    """

    def __init__(self, state_dir: str, name: str = LOCK, held: str = RUNNING, patience: float = 0.0) -> None:
        self._path = os.path.join(state_dir, name)
        self._held = held
        self._patience = patience
        self._fd = -1

    def __enter__(self) -> Lock:
        try:
            fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError as exc:
            raise InvalidSettings("cannot open the agent's lock %s: %s" % (self._path, exc.strerror)) from exc
        deadline = time.monotonic() + self._patience
        while True:
            try:
                os.lockf(fd, os.F_TLOCK, 0)
                break
            except OSError as exc:
                if time.monotonic() >= deadline:
                    holder = read_pid(fd)
                    os.close(fd)
                    raise ServiceAlreadyRunning(self._held % (holder or "?"), exc, pid=holder) from exc
            time.sleep(0.05)
        quick.write_pid(fd)
        self._fd = fd
        return self

    def __exit__(self, *exc_info: object) -> None:
        os.close(self._fd)


def read_pid(fd: int) -> Optional[int]:
    text = os.pread(fd, 32, 0).split(b"\n", 1)[0]
    return int(text) if text.isdigit() else None


def running_pid(state_dir: str, name: str = LOCK) -> Optional[int]:
    """The pid of the agent that holds the lock, or None when nobody does."""
    try:
        fd = os.open(os.path.join(state_dir, name), os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except PermissionError as exc:
        message = "whether an agent runs is known in %s, which this user may not read; ask as the agent's user"
        raise InvalidSettings(message % state_dir, exc) from exc
    except OSError:
        return None
    try:
        os.lockf(fd, os.F_TEST, 0)
        return None
    except OSError:
        return _holder(fd)
    finally:
        os.close(fd)


def _holder(fd: int) -> Optional[int]:
    """The pid of the process that holds a lock, or None if it does not say it.

    It says it a moment after it has got the lock. Until then the file has the pid of the one before, and that may be
    another process by now, which has not got the file open.
    """
    deadline = time.monotonic() + UNSAID
    while True:
        pid = read_pid(fd)
        if pid not in (None, os.getpid()) and _has_open(pid, fd):
            return pid
        if time.monotonic() >= deadline:
            return None
        time.sleep(0.005)


def _has_open(pid: int, fd: int) -> bool:
    """Whether a process has a file open; of one that may not be looked into, and gets no signal either, that is so."""
    folder = "/proc/%d/fd" % pid
    try:
        names = os.listdir(folder)
    except PermissionError:
        return True
    except OSError:
        return not os.path.exists("/proc/self/fd")
    for name in names:
        try:
            if os.path.samestat(os.stat(os.path.join(folder, name)), os.fstat(fd)):
                return True
        except OSError:
            continue  # closed since
    return False


class Spool:
    """Beats that could not be written: one window, in boot time, until it was reported for long enough."""

    def __init__(self, state_dir: str, boot_id: str) -> None:
        self._path = os.path.join(state_dir, SPOOL)
        self._boot_id = boot_id
        self._window: Optional[Dict[str, Any]] = self._load()

    def _load(self) -> Optional[Dict[str, Any]]:
        try:
            with open(self._path, encoding="ascii") as stream:
                window = json.load(stream)
            began, ended, count = (window[key] for key in ("began", "ended", "count"))
            # It goes into the record: what is no sound report there must not come out of a damaged file here.
            if window["boot_id"] == self._boot_id and 0 <= began <= ended < 1 << 62 and 0 < count < 1 << 62:
                why = ascii(window["why"])[1:-1][:100]
                times = {"began": int(began), "ended": int(ended), "count": int(count)}
                return dict(times, boot_id=self._boot_id, why=why, recovered=bool(window.get("recovered")))
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            pass
        return None

    def failed(self, why: str, began: int) -> None:
        """A beat could not be written.

        :param began: when the attempt began.
        """
        window = self._window
        if window is None or window["recovered"]:
            window = {"boot_id": self._boot_id, "began": began, "count": 0, "recovered": False}
        self._window = dict(window, ended=boot_time(), count=window["count"] + 1, why=why)
        self._save()

    def succeeded(self) -> None:
        """A beat was written: the window is over, and forgotten once it was reported for long enough."""
        if self._window is None:
            self._remove()
        elif boot_time() - self._window["ended"] > REPORT_FOR:
            self._window = None
            self._remove()
        elif not self._window["recovered"]:
            self._window["recovered"] = True
            self._save()

    def missed(self) -> Optional[Missed]:
        """What the next beat has to say."""
        window = self._window
        if window is None:
            return None
        now = boot_time()
        return Missed(
            count=window["count"],
            began_ms=max(0, (now - window["began"]) // MS),
            ended_ms=max(0, (now - window["ended"]) // MS),
            why=window["why"],
        )

    def away_ns(self) -> int:
        """For how long the store has been out of this host's reach, until now."""
        window = self._window
        return 0 if window is None or window["recovered"] else boot_time() - int(window["began"])

    def _save(self) -> None:
        try:
            write_local(self._path, json.dumps(self._window).encode())
        except OSError:
            pass  # a full local disk must not stop the beats; the window stays in memory

    def _remove(self) -> None:
        try:
            os.unlink(self._path)
        except OSError:
            pass  # not there, or on a disk that has become read-only


def write_local(path: str, data: bytes) -> None:
    """Replace a small local file; not fsynced: what is lost in a power cut is worked out anew."""
    temporary = "%s.tmp-%d" % (path, os.getpid())
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        try:
            write_all(fd, data)
        finally:
            os.close(fd)
        os.rename(temporary, path)
    except OSError:
        os.unlink(temporary)
        raise
