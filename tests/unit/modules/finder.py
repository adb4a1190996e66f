# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The modules of the collection, found where they lie, so that a new one is tested as soon as it is there."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType
from typing import Any, Dict, Set
from unittest import mock

import yaml
from ansible.module_utils.basic import AnsibleModule

COLLECTION = Path(__file__).resolve().parents[3]
NAMESPACE = "roosync.heartbeat."
MODULES = sorted(path.stem for path in (COLLECTION / "plugins" / "modules").glob("*.py"))
# What another module calls on machines that need not reach the store.
INTERNAL = {"heartbeat_tree", "heartbeat_drill_tree"}
PUBLIC = [name for name in MODULES if name not in INTERNAL]


def load(name: str) -> ModuleType:
    """A module as Python sees it."""
    return importlib.import_module("ansible_collections.roosync.heartbeat.plugins.modules." + name)


class _Captured(Exception):
    """What a module wanted an AnsibleModule made of."""


class _Capture(AnsibleModule):
    def __init__(self, **settings: Any) -> None:
        raise _Captured(settings)


def settings_of(name: str) -> Dict[str, Any]:
    """The arguments that a module makes its AnsibleModule with: ``argument_spec`` and the rest."""
    module = load(name)
    with mock.patch.object(module, "AnsibleModule", _Capture):
        try:
            module.main()
        except _Captured as captured:
            found: Dict[str, Any] = captured.args[0]
            return found
    raise AssertionError("%s ended without an AnsibleModule" % name)


def spec_of(name: str) -> Dict[str, Dict[str, Any]]:
    """The options that a module takes."""
    spec: Dict[str, Dict[str, Any]] = settings_of(name)["argument_spec"]
    return spec


def documentation_of(name: str) -> Dict[str, Any]:
    """What a module says of itself, without what fragments add to it."""
    documentation: Dict[str, Any] = yaml.safe_load(load(name).DOCUMENTATION)
    return documentation


def needs(name: str) -> Set[str]:
    """The libraries that a module asks for in its documentation."""
    fragments = documentation_of(name)["extends_documentation_fragment"]
    return {"pydantic", "filelock"} if "roosync.heartbeat.store.checker" in fragments else set()


def some(option: Dict[str, Any]) -> Any:
    """A value that an option takes."""
    if "choices" in option:
        value: Any = option["choices"][0]
    else:
        value = {"int": 1, "float": 1.0, "bool": True, "dict": {}}.get(option.get("elements", option["type"]), "web-01")
    return [value] if option["type"] == "list" else value


# What would go on for long is told when to end.
BOUNDS = {"timeout": 0.2, "delay": 0.05}


def least(name: str) -> Dict[str, Any]:
    """The fewest options that a module runs with, but for the store, and does not run for long."""
    spec = spec_of(name)
    required = {option: some(settings) for option, settings in spec.items() if settings.get("required")}
    return dict(required, **{option: bound for option, bound in BOUNDS.items() if option in spec})
