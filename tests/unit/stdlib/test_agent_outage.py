# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The store away: the agent goes on, writes nothing where no store is, and says afterwards what it missed."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Dict

import pytest

from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.record import Missed
from ansible_collections.roosync.heartbeat.tests.unit.stdlib.agents import FAST, Agent, beaten, refused
from ansible_collections.roosync.heartbeat.tests.unit.stdlib.faults import mounted, python
from ansible_collections.roosync.heartbeat.tests.unit.stdlib.support import Fleet, tree, wait_until


def spooled(agent: Agent) -> Dict[str, Any]:
    try:
        window: Dict[str, Any] = json.loads(agent.spool.read_text())
    except FileNotFoundError:
        return {"count": 0}
    return window


def reported(fleet: Fleet) -> Missed:
    """What the last beat says it missed; the store is back."""
    missed = fleet.beat("web1").missed
    assert missed is not None
    assert missed.began_ms >= missed.ended_ms >= 0
    return missed


def test_nothing_is_written_into_the_directory_beneath_a_share_that_went_away(
    agent: Agent, fleet: Fleet, tmp_path: Path
) -> None:
    process = agent.start()
    sequence = fleet.beat("web1").sequence
    fleet.root.rename(tmp_path / "away")
    (fleet.root / "default/heartbeats").mkdir(parents=True)
    beneath = tree(fleet.root)
    # A beat that is late may be followed by one at once, and that by one which is in time again.
    wait_until(lambda: spooled(agent)["count"] >= 5, "five missed beats")
    assert tree(fleet.root) == beneath
    for path in (fleet.root / "default/heartbeats", fleet.root / "default", fleet.root):
        path.rmdir()
    (tmp_path / "away").rename(fleet.root)

    wait_until(lambda: fleet.beat("web1").missed, "a beat after the outage")
    missed, beat = reported(fleet), fleet.beat("web1")
    assert missed.count >= 5
    assert missed.why == "STORE_UNAVAILABLE"
    assert missed.began_ms > missed.ended_ms
    assert missed.began_ms >= 2 * FAST["heartbeat_interval"] * 1_000
    assert beat.sequence > sequence

    wait_until(lambda: reported(fleet).ended_ms > missed.ended_ms, "another beat, for which the outage is longer ago")
    assert reported(fleet).count == missed.count, "an outage is told again, not counted on"
    process.terminate()
    said = agent.ended(process).splitlines()
    assert len(said) == 2, "trouble is said when it begins and when it is over, not at every beat"
    assert said[0].startswith("STORE_UNAVAILABLE: there is no fleet at ")
    assert said[1] == "beating again as web1; %d beats were missed" % missed.count


def test_what_was_missed_survives_the_agent(agent: Agent, fleet: Fleet, tmp_path: Path) -> None:
    process = agent.start()
    fleet.root.rename(tmp_path / "away")
    wait_until(lambda: spooled(agent)["count"] >= 2, "two missed beats")
    agent.kill(process)
    count = spooled(agent)["count"]
    for number in (1, 2):
        refused(agent.quick(), "STORE_UNAVAILABLE")
        assert spooled(agent)["count"] == count + number
    assert json.loads(agent.command("status").stdout)["missed"] == count + 2
    (tmp_path / "away").rename(fleet.root)
    beaten(agent.quick())
    assert reported(fleet).count == count + 2
    beaten(agent.command("beat"))
    assert reported(fleet).count == count + 2


def test_a_new_outage_is_a_window_of_its_own(agent: Agent, fleet: Fleet, tmp_path: Path) -> None:
    beaten(agent.quick())
    for _outage in range(2):
        fleet.root.rename(tmp_path / "away")
        refused(agent.quick(), "STORE_UNAVAILABLE")
        (tmp_path / "away").rename(fleet.root)
        beaten(agent.quick())
        assert reported(fleet).count == 1


