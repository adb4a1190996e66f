# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The running agent: one at a time, gone without a trace when it is killed, and with a goodbye when it is stopped."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.clock import parse_iso
from ansible_collections.roosync.heartbeat.tests.unit.stdlib.agents import FAST, QUICK, Agent, beaten, refused
from ansible_collections.roosync.heartbeat.tests.unit.stdlib.support import ENGINE, Fleet, open_files, wait_until

# Holds the lock as a beat does whose store does not answer, and would end without a goodbye.
STUCK = """
import sys, time
sys.path.insert(0, sys.argv[1])
from _engine.agent import quick
fd = quick.lock(sys.argv[2])
print("held", flush=True)
time.sleep(60)
"""


def ended_with_goodbye(agent: Agent, process: subprocess.Popen[str]) -> None:
    assert agent.ended(process) == ""
    assert process.returncode == 0
    assert agent.fleet.beat("web1").leaving == "stop"


def test_a_second_agent_ends_at_once_and_names_the_first(agent: Agent, fleet: Fleet) -> None:
    process = agent.start()
    message = (
        "SERVICE_ALREADY_RUNNING: an agent is already running here (pid %d); stop it first, or leave the beating to it"
        % process.pid
    )
    for again in (lambda: agent.command("run"), lambda: agent.command("beat"), agent.quick):
        assert refused(again(), "SERVICE_ALREADY_RUNNING") == message
    agent.wait_for_beat()
    assert process.poll() is None


def test_a_killed_agent_leaves_no_lock_behind(agent: Agent, fleet: Fleet) -> None:
    first = agent.start()
    agent.kill(first)
    sequence = fleet.beat("web1").sequence
    assert (agent.state_dir / "agent.lock").read_text().strip() == str(first.pid)
    assert json.loads(agent.command("status").stdout)["running"] is False
    beaten(agent.quick())
    assert fleet.beat("web1").sequence == sequence + 1
    second = agent.start()
    assert json.loads(agent.command("status").stdout)["pid"] == second.pid


def test_it_beats_every_interval_and_follows_new_settings(agent: Agent, fleet: Fleet) -> None:
    agent.start()
    before = fleet.beat("web1").sequence
    wait_until(lambda: fleet.beat("web1").sequence >= before + 5, "five more beats")
    fleet.configure(dict(FAST, overrides={"web*": {"heartbeat_interval": 0.6}}))
    agent.wait_for_beat()
    agent.wait_for_beat()  # the first may have been due already
    # After one that was late there may be one at once, and one in time again: the third is an interval later for sure.
    first = fleet.beat("web1")
    wait_until(lambda: fleet.beat("web1").sequence >= first.sequence + 3, "three more beats")
    assert parse_iso(fleet.beat("web1").sent_at) - parse_iso(first.sent_at) > 500_000_000


def test_a_sleeping_agent_hears_of_a_shorter_interval(agent: Agent, fleet: Fleet) -> None:
    fleet.configure({"heartbeat_interval": 3600, "warning_after": 7200, "offline_after": 10800})
    agent.start()
    first = fleet.beat("web1").sequence
    fleet.configure(FAST)
    wait_until(lambda: fleet.beat("web1").sequence >= first + 5, "five more beats")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_with_a_goodbye(agent: Agent, fleet: Fleet, number: signal.Signals) -> None:
    process = agent.start()
    sequence = fleet.beat("web1").sequence
    process.send_signal(number)
    ended_with_goodbye(agent, process)
    assert fleet.beat("web1").sequence > sequence


def test_stop_ends_the_running_agent_with_a_goodbye(agent: Agent, fleet: Fleet) -> None:
    process = agent.start()
    done = agent.command("stop")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout) == {"machine_id": "web1", "stopped_pid": process.pid}
    ended_with_goodbye(agent, process)
    beaten(agent.quick())
    assert fleet.beat("web1").leaving is None


def test_stop_says_goodbye_for_an_agent_that_does_not_run(agent: Agent, fleet: Fleet) -> None:
    beaten(agent.quick())
    done = agent.command("stop")
    assert done.returncode == 0
    answer = json.loads(done.stdout)
    assert (answer["stopped_pid"], answer["sequence"]) == (None, 2)
    assert fleet.beat("web1").leaving == "stop"


