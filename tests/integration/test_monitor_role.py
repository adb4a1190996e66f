# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role ``heartbeat_monitor``, run for real in a folder of the test. Its schedulers are tested on real hosts."""

from __future__ import annotations

import getpass
import json
import os
import pwd
import subprocess
import sys
import tempfile
import venv
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.stores import open_store
from ansible_collections.roosync.heartbeat.tests.integration.fleets import beat, prepare, snapshot
from ansible_collections.roosync.heartbeat.tests.integration.managers import Managers
from ansible_collections.roosync.heartbeat.tests.integration.runner import PLAYBOOKS, Ansible, Run
from ansible_collections.roosync.heartbeat.tests.unit.stdlib.faults import root_only
from ansible_collections.roosync.heartbeat.tests.unit.stdlib.support import NOBODY

ROLE = PLAYBOOKS / "roles" / "monitor.yml"
# What may be used as it is: a virtual environment would only take longer.
AS_IT_IS = {"heartbeat_monitor_python": sys.executable, "heartbeat_monitor_virtualenv": ""}


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A fleet of two machines, which are online, and stay so without another beat until a test is over."""
    settings = {"heartbeat_interval": 300, "warning_after": 900, "offline_after": 1200}
    prepare(tmp_path / "store", {"settings": settings, "beats": {"web-01": 1, "web-02": 1}})
    return tmp_path / "store"


def play(ansible: Ansible, store: Path, *arguments: str, **variables: Any) -> Run:
    given = {"store": str(store), "folder": str(store.parent / "host"), "user": getpass.getuser(), **variables}
    run = ansible.play(ROLE, *arguments, variables=given)
    assert run.complaints == []
    return run


def changed(run: Run) -> list[str]:
    assert run.rc == 0, run.output
    return [task.name.rsplit(" : ", 1)[-1] for task in run.tasks if task.changed]


def check(store: Path) -> str:
    """One more check, as a scheduler starts it."""
    host = store.parent / "host"
    command = [sys.executable, "-I", f"{host}/prefix/current/_engine/monitor/start.py", f"{host}/monitor.conf"]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout


def test_from_nothing_to_nothing(ansible: Ansible, store: Path) -> None:
    """In check mode, for real with a first check, again, with more settings, and away."""
    host, logs = store.parent / "host", store / "default" / "logs"
    before = snapshot(store)
    assert changed(play(ansible, store, "--check", "--diff", **AS_IT_IS)) == ["Put the check on the host"]
    assert (host.exists(), snapshot(store)) == (False, before)
    assert changed(play(ansible, store, **AS_IT_IS)) == ["Put the check on the host"]
    assert json.loads((logs / "latest.json").read_text())["online"] == ["web-01", "web-02"]
    assert list(host.rglob("*.pyc")) != []
    assert changed(play(ansible, store, **AS_IT_IS)) == []
    assert len(list(logs.glob("check-*.json"))) == 2
    assert changed(play(ansible, store, heartbeat_monitor_keep=2, **AS_IT_IS)) == ["Put the check on the host"]
    check(store)
    assert len(list(logs.glob("check-*.json"))) == 2
    assert changed(play(ansible, store, heartbeat_monitor_state="absent", **AS_IT_IS)) == ["Remove the monitor's files"]
    assert not host.exists()
    assert (logs / "latest.json").exists()
    assert changed(play(ansible, store, heartbeat_monitor_state="absent", **AS_IT_IS)) == []


def test_results_and_a_hook(ansible: Ansible, store: Path) -> None:
    """In a folder of their own; the hook is told of a loss."""
    results, told, hook = store.parent / "results", store.parent / "told", store.parent / "hook"
    hook.write_text(f'#!/bin/sh\necho "$1: $ROOSYNC_NEWLY_OFFLINE" >>{told}\n')
    hook.chmod(0o755)
    given = {"heartbeat_monitor_results": str(results), "heartbeat_monitor_hook": [str(hook), "50% lost"]}
    wanted = ["Make the folder of the results", "Put the check on the host"]
    assert changed(play(ansible, store, "--check", **given, **AS_IT_IS)) == wanted
    assert changed(play(ansible, store, **given, **AS_IT_IS)) == wanted
    assert changed(play(ansible, store, **given, **AS_IT_IS)) == []
    with open_store(str(store)) as opened:
        beat(opened, {"web-02": 5000})
    assert "newly offline: web-02" in check(store)
    assert told.read_text() == "50% lost: web-02\n"
    assert len(list(results.glob("check-*.json"))) == 3, "each run of the role checks once, and so did this test"
    assert list((store / "default" / "logs").iterdir()) == []


def test_a_python_of_its_own(ansible: Ansible, store: Path, request: pytest.FixtureRequest) -> None:
    """By default it gets a virtual environment, whatever Ansible's Python has; that goes with it."""
    environment = store.parent / "environment"
    given = {"heartbeat_monitor_virtualenv": str(environment)}
    umask = os.umask(0o077)  # which the plays inherit
    request.addfinalizer(lambda: os.umask(umask))
    assert changed(play(ansible, store, "--check", **given))[:1] == ["Make it"]
    assert not environment.exists()
    assert changed(play(ansible, store, **given)) == ["Make it", "Install the libraries", "Put the check on the host"]
    assert changed(play(ansible, store, **given)) == []
    modes = {path.stat().st_mode & 0o555 for path in environment.rglob("*") if path.is_dir()}
    assert modes == {0o555}, "the monitor's user has to read it"
    assert "Remove it" in changed(play(ansible, store, heartbeat_monitor_state="absent", **given))
    assert not environment.exists()


