# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two real agents under one name, from the refusal of the second to its taking over of a name that has become free."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any, Dict, Iterator, List, Tuple

import pytest

from ansible_collections.roosync.heartbeat.plugins.module_utils._engine import identity, look
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.record import decode
from ansible_collections.roosync.heartbeat.tests.unit.checker.real import RealFleet
from ansible_collections.roosync.heartbeat.tests.unit.stdlib.agents import Agent, refused
from ansible_collections.roosync.heartbeat.tests.unit.stdlib.support import wait_until

# Beats follow each other quickly; nobody is late by the machine's being busy, only by a record that is made older.
SETTINGS = {"heartbeat_interval": 0.2, "warning_after": 30, "offline_after": 60}
SECRETS = ("1" * 32, "2" * 32)
FIRST, SECOND = (identity.fingerprint(secret) for secret in SECRETS)


@pytest.fixture
def shared(tmp_path: Path) -> RealFleet:
    return RealFleet(tmp_path / "store", **SETTINGS)


@pytest.fixture
def hosts(shared: RealFleet, tmp_path: Path) -> Iterator[Tuple[Agent, Agent]]:
    """Two hosts that both go by the name ``web1``."""
    pair: List[Agent] = []
    for number, secret in enumerate(SECRETS, 1):
        agent = Agent(tmp_path / ("host%d" % number), shared)  # type: ignore[arg-type]
        agent.host_id.write_text(secret + "\n")
        pair.append(agent)
    yield pair[0], pair[1]
    for agent in pair:
        agent.close()


def holder(fleet: RealFleet) -> str:
    return decode(fleet.record("web1").read_bytes(), "web1").fingerprint


def conflicts(result: Dict[str, Any]) -> List[Tuple[str, str, str]]:
    return [(c["machine_id"], c["holder"], c["refused"]) for c in result["identity_conflicts"]]


def refusals(fleet: RealFleet) -> List[int]:
    """When hosts were refused last."""
    return sorted(path.stat().st_mtime_ns for path in (fleet.path / "conflicts").glob("*.json"))


def start_both(fleet: RealFleet, hosts: Tuple[Agent, Agent]) -> List[subprocess.Popen[str]]:
    """The first beats, and is known; the second starts, and is refused."""
    first = hosts[0].start()
    assert [t["cause"] for t in fleet.check()["transitions"]] == ["first_beat"]
    second = hosts[1].start()
    wait_until(lambda: refusals(fleet), "the refusal of the second host")
    return [first, second]


def freeze(process: subprocess.Popen[str]) -> None:
    """Stop a process, and wait until it stands still: the signal alone only tells it to."""
    process.send_signal(signal.SIGSTOP)
    stat = Path("/proc/%d/stat" % process.pid)
    wait_until(lambda: stat.read_text().rpartition(")")[2].split()[0] == "T", "the host's standing still")


def causes(result: Dict[str, Any]) -> List[str]:
    return ["%s>%s %s" % (t["from"], t["to"], t["cause"]) for t in result["transitions"]]


def test_the_second_is_refused_and_shown_and_the_first_is_not_touched(
    shared: RealFleet, hosts: Tuple[Agent, Agent], tmp_path: Path
) -> None:
    processes = start_both(shared, hosts)
    expected = [("web1", FIRST, SECOND)]
    for _check in range(3):
        before = refusals(shared)
        wait_until(lambda: refusals(shared) > before, "another refusal")  # noqa: B023 # it is called at once
        result = shared.check()
        assert conflicts(result) == expected
        assert (result["online"], result["transitions"]) == (["web1"], [])
        assert "identity conflict: web1" in result["summary"]
        assert holder(shared) == FIRST
    assert conflicts(shared.check(force=False, cache_ttl=600)) == expected
    with shared.open() as store:
        assert conflicts(look.info(store, look.Question())) == expected
    assert all(process.poll() is None for process in processes), "the second one goes on trying"

    single = Agent(tmp_path / "single", shared)  # type: ignore[arg-type]
    single.host_id.write_text(SECRETS[1] + "\n")
    said = refused(single.command("beat"), "IDENTITY_CONFLICT")
    assert FIRST in said
    assert refused(single.quick(), "IDENTITY_CONFLICT").count(FIRST) == 1
    processes[1].terminate()
    said = hosts[1].ended(processes[1])
    assert said.count("IDENTITY_CONFLICT: web1 is in use by another host (fingerprint %s" % FIRST) >= 1
    assert holder(shared) == FIRST, "not even by a goodbye"


def test_the_second_takes_over_when_the_first_has_been_dead_for_long_enough(
    shared: RealFleet, hosts: Tuple[Agent, Agent]
) -> None:
    first, second = start_both(shared, hosts)
    freeze(second)
    hosts[0].kill(first)
    shared.age("web1", 40)  # it goes on growing older while the second is waited for
    tried = refusals(shared)
    second.send_signal(signal.SIGCONT)
    wait_until(lambda: refusals(shared) > tried, "a refusal while the first is not offline yet")
    freeze(second)
    assert holder(shared) == FIRST

    shared.age("web1", 61)
    assert causes(shared.check()) == ["online>offline silence"]
    second.send_signal(signal.SIGCONT)
    wait_until(lambda: holder(shared) == SECOND, "the takeover")
    result = shared.check()
    assert causes(result) == ["offline>online beat", "online>online takeover"]
    assert result["online"] == ["web1"]
    assert causes(shared.check()) == []

    # The first comes back: now it is the one that is refused.
    hosts[0].start()
    wait_until(lambda: ("web1", SECOND, FIRST) in conflicts(shared.check()), "the refusal of the first")
    assert holder(shared) == SECOND


def test_a_name_is_free_at_once_after_a_goodbye(shared: RealFleet, hosts: Tuple[Agent, Agent]) -> None:
    first, _second = start_both(shared, hosts)
    first.terminate()
    hosts[0].ended(first)
    wait_until(lambda: holder(shared) == SECOND, "the takeover")
    assert causes(shared.check()) == ["online>online takeover"]


def test_a_host_that_was_only_asleep_is_refused_when_it_wakes(shared: RealFleet, hosts: Tuple[Agent, Agent]) -> None:
    first, _second = start_both(shared, hosts)
    hosts[0].wait_for_beat()  # so that it sleeps: in the middle of a heartbeat, it would finish that on waking
    freeze(first)
    shared.age("web1", 61)
    wait_until(lambda: holder(shared) == SECOND, "the takeover")
    first.send_signal(signal.SIGCONT)
    wait_until(lambda: ("web1", SECOND, FIRST) in conflicts(shared.check()), "the refusal of the first")
    assert holder(shared) == SECOND


def test_a_conflict_that_is_over_is_shown_no_more(shared: RealFleet, hosts: Tuple[Agent, Agent]) -> None:
    _first, second = start_both(shared, hosts)
    hosts[1].kill(second)
    (document,) = (shared.path / "conflicts").glob("*.json")
    assert json.loads(document.read_text())["refused"] == SECOND
    assert conflicts(shared.check()) == [("web1", FIRST, SECOND)]
    at = time.time_ns() - 61_000_000_000
    os.utime(document, ns=(at, at))
    assert conflicts(shared.check()) == []
