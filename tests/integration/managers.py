# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stand-ins for the programs of systemd and cron, which tests may not let loose on the machine that they run on.

``systemctl`` runs what units say, and knows which are active and which have failed. ``journalctl`` has what they said.
``crontab`` keeps its table in a file. That the real ones do the same is tested on real hosts.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

SYSTEMCTL = """\
#!@PYTHON@ -IS
import os, shlex, subprocess, sys
folder, (verb, *names) = '@FOLDER@', [word for word in sys.argv[1:] if word[:1] != "-"] or ["help"]
units = os.path.expanduser("~/.config/systemd/user/")
with open(folder + "/calls", "a") as stream:
    stream.write(" ".join([verb, *names]) + "\\n")
def mark(name, kind, there=None):
    path = folder + "/" + name + "." + kind
    if there:
        open(path, "w").close()
    elif there is False and os.path.exists(path):
        os.unlink(path)
    return os.path.exists(path)
def run(name, key):
    lines = [line[len(key) + 1:] for line in open(units + name) if line.startswith(key + "=")]
    with open(folder + "/" + name + ".journal", "a") as stream:
        words = [word.replace("%%", "%").replace("$$", "$") for word in shlex.split(lines[0])]
        bad = subprocess.call(words, stdin=subprocess.DEVNULL, stdout=stream, stderr=stream)
        stream.write(name + (": failed\\n" if bad else ": done\\n"))
    mark(name, "failed", bool(bad))
    return bad
status = 0
for name in names:
    there = os.path.exists(units + name)
    state = "failed" if mark(name, "failed") else "active" if mark(name, "active") else "inactive"
    if verb == "show":
        print("LoadState=" + ("loaded" if there else "not-found") + "\\nActiveState=" + state)
    elif verb == "is-enabled":
        status = 0 if mark(name, "enabled") else 1
    elif verb in ("enable", "disable"):
        mark(name, "enabled", verb == "enable")
    elif verb == "is-failed":
        print(state)
        status = 0 if state == "failed" else 1
    elif verb == "reset-failed":
        mark(name, "failed", False)
    elif verb in ("start", "restart") and name.endswith(".service"):
        if run(name, "ExecStart"):
            sys.exit("Job for %s failed because the control process exited with error code." % name)
        mark(name, "active", "goodbye" in name)
    elif verb in ("start", "restart"):
        mark(name, "active", True)
    elif verb == "stop" and mark(name, "active"):
        mark(name, "active", False)
        if "goodbye" in name:
            run(name, "ExecStop")
sys.exit(status)
"""
JOURNALCTL = """\
#!/bin/sh
for word; do
    case $word in --user-unit=*) exec cat "@FOLDER@/${word#*=}.journal" ;; esac
done
"""
CRONTAB = """\
#!/bin/sh
case $1 in
-l) cat '@FOLDER@/table' ;;
-) cat >'@FOLDER@/table.new' && mv '@FOLDER@/table.new' '@FOLDER@/table' ;;
-r) : >'@FOLDER@/table' ;;
*) cat "$1" >'@FOLDER@/table' ;;
esac
"""


class Managers:
    """The stand-ins, in a folder that comes first on the path."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.programs = folder / "bin"
        self.programs.mkdir(parents=True)
        self.path = f"{self.programs}:{os.environ['PATH']}"

    def bring(self, *names: str) -> None:
        """Install some of them."""
        texts = {"systemctl": SYSTEMCTL, "journalctl": JOURNALCTL, "crontab": CRONTAB}
        for name in names:
            program = self.programs / name
            program.write_text(texts[name].replace("@FOLDER@", str(self.folder)).replace("@PYTHON@", sys.executable))
            program.chmod(0o755)
        (self.folder / "table").touch()

    @property
    def table(self) -> str:
        """The user's entries of cron."""
        return (self.folder / "table").read_text(encoding="utf-8")

    def marked(self, kind: str) -> set[str]:
        """The units that are ``active``, ``enabled`` or ``failed``."""
        return {path.name.rpartition(".")[0] for path in self.folder.glob(f"*.{kind}")}
