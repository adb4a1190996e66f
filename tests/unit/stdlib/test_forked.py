# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Work in a process of its own, and with the rights of another user."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.errors import InvalidSettings, StoreUnavailable
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.forked import Child, account, as_user
from ansible_collections.roosync.heartbeat.tests.unit.stdlib.faults import root_only
from ansible_collections.roosync.heartbeat.tests.unit.stdlib.support import ENGINE, NOBODY, Fleet

# As a module does it: with no more than that imported, from a place that root alone can read.
EXAMINE = """
import json, sys
sys.path.insert(0, sys.argv[1])
from _engine import errors, forked
from _engine.agent import config, deploy
asked = config.Config("agent.conf", "store = " + sys.argv[2])
def answer(name):
    try:
        return forked.as_user(name, lambda: deploy.examine(asked, False))["heartbeat_interval"]
    except errors.HeartbeatError as exc:
        return [exc.error_code, exc.details.get("errno")]
print(json.dumps([answer(None), answer("65534")]))
"""


def refuse() -> None:
    raise StoreUnavailable("the store is away", errno="EIO")


def test_an_answer_and_an_error() -> None:
    died = InvalidSettings("it died")
    for work, result in ((lambda: [os.getpid()], None), (lambda: {"a": None}, {"a": None})):
        child = Child(work, died)
        assert child.result() == (result or [child.pid])
        child.end()
    child = Child(refuse, died)
    with pytest.raises(StoreUnavailable, match="the store is away") as caught:
        child.result()
    assert caught.value.details == {"errno": "EIO"}
    child.end()
    child = Child(lambda: os._exit(0), died)
    with pytest.raises(InvalidSettings, match="it died"):
        child.result()
    child.end()


def test_an_answer_that_nobody_wants() -> None:
    """More than a pipe holds: whoever gives it must not wait for a reader, nor be waited for, for ever."""
    child = Child(lambda: "x" * (1 << 20), InvalidSettings("it died"))
    killed = []
    waiting = threading.Timer(60, lambda: killed.append(os.kill(child.pid, signal.SIGKILL)))
    waiting.start()
    try:
        child.end()
    finally:
        waiting.cancel()
        waiting.join()
    assert killed == []


def test_users() -> None:
    assert account("root").pw_uid == account("0").pw_uid == 0
    for name in ("no-such-user", "9" * 30, "\u00b2", ""):
        with pytest.raises(InvalidSettings, match="is not there; make it first"):
            account(name)


def test_oneself_needs_no_other_process() -> None:
    for name in (None, str(os.geteuid())):
        assert as_user(name, os.getpid) == os.getpid()


def test_another_user() -> None:
    root_only()
    assert as_user(str(NOBODY), lambda: [os.getresuid(), os.getresgid()]) == [[NOBODY] * 3, [NOBODY] * 3]
    assert os.geteuid() == 0
    with pytest.raises(StoreUnavailable, match="the store is away"):
        as_user(str(NOBODY), refuse)


def examined(fleet: Fleet, private: Path, *wrapper: str) -> Any:
    private.chmod(0o700)
    shutil.copytree(str(ENGINE), str(private / "_engine"))
    command = [*wrapper, sys.executable, "-I", "-B", "-c", EXAMINE, str(private), str(fleet.root)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_store_that_knows_no_root(shared: Fleet, tmp_path: Path) -> None:
    """As on NFS with root_squash: root is nobody there, and may do less than the agent's user."""
    root_only()
    for path in (shared.root, *shared.root.rglob("*")):
        os.chown(str(path), NOBODY, NOBODY)
        path.chmod(0o700 if path.is_dir() else 0o600)
    squashed = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]
    assert examined(shared, tmp_path, *squashed) == [["STORE_UNAVAILABLE", "EACCES"], 30.0]


def test_a_store_of_root_alone(shared: Fleet, tmp_path: Path) -> None:
    root_only()
    for path in (shared.location, *shared.location.iterdir()):
        path.chmod(0o755)
    assert examined(shared, tmp_path) == [30.0, ["STORE_UNAVAILABLE", "EACCES"]]
