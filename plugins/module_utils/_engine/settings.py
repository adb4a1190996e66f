# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The settings of a fleet: their defaults, and the rules that keep nonsense out. Standard library only.

The same rules serve the person who edits settings through ``heartbeat_fleet``, a checker that reads ``fleet.json``
after somebody edited it by hand, and the agent that wants to know its interval.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass, field, fields, replace

from .clock import to_ns
from .errors import InvalidSettings
from .patterns import goes_downwards, matches

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Iterator, Mapping, Optional, Tuple

MIN_INTERVAL = 0.1
MAX_SECONDS = 30 * 86_400.0
BEYOND_SENSE = 1e12
MAX_KEPT_SECONDS = 3_650 * 86_400.0
OVERRIDABLE = ("heartbeat_interval", "warning_after", "offline_after")
SYNC_SETTINGS = ("sync_paths", "conflict_policy", "sync_parallel", "keep_snapshots", "keep_snapshots_for")
"""What only a sync asks for: a host that merely beats passes it over."""
UNSET_BY = {"zone_key": "", "forget_after": 0, "keep_snapshots_for": 0}
"""Settings that a fleet need not have, and the value that takes each away again."""
CONFLICT_POLICIES = ("manual", "baseline", "machine", "newest")


@dataclass(frozen=True)
class Thresholds:
    """What one machine is judged by, in seconds."""

    heartbeat_interval: float
    warning_after: float
    offline_after: float


@dataclass(frozen=True)
class Settings:
    """All settings of a fleet. Durations are seconds."""

    heartbeat_interval: float = 30.0
    warning_after: float = 90.0
    offline_after: float = 120.0
    auto_sync: bool = True
    confirm_offline: int = 1
    confirm_online: int = 1
    mass_failure_count: int = 2
    mass_failure_ratio: float = 0.55
    hold_timeout: float = 3600.0
    zone_key: Optional[str] = None
    forget_after: Optional[float] = None
    clock_skew_warning: float = 5.0
    overrides: Dict[str, Dict[str, float]] = field(default_factory=dict)
    sync_paths: Dict[str, Dict[str, Any]] = field(default_factory=dict)
    conflict_policy: str = "manual"
    sync_parallel: int = 5
    keep_snapshots: int = 10
    keep_snapshots_for: Optional[float] = None

    def for_machine(self, machine_id: str) -> Thresholds:
        """A machine's thresholds: an override by its id, else the first pattern that matches, else the fleet's."""
        chosen: Mapping[str, float] = {}
        if self.overrides:
            if machine_id in self.overrides:
                chosen = self.overrides[machine_id]
            else:
                for pattern, values in self.overrides.items():
                    if matches(machine_id, pattern):
                        chosen = values
                        break
        return Thresholds(
            chosen.get("heartbeat_interval", self.heartbeat_interval),
            chosen.get("warning_after", self.warning_after),
            chosen.get("offline_after", self.offline_after),
        )

    def shortest_warning_ns(self) -> int:
        """The earliest age at which any machine of the fleet could be late."""
        shortest = min(
            [self.warning_after] + [v["warning_after"] for v in self.overrides.values() if "warning_after" in v]
        )
        return to_ns(shortest)

    def longest_offline_ns(self) -> int:
        """The latest age at which any machine of the fleet could still not be offline."""
        longest = max(
            [self.offline_after] + [v["offline_after"] for v in self.overrides.values() if "offline_after" in v]
        )
        return to_ns(longest)


SETTING_NAMES = tuple(f.name for f in fields(Settings))


def from_mapping(values: Mapping[str, Any], sync: bool = True) -> Settings:
    """Settings from untrusted values; what is not named keeps its default.

    :param sync: look at the settings of syncs, too; otherwise they keep their defaults, whatever is written there.
    :raises InvalidSettings: an unknown name, a wrong type or a value that makes no sense, with the nearest sane one.
    """
    if not isinstance(values, dict):
        raise InvalidSettings("settings must be a dictionary, not %.80r" % (values,))
    unknown = sorted(set(map(str, values)) - set(SETTING_NAMES))
    if unknown:
        raise InvalidSettings("unknown setting %s; known are: %s" % (", ".join(unknown), ", ".join(SETTING_NAMES)))
    wanted = {name: value for name, value in values.items() if sync or name not in SYNC_SETTINGS}
    settings = replace(Settings(), **{name: _typed(name, value) for name, value in wanted.items()})
    fleet = Thresholds(settings.heartbeat_interval, settings.warning_after, settings.offline_after)
    _check_thresholds(fleet, "")
    _check_counts(settings)
    for pattern, override in settings.overrides.items():
        _check_thresholds(replace(fleet, **override), "overrides[%s]." % pattern)
    return settings


def _typed(name: str, value: Any) -> Any:
    if name == "overrides":
        return dict(_overrides(value))
    if name == "auto_sync":
        if not isinstance(value, bool):
            raise _refuse(name, value, "it must be true or false", True)
        return value
    if name in UNSET_BY and (value is None or value == UNSET_BY[name]) and not isinstance(value, bool):
        return None
    if name == "sync_paths":
        return _sync_paths(value)
    if name == "conflict_policy":
        if value not in CONFLICT_POLICIES:
            raise _refuse(name, value, "it must be one of %s" % ", ".join(CONFLICT_POLICIES), "manual")
        return value
    if name == "zone_key":
        if not isinstance(value, str) or not 0 < len(value) <= 100:
            raise _refuse(name, "%.80r" % (value,), "it must be the name of a metadata key", None)
        return value
    if name in ("confirm_offline", "confirm_online", "mass_failure_count", "sync_parallel", "keep_snapshots"):
        if not isinstance(value, int) or isinstance(value, bool):
            raise _refuse(name, value, "it must be a whole number", getattr(Settings(), name))
        return value
    return _seconds(name, value)


