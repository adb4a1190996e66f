# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every play and every task of the documentation that no command of a page runs is run here, against a real store."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.register import register
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.stores.file import FileStore
from ansible_collections.roosync.heartbeat.tests.docs.pages import CHECKOUT, Block, page, pages
from ansible_collections.roosync.heartbeat.tests.docs.session import move
from ansible_collections.roosync.heartbeat.tests.integration.docs.reader import Reader
from ansible_collections.roosync.heartbeat.tests.integration.fleets import age

STORE = "/srv/heartbeat"
MACHINES = ("web-01", "web-02", "web-03")
# Other folders that tasks of the pages name: where backups are put, and what the earlier tools left behind.
BESIDE = {"/var/backups": "backups", "/srv/roosync": "roosync"}
OLD = '{"heartbeats": {"old-1": {"machineId": "old-1", "lastHeartbeat": "%s"}}}'


def plays(block: Block, store: Path) -> list[dict[str, Any]]:
    """A block as plays; tasks get a play around them."""
    moved = {folder: str(store.parent / name) for folder, name in BESIDE.items()}
    found = yaml.safe_load(move(block.text, {STORE: str(store), **moved}))
    assert isinstance(found, list), block.where
    assert str(store) in str(found), f"{block.where} names no store"
    if all("hosts" in play for play in found):
        return found
    return [{"name": f"Tasks of {block.where}", "hosts": "localhost", "gather_facts": False, "tasks": found}]


def made(reader: Reader, folder: Path, **settings: float) -> Path:
    """A store with three machines that have just beaten."""
    store = folder / "store"
    (folder / "roosync").mkdir()
    (folder / "roosync" / "heartbeat.json").write_text(OLD % datetime.now(UTC).isoformat())
    reader.task("heartbeat_fleet", store=str(store), **settings)
    with FileStore(str(store), "default") as opened:
        for machine in MACHINES:
            register(opened, machine)
    return store


def unnamed() -> list[Block]:
    """Blocks of YAML that the reader does not save as a file; those that are saved are run by commands."""
    return [b for one in pages() for b in one.blocks if b.language == "yaml" and b.file_name is None]


def changes_hosts(block: Block) -> bool:
    return "include_role" in block.text


def play(reader: Reader, folder: Path, blocks: list[Block], store: Path, status: int = 0) -> str:
    playbook = folder / "playbook.yml"
    playbook.write_text(yaml.safe_dump([p for block in blocks for p in plays(block, store)], sort_keys=False))
    return reader.run("ansible-playbook", str(playbook), status=status)


def test_all_of_them_run(reader: Reader, tmp_path: Path) -> None:
    blocks = [b for b in unnamed() if not changes_hosts(b)]
    assert len(blocks) >= 8
    said = play(reader, tmp_path, blocks, made(reader, tmp_path))
    assert "WARNING" not in said


def test_what_changes_hosts_is_well_formed(reader: Reader, tmp_path: Path) -> None:
    """Users and units are not made on the host that runs the tests; the variables must be those of the role."""
    blocks = [b for b in unnamed() if changes_hosts(b)]
    assert blocks
    playbook = tmp_path / "playbook.yml"
    for block in blocks:
        playbook.write_text(block.text)
        reader.run("ansible-playbook", "--syntax-check", str(playbook))
        for task in [task for one in yaml.safe_load(block.text) for task in one["tasks"]]:
            role = task["ansible.builtin.include_role"]["name"].rsplit(".", 1)[-1]
            specs = (CHECKOUT / "roles" / role / "meta" / "argument_specs.yml").read_text()
            assert set(task["vars"]) <= set(yaml.safe_load(specs)["argument_specs"]["main"]["options"])


def test_those_of_the_readme_tell_of_a_lost_machine(reader: Reader, tmp_path: Path) -> None:
    """One shows what has changed, one turns the job red: here they have a reason to."""
    store = made(reader, tmp_path, warning_after=900, offline_after=1200)  # nobody else is lost meanwhile
    reader.task("heartbeat_check", store=str(store), force=True)
    (store / "default" / "last_check.json").unlink()  # or what comes next would be answered by that check
    age(store / "default" / "heartbeats" / "web-03.json", 3600)
    red, tell = [b for b in page("README.md").blocks if b.language == "yaml" and "heartbeat_check" in b.text]
    said = play(reader, tmp_path, [tell, red], store, status=2)
    assert '"msg": "web-03 is offline since ' in said
    assert "1 offline: web-03" in said
