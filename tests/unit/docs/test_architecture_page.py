# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""docs/architecture.md: what it lists and counts is what the code has."""

from __future__ import annotations

import ast
import json
import re
from dataclasses import fields
from pathlib import Path
from typing import Iterator, List, Set

import pytest

from ansible_collections.roosync.heartbeat.plugins.module_utils._engine import (
    check,
    documents,
    journal,
    observe,
    record,
    register,
    sealed,
    state,
)
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.agent import local
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.clock import NS
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.detect import (
    ages,
    flapping,
    reports,
    survey,
    witnesses,
)
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.fleet import Request, manage
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.stores.file import FileStore
from ansible_collections.roosync.heartbeat.tests.docs.pages import CHECKOUT, code, page, rows

PAGE = page("architecture.md")
ENGINE = CHECKOUT / "plugins" / "module_utils" / "_engine"


def first_cells(section: str) -> List[str]:
    """The names in the first column of a section's table."""
    return [name for row in rows(PAGE.section(section)) for name in code(row[0])]


def test_the_layout_is_that_of_a_store(tmp_path: Path) -> None:
    """Of a fleet that was created, beaten for and checked until there is a checkpoint."""
    with FileStore(str(tmp_path), "default") as store:
        manage(store, Request())
        for number in range(journal.CHECKPOINT_EVERY):
            register.register(store, "web-%d" % number)
            check.run_check(store, force=True)
    text = PAGE.section("The store")
    layout = text[text.index("```text") :].split("```")[1]
    shown = set(re.findall(r"(?<![\w<>])([a-z_]+(?:/archive)?(?:/|\.json))(?= )", layout))
    there = {
        str(path.relative_to(tmp_path / "default")) + ("/" if path.is_dir() else "")
        for path in (tmp_path / "default").rglob("*")
        if path.is_dir() or path.parent == tmp_path / "default"
    }
    assert shown == {name if name != "journal/archive" else name + "/" for name in there}


def test_the_keys_of_a_heartbeat() -> None:
    keys = list(json.loads(record.encode(record.Beat("web-01", 1, "now"))))
    assert sorted(first_cells("A heartbeat")) == sorted(keys)


def test_the_keys_of_a_commit() -> None:
    assert sorted(first_cells("The journal")) == sorted(f.name for f in fields(state.Commit))
    commit = sealed.seal(documents.dump(state.Commit(1, 2, "web-01:3"))).decode()
    assert re.fullmatch(r'\{"body":\{.*\},"sha256":"[0-9a-f]{64}"\}\n', commit)


def strings(folder: Path) -> Iterator[str]:
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value


def test_every_cause_is_one_that_is_recorded() -> None:
    assert set(first_cells("How a status is derived")) <= set(strings(ENGINE / "detect"))


def kinds() -> Set[str]:
    """The kinds of problems, from the calls and dictionaries that report them."""
    found = set()
    for path in ENGINE.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        found.update(re.findall(r'_problem\(ledger, "(\w+)"', text) + re.findall(r'\{"kind": "(\w+)"', text))
    return found


def test_every_kind_of_problem_is_there() -> None:
    """By their names in the table of damage."""
    named = set(code(PAGE.section("Damage"))) & set(strings(ENGINE))
    assert kinds() <= named


def test_the_states_of_entries() -> None:
    assert set(first_cells("Once and at least once")) == {state.PENDING, state.HELD, state.SKIPPED}


@pytest.mark.parametrize(
    ("section", "phrase", "value"),
    [
        ("The check", "up to %d machines that are not serve as witnesses", survey.MAX_WITNESSES),
        ("The check", "fleet of at most %d", observe.AUDIT_ALL),
        ("The check", "one in %d", observe.AUDIT_SHARE),
        ("The check", "at least %d at each check", observe.LEAST_AUDIT),
        ("The journal", "after %d commits", journal.CHECKPOINT_EVERY),
        ("The journal", "older than the newest %d", journal.KEEP_LISTED),
        ("The journal", "nobody goes on for %d", journal.TORN_GRACE // NS),
        ("The agent", "for %d minutes after its return", local.REPORT_FOR // NS // 60),
        ("How a status is derived", "the last %d slots", flapping.SLOTS),
        ("How a status is derived", "it starts at %d per cent", flapping.STARTS_AT),
        ("How a status is derived", "of changes and ends at %d", flapping.ENDS_AT),
    ],
)
def test_numbers_are_those_of_the_code(section: str, phrase: str, value: float) -> None:
    text = " ".join(PAGE.section(section).split())
    assert phrase % value in text


def test_numbers_in_words_are_those_of_the_code() -> None:
    words = {2: "two", 3: "three", 5: "five"}
    text = " ".join(PAGE.text.split())
    assert "for at most %s seconds" % words[int(check.LOCK_PATIENCE)] in text
    assert "Beyond %s seconds its time says nothing" % words[ages.FUTURE_TOLERANCE // NS] in text
    assert "a fleet of at least %s, not counting machines that are lost" % words[witnesses.LEAST_FLEET] in text
    assert "at least %s, and one whose silence was not planned" % words[witnesses.LEAST_WITNESSES] in text
    assert "they are most of those heard since: at least %s." % words[reports.LEAST_REPORTS] in text


def test_how_long_a_silence_of_all_proves_an_outage() -> None:
    silence = witnesses.quiet(ages.Limits(interval=100, warning=300, offline=400))
    assert silence == 150
    assert "for one and a half `heartbeat_interval`" in " ".join(PAGE.text.split())


def test_the_longest_name_with_the_usual_ending() -> None:
    text = PAGE.section("Decisions that may surprise")
    longest = int(re.findall(r"machine ids of more than (\d+) characters", text)[0])
    assert record.file_name("x" * longest).endswith(".json")
    assert record.file_name("x" * (longest + 1)).endswith(".j")
