# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands of docs/troubleshooting.md and docs/backup.md, typed in order, on hosts that are folders of this one.

The French page has the same commands, by a test of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.stores import open_store
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.sync.localsite import LocalSite
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.sync.run import run
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.sync.session import Request
from ansible_collections.roosync.heartbeat.tests.docs.pages import page
from ansible_collections.roosync.heartbeat.tests.docs.session import complaints, follow
from ansible_collections.roosync.heartbeat.tests.integration.awx.agents import beating, inventory, machine
from ansible_collections.roosync.heartbeat.tests.integration.docs.reader import Reader
from ansible_collections.roosync.heartbeat.tests.integration.fleets import prepare

HOSTS = ("web-01", "web-02", "web-03", "web-04")
WITH_AGENTS = HOSTS[:3]
PATIENCE = 1800.0
OLD = '{"heartbeats": {"old-1": {"machineId": "old-1", "lastHeartbeat": "2026-01-15T23:30:00Z"}}}'


class Site:
    """A fleet with a tree that has been synced; web-03 has fallen silent, and web-04 is a host without an agent."""

    def __init__(self, reader: Reader, home: Path) -> None:
        self.home = reader.new_home(home)
        self.root = home / "root"
        self.store = self.root / "store"
        tree = self.root / "www"
        tree.mkdir(parents=True)
        # The others stay online until the last command, though nobody beats for them before they are deployed on.
        slow = {"warning_after": 900, "offline_after": 1200}
        settings = {"sync_paths": {"site": {"path": str(tree)}}, "clock_skew_warning": 100_000, **slow}
        prepare(self.store, {"settings": settings, "history": [dict.fromkeys(HOSTS, 1)]})
        for content in ("first", "second"):
            (tree / "index.html").write_text(content)
            self.sync("web-01")
        silent = {"web-01": 1, "web-02": 1, "web-03": 3600, "web-04": 1}
        prepare(self.store, {"settings": settings, "history": [silent]})
        self.inventory = home / "inventory.ini"
        self.write_inventory(HOSTS)
        self.moved = {
            "/srv/heartbeat": str(self.store),
            "/srv/www": str(tree),
            "/srv/roosync": str(self.root / "roosync"),
            "/var/backups": str(self.root / "backups"),
            "/tmp/heartbeat-trial": str(home / "trial"),
        }
        (self.root / "roosync").mkdir()
        (self.root / "roosync" / "heartbeat.json").write_text(OLD)

    def sync(self, name: str) -> None:
        with open_store(str(self.store)) as store:
            site = LocalSite("/", str(self.root / "state"))
            assert run(store, Request(name, "online"), site, lambda: open_store(str(self.store)))["changed"]

    def write_inventory(self, hosts: Sequence[str]) -> None:
        """With what keeps the role off the schedulers of this machine, and its files in folders."""
        variables = {**inventory(self.root, {})["all"]["vars"], **machine()}
        variables["heartbeat_sync_state_dir"] = str(self.root / "state")
        lines = ["[all]", *hosts, "", "[all:vars]", *(f"{key}={value}" for key, value in variables.items())]
        self.inventory.write_text("\n".join(lines) + "\n")


@pytest.fixture
def site(reader: Reader, tmp_path: Path) -> Iterator[Site]:
    made = Site(reader, tmp_path)
    with beating(made.root, *WITH_AGENTS):
        yield made


def test_backup(reader: Reader, site: Site) -> None:
    one = page("backup.md")
    typed = follow(one, site.home, reader.environment, site.moved)
    assert not (found := complaints(one, typed)), "\n\n".join(found)


def test_troubleshooting(reader: Reader, site: Site) -> None:
    """web-03 is deployed by the page itself; the commands on a machine are typed at one that nobody else beats for."""
    site.write_inventory(WITH_AGENTS)
    reader.run("ansible-playbook", "-i", str(site.inventory), "roosync.heartbeat.deploy", "-l", "!web-03")
    by_hand = site.root / "by-hand"
    by_hand.mkdir()
    (by_hand / "agent.conf").write_text(f"store = {site.store}\nmachine_id = web-05\nstate_dir = {by_hand}/state\n")
    (site.home / "vault-password").write_text("open sesame\n")
    site.moved["/usr/lib/roosync-heartbeat"] = str(site.root / "hosts" / "web-01" / "agent")
    site.moved["/etc/roosync-heartbeat"] = str(by_hand)
    one = page("troubleshooting.md")
    typed = follow(one, site.home, reader.environment, site.moved, timeout=PATIENCE)
    assert not (found := complaints(one, typed)), "\n\n".join(found)
    assert (site.home / "secrets.yml").read_text().startswith("$ANSIBLE_VAULT;")
    assert not (site.home / "trial").exists()
    with open_store(str(site.store)) as store:
        assert store.read_beat("web-03") is not None
