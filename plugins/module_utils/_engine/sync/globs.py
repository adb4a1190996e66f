# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Patterns that say which paths of a tree are meant: the rules of ``.gitignore``, without exceptions (``!``).

``*``, ``?`` and ``[...]`` match within one part of a path, ``**`` as a whole part matches any number of parts. A
pattern without ``/`` (but at its end) matches a name at any depth; with one it counts from the root. With ``/`` at its
end it matches directories only. What matches takes everything beneath it along.
"""

from __future__ import annotations

import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import List, Optional, Sequence, Tuple

ANY = "**"
MAX_PATTERN = 1024
_NOTHING = re.compile(r"(?!)")


def refusal(pattern: object) -> str:
    """Why something is not a pattern; ``""`` when it is one."""
    if not isinstance(pattern, str) or not pattern:
        return "must be a non-empty string"
    if len(pattern) > MAX_PATTERN:
        return "must have at most %d characters" % MAX_PATTERN
    if "\0" in pattern:
        return "must have no NUL inside"
    parts = pattern.strip("/").split("/")
    if "" in parts or "." in parts or ".." in parts:
        return "must have no empty part, and none that is '.' or '..'"
    return ""


class Globs:
    """Some patterns, made ready for matching many paths.

    :param patterns: valid ones (:func:`refusal`).
    """

    def __init__(self, patterns: Sequence[str]) -> None:
        translator = _Translator()
        names: List[str] = []
        directories: List[str] = []
        leading: List[str] = []
        for pattern in patterns:
            parts = _parts(pattern)
            (directories if pattern.endswith("/") else names).append(translator.whole(parts))
            leading.extend(translator.whole(above) for above in _above(parts))
        self._names = _union(names)
        self._directories = _union(names + directories)
        self._leading = _union(leading)

    def matches(self, path: str, is_dir: bool) -> bool:
        """Whether a pattern matches this very path; those above it are not looked at."""
        return (self._directories if is_dir else self._names).match(path) is not None

    def covers(self, path: str, is_dir: bool) -> bool:
        """Whether a pattern matches the path or a directory above it."""
        at = path.find("/")
        while at >= 0:
            if self.matches(path[:at], True):
                return True
            at = path.find("/", at + 1)
        return self.matches(path, is_dir)

    def may_hold(self, directory: str) -> bool:
        """Whether something beneath a directory could match, as far as its path tells."""
        return self._leading.match(directory) is not None


def _parts(pattern: str) -> List[str]:
    parts = pattern.strip("/").split("/")
    if "/" not in pattern.rstrip("/"):
        parts.insert(0, ANY)
    return [part for at, part in enumerate(parts) if part != ANY or at == 0 or parts[at - 1] != ANY]


def _above(parts: Sequence[str]) -> List[List[str]]:
    """What the directories look like that a match of ``parts`` can lie in."""
    found: List[List[str]] = []
    for count in range(1, len(parts)):
        if parts[count - 1] == ANY:
            return [*found, list(parts[:count])]
        found.append(list(parts[:count]))
    return found


def _union(expressions: Sequence[str]) -> re.Pattern[str]:
    return re.compile("(?:%s)\\Z" % "|".join(expressions), re.DOTALL) if expressions else _NOTHING


class _Translator:
    """Parts of patterns as regular expressions; it numbers the groups, which must differ within one expression."""

    def __init__(self) -> None:
        self.groups = 0

    def whole(self, parts: Sequence[str]) -> str:
        text = ""
        for at, part in enumerate(parts):
            last = at == len(parts) - 1
            if part != ANY:
                text += self.part(part) + ("" if last else "/")
            else:
                text += ".+" if last else "(?:.+/)?"
        return text

    def part(self, part: str) -> str:
        """One part. What stands between two ``*`` is matched where it comes first, and never looked for again, so
        that no name can make the match slow."""
        chunks = _chunks(part)
        text = chunks[0]
        for chunk in chunks[1:-1]:
            self.groups += 1
            text += "(?=(?P<g%d>[^/]*?%s))(?P=g%d)" % (self.groups, chunk, self.groups)
        return text if len(chunks) == 1 else text + "[^/]*" + chunks[-1]


def _chunks(part: str) -> List[str]:
    """What stands before, between and after the ``*`` of one part, as regular expressions."""
    chunks = [""]
    at = 0
    while at < len(part):
        char = part[at]
        at += 1
        if char == "*":
            if chunks[-1] or len(chunks) == 1:
                chunks.append("")
        elif char == "?":
            chunks[-1] += "[^/]"
        elif char == "\\" and at < len(part):
            chunks[-1] += re.escape(part[at])
            at += 1
        else:
            found = _char_class(part, at) if char == "[" else None
            if found:
                chunks[-1] += found[0]
                at = found[1]
            else:
                chunks[-1] += re.escape(char)
    return chunks


def _char_class(part: str, at: int) -> Optional[Tuple[str, int]]:
    """The class whose ``[`` is just before ``at``, and where it ends; None when it is never closed."""
    begin = at
    negated = part[at : at + 1] in ("!", "^")
    at += negated
    end = part.find("]", at + 1)
    if end < 0:
        return None
    items = ""
    while at < end:
        low, high = part[at], part[at + 2] if part[at + 1] == "-" and at + 2 < end else ""
        if high:
            if low <= high:
                items += "%s-%s" % (re.escape(low), re.escape(high))
            at += 3
        else:
            items += re.escape(low)
            at += 1
    if not items:  # only ranges that run backwards: nothing, or anything
        return ("[^/]" if negated else "(?!)"), end + 1
    if end <= begin:
        raise AssertionError("a range that ends before it begins")
    return ("(?!/)[%s%s]" % ("^" if negated else "", items)), end + 1
