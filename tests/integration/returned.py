# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What modules return, compared with what they say that they return."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from ansible_collections.roosync.heartbeat.tests.integration.runner import CHECKOUT, Task

# What Ansible itself adds to every result, or knows the meaning of.
ANSIBLES_OWN = {
    "ansible_loop_var",
    "changed",
    "deprecations",
    "diff",
    "exception",
    "failed",
    "failed_when_result",
    "failed_when_suppressed_exception",
    "invocation",
    "item",
    "msg",
    "warnings",
}
TYPES = {"str": str, "bool": bool, "int": int, "float": (int, float), "list": list, "dict": dict, "raw": object}
# Dictionaries with one key for each machine, or for each tree.
BY_MACHINE = {"clock_skew_ms", "missing", "trees"}


def failure_keys() -> set[str]:
    """What any failure may return besides, by the table of the page on error codes."""
    page = (CHECKOUT / "docs" / "error_codes.md").read_text(encoding="utf-8")
    table = page.split("| Key |")[1].split("\n\n")[0]
    return {key for line in table.splitlines() for key in re.findall("`([a-z_]+)`", line.split("|")[1])}


FAILURE_KEYS = failure_keys()


def results_of(task: Task) -> list[dict[str, Any]]:
    """A task's results: none, one, or one for each item of its loop."""
    if task.status == "skipped":
        return []
    found: list[dict[str, Any]] = task.result.get("results", [task.result])
    return [result for result in found if not result.get("skipped", False)]


def complaints(task: Task, documentation: Mapping[str, Any]) -> list[str]:
    """Everything that a task returned and its module does not say, or the other way round."""
    described = documentation[task.action]["return"]
    found = []
    for result in results_of(task):
        failed = result.get("failed", False) or "error_code" in result
        also = FAILURE_KEYS if failed else set()
        found += list(_differences({k: v for k, v in result.items() if k not in also - set(described)}, described))
        if not failed and "failed_when_result" not in result:
            promised = {key for key, value in described.items() if value["returned"] == "success"}
            found += [f"{key} is missing" for key in sorted(promised - set(result))]
    return [f"{task.name}: {what}" for what in found]


def _differences(returned: Mapping[str, Any], described: Mapping[str, Any]) -> Iterator[str]:
    for key, value in returned.items():
        if key in ANSIBLES_OWN or key.startswith("_ansible_"):
            continue
        if key not in described:
            yield f"{key} is not documented"
        elif value is not None:
            yield from _value(key, value, described[key])


def _value(key: str, value: Any, described: Mapping[str, Any]) -> Iterator[str]:
    if not isinstance(value, TYPES[described["type"]]):
        yield f"{key} is {value!r}, documented as {described['type']}"
        return
    items = value if isinstance(value, list) else [value]
    if isinstance(value, list):
        yield from (f"{key} has {item!r}" for item in items if not isinstance(item, TYPES[described["elements"]]))
    sample = described.get("sample")
    samples = sample if isinstance(sample, list) else [sample]
    shown = {inner for one in samples if isinstance(one, dict) for inner in one}
    returned = {inner for item in items if isinstance(item, dict) for inner in item}
    if key not in BY_MACHINE:
        yield from (f"{key}: the sample has no {inner}" for inner in sorted(returned - shown))
