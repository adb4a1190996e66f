# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What root puts on a host is for another user: that one can use it, or the deployment fails."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import tempfile
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Sequence

import pytest

from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.agent.deploy import REMEMBERED
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.fleet import Request, manage
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.monitor.deploy import (
    REMEMBERED as REMEMBERED_BY_MONITORS,
)
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.stores.file import FileStore
from ansible_collections.roosync.heartbeat.tests.unit.stdlib.faults import root_only

RunModule = Callable[..., Dict[str, Any]]
MODULES = ("heartbeat_agent_install", "heartbeat_monitor_install")
OWNER = "nobody"


class Host:
    """Places that other users can reach, which pytest's own are not, and a store in which everybody may write."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store = folder / "store"
        self.etc = folder / "etc" / "roosync-heartbeat"
        self.state = folder / "var" / "state"
        self.prefix = folder / "lib" / "roosync-heartbeat"
        manage(FileStore(str(self.store), "default"), Request())
        for path in (self.store / "default").rglob("*"):
            path.chmod(0o777 if path.is_dir() else 0o666)

    def places(self) -> Dict[str, Any]:
        return {
            "store": str(self.store),
            "config": str(self.etc / "it.conf"),
            "state_dir": str(self.state),
            "prefix": str(self.prefix),
            "owner": OWNER,
        }


@pytest.fixture
def host() -> Iterator[Host]:
    root_only()
    folder = Path(tempfile.mkdtemp(prefix="heartbeat-"))
    folder.chmod(0o755)
    try:
        yield Host(folder)
    finally:
        shutil.rmtree(str(folder))


@pytest.fixture(params=[0o022, 0o027, 0o077])
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def by(user: str, command: List[str]) -> subprocess.CompletedProcess[str]:
    wrapper = ["setpriv", "--reuid", user, "--regid", "65534", "--clear-groups"]
    return subprocess.run([*wrapper, *command], capture_output=True, text=True, timeout=60, check=False, cwd="/")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_the_agent_beats_whatever_umask_it_was_put_there_with(run_module: RunModule, host: Host, umask: int) -> None:
    identity = host.folder / "machine-id"
    identity.write_text("0123456789abcdef\n")
    identity.chmod(0o644)
    given = dict(host.places(), machine_id="web-01", host_id=str(identity))
    done = run_module(MODULES[0], **given)
    beat = by(OWNER, ["/usr/bin/python3", *done["command"][1:]])
    assert beat.returncode == 0, beat.stderr
    assert not run_module(MODULES[0], **given)["changed"]


@pytest.mark.parametrize("name", MODULES)
def test_its_user_reaches_all_of_it(run_module: RunModule, host: Host, umask: int, name: str) -> None:
    assert run_module(name, **host.places())["changed"]
    for path in (host.etc / "it.conf", host.prefix / "current" / "_engine" / "stores" / "file.py"):
        assert by(OWNER, ["cat", str(path)]).returncode == 0
    assert by(OWNER, ["touch", str(host.state / "x")]).returncode == 0


@pytest.mark.parametrize("name", MODULES)
def test_folders_of_its_own_that_were_closed_are_opened(run_module: RunModule, host: Host, name: str) -> None:
    run_module(name, **host.places())
    for folder in (host.etc, host.prefix):
        folder.chmod(0o750)
    assert run_module(name, _ansible_check_mode=True, **host.places())["changed"]
    assert (mode(host.etc), mode(host.prefix)) == (0o750, 0o750)
    assert run_module(name, **host.places())["changed"]
    assert (mode(host.etc), mode(host.prefix)) == (0o755, 0o755)
    assert not run_module(name, **host.places())["changed"]


@pytest.mark.parametrize("name", MODULES)
@pytest.mark.parametrize("folder", ["etc", "lib", "var"])
def test_folders_of_others_are_not(run_module: RunModule, host: Host, name: str, folder: str) -> None:
    closed = host.folder / folder
    closed.mkdir(mode=0o750)
    result = run_module(name, **host.places())
    assert (result["failed"], result["error_code"]) == (True, "INVALID_SETTINGS")
    assert "nobody may not enter %s, and " % closed in result["msg"]
    assert "(chmod o+x %s)" % closed in result["msg"]
    assert mode(closed) == 0o750


@pytest.mark.parametrize("name", MODULES)
def test_a_store_that_only_root_may_write(run_module: RunModule, host: Host, name: str) -> None:
    """Before anything is put on the host."""
    (host.store / "default" / "locks").chmod(0o755)
    result = run_module(name, **host.places())
    assert (result["failed"], result["error_code"]) == (True, "STORE_UNAVAILABLE")
    assert "give this user write access" in result["msg"]
    assert not host.etc.exists()
    assert not host.prefix.exists()


@pytest.mark.parametrize(("name", "remembered"), [(MODULES[0], REMEMBERED), (MODULES[1], REMEMBERED_BY_MONITORS)])
@pytest.mark.parametrize("others", [True, False])
def test_another_user_is_given_what_was_remembered(
    run_module: RunModule, host: Host, name: str, remembered: Sequence[str], others: bool
) -> None:
    """By the user before, or by root, where it was started by hand; in a folder that is the new user's, or not yet."""
    run_module(name, **host.places())
    folder = host.state / remembered[-1]
    (folder / "deep").mkdir(parents=True)
    (folder / "deep" / "x").write_text("x")
    for each in remembered[:-1]:
        (host.state / each).write_text("x")
    ours = [host.state / remembered[0], folder, folder / "deep", folder / "deep" / "x"]
    (host.state / "other").write_text("somebody else's")
    if others:
        os.chown(str(host.state), 2, 2)
    assert run_module(name, _ansible_check_mode=True, **host.places())["changed"]
    assert {path.stat().st_uid for path in ours} == {0}
    assert run_module(name, **host.places())["changed"]
    assert {path.stat().st_uid for path in ours} == {65534}
    assert (host.state / "other").stat().st_uid == 0
    assert not run_module(name, **host.places())["changed"]


@pytest.mark.parametrize("name", MODULES)
def test_nothing_else_is_given_away(run_module: RunModule, host: Host, name: str) -> None:
    """The user before may have put anything there, under the names that are remembered."""
    run_module(name, **host.places())
    secret = host.folder / "secret"
    secret.write_text("root's")
    (host.state / "agent.lock").symlink_to(secret)
    assert not run_module(name, **host.places())["changed"]
    (host.state / "agent.lock").unlink()
    os.link(str(secret), str(host.state / "agent.lock"))
    assert not run_module(name, **host.places())["changed"]
    assert secret.stat().st_uid == 0


@pytest.mark.parametrize("name", MODULES)
def test_a_user_who_is_not_there(run_module: RunModule, host: Host, name: str) -> None:
    result = run_module(name, **dict(host.places(), owner="no-such-user"))
    assert (result["failed"], result["error_code"]) == (True, "INVALID_SETTINGS")
    assert "no-such-user" in result["msg"]
    assert not host.etc.exists()
