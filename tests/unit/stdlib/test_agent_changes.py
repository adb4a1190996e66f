# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever changes between two beats, the next one goes the careful way; the record stays sound and counts on."""

from __future__ import annotations

import json
import os
import shutil
import time
from pathlib import Path
from typing import Any, Callable

import pytest

from ansible_collections.roosync.heartbeat.plugins.module_utils._engine import identity
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.agent import quick
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.record import Beat, encode
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.sync.reading import TICK_NS
from ansible_collections.roosync.heartbeat.tests.unit.stdlib.agents import FAST, Agent, beaten, refused
from ansible_collections.roosync.heartbeat.tests.unit.stdlib.support import Fleet, tree

NOT_QUICK = (quick.Changed, OSError, ValueError)


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def line_of_prepared(number: int, new: str) -> Callable[[Agent], None]:
    """One line of the prepared file as it would be had it been prepared under other circumstances."""

    def change(agent: Agent) -> None:
        lines = agent.prepared.read_text().split("\n")
        lines[number] = new.ljust(len(lines[number]))
        agent.prepared.write_text("\n".join(lines))

    return change


def replaced_record(agent: Agent) -> None:
    """As a record looks that this host has not written: by content the same, and another file."""
    record = agent.fleet.record("web1")
    copy = record.with_name(".copy")
    shutil.copy2(str(record), str(copy))
    copy.rename(record)


def foreign_record(agent: Agent) -> None:
    beat = Beat("web1", 1_000, "", fingerprint="another host", leaving="stop")
    agent.fleet.record("web1").write_bytes(encode(beat))


