# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings: nonsense is refused with the reason, and the nearest value that is offered is one that is taken."""

from __future__ import annotations

import fnmatch
import json
import math
import os
import re
from typing import Any, Dict

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from ansible_collections.roosync.heartbeat.plugins.module_utils._engine import patterns
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.errors import InvalidSettings
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.register import read_settings, register
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.settings import (
    MAX_SECONDS,
    SETTING_NAMES,
    Settings,
    from_mapping,
)
from ansible_collections.roosync.heartbeat.tests.unit.stdlib.support import Fleet

DAYS_30 = 2_592_000.0
NUMBERS = st.one_of(
    st.floats(),
    st.integers(-10, 10_000_000),
    st.sampled_from([0.1, 0.3, 1 / 3, 1e6 / 7, MAX_SECONDS, MAX_SECONDS / 3, MAX_SECONDS - 0.001, 10**400, -(10**400)]),
).filter(lambda number: not (isinstance(number, float) and math.isnan(number)))
THRESHOLDS = st.fixed_dictionaries(
    {}, optional={"heartbeat_interval": NUMBERS, "warning_after": NUMBERS, "offline_after": NUMBERS}
)
MAPPINGS = st.tuples(
    THRESHOLDS,
    st.fixed_dictionaries(
        {},
        optional={
            "auto_sync": st.booleans() | st.just("yes"),
            "confirm_offline": st.integers() | st.just(1.5),
            "confirm_online": st.integers(),
            "mass_failure_count": st.integers(),
            "mass_failure_ratio": NUMBERS,
            "hold_timeout": NUMBERS,
            "forget_after": NUMBERS | st.none(),
            "clock_skew_warning": NUMBERS,
            "conflict_policy": st.sampled_from(["manual", "newest", "mine"]) | st.integers(),
            "sync_parallel": st.integers(),
            "keep_snapshots": st.integers() | st.none(),
            "keep_snapshots_for": NUMBERS | st.none(),
            "overrides": st.dictionaries(st.sampled_from(["web1", "web*", "*"]), THRESHOLDS, max_size=2),
        },
    ),
).map(lambda parts: dict(parts[0], **parts[1]))


def refusal(values: Any) -> InvalidSettings:
    with pytest.raises(InvalidSettings) as caught:
        from_mapping(values)
    assert caught.value.error_code == "INVALID_SETTINGS"
    assert "\n" not in caught.value.message
    return caught.value


def apply(values: Dict[str, Any], setting: str, value: Any) -> Dict[str, Any]:
    """What a person does who takes the value that was offered."""
    if not setting.startswith("overrides["):
        return dict(values, **{setting: value})
    pattern, name = setting[len("overrides[") :].split("].")
    overrides = dict(values["overrides"])
    overrides[pattern] = dict(overrides[pattern], **{name: value})
    return dict(values, overrides=overrides)


def test_the_defaults_are_sane() -> None:
    assert from_mapping({}) == Settings()
    assert from_mapping({name: getattr(Settings(), name) for name in SETTING_NAMES}) == Settings()


