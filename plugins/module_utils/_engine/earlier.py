# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Thresholds that were changed a moment ago: of the new and the earlier ones the larger count. Standard library only.

An agent that sleeps has yet to hear of a change, and one that a timer starts beats as the timer says until it is
deployed anew. So whoever is well by the earlier thresholds is well until their ``offline_after`` has passed since.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass, field

from .clock import NS, iso, parse_iso, to_ns
from .errors import HeartbeatError
from .settings import Settings, Thresholds, from_mapping

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, Sequence, Tuple

THRESHOLDS = ("heartbeat_interval", "warning_after", "offline_after", "overrides")
MOST_KEPT = 20
TOLERANCE = 2 * NS
"""A change stamped later than this after now did not happen in the future: the store's clock was set back."""


@dataclass(frozen=True)
class Earlier:
    """Thresholds, and the store's time until which they were the fleet's."""

    until: int
    settings: Settings

    def counts(self, machine_id: str, now: int) -> bool:
        since = now - self.until
        return -TOLERANCE <= since < to_ns(self.settings.for_machine(machine_id).offline_after)

    def over(self, now: int) -> bool:
        """Whether they count for nobody any more."""
        return now - self.until >= self.settings.longest_offline_ns()


@dataclass(frozen=True)
class Eased(Settings):
    """Settings by which machines are judged while earlier thresholds still count; see :func:`in_force`."""

    new: Settings = field(default_factory=Settings)
    earlier: Tuple[Earlier, ...] = ()
    now: int = 0

    def for_machine(self, machine_id: str) -> Thresholds:
        found = [e.settings for e in self.earlier if e.counts(machine_id, self.now)]
        each = zip(*(astuple(settings.for_machine(machine_id)) for settings in [self.new, *found]))
        return Thresholds(*map(max, each))

    def shortest_warning_ns(self) -> int:
        return self.new.shortest_warning_ns()

    def longest_offline_ns(self) -> int:
        return max(s.longest_offline_ns() for s in [self.new, *(e.settings for e in self.earlier)])


def in_force(settings: Settings, earlier: Sequence[Earlier], now: int) -> Settings:
    """The settings to judge machines by at a moment.

    :param settings: the fleet's.
    :param earlier: what was replaced lately.
    :param now: the store's time.
    """
    lately = tuple(e for e in earlier if not e.over(now))
    if not lately:
        return settings
    values = dict(vars(settings))
    for other in (e.settings for e in lately):
        for name in ("heartbeat_interval", "warning_after", "offline_after"):
            values[name] = max(values[name], getattr(other, name))
        values["overrides"] = dict(values["overrides"], **other.overrides)
    return Eased(**values, new=settings, earlier=lately, now=now)


def after_change(before: Settings, after: Settings, earlier: Sequence[Earlier], now: int) -> List[Earlier]:
    """What there is to remember when settings are replaced."""
    if _thresholds(before) == _thresholds(after):
        return list(earlier)
    kept = [e for e in earlier if not e.over(now)]
    return [*kept, Earlier(now, Settings(**_thresholds(before)))][-MOST_KEPT:]


def _thresholds(settings: Settings) -> Dict[str, Any]:
    return {name: getattr(settings, name) for name in THRESHOLDS}


def dump(earlier: Sequence[Earlier]) -> List[Dict[str, Any]]:
    """As ``fleet.json`` has it."""
    return [{"until": iso(e.until), "settings": _thresholds(e.settings)} for e in earlier]


def parse(values: Any) -> List[Earlier]:
    """What ``fleet.json`` says; what makes no sense is left out."""
    found = []
    for value in values if isinstance(values, list) else ():
        try:
            found.append(Earlier(parse_iso(value["until"]), from_mapping(value["settings"], sync=False)))
        except (HeartbeatError, ValueError, LookupError, TypeError, AttributeError):
            continue
    return found
