# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""docs/troubleshooting.md and docs/fr/depannage.md: every error code, and the same in both languages."""

from __future__ import annotations

import re
from typing import List, Set, Tuple

import pytest

from ansible_collections.roosync.heartbeat.plugins.module_utils._engine import errors
from ansible_collections.roosync.heartbeat.tests.docs.pages import Page, code, page, rows

ENGLISH, FRENCH = page("troubleshooting.md"), page("depannage.md")
SECTIONS = {"troubleshooting.md": "Error codes", "depannage.md": "Codes d'erreur"}
HEADING = re.compile(r"^(#+) (.+)$", re.MULTILINE)

each_language = pytest.mark.parametrize("one", [ENGLISH, FRENCH], ids=["english", "french"])


def codes() -> Set[str]:
    found = [c for c in vars(errors).values() if isinstance(c, type) and issubclass(c, errors.HeartbeatError)]
    return {c.error_code for c in found} - {errors.HeartbeatError.error_code}


@each_language
def test_every_code_has_a_word_on_what_to_do(one: Page) -> None:
    table = rows(one.section(SECTIONS[one.name]))
    named = [re.findall(r"\[([A-Z_]+)\]\((?:\.\./)?error_codes\.md#([a-z_]+)\)", row[0]) for row in table]
    assert all(len(found) == 1 and found[0][0].lower() == found[0][1] for found in named)
    listed = [found[0][0] for found in named]
    assert listed == sorted(codes())
    assert all(len(row[1]) > 15 and row[1].endswith(".") for row in table)


def test_both_have_the_same_commands_and_files() -> None:
    """So what is shown in one language is run by the test of the other one."""
    assert [block.text for block in ENGLISH.blocks] == [block.text for block in FRENCH.blocks]
    assert [block.fails for block in ENGLISH.blocks] == [block.fails for block in FRENCH.blocks]
    assert sum(len(block.commands()) for block in ENGLISH.blocks) > 30


def shape(one: Page) -> List[Tuple[int, int, int, int]]:
    """Of each section: its level, and how many blocks, points of lists and rows of tables there are in it."""
    parts = re.split(
        r"^(?=#+ )", re.sub(r"^```.*?^```$", "@block", one.text, flags=re.MULTILINE | re.DOTALL), flags=re.M
    )
    return [
        (len(part) - len(part.lstrip("#")), part.count("@block"), len(re.findall(r"^- ", part, re.M)), len(rows(part)))
        for part in parts[1:]
    ]


def test_both_have_the_same_structure() -> None:
    assert shape(ENGLISH) == shape(FRENCH)


def test_both_name_the_same_things() -> None:
    """Options, codes and files between backticks, section by section."""
    assert [set(code(part)) for part in sections(ENGLISH)] == [set(code(part)) for part in sections(FRENCH)]


def sections(one: Page) -> List[str]:
    return re.split(r"^#+ .*$", one.prose, flags=re.MULTILINE)


def test_both_link_to_the_same_pages() -> None:
    def targets(one: Page) -> List[str]:
        links = [link.replace("../", "") for link in one.links() if not link.startswith("#")]
        return [link for link in links if link not in ("fr/depannage.md", "troubleshooting.md")]

    assert targets(ENGLISH) == targets(FRENCH)
    assert "fr/depannage.md" in ENGLISH.links()
    assert "../troubleshooting.md" in FRENCH.links()


@each_language
def test_the_list_at_the_top_has_every_section(one: Page) -> None:
    listed = [link[1:] for link in one.links() if link.startswith("#")]
    second = [title for level, title in HEADING.findall(one.prose) if level == "##"]
    anchors = dict(zip([title for _level, title in HEADING.findall(one.prose)], one.anchors()))
    assert listed[: len(second)] == [anchors[title] for title in second]
