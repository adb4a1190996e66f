# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the integration tests share: Ansible, and the certainty that it runs the collection of this checkout."""

from __future__ import annotations

import sysconfig
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.roosync.heartbeat.tests.integration.runner import CHECKOUT, Ansible

INSTALLED = ("extensions/awx", "meta", "playbooks", "plugins", "roles")


@pytest.fixture(scope="session")
def ansible(tmp_path_factory: pytest.TempPathFactory) -> Ansible:
    """Ansible with the collection as it would be published."""
    installed = Path(sysconfig.get_path("purelib"), "ansible_collections", "roosync", "heartbeat")
    stale = [name for name in INSTALLED if _sources(installed / name) != _sources(CHECKOUT / name)]
    assert not stale, f"{installed} is not this checkout's collection ({', '.join(stale)} differ): run make setup-dev"
    return Ansible(tmp_path_factory.mktemp("ansible"))


@pytest.fixture(scope="session")
def documentation(ansible: Ansible) -> dict[str, Any]:
    """What the collection's modules say of themselves, by their full names."""
    return ansible.documentation()


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Checks of the tests themselves keep the statuses as last known here, not at home."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def _sources(folder: Path) -> dict[str, bytes]:
    """The files, but for what Python makes of them: others may be compiling, under names that come and go."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if "__pycache__" not in path.parts and path.is_file()
    }
