# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The agent as a service: a beat every interval until it is told to stop, then a goodbye."""

from __future__ import annotations

import os
import signal
import sys
import time

from ..errors import HeartbeatError, ServiceAlreadyRunning, StoreUnavailable
from .beater import Beater
from .local import Lock, prepare_state_dir, running_pid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Optional

    from .config import Config

STOP_PATIENCE = 20.0
LOOK_EVERY = 5.0
"""After so many seconds of sleep the agent looks whether the fleet's settings have changed."""
CAPTURE_NICE = 10
"""By how much captures stand back behind what else the machine does."""


class Service:
    """Beats until a signal comes.

    :param config: the agent's configuration on this host.
    """

    def __init__(self, config: Config) -> None:
        self._beater = Beater(config)
        self._stopping = False
        self._trouble: Optional[str] = None
        self._captures = Captures(config)

    def run(self) -> None:
        """Beat every ``heartbeat_interval``, and when the fleet's settings change; return after the goodbye."""
        signals = {signal.SIGTERM, signal.SIGINT}
        signal.pthread_sigmask(signal.SIG_BLOCK, signals)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # if it was inherited as ignored, no capture could be waited for
        due = time.monotonic()
        while not self._stopping:
            self._beat_once()
            due = max(due + self._beater.interval, time.monotonic() - self._beater.interval)
            due = self._sleep_until(due, signals)
        try:
            self._beater.beat(leaving="stop")
        except HeartbeatError as exc:
            say("could not say goodbye: %s: %s" % (exc.error_code, exc.message))
        finally:
            self._captures.stop()

    def _beat_once(self) -> None:
        """One beat; trouble is said when it begins, when it changes and when it is over, not at every beat."""
        try:
            beat = self._beater.beat()
        except HeartbeatError as exc:
            if exc.error_code != self._trouble:
                say("%s: %s" % (exc.error_code, exc.message))
            self._trouble = exc.error_code
            return
        if self._trouble is not None:
            say("beating again as %s; %d beats were missed" % (beat["machine_id"], beat["missed"]))
        self._trouble = None
        self._captures.beaten()

    def _sleep_until(self, due: float, signals: Any) -> float:
        """Wait for a signal to stop, or for the time of the next beat: that is now if the settings have changed."""
        while True:
            rest = due - time.monotonic()
            if signal.sigtimedwait(signals, max(0.0, min(rest, LOOK_EVERY))) is not None:
                self._stopping = True
                return due
            if time.monotonic() >= due:
                return due
            if self._beater.is_told():
                return time.monotonic()


class Captures:
    """A capture after every so many beats, each in a process of its own that no beat waits for."""

    def __init__(self, config: Config) -> None:
        self._every = config.capture_every
        self._config = os.path.abspath(config.path)
        self._beats = 0
        self._pid = 0

    def beaten(self) -> None:
        """There was a beat. If a capture is due, and the last one has ended, another one is started."""
        if not self._every:
            return
        self._beats += 1
        if self._pid and os.waitpid(self._pid, os.WNOHANG)[0]:
            self._pid = 0
        if self._beats % self._every == 0 and not self._pid:
            try:
                self._pid = self._start()
            except OSError as exc:
                say("a capture could not be started: %s" % exc.strerror)

    def _start(self) -> int:
        quick = os.path.join(os.path.dirname(os.path.abspath(__file__)), "quick.py")
        command = [sys.executable, "-I", "-S", quick, self._config, "capture"]
        pid = os.fork()
        if pid == 0:
            try:
                os.setpgid(0, 0)  # to be ended together with the processes that it starts
                os.nice(CAPTURE_NICE)
                signal.pthread_sigmask(signal.SIG_SETMASK, ())
                os.execv(command[0], command)
            finally:
                os._exit(127)
        return pid

    def stop(self) -> None:
        """End what is still at work. What it has not yet made known is gone, and is captured the next time."""
        if self._pid and not os.waitpid(self._pid, os.WNOHANG)[0]:
            try:
                os.killpg(self._pid, signal.SIGKILL)
            except OSError:
                os.kill(self._pid, signal.SIGKILL)  # not yet in a group of its own


def say(text: str) -> None:
    """A line for the journal of the service manager."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def run(config: Config) -> None:
    """``agent run``."""
    prepare_state_dir(config.state_dir)
    with Lock(config.state_dir):
        Service(config).run()


def beat(config: Config) -> Dict[str, Any]:
    """``agent beat``."""
    prepare_state_dir(config.state_dir)
    with Lock(config.state_dir):
        return Beater(config).beat()


def _say_goodbye(config: Config) -> Dict[str, Any]:
    """The last beat. It waits for one that has begun in the meantime, for no other will say it."""
    prepare_state_dir(config.state_dir)
    with Lock(config.state_dir, patience=STOP_PATIENCE):
        return Beater(config).beat(leaving="stop")


def stop(config: Config) -> Dict[str, Any]:
    """``agent stop``: the running agent says goodbye and ends; where none runs, this process says it."""
    pid = running_pid(config.state_dir)
    if pid is None:
        return dict(_say_goodbye(config), stopped_pid=None)
    try:
        os.kill(pid, signal.SIGTERM)
    except ProcessLookupError:
        pass
    except PermissionError as exc:
        raise ServiceAlreadyRunning(
            "the agent (pid %d) belongs to another user; stop it as that user" % pid, exc, pid=pid
        ) from exc
    deadline = time.monotonic() + STOP_PATIENCE
    while running_pid(config.state_dir) == pid:
        if time.monotonic() > deadline:
            raise StoreUnavailable(
                "the agent (pid %d) has not ended within %d s: its store may not answer; it ends when that does"
                % (pid, STOP_PATIENCE),
                pid=pid,
            )
        time.sleep(0.02)
    if not _said_goodbye(config):  # it could not, or it was a single beat, or not yet ready for signals
        try:
            _say_goodbye(config)
        except HeartbeatError as exc:
            say("could not say goodbye: %s: %s" % (exc.error_code, exc.message))
    return {"machine_id": config.machine_id, "stopped_pid": pid}


def _said_goodbye(config: Config) -> bool:
    """Whether this machine's last beat was one. Where nobody can tell it is said again, or it is found out why not."""
    from ..record import decode
    from ..stores import open_store

    try:
        with open_store(config.store, config.fleet) as store:
            found = store.read_beat(config.machine_id)
            return found is not None and decode(found.data, config.machine_id).leaving is not None
    except HeartbeatError:
        return False


def status(config: Config) -> Dict[str, Any]:
    """``agent status``: what runs here, and what the store has of this machine."""
    from .. import identity
    from ..clock import iso
    from ..record import decode
    from ..stores import open_store
    from .local import Spool

    pid = running_pid(config.state_dir)
    missed = Spool(config.state_dir, identity.boot_id()).missed()
    result: Dict[str, Any] = {
        "machine_id": config.machine_id,
        "store": config.store,
        "fleet": config.fleet,
        "running": pid is not None,
        "pid": pid,
        "missed": missed.count if missed is not None else 0,
        "last_heartbeat": None,
        "sequence": None,
        "store_error": None,
    }
    try:
        with open_store(config.store, config.fleet) as store:
            store.connect()
            found = store.read_beat(config.machine_id)
            if found is not None:
                result["last_heartbeat"] = iso(found.received_at)
                result["sequence"] = decode(found.data, config.machine_id).sequence
    except HeartbeatError as exc:
        result["store_error"] = "%s: %s" % (exc.error_code, exc.message)
    return result