@pytest.mark.parametrize(
    ("values", "setting", "nearest", "reason"),
    [
        ({"heartbeat_interval": 0}, "heartbeat_interval", 0.1, "a beat costs more than that"),
        ({"heartbeat_interval": 20 * 86_400}, "heartbeat_interval", 864_000.0, "three must fit into 30 days"),
        ({"warning_after": DAYS_30 - 1}, "warning_after", DAYS_30 - 30, "offline_after comes later"),
        ({"warning_after": 99_999_999}, "warning_after", DAYS_30 - 30, "99999999.0 is refused"),
        ({"warning_after": float("inf")}, "warning_after", DAYS_30 - 30, "offline_after comes later"),
        ({"heartbeat_interval": 99_999_999}, "heartbeat_interval", 864_000.0, "99999999.0 is refused"),
        ({"heartbeat_interval": 60}, "warning_after", 120.0, "at least 2 x heartbeat_interval"),
        ({"warning_after": 59}, "warning_after", 60.0, "one lost beat must not warn"),
        ({"warning_after": 60, "offline_after": 89}, "offline_after", 90.0, "at least 3 x heartbeat_interval"),
        ({"warning_after": 130}, "offline_after", 160.0, "longer than warning_after (130)"),
        ({"offline_after": 90}, "offline_after", 120.0, "longer than warning_after (90)"),
        ({"offline_after": float("inf")}, "offline_after", DAYS_30, "at most 30 days"),
        ({"hold_timeout": -1}, "hold_timeout", 0, "must not be negative"),
        ({"clock_skew_warning": -0.5}, "clock_skew_warning", 0, "must not be negative"),
        ({"forget_after": 60}, "forget_after", 120.0, "shorter than offline_after"),
        ({"auto_sync": "no"}, "auto_sync", True, "true or false"),
        ({"auto_sync": 1}, "auto_sync", True, "true or false"),
        ({"confirm_offline": 0}, "confirm_offline", 1, "between 1 and 20 checks"),
        ({"confirm_offline": 21}, "confirm_offline", 20, "between 1 and 20 checks"),
        ({"confirm_online": -3}, "confirm_online", 1, "between 1 and 20 checks"),
        ({"confirm_online": 2.0}, "confirm_online", 1, "a whole number"),
        ({"confirm_online": True}, "confirm_online", 1, "a whole number"),
        ({"mass_failure_count": 0}, "mass_failure_count", 1, "at least 1"),
        ({"mass_failure_count": "2"}, "mass_failure_count", 2, "a whole number"),
        ({"mass_failure_ratio": 0}, "mass_failure_ratio", 0.55, "above 0 and at most 1"),
        ({"mass_failure_ratio": 1.5}, "mass_failure_ratio", 0.55, "above 0 and at most 1"),
        ({"conflict_policy": "mine"}, "conflict_policy", "manual", "one of manual, baseline, machine, newest"),
        ({"conflict_policy": ["manual"]}, "conflict_policy", "manual", "one of manual, baseline, machine, newest"),
        ({"sync_parallel": 0}, "sync_parallel", 1, "between 1 and 100 machines"),
        ({"sync_parallel": 101}, "sync_parallel", 100, "between 1 and 100 machines"),
        ({"keep_snapshots": 0}, "keep_snapshots", 1, "between 1 and 10000 snapshots"),
        ({"keep_snapshots": 1.5}, "keep_snapshots", 10, "a whole number"),
        ({"keep_snapshots_for": -1}, "keep_snapshots_for", 0, "must not be negative"),
        ({"keep_snapshots_for": 1e12}, "keep_snapshots_for", 315_360_000.0, "at most 3650 days"),
        ({"overrides": {"web*": {"heartbeat_interval": 60}}}, "overrides[web*].warning_after", 120.0, "at least 2 x"),
        ({"overrides": {"web1": {"offline_after": 80}}}, "overrides[web1].offline_after", 120.0, "at least 3 x"),
    ],
)
def test_nonsense_is_refused_with_the_nearest_sane_value(
    values: Dict[str, Any], setting: str, nearest: Any, reason: str
) -> None:
    error = refusal(values)
    assert (error.details["setting"], error.details["nearest"]) == (setting, nearest)
    assert error.message.startswith(setting + ": ")
    assert reason in error.message


@pytest.mark.parametrize("value", ["30", None, [30], {}, True, float("nan")])
def test_durations_are_numbers(value: Any) -> None:
    error = refusal({"heartbeat_interval": value})
    reason = "it must be a number of seconds; the nearest sane value is 30"
    assert error.message == "heartbeat_interval: %r is refused: %s" % (value, reason)
    assert error.details == {"setting": "heartbeat_interval", "nearest": 30.0}


@pytest.mark.parametrize("value", ["half", None, True, float("nan")])
def test_a_ratio_is_no_number_of_seconds(value: Any) -> None:
    reason = "it must be a number; the nearest sane value is 0.55"
    assert refusal({"mass_failure_ratio": value}).message == "mass_failure_ratio: %r is refused: %s" % (value, reason)


@pytest.mark.parametrize("name", ["zone_key", "forget_after", "keep_snapshots_for"])
@pytest.mark.parametrize("value", [True, False, [], "x" * 101])
def test_what_need_not_be_set_is_refused_like_the_rest(name: str, value: Any) -> None:
    error = refusal({name: value})
    assert error.details == {"setting": name, "nearest": None}
    assert error.message.endswith("; the nearest sane value is none")


@pytest.mark.parametrize(("name", "value"), [("zone_key", ""), ("forget_after", 0), ("keep_snapshots_for", 0.0)])
def test_what_need_not_be_set_can_be_taken_away(name: str, value: Any) -> None:
    assert from_mapping({name: value}) == Settings()


@pytest.mark.parametrize("number", [10**400, -(10**400), 10**5_000], ids=["huge", "negative", "beyond-printing"])
@pytest.mark.parametrize("name", ["heartbeat_interval", "mass_failure_ratio", "confirm_offline", "forget_after"])
def test_numbers_of_any_size_are_refused_in_one_short_line(name: str, number: int) -> None:
    """A file edited by hand can hold them, and float() of them is an OverflowError."""
    assert len(refusal({name: number}).message) < 250
    refusal({"overrides": {"x": {"offline_after": number}}})


def test_unknown_settings_are_named_with_the_known_ones() -> None:
    message = refusal({"heartbeat_intervall": 30, "offline_after": 120}).message
    assert message == "unknown setting heartbeat_intervall; known are: " + ", ".join(SETTING_NAMES)
    assert refusal({1: 2, "x": 3, None: 4}).message.startswith("unknown setting ")