def test_a_python_of_somebody_else(ansible: Ansible, store: Path) -> None:
    """A virtual environment that was there before stays, whatever is in it."""
    environment = store.parent / "environment"
    venv.create(environment)
    before = snapshot(environment)
    given = {"heartbeat_monitor_virtualenv": str(environment), "heartbeat_monitor_state": "absent"}
    assert changed(play(ansible, store, **given)) == []
    assert snapshot(environment) == before


def test_a_monitor_that_cannot_check_fails_at_every_run(ansible: Ansible, store: Path) -> None:
    """Also when nothing is left to be changed."""
    results = store.parent / "results"
    given = {"heartbeat_monitor_results": str(results), **AS_IT_IS}
    assert changed(play(ansible, store, **given))
    results.joinpath("latest.json").unlink()
    results.joinpath("latest.json").mkdir()
    for _run in range(2):
        run = play(ansible, store, **given)
        assert run.rc != 0
        assert [task.name.rsplit(" : ", 1)[-1] for task in run.tasks if task.status == "failed"] == ["Check once, now"]


def test_it_checks_as_its_user_whoever_facts_say_it_is(ansible: Ansible, store: Path) -> None:
    """Facts of the time before become are of the user who connects. A check by root would lock the monitor out."""
    programs = store.parent / "bin"
    programs.mkdir()
    for name, text in (("id", "echo another"), ("su", f'echo "$1 $2 $5" >>{programs}/called; exec "$2" "$3" "$4"')):
        (programs / name).write_text(f"#!/bin/sh\n{text}\n")
        (programs / name).chmod(0o755)
    given = {"store": str(store), "folder": str(store.parent / "host"), "user": getpass.getuser(), **AS_IT_IS}
    run = ansible.play(ROLE, variables=given, PATH=f"{programs}:{os.environ['PATH']}")
    assert (run.rc, run.complaints) == (0, []), run.output
    assert (programs / "called").read_text() == f"-s /bin/sh {getpass.getuser()}\n"
    assert (store / "default" / "logs" / "latest.json").exists()


def test_check_mode_asks_the_user_what_it_may_do(ansible: Ansible) -> None:
    """Not root, which may do nothing in a store on NFS with root_squash, where the real run succeeds."""
    root_only()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        prepare(folder / "store", {"beats": {"web-01": 1}})
        for path in (folder / "store", *(folder / "store").rglob("*")):
            os.chown(path, NOBODY, NOBODY)
            path.chmod(0o700 if path.is_dir() else 0o600)
        squashed = folder / "python"
        squashed.write_text(
            f'#!/bin/sh\nexec setpriv --bounding-set=-dac_override,-dac_read_search {sys.executable} "$@"\n'
        )
        squashed.chmod(0o755)
        user = pwd.getpwuid(NOBODY).pw_name
        given = {"store": str(folder / "store"), "folder": str(folder / "host"), "user": user, **AS_IT_IS}
        run = ansible.play(ROLE, "--check", variables=given, interpreter=str(squashed))
        assert run.complaints == []
        assert changed(run) == ["Put the check on the host"]
        assert not (folder / "host").exists()


def test_values_that_came_as_text(ansible: Ansible, store: Path) -> None:
    """As key=value on the command line gives them. In check mode, because these units are for the host itself."""
    managers = Managers(store.parent / "managers")
    managers.bring("systemctl")
    units = store.parent / "units"
    units.mkdir()
    run = play(
        ansible,
        store,
        *("--check", "--diff"),
        heartbeat_common__units=str(units),
        heartbeat_monitor_scheduler="systemd",
        heartbeat_monitor_interval="60",
        heartbeat_monitor_hook="/usr/local/bin/page",
        heartbeat_monitor_hook_timeout="30",
        heartbeat_monitor_hook_network="false",
        **AS_IT_IS,
    )
    assert run.rc == 0, run.output
    assert "+TimeoutStartSec=630" in run.output
    assert "+PrivateNetwork=yes" in run.output


@pytest.mark.parametrize(
    ("variables", "reason"),
    [
        ({"heartbeat_monitor_scheduler": "at"}, "must be one of"),
        ({"heartbeat_monitor_scheduler": "cron", "heartbeat_monitor_interval": 30}, "cron knows whole minutes"),
        ({"heartbeat_monitor_interval": 0}, "interval: 0 is refused"),
        ({"heartbeat_monitor_store": "/mnt/nothing"}, "mount the share"),
        ({"heartbeat_monitor_hook": ["page"]}, "absolute path"),
        ({"heartbeat_monitor_python": "/usr/bin/python-not-there"}, "python-not-there"),
        ({"heartbeat_monitor_keep": "all"}, "heartbeat_monitor_keep"),
    ],
)
def test_refusals(ansible: Ansible, store: Path, variables: dict[str, Any], reason: str) -> None:
    """Before anything is put on the host."""
    run = play(ansible, store, **{**AS_IT_IS, **variables})
    assert run.rc != 0
    failed = [task for task in run.tasks if task.status == "failed"][-1]
    assert reason in str(failed.result)
    assert not (store.parent / "host").exists()
