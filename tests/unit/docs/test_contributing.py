# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""CONTRIBUTING.md and README.md: the targets that they name are those of the Makefile."""

from __future__ import annotations

import re

import pytest

from ansible_collections.roosync.heartbeat.tests.docs.pages import CHECKOUT, code, page

MAKEFILE = (CHECKOUT / "Makefile").read_text(encoding="utf-8")
TARGETS = set(re.findall(r"^([a-z-]+):(?!=)", MAKEFILE, re.MULTILINE))


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md"])
def test_every_target_exists(name: str) -> None:
    typed = [c.text for block in page(name).blocks for c in block.commands()] + code(page(name).text)
    named = {text.split()[1] for text in typed if text.startswith("make ")}
    assert named
    assert named <= TARGETS


def test_the_parts_of_make_test() -> None:
    listed = re.search(r"run_parts\.py \\\n(.*)$", MAKEFILE, re.MULTILINE)
    assert listed is not None
    paragraph = next(p for p in page("CONTRIBUTING.md").text.split("\n\n") if p.startswith("The parts of `make test`"))
    assert set(listed.group(1).split()) == {name for name in code(paragraph) if name in TARGETS}
