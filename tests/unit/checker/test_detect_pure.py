# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The decision of a check needs no store, no clock and no file: it is made in a process that can reach none of them."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

from ansible_collections.roosync.heartbeat.plugins.module_utils._engine import detect
from ansible_collections.roosync.heartbeat.tests.unit.checker.children import environment

# First what the modules themselves import from the standard library; then the doors are closed, and then they are
# imported and used. Python's own import system opens files by other means than those that are closed here.
IN_A_SEALED_ROOM = """
import builtins, dataclasses, fnmatch, hashlib, importlib, io, json, os, pkgutil, sys, time, typing

def no(*args, **kwargs):
    raise AssertionError("a decision must not reach outside: %r" % (args,))

for module, names in (
    (builtins, ("open",)),
    (io, ("open",)),
    (os, ("open", "stat", "lstat", "listdir", "scandir", "read", "write", "unlink", "rename", "link", "mkdir", "uname",
          "getpid", "urandom")),
    (time, ("time", "time_ns", "monotonic", "monotonic_ns", "perf_counter", "sleep", "localtime", "clock_gettime")),
):
    for name in names:
        setattr(module, name, no)

PACKAGE = "ansible_collections.roosync.heartbeat.plugins.module_utils._engine"
names = sys.argv[1].split(",")
for name in names:
    importlib.import_module("%s.detect.%s" % (PACKAGE, name))
loaded = {n[len(PACKAGE) + 1 :] for n in sys.modules if n.startswith(PACKAGE + ".")}
beyond = {n for n in loaded if not n.startswith("detect")} - {"state", "settings", "errors", "clock", "patterns"}
assert not beyond, "detect imports %s" % sorted(beyond)
assert not {"pydantic", "filelock", "socket", "subprocess"} & set(sys.modules)

closed = True
def guard(event, args):
    if closed and event.split(".")[0] in ("open", "os", "socket", "subprocess", "shutil", "tempfile", "import"):
        raise AssertionError("a decision must not reach outside: %s%r" % (event, args))

sim = importlib.import_module("ansible_collections.roosync.heartbeat.tests.unit.checker.sim")
fleet = sim.Sim()
sys.addaudithook(guard)
machines = ["m%d" % n for n in range(9)]
fleet.beat(*machines)
fleet.check()
fleet.wait(130)
fleet.beat(*machines[6:])
fleet.check()  # a mass failure
fleet.wait(500)
fleet.check()  # the store away
fleet.beat(*machines[:3], missed_began=fleet.now - 10**10, missed_ended=fleet.now)
fleet.beat(machines[4], leaving="stop")
fleet.lose(machines[5])
fleet.check()
fleet.wait(-5000)
fleet.check()
closed = False
print(len(fleet.event_ids))
"""


def modules() -> list[str]:
    return sorted(p.stem for p in Path(detect.__path__[0]).glob("*.py") if p.stem != "__init__")


def test_a_decision_needs_no_store_no_clock_and_no_file() -> None:
    done = subprocess.run(
        [sys.executable, "-c", IN_A_SEALED_ROOM, ",".join(modules())],
        capture_output=True,
        text=True,
        env=environment(),
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 15, "it did decide something"


def test_nothing_in_detect_imports_a_way_out() -> None:
    """What the process above did not come by is seen in the source."""
    allowed = {"__future__", "dataclasses", "functools", "hashlib", "json", "typing", "collections", "re"}
    for name in modules():
        tree = ast.parse((Path(detect.__path__[0]) / (name + ".py")).read_text())
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                assert {alias.name for alias in node.names} <= allowed, name
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                assert node.module in allowed, name
            elif isinstance(node, ast.ImportFrom) and node.level == 2:
                assert node.module in {"clock", "settings", "state", "errors", "patterns"}, name
