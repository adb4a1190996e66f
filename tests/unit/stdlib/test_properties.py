# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The examples of a property are the same at every run, whatever else the same process has tested before."""

from __future__ import annotations

import os
import subprocess
import sys

DRAW = """
import importlib, sys
from hypothesis import given, strategies as st
from ansible_collections.roosync.heartbeat.tests.unit.properties import load_profile
load_profile()
for name in sys.argv[1:]:
    importlib.import_module("ansible_collections.roosync.heartbeat.plugins.module_utils._engine." + name)
@given(st.integers(), st.text())
def show(number, text):
    print(number, ascii(text))
show()
"""


def drawn(*imported: str) -> str:
    """The examples of a property, in a process that has imported some of the code."""
    environment = dict(os.environ, PYTHONPATH=os.pathsep.join(filter(None, sys.path)))
    environment.pop("ROOSYNC_TEST_EXAMPLES", None)
    command = [sys.executable, "-c", DRAW, *imported]
    return subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True, timeout=120).stdout


def test_the_examples_do_not_depend_on_what_is_imported() -> None:
    examples = drawn()
    assert examples.count("\n") >= 50
    assert drawn("register", "sync.vault") == examples
