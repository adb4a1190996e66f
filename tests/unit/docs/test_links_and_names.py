# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every link inside the documentation leads somewhere, and every name in it exists in the code."""

from __future__ import annotations

import ast
import re
from typing import Iterator, List, Set

import pytest

from ansible_collections.roosync.heartbeat.tests.docs.pages import CHECKOUT, Page, code, load, page, pages, rows

NAME = re.compile(r"\b(?:[A-Za-z][A-Za-z0-9]*(?:_[A-Za-z0-9]+)+|[a-z]+(?:[A-Z][a-z]+)+)\b")
# Names of other people's things.
FOREIGN = {"root_squash", "aap_configuration"}
# What the repository's own pages link to on the web: made at a release, or part of the forge.
OWN_SITE = "https://github.com/roosync/roosync.heartbeat"

each_page = pytest.mark.parametrize("one", pages(), ids=lambda p: p.name)


@each_page
def test_links_lead_somewhere(one: Page) -> None:
    for link in one.links():
        if link.startswith("https://"):
            continue
        path, _separator, anchor = link.partition("#")
        target = (one.path.parent / path).resolve() if path else one.path
        assert target.exists(), "%s: %s is not there" % (one.name, link)
        if anchor:
            assert anchor in load(target).anchors(), "%s: %s has no such heading" % (one.name, link)


@each_page
def test_links_to_pages_stay_inside(one: Page) -> None:
    """A page of this repository is linked by its path, so that it is the one of the same version."""
    for link in one.links():
        if link.startswith(OWN_SITE + "/blob/"):
            assert not (CHECKOUT / link.rsplit("/", 1)[1]).exists(), link


def test_every_page_can_be_reached_from_the_readme() -> None:
    readme = page("README.md")
    linked = {(readme.path.parent / link.partition("#")[0]).resolve() for link in readme.links()}
    assert {one.path for one in pages()} - {readme.path} <= linked


def vocabulary() -> Set[str]:
    """Every name in the code: identifiers, words of strings (options, keys, codes), variables of roles, playbooks."""
    found: Set[str] = set()
    sources = [*(CHECKOUT / "plugins").rglob("*.py"), *(CHECKOUT / "tests" / "docs").rglob("*.py")]
    for path in sources:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            found.update(_names(node))
    described = [*(CHECKOUT / "roles").rglob("argument_specs.yml"), *(CHECKOUT / "playbooks").glob("*.yml")]
    for path in [*described, *(CHECKOUT / "extensions" / "awx").rglob("*.yml")]:
        found.update(re.findall(r"\w+", path.read_text(encoding="utf-8")))
    return found


def _names(node: ast.AST) -> Iterator[str]:
    for kind in ("id", "attr", "arg", "name", "module"):
        value = getattr(node, kind, None)
        if isinstance(value, str):
            yield from value.split(".")
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield from re.findall(r"\w+", node.value)


def named(one: Page) -> List[str]:
    """The names that a page uses in its prose; of the table of old and new names only the new ones."""
    spans = code(one.text)
    if one.name == "migration.md":
        old = {span for row in rows(one.text) for span in code(row[0])}
        spans = [span for row in rows(one.text) for cell in row[1:] for span in code(cell)]
        spans += code("\n".join(line for line in one.prose.splitlines() if line[:1] != "|"))
        spans = [span for span in spans if span not in old or ("_" in span and not span.startswith("roosync_"))]
    return [name for span in spans for name in NAME.findall(span)]


@each_page
def test_names_exist_in_the_code(one: Page) -> None:
    unknown = sorted(set(named(one)) - vocabulary() - FOREIGN)
    assert not unknown, "%s names what is not in the code: %s" % (one.name, ", ".join(unknown))


@each_page
def test_full_names_exist(one: Page) -> None:
    """``roosync.heartbeat.x`` is a module, a role or a playbook, or the action group."""
    there = {path.stem for folder in ("plugins/modules", "playbooks") for path in (CHECKOUT / folder).iterdir()}
    there |= {path.name for path in (CHECKOUT / "roles").iterdir()} | {"heartbeat"}
    named_in_full = set(re.findall(r"(?<![/\w])roosync\.heartbeat\.(\w+)", one.text))
    assert named_in_full <= there


def test_the_page_of_old_names_is_read_at_all() -> None:
    """The rule above leaves old names out; it must not leave everything out."""
    assert {"heartbeat_register", "machine_id", "newly_offline", "warning_after"} <= set(named(page("migration.md")))
