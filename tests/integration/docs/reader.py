# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A reader of the documentation: a home folder, and the collection installed where the README puts it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from ansible_collections.roosync.heartbeat.tests.docs.pages import CHECKOUT

BIN = Path(sys.executable).parent
COLLECTIONS = Path(".ansible", "collections")


class Reader:
    """Somebody with an empty home folder who has Ansible and the collection."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.environment = {
            "PATH": f"{BIN}:{os.environ['PATH']}",
            "HOME": str(home),
            "LC_ALL": "C.UTF-8",
            # As if nothing were installed yet, whatever the tests are run by has in its own environment.
            "ANSIBLE_COLLECTIONS_SCAN_SYS_PATH": "false",
            "ANSIBLE_PIPELINING": "true",
            "ANSIBLE_LOCALHOST_WARNING": "false",
            "ANSIBLE_INVENTORY_UNPARSED_WARNING": "false",
        }

    def install(self) -> None:
        """Build the collection of this checkout and install it, as the README says."""
        self.run("ansible-galaxy", "collection", "build", "--output-path", str(self.home), str(CHECKOUT))
        (archive,) = self.home.glob("roosync-heartbeat-*.tar.gz")
        self.run("ansible-galaxy", "collection", "install", "--offline", str(archive))

    def new_home(self, folder: Path) -> Path:
        """Another home folder, for another page, with the same collection in it."""
        (folder / COLLECTIONS.parent).mkdir()
        (folder / COLLECTIONS).symlink_to(self.home / COLLECTIONS)
        return folder

    def run(self, *command: str, status: int = 0) -> str:
        """Run a command; what it prints."""
        done = subprocess.run(
            command, cwd=self.home, env=self.environment, capture_output=True, text=True, check=False, timeout=600
        )
        assert done.returncode == status, f"{' '.join(command)}:\n{done.stdout}{done.stderr}"
        return done.stdout

    def task(self, module: str, **options: object) -> None:
        """Run one module."""
        self.run("ansible", "localhost", "-m", f"roosync.heartbeat.{module}", "-a", json.dumps(options))
