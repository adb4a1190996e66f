# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An upgrade of the agent's files: whoever beats meanwhile does so with the files of one release, all of them whole."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Dict, List

import pytest

from ansible_collections.roosync.heartbeat.plugins.module_utils._engine import releases as installer
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.agent import deploy
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.register import VERSION
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.stores.atomic import TEMPORARY
from ansible_collections.roosync.heartbeat.tests.unit.stdlib.agents import Agent, beaten
from ansible_collections.roosync.heartbeat.tests.unit.stdlib.support import ENGINE, Fleet, wait_until

NEW = "9.9.9"
# Installs both releases in turn until it is killed, in a process of its own.
INSTALLER = """
import json, sys
sys.path.insert(0, %r)
from _engine import releases as installer
releases = [{name: text.encode() for name, text in one.items()} for one in json.load(open(sys.argv[2]))]
while True:
    for files in releases:
        installer.install(sys.argv[1], files)
""" % str(ENGINE.parent)


def releases() -> List[Dict[str, bytes]]:
    """The release of this checkout, and one that says of itself that it is a later one."""
    files = deploy.sources()
    line = b'VERSION = "%s"' % VERSION.encode()
    assert files["register.py"].count(line) == 1
    return [files, {**files, "register.py": files["register.py"].replace(line, b'VERSION = "%s"' % NEW.encode())}]


def beat(prefix: Path, agent: Agent) -> subprocess.CompletedProcess[str]:
    """One beat, as a scheduler starts it."""
    command = deploy.command(sys.executable, str(prefix), str(agent.conf))
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def wait_for_switch(prefix: Path) -> None:
    """Until another release is in use than now."""
    before = installer.installed(str(prefix))
    wait_until(lambda: installer.installed(str(prefix)) != before, "an upgrade")


def test_a_beat_goes_on_with_the_files_it_began_with(agent: Agent, fleet: Fleet, tmp_path: Path) -> None:
    """The first beat imports a dozen files. The switch comes while it is at the first of them."""
    prefix = tmp_path / "prefix"
    old, new = releases()
    switch = "import os\nos.rename(%r, %r)\n" % (str(prefix / "next"), str(prefix / installer.CURRENT))
    old["errors.py"] = old["errors.py"].replace(b"import errno", switch.encode() + b"import errno", 1)
    assert switch.encode() in old["errors.py"]
    installer.install(str(prefix), new)
    target = os.readlink(str(prefix / installer.CURRENT))
    installer.install(str(prefix), old)
    (prefix / "next").symlink_to(target)
    beaten(beat(prefix, agent))
    assert not (prefix / "next").exists(), "the switch did not happen"
    assert fleet.beat("web1").agent_version == VERSION
    agent.prepared.unlink()
    beaten(beat(prefix, agent))
    assert fleet.beat("web1").agent_version == NEW


def test_beats_during_upgrades(agent: Agent, fleet: Fleet, tmp_path: Path) -> None:
    """Each one succeeds, by one release or the other, however often it is switched meanwhile."""
    prefix = tmp_path / "prefix"
    both = releases()
    installer.install(str(prefix), both[0])
    with installing(prefix, both, tmp_path) as running:
        seen = set()
        beats, deadline = 0, time.monotonic() + 120
        while beats < 12 or len(seen) < 2:  # the first switch has to wait for the disk, and a dozen beats may be sooner
            assert time.monotonic() < deadline, "only %s was seen" % seen
            beats += 1
            beaten(beat(prefix, agent))
            agent.prepared.unlink()  # the next one goes the careful way, too, which reads the most files
            seen.add(fleet.beat("web1").agent_version)
            assert running.poll() is None
    assert seen == {VERSION, NEW}


def test_going_back_leaves_the_files_as_they_are(tmp_path: Path) -> None:
    """Something may still be running by them: they are not replaced by the same ones."""
    old, new = releases()
    for files in (old, new):
        installer.install(str(tmp_path), files)
    before = (tmp_path / installer.RELEASES / installer.release_name(old)).stat().st_ino
    installer.install(str(tmp_path), old)
    assert installer.is_whole(str(tmp_path), old)
    assert (tmp_path / installer.RELEASES / installer.release_name(old)).stat().st_ino == before


def test_an_upgrade_that_was_killed(agent: Agent, fleet: Fleet, tmp_path: Path) -> None:
    """Wherever that is: the host goes on beating, and the next upgrade does its work and takes the rubbish away."""
    prefix = tmp_path / "prefix"
    both = releases()
    third = {name: text.replace(NEW.encode(), b"9.9.10") for name, text in both[1].items()}
    installer.install(str(prefix), both[0])
    for number in range(1, 6):
        with installing(prefix, [*both, third], tmp_path):  # only the last two stay, so that each has to be copied
            wait_for_switch(prefix)
        beaten(beat(prefix, agent))
        assert fleet.beat("web1").sequence == number
    # Left by a kill at another moment.
    (prefix / (TEMPORARY + "1")).symlink_to("releases/none")
    (prefix / installer.RELEASES / (TEMPORARY + "1") / installer.PACKAGE).mkdir(parents=True)
    installer.install(str(prefix), both[1])
    assert installer.is_whole(str(prefix), both[1])
    assert {path.name for path in prefix.iterdir()} == {installer.CURRENT, installer.RELEASES}
    left = {path.name for path in (prefix / installer.RELEASES).iterdir()}
    assert left <= {installer.MARKER, *(installer.release_name(one) for one in (*both, third))}


def test_what_was_missed_survives_an_upgrade(agent: Agent, fleet: Fleet, tmp_path: Path) -> None:
    """The spool and the sequence belong to the host, not to a release."""
    prefix = tmp_path / "prefix"
    old, new = releases()
    installer.install(str(prefix), old)
    beaten(beat(prefix, agent))
    away = fleet.location.with_name("away")
    fleet.location.rename(away)
    assert beat(prefix, agent).returncode == 1
    installer.install(str(prefix), new)
    assert beat(prefix, agent).returncode == 1
    away.rename(fleet.location)
    beaten(beat(prefix, agent))
    last = fleet.beat("web1")
    assert (last.agent_version, last.sequence) == (NEW, 2)
    assert last.missed is not None
    assert last.missed.count == 2


class installing:
    """Upgrades without end, until the end of the block, where they are killed."""

    def __init__(self, prefix: Path, both: List[Dict[str, bytes]], folder: Path) -> None:
        listed = folder / "releases.json"
        listed.write_text(json.dumps([{name: data.decode() for name, data in one.items()} for one in both]))
        self._command = [sys.executable, "-c", INSTALLER, str(prefix), str(listed)]

    def __enter__(self) -> subprocess.Popen[bytes]:
        self._process = subprocess.Popen(self._command)
        return self._process

    def __exit__(self, *exc_info: object) -> None:
        self._process.send_signal(signal.SIGKILL)
        self._process.wait(60)


@pytest.mark.parametrize("name", deploy.FILES)
def test_every_file_counts(tmp_path: Path, name: str) -> None:
    """A release is whole only with all of its files as they were sent."""
    files = deploy.sources()
    installer.install(str(tmp_path), files)
    assert installer.is_whole(str(tmp_path), files)
    with open(str(tmp_path / installer.CURRENT / installer.PACKAGE / name), "ab") as stream:
        stream.write(b"\n")
    assert not installer.is_whole(str(tmp_path), files)
    installer.install(str(tmp_path), files)
    assert installer.is_whole(str(tmp_path), files)
