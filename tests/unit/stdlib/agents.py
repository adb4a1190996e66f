# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The agent as it runs on a host: real processes with a configuration and a state directory of their own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict, List, Optional

from ansible_collections.roosync.heartbeat.tests.unit.stdlib.support import ENGINE, Fleet, wait_until

QUICK = str(ENGINE / "agent/quick.py")
# Short enough to see several beats in a test, and far above the time that one takes.
FAST = {"heartbeat_interval": 0.1, "warning_after": 10, "offline_after": 20}


class Agent:
    """The agent of machine ``web1``; processes that were started and not ended are ended by :meth:`close`."""

    def __init__(self, directory: Path, fleet: Fleet, **settings: Optional[str]) -> None:
        directory.mkdir(exist_ok=True)
        self.fleet = fleet
        self.conf = directory / "agent.conf"
        self.state_dir = directory / "state"
        self.host_id = directory / "machine-id"
        self.host_id.write_text("0123456789abcdef0123456789abcdef\n")
        self._running: List[subprocess.Popen[str]] = []
        self.configure(**settings)

    def configure(self, **settings: Optional[str]) -> None:
        """Write the configuration; a setting of None is left out."""
        values: Dict[str, Optional[str]] = {
            "store": str(self.fleet.root),
            "machine_id": "web1",
            "metadata": '{"role": "web"}',
            "state_dir": str(self.state_dir),
            "host_id": str(self.host_id),
        }
        values.update(settings)
        lines = ["%s = %s\n" % (key, value) for key, value in values.items() if value is not None]
        self.conf.write_text("# the agent of a test\n" + "".join(lines), encoding="utf-8")

    @property
    def prepared(self) -> Path:
        return self.state_dir / "prepared"

    @property
    def spool(self) -> Path:
        return self.state_dir / "missed.json"

    def quick(self, *options: str) -> subprocess.CompletedProcess[str]:
        """One beat as a timer starts it: by a single file."""
        return _run([sys.executable, "-I", "-S", *options, QUICK, str(self.conf)])

    def command(self, name: str) -> subprocess.CompletedProcess[str]:
        """One of the agent's commands, to its end."""
        return _run(self._command(name), cwd=str(ENGINE.parent))

    def _command(self, name: str) -> List[str]:
        return [sys.executable, "-W", "error", "-m", "_engine.agent", name, "--config", str(self.conf)]

    def start(self) -> subprocess.Popen[str]:
        """``run``, until it holds its lock and has beaten."""
        before = self._stamp()
        process = subprocess.Popen(
            self._command("run"), cwd=str(ENGINE.parent), stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True
        )
        self._running.append(process)
        wait_until(lambda: self._stamp() != before or process.poll() is not None, "the first beat")
        assert process.poll() is None, "the agent has ended: " + self.ended(process)
        return process

    def _stamp(self) -> Any:
        try:
            state = self.fleet.record("web1").stat()
        except OSError:
            return None
        return state.st_ino, state.st_mtime_ns

    def wait_for_beat(self) -> None:
        """Until the running agent has beaten once more."""
        before = self._stamp()
        wait_until(lambda: self._stamp() not in (before, None), "another beat")

    def ended(self, process: subprocess.Popen[str]) -> str:
        """Wait for a process that was told to end, and for what it said."""
        said: str = process.communicate(timeout=60)[1]
        self._running.remove(process)
        return said

    def kill(self, process: subprocess.Popen[str]) -> str:
        """End it as a power cut would: nothing is said, and what it was writing stays behind, so it is removed here."""
        process.send_signal(signal.SIGKILL)
        said = self.ended(process)
        for path in self.fleet.root.rglob(".tmp-%d-*" % process.pid):
            path.unlink()
        return said

    def close(self) -> None:
        for process in list(self._running):
            self.kill(process)


def _run(command: List[str], **kwargs: Any) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"}
    return subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment, check=False, **kwargs)


def beaten(done: subprocess.CompletedProcess[str]) -> None:
    """A beat that went well has nothing to say."""
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def refused(done: subprocess.CompletedProcess[str], error_code: str) -> str:
    """What a command that failed said: one line, with its error code, and no traceback."""
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.count("\n") == 1, done.stderr
    assert done.stderr.startswith(error_code + ": ")
    return done.stderr.rstrip("\n")