def test_an_outage_before_the_first_beat_is_told_in_it(agent: Agent, fleet: Fleet, tmp_path: Path) -> None:
    fleet.root.rename(tmp_path / "away")
    refused(agent.quick(), "STORE_UNAVAILABLE")
    (tmp_path / "away").rename(fleet.root)
    beaten(agent.quick())
    assert (fleet.beat("web1").sequence, reported(fleet).count) == (1, 1)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "torn",
        "[]",
        "null",
        "{}",
        '{"began": "x", "ended": 1, "count": 1, "why": "", "boot_id": "%s"}',
        '{"began": -5, "ended": -9, "count": -1, "why": "", "boot_id": "%s"}',
        '{"began": 1, "ended": 1, "count": 1e400, "why": "", "boot_id": "%s"}',
        '{"began": 1, "ended": 1, "count": %s, "why": "", "boot_id": "%%s"}' % ("9" * 40),
        '{"began": 1, "ended": 1, "count": 1, "why": "%s", "boot_id": "%%s"}' % ("x" * 1_000),
        '{"began": 1, "ended": 1, "count": 1, "why": "\\ud800", "boot_id": "%s"}',
        '{"began": 1, "ended": 1, "count": 1, "why": "x", "boot_id": "another boot"}',
        '{"began": 9, "ended": 1, "count": 1, "why": "x", "boot_id": "%s"}',
        "[" * 100_000,
    ],
    ids=range(14),
)
def test_a_damaged_spool_is_dropped_and_the_record_stays_sound(agent: Agent, fleet: Fleet, text: str) -> None:
    beaten(agent.quick())
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    agent.spool.write_text(text % boot if "%s" in text else text)
    beaten(agent.quick())
    beat = fleet.beat("web1")
    assert beat.sequence == 2
    assert beat.missed is None or 0 < beat.missed.count < 10


BEATS = """
import shutil, subprocess

def fill(directory):
    with open(directory + "/filling", "wb", 0) as stream:
        try:
            while True:
                stream.write(bytes(512))
        except OSError as exc:
            assert exc.errno == 28, exc

def beat():
    return outcome(service.beat, config.load(conf))
"""
FULL_STORE = """
fleet, small, conf = sys.argv[1:]
shutil.copytree(fleet, small + "/default")
fill(small)
answers = [beat(), beat()]
os.unlink(small + "/filling")
answers.append(beat())
with open(small + "/default/heartbeats/web1.json", "rb") as stream:
    answers.append(record.decode(stream.read(), "web1").missed.__dict__)
print(json.dumps(answers))
"""
FULL_DISK = """
state, conf, when = sys.argv[1:]
answers = [beat()] if when == "later" else []
fill(state)
answers += [beat(), beat(), beat()]
print(json.dumps([answers, os.listdir(state)]))
"""
READ_ONLY_DISK = """
state, conf, when = sys.argv[1:]
answers = [beat()]
with open(state + "/missed.json", "w") as spool:
    spool.write("damaged")
with local.Lock(state):
    running = beater.Beater(config.load(conf))
    subprocess.run(["mount", "--bind", state, state], check=True)
    subprocess.run(["mount", "-o", "remount,bind,ro", state], check=True)
    answers += [outcome(running.beat), outcome(running.beat), outcome(running.beat, "stop")]
print(json.dumps([answers, os.listdir(state)]))
"""


def test_a_full_store_is_remembered_as_such(agent: Agent, fleet: Fleet) -> None:
    beaten(agent.quick())
    small = fleet.root.with_name("small")
    small.mkdir()
    agent.configure(store=str(small))
    full = mounted('mount -t tmpfs -o size=256k none "$1"', str(small))
    first, second, third, missed = python(
        BEATS + FULL_STORE, str(fleet.location), str(small), str(agent.conf), wrapper=full
    )
    assert [first["error_code"], second["error_code"]] == ["DISK_SPACE_LOW"] * 2
    assert third["result"]["missed"] == 2
    assert (missed["count"], missed["why"]) == (2, "DISK_SPACE_LOW")


@pytest.mark.parametrize(("body", "when"), [(FULL_DISK, "later"), (FULL_DISK, "from the start"), (READ_ONLY_DISK, "")])
def test_trouble_with_the_local_disk_stops_no_beat(agent: Agent, fleet: Fleet, body: str, when: str) -> None:
    """The heartbeat is there to tell that the host lives; its disk has watchers of its own."""
    agent.state_dir.mkdir()
    small = mounted('mount -t tmpfs -o size=64k none "$1"', str(agent.state_dir))
    answers, files = python(BEATS + body, str(agent.state_dir), str(agent.conf), when, wrapper=small)
    sequences = [answer["result"]["sequence"] for answer in answers]
    assert sequences == list(range(1, len(answers) + 1))
    assert fleet.beat("web1").sequence == len(answers)
    assert not [name for name in files if ".tmp-" in name]


def test_a_store_that_is_closed_to_the_agent_is_an_outage(agent: Agent, fleet: Fleet) -> None:
    beaten(agent.quick())
    heartbeats, aside = fleet.location / "heartbeats", fleet.location / "aside"
    os.rename(str(heartbeats), str(aside))
    assert "/heartbeats" in refused(agent.quick(), "STORE_UNAVAILABLE")
    os.rename(str(aside), str(heartbeats))
    beaten(agent.quick())
    assert reported(fleet).count == 1