@pytest.mark.parametrize("values", [None, 5, True, "text", [], ["heartbeat_interval"], [[1], "a"]], ids=repr)
def test_settings_are_a_mapping(values: Any) -> None:
    assert refusal(values).message.startswith("settings must be a dictionary, not ")


@pytest.mark.parametrize("overrides", [None, [], "web1", {1: {}}, {"": {}}, {"web1": None}, {"web1": [1]}], ids=repr)
def test_overrides_are_a_mapping_of_mappings(overrides: Any) -> None:
    assert "must be a dictionary" in refusal({"overrides": overrides}).message


@pytest.mark.parametrize("pattern", ["[z-a]*", "web-[0-95-1]", "[!b-a]", "x[]z-a]"])
def test_a_range_that_goes_downwards_is_refused(pattern: str) -> None:
    """Pythons do not agree about it: for some nothing is in it, and for some it is no pattern at all."""
    message = refusal({"overrides": {pattern: {"offline_after": 300}}}).message
    assert message == "overrides[%s]: nothing is in a range that goes downwards; write it as in [a-f]" % pattern


@pytest.mark.parametrize("pattern", ["[a-f0-9]*", "[-0]x", "[!-0]x", "[b-][a]x", "[]-a]", "z-a", "[z-a", "[a-a]"])
def test_other_ranges_are_taken(pattern: str) -> None:
    assert from_mapping({"overrides": {pattern: {"offline_after": 300}}}).for_machine("web-01").offline_after == 120


def test_a_pattern_that_this_python_does_not_know_matches_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_name: str, _pattern: str) -> bool:
        raise re.error("bad character range z-a at position 1")

    monkeypatch.setattr(fnmatch, "fnmatchcase", fail)
    assert not patterns.matches("web-01", "[z-a]*")


@pytest.mark.parametrize("name", ["auto_sync", "overrides", "x", 1, None])
def test_only_thresholds_differ_by_machine(name: Any) -> None:
    message = refusal({"overrides": {"web1": {name: 1, "offline_after": 300}}}).message
    assert "only heartbeat_interval, warning_after, offline_after may differ by machine, not %s" % name in message


SITE = {"path": "/srv/www", "exclude": ["*.tmp"], "machines": ["web-*"]}


def test_trees_stay_as_they_were_given() -> None:
    assert from_mapping({"sync_paths": {"site": SITE}}).sync_paths == {"site": SITE}


@pytest.mark.parametrize(
    ("trees", "reason"),
    [
        (None, "sync_paths must be a dictionary"),
        (["/srv/www"], "sync_paths must be a dictionary"),
        ({"site": "/srv/www"}, "sync_paths[site] must be a dictionary"),
        ({"site": {}}, "sync_paths[site].path must be an absolute path"),
        ({"site": {"path": "srv"}}, "sync_paths[site].path must be an absolute path"),
        ({"site": dict(SITE, owner=True)}, "unknown option owner"),
        ({"../site": SITE}, "the name of a tree has"),
        ({1: SITE, "site": SITE}, "the name of a tree has"),
    ],
    ids=range(8),
)
def test_trees_that_cannot_be_meant_are_refused(trees: Any, reason: str) -> None:
    assert reason in refusal({"sync_paths": trees}).message


def test_who_does_not_sync_does_not_look_at_what_only_syncs_ask_for() -> None:
    """So a slip in it silences no agent, and costs no beat."""
    wrong = {"sync_paths": {"site": 5}, "conflict_policy": 7, "keep_snapshots": "all", "heartbeat_interval": 20}
    assert from_mapping(wrong, sync=False) == Settings(heartbeat_interval=20)


def test_one_pattern_written_in_two_ways_is_refused() -> None:
    """Machine ids are lower-case, so both mean the same machines, and one of them would be lost."""
    message = refusal({"overrides": {"Web*": {"offline_after": 300}, "web*": {"offline_after": 400}}}).message
    assert message.startswith("overrides[web*] is given twice")


@given(MAPPINGS)
@example({"heartbeat_interval": 20 * 86_400.0})
@example({"heartbeat_interval": MAX_SECONDS})
@example({"warning_after": MAX_SECONDS})
@example({"heartbeat_interval": 0.1, "warning_after": 0.2, "offline_after": 0.3})
@example({"heartbeat_interval": 1 / 3})
@example({"heartbeat_interval": 100_000.04})
@example({"heartbeat_interval": 0.1, "warning_after": 0.2, "offline_after": 1 / 3, "forget_after": 0})
@example({"offline_after": -1, "forget_after": -1, "confirm_online": 0})
@example({"overrides": {"*": {"heartbeat_interval": MAX_SECONDS}}})
def test_taking_what_is_offered_leads_to_settings_that_are_taken(values: Dict[str, Any]) -> None:
    """Whether a program takes it from the details, or a person copies it out of the message."""
    for offered in (lambda error: error.details["nearest"], copied_from_message):
        current = values
        for _step in range(25):
            try:
                from_mapping(current)
                break
            except InvalidSettings as exc:
                current = apply(current, exc.details["setting"], offered(exc))
        else:
            pytest.fail("never accepted: %r, began with %r" % (current, values))


