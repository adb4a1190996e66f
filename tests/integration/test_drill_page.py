# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The report of a drill in a real browser: what it makes of the page, how that looks, and that nothing in it runs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.drill import page, trend
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.drill.document import Drill
from ansible_collections.roosync.heartbeat.tests.integration.browser import Browser, find_chromium
from ansible_collections.roosync.heartbeat.tests.unit.drill.samples import HOSTILE, hostile, story

LIGHT, DARK, UNSTYLED = (0xF6, 0xF7, 0xF9), (0x12, 0x16, 0x1C), (0xFF, 0xFF, 0xFF)
PART = "integration: the report of a drill in a browser"
Open = Callable[..., Browser]


@pytest.fixture
def opened(tmp_path: Path) -> Open:
    """Open the report of the last of some drills."""
    program = find_chromium(PART)
    if program is None:
        pytest.skip(f"{PART}: said to be not run")

    def browser(*drills: Drill) -> Browser:
        file = tmp_path / "report.html"
        file.write_text(page.render(drills[-1], trend.aggregate(drills)), encoding="utf-8")
        return Browser(program, tmp_path, file)

    return browser


def test_what_the_browser_understands(opened: Open) -> None:
    drills = story(3)
    found = opened(*drills).document()
    assert found.texts["title"][0] == f"Drill {drills[-1].drill_id}: failed"
    assert found.texts["h1"] == [f"Drill {drills[-1].drill_id}"]
    assert found.texts["h2"] == ["Machines", "Trend", "Step by step"]
    assert found.tags.count("table") == found.tags.count("caption") == 6
    assert (found.tags.count("svg"), found.tags.count("circle")) == (5, 6)
    assert "passed" in found.texts["span"]
    assert "2 of 1204 entries are not as they were" in found.texts["p"]
    assert "script" not in found.tags


def test_it_looks_right_in_light_and_in_dark_because_its_own_style_sheet_is_allowed(
    opened: Open,
) -> None:
    browser = opened(*story(1))
    assert browser.corner() == LIGHT
    assert browser.corner("--blink-settings=preferredColorScheme=0") == DARK
    assert (browser.folder / "shot.png").stat().st_size > 20_000, "there is something on it"


def test_no_other_style_sheet_and_no_script_is_allowed(opened: Open) -> None:
    """What escaping keeps out would not run if it got in."""
    browser = opened(*story(1))
    text = browser.file.read_text(encoding="utf-8")
    script = "<script>document.title = 'owned'</script>"
    browser.file.write_text(text.replace("<style>", "<style> ").replace("<main>", f"<main>{script}"))
    assert browser.corner() == UNSTYLED
    found = browser.document()
    assert "script" in found.tags
    assert found.texts["title"][0].startswith("Drill ")


def test_names_that_want_to_be_more_than_names(opened: Open) -> None:
    found = opened(hostile()).document()
    assert not {"script", "img"} & set(found.tags)
    assert found.tags.count("style") == 1
    assert found.texts["title"][0].startswith("Drill ")
    assert HOSTILE in found.texts["p"]
    assert HOSTILE in found.texts["th"]


def test_it_can_be_printed(opened: Open, tmp_path: Path) -> None:
    target = tmp_path / "report.pdf"
    opened(*story(1)).run(f"--print-to-pdf={target}", "--no-pdf-header-footer")
    assert target.read_bytes().startswith(b"%PDF-")
