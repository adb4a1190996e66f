# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A fleet of the test hosts: its store, its agents and its monitor."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.fleet import Request, manage
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.stores.file import FileStore
from ansible_collections.roosync.heartbeat.tests.hosts.host import Host, podman
from ansible_collections.roosync.heartbeat.tests.hosts.lab import STORE, Lab
from ansible_collections.roosync.heartbeat.tests.hosts.playing import Played, Player
from ansible_collections.roosync.heartbeat.tests.hosts.watching import Transition, Watcher

INTERVAL = 1.0
WARNING_AFTER = 4.0
OFFLINE_AFTER = 6.0
SETTINGS = {"heartbeat_interval": INTERVAL, "warning_after": WARNING_AFTER, "offline_after": OFFLINE_AFTER}
# What has to come is waited for by this much longer than it should take. Only a failure takes it all.
SLACK = 30.0
# On a busy machine, between the time that a record bears and the moment at which it lies in its place.
LATE = 2.0
# Recorded times have fewer digits than those of files, and a check may come at the very moment at which one is due.
EXACT = 0.002
# The clock by which files get their times lags behind the one of programs by up to a tick.
COARSE = 0.02
UNIT = "roosync-heartbeat"
GROUPS = ["heartbeat"]
FLEET = "default"


class Fleet:
    """The hosts, deployed on, and a monitor on this machine.

    :param store: the store as the hosts reach it.
    :param path: the store as this machine reaches it.
    :param pipelining: whether Ansible takes its quicker way, which by default it does not.
    """

    def __init__(
        self,
        lab: Lab,
        hosts: Sequence[Host],
        player: Player,
        store: str = STORE,
        path: Path | None = None,
        pipelining: bool = True,
    ) -> None:
        self.hosts = list(hosts)
        self.player = player
        self.store = store
        self.path = path or lab.shared
        self._pipelining = pipelining
        self.settings(**SETTINGS)
        self.monitor = Watcher(self.path)

    def close(self) -> None:
        self.monitor.close()

    @property
    def names(self) -> list[str]:
        return [host.name for host in self.hosts]

    def settings(self, **settings: Any) -> None:
        with FileStore(str(self.path), FLEET) as store:
            manage(store, Request(settings=settings))

    def deploy(self, *arguments: str, **variables: Any) -> Played:
        """Run the playbook ``deploy``, which waits until all hosts are online."""
        return self.play("deploy", *arguments, **variables).ok()

    def play(self, playbook: str, *arguments: str, **variables: Any) -> Played:
        """Run a playbook of the collection with what it must know of this fleet."""
        given = {
            "ansible_pipelining": self._pipelining,
            "heartbeat_agent_store": self.store,
            "heartbeat_agent_groups": GROUPS,
            "heartbeat_store": str(self.path),
            "heartbeat_hosts": ",".join(self.names),
            "heartbeat_timeout": 120,
        }
        return self.player.play(playbook, *arguments, **{**given, **variables})

    def record(self, host: Host) -> dict[str, Any]:
        """The host's last beat, as it lies in the store."""
        found: dict[str, Any] = json.loads((self.path / FLEET / "heartbeats" / f"{host.name}.json").read_bytes())
        return found

    def last_beat(self, host: Host) -> float:
        """When the host's last beat arrived, by the clock of the store."""
        return (self.path / FLEET / "heartbeats" / f"{host.name}.json").stat().st_mtime

    def missed(self, host: Host) -> int:
        """How many beats the host's agent knows that it could not write, since the last one that it could."""
        found = json.loads(host.run("cat /var/lib/roosync-heartbeat/missed.json 2>/dev/null || echo '{}'"))
        return 0 if found.get("recovered", True) else int(found["count"])

    def others(self, *hosts: Host) -> list[str]:
        return [name for name in self.names if name not in {host.name for host in hosts}]

    def restore(self) -> None:
        """Switch on what a test that failed halfway has left off."""
        up = podman("ps", "--format", "{{.Names}}").split()
        for host in self.hosts:
            if host.name not in up:
                host.start()

    def wait_until_well(self) -> float:
        """Wait until all hosts are online; the time of it."""
        self.monitor.wait_for_status("online", self.names, SLACK)
        return time.time()

    @contextmanager
    def nobody_else_affected(self, *hosts: Host) -> Iterator[float]:
        """Everybody but these hosts is online at every check, from a moment at which all are well, until the end."""
        since = self.wait_until_well()
        yield since
        self.monitor.watch_for(0)
        strangers = [t for t in self.monitor.changes(since) if t.machine_id in self.others(*hosts)]
        assert not strangers, strangers
        unwell = self.monitor.unwell(self.others(*hosts), since)
        assert not unwell, unwell

    def goes_offline(self, host: Host, at: float, well: float | None = None) -> Transition:
        """The host has fallen silent by this moment, and is recorded as offline when it should be.

        :param well: when it was not yet, if what silenced it may have taken a while.
        """
        since = at if well is None else well
        warned = self.monitor.wait_for_change(host.name, "warning", since, WARNING_AFTER + SLACK)
        gone = self.monitor.wait_for_change(host.name, "offline", since, OFFLINE_AFTER - WARNING_AFTER + SLACK)
        assert (warned.before, warned.cause, warned.planned) == ("online", "silence", False)
        assert (gone.before, gone.cause, gone.planned) == ("warning", "silence", False)
        # It was well until then, and a beat that had begun may still have arrived.
        last = self.last_beat(host)
        assert since - WARNING_AFTER < last < at + INTERVAL + LATE
        # Each takes effect exactly when it is due after the last beat, and is detected by the next check.
        assert abs(warned.effective_at - last - WARNING_AFTER) < EXACT
        assert abs(gone.effective_at - last - OFFLINE_AFTER) < EXACT
        for change in (warned, gone):
            assert change.effective_at <= change.detected_at
            assert not self.monitor.overlooked(change, COARSE)
        return gone

    def goes_as_planned(self, host: Host, at: float) -> Transition:
        """The host was asked to leave at this moment, and is recorded as offline at once, with its goodbye."""
        gone = self.monitor.wait_for_change(host.name, "offline", at, SLACK)
        assert (gone.cause, gone.planned) == ("goodbye", True)
        # A busy machine may need longer than WARNING_AFTER to go on from the last beat to the goodbye.
        assert gone.before in ("online", "warning")
        assert at <= gone.effective_at <= gone.detected_at
        assert not self.monitor.overlooked(gone, LATE)
        return gone

    def online_in_time(self, played: Played, hosts: Sequence[Host]) -> None:
        """Each host was online within two intervals of the moment at which a playbook scheduled its beats.

        That is: later than that, no check found it in another state.
        """
        took = {}
        for host in hosts:
            scheduled = played.started(host.name, f"{UNIT}.timer")
            first = self.monitor.wait_for_status("online", [host.name], SLACK, since=0.0)
            earlier = [look.at for look in list(self.monitor.looks) if look.at < first.at]
            took[host.name] = max(earlier, default=scheduled) - scheduled
        assert max(took.values()) <= 2 * INTERVAL, took

    def comes_back(self, host: Host, at: float) -> Transition:
        """The host beats again from this moment on, and is recorded as online."""
        back = self.monitor.wait_for_change(host.name, "online", at, SLACK)
        assert (back.before, back.cause) == ("offline", "beat")
        assert back.effective_at >= at
        return back