def _sync_paths(value: Any) -> Dict[str, Dict[str, Any]]:
    """The trees to be synced, as they were given, if something can be made of each."""
    if not isinstance(value, dict):
        raise InvalidSettings("sync_paths must be a dictionary: name of a tree -> its path and options")
    if value:
        from .sync import spec  # only fleets that sync need it

        for name, given in value.items():
            spec.from_mapping(name, given)
    return {name: dict(given) for name, given in sorted(value.items())}


def _overrides(value: Any) -> Iterator[Tuple[str, Dict[str, float]]]:
    if not isinstance(value, dict):
        raise InvalidSettings("overrides must be a dictionary: machine id or pattern -> settings")
    seen = set()
    for pattern, override in value.items():
        where = "overrides[%s]" % pattern
        if not isinstance(pattern, str) or not pattern or not isinstance(override, dict):
            raise InvalidSettings("%s must be a dictionary under a machine id or a pattern" % where)
        unknown = sorted(set(map(str, override)) - set(OVERRIDABLE))
        if unknown:
            raise InvalidSettings(
                "%s: only %s may differ by machine, not %s" % (where, ", ".join(OVERRIDABLE), unknown[0])
            )
        if goes_downwards(pattern.lower()):
            raise InvalidSettings("%s: nothing is in a range that goes downwards; write it as in [a-f]" % where)
        if pattern.lower() in seen:
            raise InvalidSettings("%s is given twice: capital letters make no difference" % where)
        seen.add(pattern.lower())
        yield pattern.lower(), {key: _seconds("%s.%s" % (where, key), item) for key, item in sorted(override.items())}


def _seconds(name: str, value: Any) -> float:
    setting = name.rsplit(".", 1)[-1]
    # NaN is neither; no float() yet, for a whole number can be too large for it.
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not (value <= 0 or value > 0):
        unit = "" if setting == "mass_failure_ratio" else " of seconds"
        raise _refuse(name, "%.80r" % (value,), "it must be a number" + unit, getattr(Settings(), setting))
    if setting in ("hold_timeout", "clock_skew_warning") and value < 0:
        raise _refuse(name, value, "it must not be negative", 0)
    longest = MAX_KEPT_SECONDS if setting == "keep_snapshots_for" else MAX_SECONDS
    if setting in ("heartbeat_interval", "warning_after"):
        longest = BEYOND_SENSE  # how long they may be depends on each other; see _check_thresholds
    elif setting != "mass_failure_ratio" and value > longest:
        raise _refuse(name, value, "it must be at most %d days" % (longest / 86_400), longest)
    return float(max(-longest, min(value, longest)))


def _check_counts(settings: Settings) -> None:
    for name, most, what in (
        ("confirm_offline", 20, "checks"),
        ("confirm_online", 20, "checks"),
        ("sync_parallel", 100, "machines"),
        ("keep_snapshots", 10_000, "snapshots"),
    ):
        if not 1 <= getattr(settings, name) <= most:
            nearest = max(1, min(getattr(settings, name), most))
            raise _refuse(name, getattr(settings, name), "it must be between 1 and %d %s" % (most, what), nearest)
    if settings.keep_snapshots_for is not None and settings.keep_snapshots_for < 0:
        raise _refuse("keep_snapshots_for", settings.keep_snapshots_for, "it must not be negative", 0)
    if settings.mass_failure_count < 1:
        raise _refuse("mass_failure_count", settings.mass_failure_count, "it must be at least 1", 1)
    if not 0 < settings.mass_failure_ratio <= 1:
        raise _refuse("mass_failure_ratio", settings.mass_failure_ratio, "it must be above 0 and at most 1", 0.55)
    least = round(settings.offline_after * 1000)
    if settings.forget_after is not None and round(settings.forget_after * 1000) < least:
        raise _refuse("forget_after", settings.forget_after, "it is shorter than offline_after", least / 1000)


def _check_thresholds(limits: Thresholds, where: str) -> None:
    # In milliseconds, as they are counted later: in binary fractions 0.3 is less than 3 x 0.1.
    interval, warning, offline = (round(max(0.0, seconds) * 1000) for seconds in astuple(limits))
    longest = round(MAX_SECONDS * 1000)

    def refuse(name: str, reason: str, nearest: int) -> InvalidSettings:
        return _refuse(where + name, getattr(limits, name), reason, nearest / 1000)

    if interval < MIN_INTERVAL * 1000:
        raise refuse("heartbeat_interval", "a beat costs more than that", round(MIN_INTERVAL * 1000))
    if interval > longest // 3:
        raise refuse("heartbeat_interval", "three must fit into 30 days, the longest offline_after", longest // 3)
    if warning < 2 * interval:
        raise refuse("warning_after", "one lost beat must not warn: at least 2 x heartbeat_interval", 2 * interval)
    if warning > longest - interval:
        raise refuse("warning_after", "offline_after comes later, and within 30 days", longest - interval)
    least = max(3 * interval, warning + interval)
    if offline < 3 * interval:
        raise refuse("offline_after", "it must be at least 3 x heartbeat_interval", least)
    if offline <= warning:
        raise refuse("offline_after", "it must be longer than warning_after (%.10g)" % (warning / 1000), least)


def _refuse(name: str, value: Any, reason: str, nearest: Any) -> InvalidSettings:
    if isinstance(value, int) and value.bit_length() > 64:
        value = "a number of %d bits" % value.bit_length()
    shown = "%.10g" % nearest if isinstance(nearest, float) else "none" if nearest is None else str(nearest).lower()
    return InvalidSettings(
        "%s: %s is refused: %s; the nearest sane value is %s" % (name, value, reason, shown),
        setting=name,
        nearest=nearest,
    )
