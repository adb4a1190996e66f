# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The page of a drill: whole, by itself, and never anything but text where text comes from elsewhere."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser
from typing import Dict, List, Optional, Set, Tuple

import pytest

from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.drill import page, text, trend
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.drill.chart import line_chart
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.drill.document import Drill
from ansible_collections.roosync.heartbeat.tests.unit.drill.samples import HOSTILE, hostile, story

ATTRIBUTES = {
    *("charset", "http-equiv", "content", "name", "lang", "class", "scope", "datetime", "viewbox", "role", "id"),
    *("aria-labelledby", "x", "y", "x1", "x2", "y1", "y2", "width", "height", "cx", "cy", "r", "d", "points"),
}


class Reader(HTMLParser):
    """What a browser would make of a page: its tags with their attributes, in balance, and its text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: List[str] = []
        self.tags: Dict[str, int] = {}
        self.attributes: Set[str] = set()
        self.values: List[str] = []
        self.texts: List[str] = []
        self.ids: List[str] = []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: List[Tuple[str, Optional[str]]]) -> None:
        self.tags[tag] = self.tags.get(tag, 0) + 1
        self.attributes.update(name for name, _value in attrs)
        self.values.extend(value or "" for _name, value in attrs)
        self.ids.extend(value or "" for name, value in attrs if name == "id")
        if tag != "meta":
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: List[Tuple[str, Optional[str]]]) -> None:
        self.handle_starttag(tag, attrs)
        self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def rendered(*drills: Drill) -> str:
    return page.render(drills[-1], trend.aggregate(drills))


@pytest.mark.parametrize(
    "drills", [story(1), story(3), story(4), [hostile()]], ids=["one", "failed", "four", "hostile"]
)
def test_it_needs_nothing_else_and_runs_nothing(drills: List[Drill]) -> None:
    html = rendered(*drills)
    read = Reader(html)
    assert not {"script", "img", "link", "iframe", "object", "base", "form", "use", "image", "a"} & set(read.tags)
    assert read.attributes <= ATTRIBUTES, "no style, no source, no handler of an event"
    assert not re.search(r"url\(|@import|https?:|//", html.replace("<!DOCTYPE html>", "").replace(HOSTILE, ""))
    assert len(read.ids) == len(set(read.ids))


def test_the_policy_allows_this_style_sheet_and_nothing_else() -> None:
    html = rendered(*story(1))
    (style,) = re.findall(r"<style>(.*?)</style>", html, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    (policy,) = re.findall(r'<meta http-equiv="Content-Security-Policy" content="([^"]*)">', html)
    assert policy == f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    assert html.index("Content-Security-Policy") < html.index("<style>")


def test_whatever_comes_from_elsewhere_is_text() -> None:
    html = rendered(hostile())
    read = Reader(html)
    assert "<script" not in html
    assert html.count("</style>") == 1
    assert sum(HOSTILE in each for each in read.texts) >= 10, "shown as it is, wherever it belongs"
    assert not any("onerror" in name or "onload" in name for name in read.attributes)
    assert "\u202e" not in html
    assert "\x1b" not in html
    assert "\\u202egnp.exe\\x1b[31m\\udc80" in html
    html.encode("utf-8")


def test_what_it_says() -> None:
    drills = story(3)
    texts = " ".join(" ".join(Reader(rendered(*drills)).texts).split())
    for said in (
        "2 of 1204 entries are not as they were",
        "2 of 3 drills passed (67 %).",
        "site: private mode file 0600 root:root 6 bytes bb file 0644 root:root 6 bytes bb",
        "1 h 00 min (4 changes lost)",
        "until found offline: 2 min 03 s",
    ):
        assert said in texts


def test_tables_have_captions_and_heads() -> None:
    read = Reader(rendered(*story(3)))
    assert read.tags["table"] == read.tags["caption"] == read.tags["thead"]
    assert read.tags["svg"] == read.tags["figure"] == read.tags["figcaption"]
    assert {"row", "col"} <= set(read.values)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        *(
            (None, "\u2013"),
            (0, "0 s"),
            (0.784, "0.78 s"),
            (12.44, "12.4 s"),
            (59.96, "1 min 00 s"),
            (-5, "\u22125.00 s"),
        ),
        *((185, "3 min 05 s"), (3599.7, "1 h 00 min"), (7800, "2 h 10 min"), (3 * 86_400 + 4 * 3600, "3 d 4 h")),
    ],
)
def test_durations(value: Optional[float], said: str) -> None:
    assert text.seconds(value) == said


@pytest.mark.parametrize("value", [0.0, 0.004, 1.0, 59.0, 60.0, 121.3, 3601.0, 90_000.0, 1e9])
def test_a_chart_has_room_for_its_figures(value: float) -> None:
    point = {"began_at": "2027-01-15T08:00:00.000000Z", "verdict": "passed", "rto_seconds": value}
    drawn = line_chart(0, "RTO", "rto_seconds", [point, dict(point, rto_seconds=value / 2)])
    heights = [float(y) for y in re.findall(r'cy="([0-9.-]+)"', drawn)]
    assert len(heights) == 2
    assert all(14 <= y <= 124 for y in heights), heights


def test_no_chart_where_nothing_was_measured() -> None:
    assert line_chart(0, "RTO", "rto_seconds", [{"rto_seconds": None}]) == ""
