# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fleets for playbooks to meet, made by the collection's own engine, with beats of any age."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.check import LAST_CHECK, run_check
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.clock import iso, to_ns
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.fleet import Request, manage
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.record import decode, encode, file_name
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.register import register, register_many
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.stores import open_store
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.stores.file import FileStore

REMEMBERED = "beats.json"


def prepare(root: Path, start: Mapping[str, Any]) -> None:
    """Make a fleet.

    :param start: ``settings`` and ``expect`` as ``heartbeat_fleet`` has them; ``history`` is a list of rounds, each of
        them the seconds since every machine's last beat, recorded by a check; ``beats`` is one more round, of which no
        check knows yet. Under the names in ``foreign`` another host beats. ``damaged`` has the new content of files,
        or null for what is gone.
    """
    with open_store(str(root)) as store:
        manage(store, Request(start.get("settings", {}), start.get("expect", [])))
        for beats in start.get("history", []):
            beat(store, beats)
            run_check(store, force=True)
        beat(store, start.get("beats", {}))
        for name in start.get("foreign", []):
            register(store, name, fingerprint="0" * 32)
        for name, content in start.get("damaged", {}).items():
            damage(Path(store.location, name), content)


def damage(path: Path, content: str | None) -> None:
    """Put something else in a file's place; without any, take the file or the empty folder away."""
    if content is not None:
        path.write_text(content, encoding="utf-8")
    elif path.is_dir():
        path.rmdir()
    else:
        path.unlink()


def beat(store: FileStore, ages: Mapping[str, float]) -> None:
    """Let machines have beaten so many seconds ago."""
    found = register_many(store, [{"machine_id": name} for name in ages])
    assert not found["failed_machines"], found
    for name, seconds in ages.items():
        age(Path(store.location, "heartbeats", file_name(name)), seconds)


def age(record: Path, seconds: float) -> None:
    """Let the last beat of a machine have been sent, and have come, so many seconds earlier.

    The time of a beat is the time that the file server put on its record, so setting that is what waiting would do.
    """
    then = record.stat().st_mtime_ns - to_ns(seconds)
    found = decode(record.read_bytes(), record.stem)
    record.write_bytes(encode(replace(found, sent_at=iso(then))))
    os.utime(record, ns=(then, then))


def snapshot(root: Path, with_upkeep: bool = True) -> dict[str, Any]:
    """Everything in a folder, to be compared with itself later: contents, modes, and times of files.

    :param with_upkeep: including what is kept even when nothing changes: the last check's result, what the last
        diagnosis saw, and locks.
    """
    return {
        str(path.relative_to(root)): _describe(path)
        for path in sorted(root.rglob("*"))
        if with_upkeep or (path.name not in (LAST_CHECK, REMEMBERED) and path.suffix != ".lock")
    }


def _describe(path: Path) -> tuple[Any, ...]:
    state = path.lstat()
    if path.is_file():
        return state.st_mode, state.st_mtime_ns, sha256(path.read_bytes()).hexdigest()
    return (state.st_mode,)
