# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands of the documentation, typed in order, print what the pages say."""

from __future__ import annotations

import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.record import Beat, decode
from ansible_collections.roosync.heartbeat.tests.docs.pages import CHECKOUT, Block, page, pages
from ansible_collections.roosync.heartbeat.tests.docs.session import NOT_TYPED, complaints, follow, matches, move
from ansible_collections.roosync.heartbeat.tests.integration.docs.reader import Reader

REAL_FOLDERS = ("/srv/heartbeat", "/opt/roosync-heartbeat", "/etc/roosync-heartbeat", "/etc/systemd/system")
PATIENCE = 120.0


@pytest.fixture(scope="module", autouse=True)
def rehearsal() -> Iterator[subprocess.Popen[str]]:
    """What `make run` runs. It mostly waits, so it runs beside the other tests."""
    command = [sys.executable, str(CHECKOUT / "tests" / "rehearsal" / "run.py")]
    with subprocess.Popen(
        command, cwd=CHECKOUT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as running:
        try:
            yield running
        finally:
            running.terminate()
            running.wait(PATIENCE)


def test_readme(reader: Reader, tmp_path: Path) -> None:
    """Building and installing from a checkout; the two make commands have tests of their own."""
    readme = page("README.md")
    typed = follow(readme, tmp_path, reader.environment, {"/tmp/dist": str(tmp_path / "dist")}, cwd=CHECKOUT)
    assert not (found := complaints(readme, typed)), "\n\n".join(found)
    saved = next(b for b in readme.blocks if b.file_name == "requirements.yml")
    (tmp_path / "requirements.yml").write_text(saved.text)
    done = reader.run("ansible-galaxy", "collection", "install", "--offline", "-r", str(tmp_path / "requirements.yml"))
    assert "already installed" in done


def test_getting_started(reader: Reader, tmp_path: Path) -> None:
    started = page("getting_started.md")
    typed = follow(started, reader.new_home(tmp_path), reader.environment)
    assert not (found := complaints(started, typed)), "\n\n".join(found)
    assert not (tmp_path / "heartbeat-trial").exists()


def test_every_saved_file_is_used_by_a_command() -> None:
    started = page("getting_started.md")
    typed = [c.text for b in started.blocks for c in b.commands()]
    for name in [b.file_name for b in started.blocks if b.file_name is not None]:
        assert any(name in shlex.split(text) for text in typed), name


def test_every_page_is_followed() -> None:
    """Pages with commands are those of the tests here; elsewhere only what is never typed may stand."""
    followed = {"README.md", "getting_started.md", "deployment.md", "diagnosis.md", "awx.md", "backup.md"}
    followed |= {"troubleshooting.md", "depannage.md"}
    for one in pages():
        typed = {c.text.split("  #")[0].rstrip() for b in one.blocks for c in b.commands()}
        assert one.name in followed or typed <= NOT_TYPED, one.name


@pytest.fixture(scope="module")
def machine(reader: Reader, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A machine that was set up by docs/deployment.md, in scratch folders."""
    deployment = page("deployment.md")
    root = tmp_path_factory.mktemp("machine")
    moved = {folder: str(root) + folder for folder in REAL_FOLDERS}
    (root / "etc" / "systemd" / "system").mkdir(parents=True)
    typed = follow(deployment, reader.new_home(root), reader.environment, moved)
    assert not (found := complaints(deployment, typed)), "\n\n".join(found)
    # What systemd provides by StateDirectory=, and what a test host has no name of its own for.
    with open(root / "etc" / "roosync-heartbeat" / "agent.conf", "a") as configuration:
        configuration.write(f"state_dir = {root}/state\nmachine_id = web-01\n")
    return root


def test_make_run_prints_what_the_readme_shows(rehearsal: subprocess.Popen[str]) -> None:
    (shown,) = [c.expected for b in page("README.md").blocks for c in b.commands() if c.text == "make run"]
    said, _other = rehearsal.communicate(timeout=900)
    assert rehearsal.returncode == 0, said
    assert matches(shown, said), said


def unit(name: str) -> Block:
    (found,) = [b for b in page("deployment.md").blocks if b.file_name == f"/etc/systemd/system/{name}"]
    return found


def start(name: str, root: Path) -> subprocess.Popen[bytes]:
    """What systemd would start for a unit of docs/deployment.md."""
    lines = dict(line.split("=", 1) for line in unit(name).text.splitlines() if "=" in line)
    moved = {folder: str(root) + folder for folder in REAL_FOLDERS}
    command = shlex.split(move(lines["ExecStart"], moved))
    assert command[0] == "/usr/bin/python3"
    folder = move(lines.get("WorkingDirectory", "/"), moved)
    return subprocess.Popen([sys.executable, *command[1:]], cwd=folder)


def record(root: Path) -> Beat | None:
    path = root / "srv" / "heartbeat" / "default" / "heartbeats" / "web-01.json"
    return decode(path.read_bytes(), "web-01") if path.exists() else None


def test_the_service_beats_and_says_goodbye(reader: Reader, machine: Path) -> None:
    reader.task("heartbeat_fleet", store=f"{machine}/srv/heartbeat")
    before = record(machine)
    service = start("roosync-heartbeat.service", machine)
    try:
        deadline = time.monotonic() + PATIENCE
        while record(machine) == before:
            assert service.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.02)
    finally:
        service.terminate()
        status = service.wait(PATIENCE)
    assert status == 0
    last = record(machine)
    assert last is not None
    assert last.leaving == "stop"
    assert last.metadata == {"role": "web", "rack": "r12"}


def test_the_timer_beats(reader: Reader, machine: Path) -> None:
    reader.task("heartbeat_fleet", store=f"{machine}/srv/heartbeat")
    before = record(machine)
    for beat in (1, 2):  # the second one is the quick one
        assert start("roosync-heartbeat-beat.service", machine).wait(PATIENCE) == 0
        last = record(machine)
        assert last is not None
        assert last.sequence == beat + (before.sequence if before is not None else 0)
        assert last.leaving is None


def test_the_timer_keeps_the_default_interval() -> None:
    from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.settings import Settings

    assert f"OnUnitActiveSec={Settings().heartbeat_interval:g}\n" in unit("roosync-heartbeat-beat.timer").text