CHANGES = {
    "a comment in the configuration": lambda agent: edit(agent.conf, "# the agent", "# An agent"),
    "other metadata": lambda agent: agent.configure(metadata='{"role": "db"}'),
    "no metadata": lambda agent: agent.configure(metadata=None),
    "new settings of the fleet": lambda agent: agent.fleet.configure(dict(FAST, offline_after=30)),
    "the same settings written anew": lambda agent: agent.fleet.configure(FAST),
    "settings edited in place": lambda agent: edit(agent.fleet.location / "fleet.json", "20", "21"),
    "settings touched": lambda agent: os.utime(str(agent.fleet.location / "fleet.json")),
    "the record touched": lambda agent: os.utime(str(agent.fleet.record("web1"))),
    "the record replaced": replaced_record,
    "the record of another host that left": foreign_record,
    "the record edited": lambda agent: edit(agent.fleet.record("web1"), '"web"', '"xxx"'),
    "the record torn": lambda agent: os.truncate(str(agent.fleet.record("web1")), 20),
    "the record empty": lambda agent: os.truncate(str(agent.fleet.record("web1")), 0),
    "the record removed": lambda agent: agent.fleet.record("web1").unlink(),
    "the host's id rewritten": lambda agent: agent.host_id.write_text(agent.host_id.read_text()),
    "another boot": line_of_prepared(2, "another boot"),
    "another format": line_of_prepared(1, "roosync.heartbeat prepared 0"),
    "a sequence that is no number": line_of_prepared(0, "x 1.0 1:2:3"),
    "nothing prepared": lambda agent: agent.prepared.unlink(),
    "an empty prepared file": lambda agent: agent.prepared.write_bytes(b""),
    "a prepared file that is no text": lambda agent: agent.prepared.write_bytes(b"\xff\xfe\0" * 300),
    "a prepared file of zeros": lambda agent: agent.prepared.write_bytes(b"\0" * agent.prepared.stat().st_size),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_is_looked_at_carefully(agent: Agent, fleet: Fleet, name: str) -> None:
    for _time in range(2):
        beaten(agent.quick())
    kept = agent.state_dir / "kept"  # a second name, so that no other file can get its inode
    os.link(str(agent.prepared), str(kept))
    inode = kept.stat().st_ino
    time.sleep(TICK_NS / 1e9)  # within one tick of the clock of file times the beat and the change are of one time
    CHANGES[name](agent)

    beaten(agent.quick())
    assert agent.prepared.stat().st_ino != inode, "it took the quick way"
    beat = fleet.beat("web1")
    assert beat.sequence > 2
    assert beat.metadata == ({} if name == "no metadata" else {"role": "db" if name == "other metadata" else "web"})
    assert beat.took_over == ("another host" if "another host" in name else None)

    inode = agent.prepared.stat().st_ino
    beaten(agent.quick())
    assert agent.prepared.stat().st_ino == inode, "it was prepared in vain"
    assert fleet.beat("web1").sequence == beat.sequence + 1


def test_a_sequence_goes_on_after_a_goodbye_and_a_forgotten_record(agent: Agent, fleet: Fleet) -> None:
    """Events are told apart by boot and sequence: a host that counted anew would repeat the names of old ones."""
    for _time in range(3):
        beaten(agent.quick())
    assert agent.command("stop").returncode == 0
    assert fleet.beat("web1").sequence == 4
    fleet.record("web1").unlink()
    beaten(agent.quick())
    assert fleet.beat("web1").sequence == 5


def test_another_host_id_is_another_host(agent: Agent, fleet: Fleet) -> None:
    beaten(agent.quick())
    before = fleet.record("web1").read_bytes()
    agent.host_id.write_text("f" * 32 + "\n")
    said = refused(agent.quick(), "IDENTITY_CONFLICT")
    assert "fingerprint " + fleet.beat("web1").fingerprint in said
    assert fleet.record("web1").read_bytes() == before
    assert len(list((fleet.location / "conflicts").iterdir())) == 1
    agent.configure(takeover="true")
    beaten(agent.quick())
    assert fleet.beat("web1").fingerprint == identity.fingerprint("f" * 32)


def test_a_host_id_that_cannot_be_read_is_an_error_not_another_identity(agent: Agent, fleet: Fleet) -> None:
    beaten(agent.quick())
    before = fleet.record("web1").read_bytes()
    for damage in (lambda: agent.host_id.write_text("\n"), agent.host_id.unlink):
        damage()
        assert "host_id %s" % agent.host_id in refused(agent.quick(), "INVALID_SETTINGS")
    assert fleet.record("web1").read_bytes() == before


def test_while_an_outage_is_reported_every_beat_is_careful(agent: Agent, fleet: Fleet) -> None:
    beaten(agent.quick())
    now = quick.time.clock_gettime_ns(quick.time.CLOCK_BOOTTIME)
    window = {"began": now - 10**10, "ended": now - 10**9, "count": 7, "why": "STORE_UNAVAILABLE", "recovered": False}
    agent.spool.write_text(json.dumps(dict(window, boot_id=identity.boot_id())))
    for sequence in (2, 3):
        beaten(agent.quick())
        beat = fleet.beat("web1")
        assert (beat.sequence, beat.missed.count, beat.missed.why) == (sequence, 7, "STORE_UNAVAILABLE")
        with pytest.raises(NOT_QUICK):
            quick.beat(str(agent.conf))
    agent.spool.unlink()
    beaten(agent.quick())
    assert fleet.beat("web1").missed is None
    assert fleet.beat("web1").sequence == 4


def test_another_machine_id_leaves_the_old_record_alone(agent: Agent, fleet: Fleet) -> None:
    beaten(agent.quick())
    before = fleet.record("web1").read_bytes()
    agent.configure(machine_id="web2")
    beaten(agent.quick())
    assert fleet.record("web1").read_bytes() == before
    assert fleet.beat("web2").machine_id == "web2"


def test_another_store_is_written_to_from_then_on(agent: Agent, fleet: Fleet, tmp_path: Path) -> None:
    beaten(agent.quick())
    other = Fleet(tmp_path / "other")
    before = fleet.record("web1").read_bytes()
    agent.configure(store="file://%s/" % other.root)
    beaten(agent.quick())
    assert fleet.record("web1").read_bytes() == before
    assert other.beat("web1").sequence >= 1
    other.close()


def test_a_prepared_file_of_any_length_is_whole_or_not_used(agent: Agent, fleet: Fleet) -> None:
    beaten(agent.quick())
    whole, before = agent.prepared.read_bytes(), tree(fleet.root)
    for length in range(len(whole)):
        agent.prepared.write_bytes(whole[:length])
        with pytest.raises(NOT_QUICK):
            quick.beat(str(agent.conf))
    assert tree(fleet.root) == before
    agent.prepared.write_bytes(whole)
    assert quick.beat(str(agent.conf)) == 2


@pytest.mark.parametrize("length", [0, 1, 80, 159, 160, 161, 200, 300, -100, -2, -1])
def test_after_a_truncated_prepared_file_beats_go_on(agent: Agent, fleet: Fleet, length: int) -> None:
    for _time in range(2):
        beaten(agent.quick())
    agent.prepared.write_bytes(agent.prepared.read_bytes()[:length])
    for sequence in (3, 4):
        beaten(agent.quick())
        assert fleet.beat("web1").sequence == sequence


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo, lambda path: os.symlink("/etc/passwd", path)])
def test_what_lies_in_the_place_of_the_prepared_file_stops_no_beat(agent: Agent, fleet: Fleet, make: Any) -> None:
    beaten(agent.quick())
    agent.prepared.unlink()
    make(str(agent.prepared))
    beaten(agent.quick())
    beaten(agent.quick())
    assert fleet.beat("web1").sequence == 3


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo, lambda path: os.symlink("neighbour-1.json", path)])
def test_what_lies_in_the_place_of_the_record_is_reported(agent: Agent, fleet: Fleet, make: Any) -> None:
    beaten(agent.quick())
    fleet.record("web1").unlink()
    make(str(fleet.record("web1")))
    before = tree(fleet.root)
    assert str(fleet.record("web1")) in refused(agent.quick(), "STORE_UNAVAILABLE")
    assert tree(fleet.root) == before