def copied_from_message(error: InvalidSettings) -> Any:
    text = error.message.rsplit("the nearest sane value is ", 1)[1]
    try:
        return json.loads(text)
    except ValueError:
        return text


@given(st.floats(0.1, 86_400), st.floats(2, 10), st.floats(1.001, 10))
def test_two_and_three_intervals_are_enough(interval: float, warning: float, more: float) -> None:
    """Limits count in milliseconds: 0.3 is three times 0.1, whatever binary fractions make of it."""
    interval = round(interval, 3)
    assume(interval * warning * more < MAX_SECONDS)
    from_mapping(
        {
            "heartbeat_interval": interval,
            "warning_after": round(2 * interval, 3),
            "offline_after": round(3 * interval, 3),
        }
    )
    ok = {"heartbeat_interval": interval, "warning_after": warning * interval + 0.001}
    from_mapping(dict(ok, offline_after=max(3 * interval, ok["warning_after"] * more) + 0.002))


def test_an_override_by_id_goes_before_patterns_and_the_first_pattern_before_the_next() -> None:
    settings = from_mapping(
        {
            "overrides": {
                "*": {"offline_after": 500},
                "web*": {"offline_after": 600},
                "Web1": {"offline_after": 700, "warning_after": 200},
                "db?": {"heartbeat_interval": 10},
            }
        }
    )
    assert settings.for_machine("web1").offline_after == 700
    assert settings.for_machine("web1").warning_after == 200
    assert settings.for_machine("web1").heartbeat_interval == 30
    assert settings.for_machine("web2").offline_after == 500
    assert settings.for_machine("db1") == settings.for_machine("other")
    assert settings.shortest_warning_ns() == 90_000_000_000


def test_a_pattern_for_all_machines_is_no_excuse_for_nonsense_elsewhere() -> None:
    """It matches everything, also no name at all; the fleet's own settings count for what an override leaves out."""
    everything = {"*": {"heartbeat_interval": 60, "warning_after": 200, "offline_after": 300}}
    assert refusal({"offline_after": 10, "overrides": everything}).details["setting"] == "offline_after"
    settings = from_mapping({"overrides": dict(everything, **{"web*": {"offline_after": 130}})})
    assert settings.for_machine("web1").offline_after == 300


def test_a_pattern_matches_as_a_shell_does() -> None:
    settings = from_mapping({"overrides": {"db[12]-*": {"heartbeat_interval": 10}, "a?c": {"heartbeat_interval": 20}}})
    intervals = {name: settings.for_machine(name).heartbeat_interval for name in ("db1-x", "db3-x", "abc", "abbc")}
    assert intervals == {"db1-x": 10, "db3-x": 30, "abc": 20, "abbc": 30}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "[]",
        "7",
        "not json",
        '{"settings": null}',
        '{"settings": 5}',
        '{"settings": true}',
        '{"settings": [1, "a"]}',
        '{"settings": {"heartbeat_interval": %s}}' % ("9" * 400),
        '{"settings": {"heartbeat_interval": 1e999}}',
        '{"settings": {"overrides": {"x": {"offline_after": %s}}}}' % ("9" * 400),
        '{"settings": {}, "settings": {"heartbeat_interval": 1}}',
        '{"settings": %s1%s}' % ("[" * 100_000, "]" * 100_000),
        '{"settings": {"heartbeat_interval": -1}}',
        '\xff\xfe{"settings": {}}',
    ],
    ids=range(16),
)
def test_an_agent_goes_on_with_defaults_whatever_somebody_wrote_into_fleet_json(fleet: Fleet, text: str) -> None:
    """The checkers report the damage; were the agents to stop, one slip of an editor would silence the fleet."""
    (fleet.location / "fleet.json").write_bytes(text.encode("latin-1"))
    assert read_settings(fleet.store()) == Settings()


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo, lambda path: os.symlink("elsewhere", path)])
def test_an_agent_goes_on_with_defaults_whatever_lies_in_the_place_of_fleet_json(fleet: Fleet, make: Any) -> None:
    (fleet.location / "fleet.json").unlink()
    make(str(fleet.location / "fleet.json"))
    assert read_settings(fleet.store()) == Settings()
    assert register(fleet.store(), "web1")["is_new_machine"]
