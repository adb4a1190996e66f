# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever value an option is given: a result, or a refusal that says what is wrong. Never a traceback."""

from __future__ import annotations

from typing import Any, Callable, Dict, Iterator, List, Tuple

import pytest

from ansible_collections.roosync.heartbeat.plugins.module_utils._engine import errors
from ansible_collections.roosync.heartbeat.tests.unit.modules.finder import MODULES, least, spec_of

RunModule = Callable[..., Dict[str, Any]]
CODES = {error.error_code for error in vars(errors).values() if hasattr(error, "error_code")}
TEXTS = ["", " ", "x" * 70_000, "a\0b", "\n", "../x", "/x", "ÄÖ", "%s", "{0}", "[", "*", "null", "2026-13-45"]
WHOLE = ["-1", "0", "1.5", "", "9" * 400, "-" + "9" * 400]
NUMBERS = [*WHOLE, "nan", "inf", "-inf", "1e400", "0.0000001", "1e308"]


def values(option: Dict[str, Any]) -> Iterator[Any]:
    """Values of an option's type that nobody should give it."""
    kind = option.get("elements", option["type"])
    bad: List[Any] = TEXTS
    if kind in ("int", "float"):
        bad = NUMBERS if kind == "float" else WHOLE
    elif kind == "bool":
        bad = ["maybe", 2]
    elif kind == "dict":
        bad = [{"": ""}, {"a": "nan"}, {"a": None}, {"a": {"b": {"c": [{}]}}}, {"x" * 300: 1}, nested(40), "no=dict"]
        bad += [{"a": {"offline_after": text}} for text in (*NUMBERS, "", [], {}, None, True)]
    elif kind == "raw":
        bad = [None, True, 7, 1.5, [], {}, nested(40), "\udc80", *TEXTS]
    for value in bad:
        yield value
        if option["type"] == "list":
            yield [value]
            yield [value, value]


def nested(depth: int) -> Dict[str, Any]:
    return {"a": nested(depth - 1)} if depth else {}


def cases(name: str) -> Iterator[Tuple[str, Dict[str, Any]]]:
    for option, spec in spec_of(name).items():
        if spec["type"] == "path" or option == "owner":
            continue  # this runs for real, and must not write all over the machine; and users are Ansible's to look up
        for value in [] if "options" in spec else values(spec):
            yield option, {option: value}
        for inner, inner_spec in spec.get("options", {}).items():
            for value in values(inner_spec):
                yield option, {option: [{inner: value}]}


@pytest.mark.parametrize("name", MODULES)
def test_nonsense(run_module: RunModule, store: str, name: str) -> None:
    tried = 0
    for option, given in cases(name):
        tried += 1
        arguments = {"store": store, **least(name), **given}
        try:
            result = run_module(name, **arguments)
        except Exception as exc:
            raise AssertionError("%s: %.200r" % (option, given[option])) from exc
        if result.get("failed"):
            assert result["msg"], given
            assert "Traceback" not in result["msg"]
            assert result.get("error_code", "INVALID_SETTINGS") in CODES, given
    assert tried > 20


@pytest.mark.parametrize("number", ["nan", "inf", "-inf", "-1", "1e308"])
@pytest.mark.parametrize("option", ["timeout", "delay"])
def test_waiting_for_nonsense(run_module: RunModule, store: str, option: str, number: str) -> None:
    """While the machine is not there, or such a number would never be used."""
    bounds = {"timeout": 0.2, "delay": 0.05, option: number}
    result = run_module("heartbeat_wait", store=store, machines=["web-99"], **bounds)
    assert (result["failed"], result["error_code"]) == (True, "INVALID_SETTINGS")


def test_a_pause_longer_than_the_timeout(run_module: RunModule, store: str) -> None:
    result = run_module("heartbeat_wait", store=store, machines=["web-99"], timeout=0.2, delay=3600)
    assert result["error_code"] == "WAIT_TIMEOUT"
