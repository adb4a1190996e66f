# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One capture or restore of a tree, as a process of its own: what the bench measures beside other programs.

Nothing but the standard library is needed, so it runs on the system's own Python, as on a managed machine.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "plugins" / "module_utils"))

from _engine.sync.spec import TreeSpec
from _engine.sync.vault import Vault


def capture(tree: str, folder: Path) -> None:
    """A capture after the last one; it leaves the digest for the next one, and how many files it has read."""
    from _engine.sync.capture import capture

    last = _read(folder / "last")
    with Vault(str(folder / "vault"), create=True) as vault:
        found = capture(TreeSpec("bench", tree), vault, str(folder / "cache"), last)
    for name, text in (("last", found.digest), ("read", str(found.scan.files_read))):
        # Not when it is the same: a file that is written anew waits for the disk, which is not what is measured.
        if _read(folder / name) != text:
            (folder / name).write_text(text)


def _read(path: Path) -> str:
    return path.read_text() if path.exists() else ""


def restore(tree: str, folder: Path) -> None:
    """The last capture, into a directory that is not there; every content is verified on its way."""
    from _engine.sync.apply import apply
    from _engine.sync.manifest import Manifest

    with Vault(str(folder / "vault")) as vault:
        after = vault.manifest((folder / "last").read_text())
        apply(tree, TreeSpec("bench", tree), Manifest("bench", {}), after, vault.copy_to, create=True)


if __name__ == "__main__":
    {"capture": capture, "restore": restore}[sys.argv[1]](sys.argv[2], Path(sys.argv[3]))
