# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Code that runs in a process of its own: to be killed, to be another user, or to meet another file system."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import List, Tuple

TREE = next(p for p in Path(__file__).absolute().parents if p.name == "ansible_collections").parent

PRELUDE = """\
import json, os, signal, sys
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine import check, errors, fleet, journal, look
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.stores import atomic
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.stores.file import FileStore
store = FileStore(sys.argv[1], "default")
"""
NO_LINKS = """\
import errno
def no_link(*args, **kwargs):
    raise PermissionError(errno.EPERM, "Operation not permitted")  # what vfat and some network file systems answer
os.link = no_link
"""
NOBODY = """\
os.setgroups([]); os.setgid(65534); os.setuid(65534)
"""


def environment() -> dict[str, str]:
    """That of the tests, with the checkout under its collection name on the path."""
    return dict(os.environ, PYTHONPATH=str(TREE))


def start(code: str, *arguments: object) -> subprocess.Popen[str]:
    """A process that runs ``code`` after :data:`PRELUDE`; its first argument is the store's directory."""
    return subprocess.Popen(
        [sys.executable, "-c", PRELUDE + textwrap.dedent(code), *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
    )


def run(code: str, *arguments: object, timeout: float = 300) -> Tuple[int, str]:
    """Run it to its end: the exit status (negative: killed by that signal) and what it printed."""
    with start(code, *arguments) as process:
        try:
            out, err = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
    assert process.returncode <= 0, err
    return process.returncode, out


def run_together(count: int, code: str, *arguments: object, timeout: float = 300) -> List[str]:
    """So many processes at once; what each printed."""
    processes = [start(code, *arguments, number) for number in range(count)]
    printed = []
    try:
        for process in processes:
            out, err = process.communicate(timeout=timeout)
            assert process.returncode == 0, err
            printed.append(out)
    finally:
        for process in processes:
            process.kill()
            process.communicate()
    return printed
