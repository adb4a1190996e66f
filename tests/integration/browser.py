# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real browser without a screen: what it makes of a page of HTML, and how that looks."""

from __future__ import annotations

import subprocess
import zlib
from html.parser import HTMLParser
from pathlib import Path

from ansible_collections.roosync.heartbeat.tests.integration.runner import CHECKOUT

FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking")
PATIENCE = 120


def find_chromium(part: str) -> str | None:
    """The browser; None where there is none, which is then noted as a part of the tests that cannot run."""
    found = subprocess.run(
        [str(CHECKOUT / "tests" / "tools" / "chromium.sh"), part], stdout=subprocess.PIPE, text=True, check=False
    )
    assert found.returncode == 0, part
    return found.stdout.strip() or None


class Browser:
    """A browser for one page.

    :param folder: for its profile and its pictures.
    """

    def __init__(self, program: str, folder: Path, file: Path) -> None:
        self.program = program
        self.folder = folder
        self.file = file

    def run(self, *flags: str) -> str:
        done = subprocess.run(
            [self.program, *FLAGS, f"--user-data-dir={self.folder / 'profile'}", *flags, self.file.as_uri()],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def document(self) -> Document:
        return Document(self.run("--dump-dom"))

    def corner(self, *flags: str) -> tuple[int, ...]:
        """The colour of the page's corner."""
        target = self.folder / "shot.png"
        self.run("--hide-scrollbars", "--window-size=1100,1400", f"--screenshot={target}", *flags)
        return first_pixel(target.read_bytes())


class Document(HTMLParser):
    """The page as the browser has understood it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.texts: dict[str, list[str]] = {}
        self._open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        assert not any(name.startswith("on") for name, _value in attrs), attrs
        if tag != "meta":
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        if self._open:
            self.texts.setdefault(self._open[-1], []).append(data)


def first_pixel(png: bytes) -> tuple[int, ...]:
    """The colour of the upper left pixel: of that one, every filter of a line leaves the bytes as they are."""
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    data, at = b"", 8
    while at < len(png):
        length, kind = int.from_bytes(png[at : at + 4]), png[at + 4 : at + 8]
        if kind == b"IDAT":
            data += png[at + 8 : at + 8 + length]
        at += 12 + length
    return tuple(zlib.decompressobj().decompress(data, 4)[1:4])