def test_stop_says_goodbye_itself_when_what_it_stopped_did_not(agent: Agent, fleet: Fleet) -> None:
    beaten(agent.quick())
    with subprocess.Popen(
        [sys.executable, "-I", "-c", STUCK, str(ENGINE.parent), str(agent.state_dir)], stdout=subprocess.PIPE, text=True
    ) as stuck:
        assert stuck.stdout is not None
        assert stuck.stdout.readline() == "held\n"
        done = agent.command("stop")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["stopped_pid"] == stuck.pid
    assert stuck.returncode == -signal.SIGTERM
    assert fleet.beat("web1").leaving == "stop"


def test_stop_without_a_store_still_stops(agent: Agent, fleet: Fleet, tmp_path: Path) -> None:
    """And says that nobody was told, for the absence will be an alarm."""
    process = agent.start()
    fleet.root.rename(tmp_path / "away")
    done = agent.command("stop")
    (tmp_path / "away").rename(fleet.root)
    assert done.returncode == 0
    assert done.stderr.startswith("could not say goodbye: STORE_UNAVAILABLE: there is no fleet at ")
    assert "could not say goodbye: STORE_UNAVAILABLE" in agent.ended(process)
    assert process.returncode == 0


def test_status_says_what_runs_and_what_the_store_has(agent: Agent, fleet: Fleet, tmp_path: Path) -> None:
    before = json.loads(agent.command("status").stdout)
    assert before == {
        "machine_id": "web1",
        "store": str(fleet.root),
        "fleet": "default",
        "running": False,
        "pid": None,
        "missed": 0,
        "last_heartbeat": None,
        "sequence": None,
        "store_error": None,
    }
    process = agent.start()
    running = json.loads(agent.command("status").stdout)
    assert (running["running"], running["pid"]) == (True, process.pid)
    assert running["sequence"] >= 1
    assert running["last_heartbeat"].endswith("Z")
    agent.kill(process)
    fleet.record("web1").write_bytes(b"torn")
    assert json.loads(agent.command("status").stdout)["store_error"].startswith("STORE_CORRUPT: the record of web1")
    fleet.root.rename(tmp_path / "away")
    done = agent.command("status")
    (tmp_path / "away").rename(fleet.root)
    assert done.returncode == 0
    assert json.loads(done.stdout)["store_error"].startswith("STORE_UNAVAILABLE: there is no fleet at ")


def test_of_many_beats_at_once_each_is_whole_and_none_is_lost_silently(agent: Agent, fleet: Fleet) -> None:
    beaten(agent.quick())
    started = [
        subprocess.Popen([sys.executable, "-I", "-S", QUICK, str(agent.conf)], stderr=subprocess.PIPE, text=True)
        for _number in range(12)
    ]
    beats = 0
    for process in started:
        said = process.communicate(timeout=120)[1]
        if process.returncode == 0:
            assert said == ""
            beats += 1
        else:
            assert said.startswith("SERVICE_ALREADY_RUNNING: an agent is already running here (pid ")
    assert beats >= 1
    assert fleet.beat("web1").sequence == 1 + beats


def test_it_keeps_no_descriptors_from_beat_to_beat(agent: Agent, fleet: Fleet, tmp_path: Path) -> None:
    process = agent.start()
    wait_until(lambda: _in_its_place(fleet.record("web1")), "a folder in the record's place")
    wait_until(lambda: _missed(agent) >= 3, "three failed beats")
    fleet.record("web1").rmdir()
    fleet.root.rename(tmp_path / "away")
    failed = _missed(agent)
    wait_until(lambda: _missed(agent) >= failed + 3, "three more")
    (tmp_path / "away").rename(fleet.root)
    wait_until(fleet.record("web1").exists, "a beat")
    # A beat in progress has a few open; between two there is the lock.
    lock = [str(agent.state_dir / "agent.lock")]
    wait_until(lambda: open_files(process.pid) == lock, "the descriptors to be closed")


def _in_its_place(record: Path) -> bool:
    """Put a folder into the place of a record, unless a beat comes in between."""
    record.unlink()
    try:
        record.mkdir()
    except FileExistsError:
        return False
    return True


def _missed(agent: Agent) -> int:
    try:
        count = json.loads(agent.spool.read_text())["count"]
    except FileNotFoundError:
        return 0
    assert isinstance(count, int)
    return count
