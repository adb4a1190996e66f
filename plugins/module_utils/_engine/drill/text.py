# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Words and figures for a page of HTML: whatever comes from a machine is text there, and nothing else. Pure."""

from __future__ import annotations

import html
import unicodedata
from typing import Iterable, Optional

NOTHING = "\u2013"
"""In the place of a figure that there is none of."""
_TURNS = frozenset("\u200e\u200f\u061c\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Characters that turn the direction of what follows, so that a name can be made to look like another one."""


def escape(value: object) -> str:
    """Any value as text of an element or of an attribute in quotes; what cannot be seen is written out."""
    return html.escape("".join(map(_visible, str(value))), quote=True)


def _visible(character: str) -> str:
    if character in _TURNS or unicodedata.category(character) in ("Cc", "Cs", "Co", "Cn", "Zl", "Zp"):
        return "\\x%02x" % ord(character) if ord(character) < 256 else "\\u%04x" % ord(character)
    return character


def seconds(value: Optional[float]) -> str:
    """A duration as people say it: ``0.8 s``, ``12.4 s``, ``3 min 05 s``, ``2 h 10 min``, ``3 d 4 h``."""
    if value is None:
        return NOTHING
    sign, value = ("\u2212", -value) if value < 0 else ("", value)
    if value == 0:
        return "0 s"
    if value < 10:
        return "%s%.2f s" % (sign, value)
    if value < 59.95:
        return "%s%.1f s" % (sign, value)
    whole = round(value)
    if whole < 3600:
        return "%s%d min %02d s" % (sign, whole // 60, whole % 60)
    if whole < 86_400:
        return "%s%d h %02d min" % (sign, whole // 3600, whole % 3600 // 60)
    return "%s%d d %d h" % (sign, whole // 86_400, whole % 86_400 // 3600)


def moment(iso: Optional[str], clock_only: bool = False) -> str:
    """A time of the store: the day and the second, or with ``clock_only`` the time of day to the millisecond."""
    if iso is None:
        return NOTHING
    shown = iso[11:23] if clock_only else "%s %s UTC" % (iso[:10], iso[11:19])
    return '<time datetime="%s">%s</time>' % (escape(iso), escape(shown))


def percent(share: Optional[float]) -> str:
    return NOTHING if share is None else "%.0f %%" % (100 * share)


def plural(count: int, one: str, many: str) -> str:
    return "%d %s" % (count, one if count == 1 else many)


def table(caption: str, heads: Iterable[str], rows: Iterable[str], kind: str = "") -> str:
    """A table; ``heads`` are text, ``rows`` are HTML as :func:`row` makes it."""
    head = "".join('<th scope="col">%s</th>' % escape(one) for one in heads)
    return (
        '<div class="wide"><table%s><caption>%s</caption><thead><tr>%s</tr></thead><tbody>%s</tbody></table></div>'
        % (
            ' class="%s"' % kind if kind else "",
            escape(caption),
            head,
            "".join(rows),
        )
    )


def row(head: str, cells: Iterable[str]) -> str:
    """A row of a table, of cells that are HTML already."""
    return '<tr><th scope="row">%s</th>%s</tr>' % (head, "".join("<td>%s</td>" % cell for cell in cells))
