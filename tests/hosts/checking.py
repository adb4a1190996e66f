# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A checker on a test host."""

from __future__ import annotations

import json
import subprocess
import sys
from types import TracebackType

from ansible_collections.roosync.heartbeat.tests.hosts.host import PODMAN, TIMEOUT, Host, podman
from ansible_collections.roosync.heartbeat.tests.hosts.playing import Player

COLLECTIONS = "/opt/collections"
# Checks until its standard input is closed.
SCRIPT = """
import json, select, sys
sys.path.insert(0, sys.argv[1])
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.check import run_check
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.stores.file import FileStore
while not select.select([sys.stdin], [], [], 0.1)[0]:
    with FileStore(sys.argv[2], "default") as store:
        result = run_check(store, force=True)
    print(json.dumps([(t["event"], t["event_id"]) for t in result["transitions"]]), flush=True)
"""


class RemoteChecker:
    """Checks ten times a second on a host, with the Python of the tests and the collection as it would be published."""

    def __init__(self, host: Host, player: Player, store: str) -> None:
        self._host = host
        self.events: list[tuple[int, str]] = []
        """What it was told as new: number and id. Complete at the end."""
        if not host.succeeds(f"test -d {COLLECTIONS}"):
            podman("cp", str(player.collections), f"{host.name}:{COLLECTIONS}")
        command = [PODMAN, "exec", "-i", host.name, sys.executable, "-c", SCRIPT, COLLECTIONS, store]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def __enter__(self) -> RemoteChecker:
        assert self._process.stdout is not None
        if not self._process.stdout.readline():
            raise AssertionError(f"no check on {self._host.name}: {self._process.communicate()[1]}")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _at: TracebackType | None
    ) -> None:
        output, complaints = self._process.communicate(timeout=TIMEOUT)
        self.events = [tuple(event) for line in output.splitlines() for event in json.loads(line)]
        if kind is None:
            assert self._process.returncode == 0, complaints
