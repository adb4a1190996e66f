# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Trouble as it really comes: another user, a read-only mount, a full disk. Each in a process of its own."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, List

import pytest

from ansible_collections.roosync.heartbeat.tests.unit.stdlib.support import ENGINE, NOBODY

# Everything is imported first: a user without rights may not be able to read Python's own files.
PRELUDE = """
import sys
sys.path.insert(0, %r)
import hashlib, hmac, json, os
from _engine import clock, conflicts, errors, identity, metadata, record, register, settings
from _engine.agent import beater, cli, config, local, quick, service
from _engine.stores import atomic, base, file, open_store

def outcome(work, *args, **kwargs):
    try:
        return {"result": work(*args, **kwargs)}
    except errors.HeartbeatError as exc:
        return dict(exc.as_result(), msg=exc.message)
""" % str(ENGINE.parent)
AS_NOBODY = """
if os.geteuid() == 0:
    os.setgroups([])
    os.setgid(%d)
    os.setuid(%d)
""" % (NOBODY, NOBODY)


def python(body: str, *arguments: str, wrapper: Any = ()) -> Any:
    """What a process that runs ``body`` prints as JSON."""
    done = subprocess.run(
        [*wrapper, sys.executable, "-I", "-B", "-W", "error", "-c", PRELUDE + body, *arguments],
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    assert done.stderr == b""
    return json.loads(done.stdout)


@functools.lru_cache(maxsize=None)
def namespace() -> List[str]:
    """A command that gives the next one a mount namespace of its own, or nothing where that is not allowed."""
    for command in (["unshare", "--mount"], ["unshare", "--map-root-user", "--mount"]):
        try:
            probe = [*command, "sh", "-c", "mount -t tmpfs none /mnt"]
            if subprocess.run(probe, stderr=subprocess.DEVNULL, check=False).returncode == 0:
                return command
        except OSError:
            pass
    return []


@functools.lru_cache(maxsize=None)
def _say(what: str, *options: str) -> None:
    """Once, the way that the other parts of the tests do."""
    tool = Path(__file__).resolve().parents[2] / "tools/not-run.sh"
    subprocess.run([str(tool), *options, "part of units (%s)" % what], check=True)


def not_run(what: str, *options: str) -> None:
    """Leave a test out, and say so at the end of all tests. Where all must run that is a failure.

    :param options: ``--allowed`` for what this machine's file systems do not have, and no user can give them.
    """
    _say(what, *options)
    pytest.skip(what)


def root_only() -> None:
    """Leave a test out for anybody but root."""
    if os.geteuid() != 0:
        not_run("what only root may do: files of several users, and attributes of the system")


def mounted(prepare: str, *arguments: str) -> List[str]:
    """A wrapper that runs a shell command in a mount namespace first: nothing outside sees what it mounts."""
    if not namespace():
        not_run("stores and disks that are really full or read-only: no mount namespace here")
    return [*namespace(), "sh", "-ec", prepare + '\nshift %d; exec "$@"' % len(arguments), "sh", *arguments]
