# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a fleet declares of one synced tree: where it is, what of it is meant, and on which machines."""

from __future__ import annotations

import functools
from typing import NamedTuple

from ..errors import InvalidSettings
from ..patterns import matches
from . import globs
from .paths import STAGING

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Mapping, Optional, Tuple

MAX_TREE_NAME = 64
MAX_ENTRIES = 1_000_000
MOST_ENTRIES = 10_000_000
MAX_SIZE = 2**63 - 1
_NAME = frozenset("abcdefghijklmnopqrstuvwxyz0123456789._-")


class TreeSpec(NamedTuple):
    """One tree of ``sync_paths``. (A named tuple: a scan that finds nothing changed has no time to import more.)"""

    name: str
    path: str
    include: Tuple[str, ...] = ()
    exclude: Tuple[str, ...] = ()
    machines: Tuple[str, ...] = ("*",)
    owners: bool = True
    setuid: bool = False
    max_file_size: Optional[int] = None
    max_entries: int = MAX_ENTRIES

    @property
    def mode_bits(self) -> int:
        """The bits of a mode that are synced. Setuid and setgid lend the rights of an owner: never those of another."""
        return 0o7777 if self.setuid and self.owners else 0o1777

    def applies_to(self, machine_id: str) -> bool:
        """Whether a machine has this tree."""
        return any(matches(machine_id, pattern) for pattern in self.machines)

    def wanted(self, relpath: str, is_dir: bool) -> bool:
        """Whether a path may belong to the tree. A directory may when something beneath it may."""
        if STAGING in relpath.split("/"):
            return False
        if self.exclude and _globs(self.exclude).covers(relpath, is_dir):
            return False
        if not self.include:
            return True
        include = _globs(self.include)
        return include.covers(relpath, is_dir) or (is_dir and include.may_hold(relpath))

    def globs(self) -> Tuple[globs.Globs, globs.Globs]:
        """What is included (without patterns: nothing by itself) and excluded."""
        return _globs(self.include), _globs(self.exclude)

    def as_mapping(self) -> Dict[str, Any]:
        """What :func:`from_mapping` makes this of, every value spelled out."""
        values = self._asdict()
        del values["name"]
        return {key: list(value) if isinstance(value, tuple) else value for key, value in values.items()}


@functools.lru_cache(maxsize=64)
def _globs(patterns: Tuple[str, ...]) -> globs.Globs:
    return globs.Globs(patterns)


def from_mapping(name: str, values: Mapping[str, Any]) -> TreeSpec:
    """One tree, from untrusted values; what is not named keeps its default.

    :raises InvalidSettings: which value of which tree is wrong, and what it should be.
    """
    where = "sync_paths[%s]" % name if is_tree_name(name) else "sync_paths[%.80r]" % (name,)
    if not is_tree_name(name):
        raise InvalidSettings(
            "%s: the name of a tree has 1 to %d characters of a-z, 0-9, '.', '_' and '-', and begins with a letter "
            "or a digit" % (where, MAX_TREE_NAME)
        )
    if not isinstance(values, dict):
        raise InvalidSettings("%s must be a dictionary with at least a path" % where)
    unknown = sorted(set(map(str, values)) - set(TreeSpec._fields[1:]))
    if unknown:
        known = ", ".join(TreeSpec._fields[1:])
        raise InvalidSettings("%s: unknown option %s; known are: %s" % (where, ", ".join(unknown), known))
    given: Dict[str, Any] = {"path": _path(where, values.get("path"))}
    for key in ("include", "exclude", "machines"):
        if key in values:
            given[key] = _patterns("%s.%s" % (where, key), values[key], machines=key == "machines")
    for key in ("owners", "setuid"):
        if key in values:
            given[key] = _bool("%s.%s" % (where, key), values[key])
    if values.get("max_file_size") is not None:
        given["max_file_size"] = _count(where + ".max_file_size", values["max_file_size"], MAX_SIZE)
    if "max_entries" in values:
        given["max_entries"] = _count(where + ".max_entries", values["max_entries"], MOST_ENTRIES)
    return TreeSpec(name=name, **given)


def is_tree_name(name: object) -> bool:
    """Whether something can be the name of a tree: one part of a path in the store, and never a hidden one."""
    return isinstance(name, str) and 0 < len(name) <= MAX_TREE_NAME and _NAME.issuperset(name) and name[0] not in "._-"


def _path(where: str, value: Any) -> str:
    if not isinstance(value, str) or not value.startswith("/") or "\0" in value:
        raise InvalidSettings("%s.path must be an absolute path, not %.80r" % (where, value))
    parts = [part for part in value.split("/") if part not in ("", ".")]
    if ".." in parts or STAGING in parts:
        raise InvalidSettings("%s.path must have no part '..' or %r, but is %.200r" % (where, STAGING, value))
    if not parts:
        raise InvalidSettings("%s.path must not be the root of the file system; name the directories meant" % where)
    return "/" + "/".join(parts)


def _patterns(where: str, value: Any, machines: bool) -> Tuple[str, ...]:
    if not isinstance(value, (list, tuple)):
        raise InvalidSettings("%s must be a list of patterns, not %.80r" % (where, value))
    for pattern in value:
        why = globs.refusal(pattern)
        if why:
            raise InvalidSettings("%s: a pattern %s, but one is %.80r" % (where, why, pattern))
    if machines and not value:
        raise InvalidSettings("%s: a tree that no machine has makes no sense; remove it, or name machines" % where)
    return tuple(pattern.lower() for pattern in value) if machines else tuple(value)


def _bool(where: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise InvalidSettings("%s must be true or false, not %.80r" % (where, value))
    return value


def _count(where: str, value: Any, most: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= most:
        shown = value if not isinstance(value, int) or value.bit_length() <= 64 else "a number beyond all bounds"
        raise InvalidSettings("%s must be a whole number from 1 to %d, not %.80r" % (where, most, shown))
    return value
