# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A beat the quick way: the same record as the careful way writes, by a process that imports next to nothing."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Set

import pytest

from ansible_collections.roosync.heartbeat.plugins.module_utils._engine import identity
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.record import decode, encode
from ansible_collections.roosync.heartbeat.tests.unit.stdlib.agents import QUICK, Agent, beaten
from ansible_collections.roosync.heartbeat.tests.unit.stdlib.support import Fleet


def imported(stderr: str) -> Set[str]:
    """The modules that ``-X importtime`` lists."""
    return {line.rsplit("|", 1)[1].strip() for line in stderr.splitlines() if line.startswith("import time:")}


def careful_beat(agent: Agent) -> None:
    """The first one always is: there is nothing prepared."""
    beaten(agent.quick())
    assert agent.prepared.exists()


def test_the_second_beat_is_quick(agent: Agent, fleet: Fleet) -> None:
    careful_beat(agent)
    inode = agent.prepared.stat().st_ino
    for sequence in (2, 3, 4):
        beaten(agent.quick())
        assert fleet.beat("web1").sequence == sequence
        assert agent.prepared.stat().st_ino == inode, "it was prepared anew"


def test_a_quick_beat_imports_nothing_but_what_the_interpreter_has(agent: Agent, tmp_path: Path) -> None:
    (tmp_path / "bare.py").write_text("import posix, time\n")
    bare = subprocess.run(
        [sys.executable, "-I", "-S", "-X", "importtime", str(tmp_path / "bare.py")],
        capture_output=True,
        text=True,
        check=True,
    )
    careful = imported(agent.quick("-X", "importtime").stderr)
    quick = imported(agent.quick("-X", "importtime").stderr)
    assert {"json", "_engine.register"} <= careful
    assert quick == imported(bare.stderr)


def test_the_group_may_read_a_quick_record_whatever_the_umask(agent: Agent, fleet: Fleet) -> None:
    careful_beat(agent)
    prepared = agent.prepared.stat().st_ino
    umask = os.umask(0o077)
    try:
        for _beat in range(2):
            beaten(agent.quick())
            assert fleet.record("web1").stat().st_mode & 0o777 == 0o664
    finally:
        os.umask(umask)
    assert agent.prepared.stat().st_ino == prepared, "they were quick"


def test_a_quick_record_is_what_a_careful_one_would_be(agent: Agent, fleet: Fleet) -> None:
    agent.configure(metadata='{"note": "caf\u00e9 \\u2603", "n": [1, {"x": null}], "q": "\\"\\\\ %s"}')
    careful_beat(agent)
    careful = json.loads(fleet.record("web1").read_bytes())
    beaten(agent.quick())
    data = fleet.record("web1").read_bytes()
    quick = json.loads(data)
    assert list(quick) == list(careful)
    for key in set(quick) - {"sequence", "sent_at", "latency_ms"}:
        assert quick[key] == careful[key]
    assert quick["sequence"] == careful["sequence"] + 1
    assert quick["sent_at"] > careful["sent_at"]
    assert quick["latency_ms"] > 0
    beat = decode(data, "web1")
    assert beat.metadata == {"note": "caf\u00e9 \u2603", "n": [1, {"x": None}], "q": '"\\ %s'}
    assert beat.boot_id == identity.boot_id()
    assert decode(encode(beat), "web1") == beat
    assert re.match(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$", beat.sent_at)


def test_who_this_host_is_stays_hidden(agent: Agent, fleet: Fleet) -> None:
    careful_beat(agent)
    beaten(agent.quick())
    secret = agent.host_id.read_text().strip()
    assert fleet.beat("web1").fingerprint == identity.fingerprint(secret)
    for path in (*fleet.root.rglob("*.json"), *agent.state_dir.iterdir()):
        assert secret.encode() not in path.read_bytes()


def test_quick_and_careful_beats_take_turns(agent: Agent, fleet: Fleet) -> None:
    for sequence, beat in enumerate([agent.quick, agent.quick, None, agent.quick, agent.quick, None, None], 1):
        done = beat() if beat else agent.command("beat")
        beaten(done)
        assert fleet.beat("web1").sequence == sequence


@pytest.mark.parametrize("called", ["absolute", "by name", "from here", "from above"])
def test_it_finds_the_rest_of_the_agent_however_it_is_called(agent: Agent, fleet: Fleet, called: str) -> None:
    folder, script = {
        "absolute": ("/", QUICK),
        "by name": (str(Path(QUICK).parent), "quick.py"),
        "from here": (str(Path(QUICK).parent), "./quick.py"),
        "from above": (str(Path(QUICK).parents[1]), "agent/quick.py"),
    }[called]
    done = subprocess.run(
        [sys.executable, "-I", "-S", script, str(agent.conf)], cwd=folder, capture_output=True, text=True, check=False
    )
    beaten(done)
    assert fleet.beat("web1").sequence == 1


def test_line_ends_of_another_system_do_not_make_every_beat_slow(agent: Agent) -> None:
    agent.conf.write_bytes(agent.conf.read_bytes().replace(b"\n", b"\r\n"))
    careful_beat(agent)
    inode = agent.prepared.stat().st_ino
    beaten(agent.quick())
    assert agent.prepared.stat().st_ino == inode


def test_the_longest_name_and_much_metadata_are_quick_too(agent: Agent, fleet: Fleet) -> None:
    agent.configure(machine_id="x" * 253, metadata=json.dumps({"x": "y" * 60_000}))
    done = agent.quick()
    assert done.returncode == 0
    assert done.stderr.startswith("warning: metadata is 60008 bytes as JSON; over 10000")
    inode = agent.prepared.stat().st_ino
    beaten(agent.quick())
    assert agent.prepared.stat().st_ino == inode
    assert fleet.beat("x" * 253).sequence == 2
