# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The pages of the documentation, taken apart: fenced blocks, commands, tables, links, names.

Three conventions make a page testable without showing it:

* the first line of a block may name the file that the reader saves it as: ``# fleet.yml``;
* commands stand in ``console`` blocks behind ``$``, each followed by what it prints; ``...`` stands for anything;
* ``<!-- test: fails -->`` above a block says that its last command is meant to fail.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import List, Optional, Tuple

CHECKOUT = Path(__file__).resolve().parents[2]
DOCS = CHECKOUT / "docs"
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_FILE_NAME = re.compile(r"# ([\w./-]+\.\w+)\n")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
_LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
_ROW = re.compile(r"^\|(.+)\|$", re.MULTILINE)
_FAILS = "<!-- test: fails -->\n"


@dataclass
class Command:
    """One command of a page, and what the page says that it prints."""

    text: str
    expected: str
    fails: bool = False
    line: int = 0


@dataclass
class Block:
    """One fenced block."""

    language: str
    text: str
    line: int
    fails: bool = False
    page: Optional[Page] = None

    @property
    def file_name(self) -> Optional[str]:
        """The name of the file that the reader saves this block as."""
        named = _FILE_NAME.match(self.text)
        return named.group(1) if named else None

    @property
    def where(self) -> str:
        return "%s:%d" % (self.page.path.name if self.page else "?", self.line)

    def commands(self) -> List[Command]:
        """The commands of a ``console`` block; no other block has any."""
        found: List[Command] = []
        if self.language != "console":
            return found
        for number, line in enumerate(self.text.splitlines(), self.line + 1):
            if line.startswith("$ "):
                found.append(Command(line[2:], "", line=number))
            elif line.startswith("> ") and found and not found[-1].expected:
                found[-1].text += "\n" + line[2:]
            elif found:
                found[-1].expected += line + "\n"
            else:
                raise ValueError("%s: output before any command" % self.where)
        if self.fails:
            found[-1].fails = True
        return found


@dataclass
class Page:
    """One Markdown file."""

    path: Path
    text: str = ""
    blocks: List[Block] = field(default_factory=list)

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def prose(self) -> str:
        """The text without its blocks."""
        return _FENCE.sub("", self.text)

    def anchors(self) -> List[str]:
        """The anchors of the headings, formed as GitHub forms them."""
        return [re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in _HEADING.findall(self.prose)]

    def links(self) -> List[str]:
        return _LINK.findall(self.prose)

    def section(self, heading: str) -> str:
        """The text below a heading, up to the next one of the same or a higher level."""
        match = re.search(r"^(#+) %s$" % re.escape(heading), self.text, re.MULTILINE)
        assert match is not None, "%s has no section %r" % (self.name, heading)
        rest = self.text[match.end() :]
        end = re.search(r"^#{1,%d} " % len(match.group(1)), rest, re.MULTILINE)
        return rest[: end.start()] if end else rest


@lru_cache(maxsize=None)
def pages() -> Tuple[Page, ...]:
    """README.md, CONTRIBUTING.md and everything in docs/, in whatever language."""
    return tuple(
        load(path) for path in [CHECKOUT / "README.md", CHECKOUT / "CONTRIBUTING.md", *sorted(DOCS.rglob("*.md"))]
    )


def page(name: str) -> Page:
    """A page by the name of its file."""
    (found,) = [p for p in pages() if p.name == name]
    return found


def load(path: Path) -> Page:
    """Read a page."""
    text = path.read_text(encoding="utf-8")
    result = Page(path, text)
    for match in _FENCE.finditer(text):
        line = text.count("\n", 0, match.start()) + 1
        fails = text[: match.start()].endswith(_FAILS)
        result.blocks.append(Block(match.group(1), match.group(2), line, fails, result))
    return result


def rows(text: str) -> List[List[str]]:
    """The rows of the tables in a text, without heads and rules, each as its cells."""
    found = [[cell.strip() for cell in row.replace(r"\|", "\0").split("|")] for row in _ROW.findall(text)]
    rules = [number for number, row in enumerate(found) if set("".join(row)) <= set("-: ")]
    heads = {number - 1 for number in rules} | set(rules)
    return [[cell.replace("\0", "|") for cell in row] for number, row in enumerate(found) if number not in heads]


def code(text: str) -> List[str]:
    """What stands between backticks, blocks left out."""
    return re.findall(r"`([^`\n]+)`", _FENCE.sub("", text))
