# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests on real hosts share. `make hosts` starts them."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator

import pytest

from ansible_collections.roosync.heartbeat.tests.hosts.fleet import Fleet
from ansible_collections.roosync.heartbeat.tests.hosts.host import Host
from ansible_collections.roosync.heartbeat.tests.hosts.lab import HOME, Lab
from ansible_collections.roosync.heartbeat.tests.hosts.playing import Played, Player, install_collection

COUNT = 6


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    """The lab, empty at first; whatever was started in it is gone at the end."""
    before = signal.signal(signal.SIGTERM, lambda *_args: pytest.exit("terminated", 143))
    made = Lab()
    try:
        yield made
    finally:
        made.down()
        signal.signal(signal.SIGTERM, before)


@pytest.fixture(scope="module")
def hosts(lab: Lab) -> list[Host]:
    """Six fresh hosts, and the shared directory empty."""
    return lab.up(COUNT)


@pytest.fixture(scope="session")
def player(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Player:
    """Ansible with the collection as it would be published."""
    home = tmp_path_factory.mktemp("ansible")
    install_collection(home)
    return Player(lab, home)


@pytest.fixture(scope="session")
def play(player: Player) -> Callable[..., Played]:
    return player.play


@pytest.fixture(scope="session", autouse=True)
def _own_cache() -> Iterator[None]:
    """Checks keep the statuses as last known here, not at home."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(HOME / "cache"))
        yield


@pytest.fixture(scope="module")
def deployed(lab: Lab, hosts: list[Host], player: Player) -> Iterator[Fleet]:
    """A fleet of the six hosts that beats every second, and the monitor that watches it."""
    made = Fleet(lab, hosts, player)
    try:
        made.deploy()
        yield made
    finally:
        made.close()


@pytest.fixture
def fleet(deployed: Fleet) -> Iterator[Fleet]:
    """The same, with all hosts up and beating again after a test that failed halfway."""
    yield deployed
    deployed.restore()
