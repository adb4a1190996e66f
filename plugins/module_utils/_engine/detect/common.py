# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the machines of an incident have in common: the first thing a person asks."""

from __future__ import annotations

from typing import Any, Dict, Iterator, List, Mapping, Optional, Sequence, Tuple

from .survey import Sightings

SEPARATORS = "-._"
MOST = 5


def in_common(fallen: Sequence[str], members: Sequence[str], seen: Sightings) -> Dict[str, str]:
    """Name prefix and metadata values that all the fallen share, and that do not hold for the others as well.

    :param members: all machines that could have fallen.
    :param seen: what was read of the fallen, and of some of the others.
    """
    found: Dict[str, str] = {}
    down = set(fallen)
    others = [m for m in members if m not in down]
    prefix = _prefix(fallen)
    if prefix and (not others or sum(o.startswith(prefix) for o in others) * 2 < len(others)):
        found["prefix"] = prefix
    known = [_traits(machine, seen) for machine in fallen]
    shared = set.intersection(*(t for t in known if t is not None)) if any(t is not None for t in known) else set()
    rest = [t for t in (_traits(machine, seen) for machine in others if machine in seen) if t is not None]
    for key, value in sorted(shared):
        if not rest or sum((key, value) in t for t in rest) * 2 < len(rest):
            found.setdefault("metadata." + key, value)
    return dict(list(found.items())[:MOST])


def still_in_common(common: Mapping[str, str], added: Sequence[str], seen: Sightings) -> Dict[str, str]:
    """What is left of it when these machines fall as well. One whose metadata is not known refutes nothing."""
    result: Dict[str, str] = {}
    for what, value in common.items():
        if what == "prefix":
            holds = all(machine.startswith(value) for machine in added)
        else:
            known = [_traits(machine, seen) for machine in added]
            holds = all(traits is None or (what.partition(".")[2], value) in traits for traits in known)
        if holds:
            result[what] = value
    return result


def _prefix(names: Sequence[str]) -> str:
    """The longest common beginning that ends at a separator."""
    first, last = min(names), max(names)  # what these two share, all between them share
    text = first[: next((i for i, (a, b) in enumerate(zip(first, last)) if a != b), min(len(first), len(last)))]
    end = max(text.rfind(separator) for separator in SEPARATORS)
    return text[: end + 1] if len(names) > 1 and end > 0 else ""


def _traits(machine: str, seen: Sightings) -> Optional[set[Tuple[str, str]]]:
    sighting = seen.get(machine)
    metadata = sighting.metadata if sighting is not None else None
    return None if metadata is None else set(_plain(metadata))


def _plain(metadata: Dict[str, Any]) -> Iterator[Tuple[str, str]]:
    for key, value in metadata.items():
        values: List[Any] = value if isinstance(value, list) else [value]
        for item in values:
            if isinstance(item, (str, int)) and not isinstance(item, bool) and len(str(item)) <= 100:
                yield key, str(item)
