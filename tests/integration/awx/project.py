# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The sample project as it lies in the installed collection, and the names that playbooks read and tell."""

from __future__ import annotations

import re
import sysconfig
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from ansible_collections.roosync.heartbeat.tests.integration.awx.schema import Controller
from ansible_collections.roosync.heartbeat.tests.integration.runner import CHECKOUT, NAMESPACE

INSTALLED = Path(sysconfig.get_path("purelib"), "ansible_collections", "roosync", "heartbeat")
PROJECT = INSTALLED / "extensions" / "awx"
ROLES = CHECKOUT / "roles"
OURS = sorted(path.stem for path in (CHECKOUT / "playbooks").glob("*.yml"))
# The one playbook that is the project's own.
OWN = "fleet"
_NAME = re.compile(r"\bheartbeat_[a-z0-9_]+")
_COMMENT = re.compile(r"^\s*#.*$", re.MULTILINE)


class _Loader(yaml.SafeLoader):
    """As Ansible reads a file of variables."""


_Loader.add_constructor("!unsafe", _Loader.construct_yaml_str)


def raw() -> dict[str, Any]:
    """The data of the project, as its files have it."""
    found: dict[str, Any] = {}
    for path in sorted((PROJECT / "controller").glob("*.yml")):
        part = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)
        assert not set(part) & set(found), f"{path.name} has a variable that another file has too"
        found.update(part)
    return found


@cache
def controller() -> Controller:
    """The data of the project, which has to be as AWX takes it."""
    return Controller.model_validate(raw())


def text_of(playbook: str) -> str:
    """What a playbook and its role are made of, comments left out. A role's metadata names variables, too."""
    text = _source(playbook)
    for role in re.findall(rf"{re.escape(NAMESPACE)}(\w+)", text):
        for folder in ("defaults", "tasks"):
            text += "".join(path.read_text(encoding="utf-8") for path in (ROLES / role / folder).glob("*.yml"))
    return _COMMENT.sub("", text)


def variables_read(playbook: str) -> set[str]:
    """The variables of the collection that occur in expressions of a playbook or its role."""
    return {name for part in re.findall(r"\{\{.*?\}\}", text_of(playbook), re.DOTALL) for name in _NAME.findall(part)}


def variables_registered(playbook: str) -> set[str]:
    """Results of tasks, which a user has no business to set."""
    return set(re.findall(r"^\s*register: (\w+)$", text_of(playbook), re.MULTILINE))


def variables_told(playbook: str) -> set[str]:
    """What a playbook may hand to the next job by set_stats."""
    found: set[str] = set()
    for task in _tasks(yaml.safe_load(_source(playbook))):
        found |= set(task.get("ansible.builtin.set_stats", {}).get("data", {}))
    return found


def _source(playbook: str) -> str:
    own = PROJECT / f"{playbook}.yml" if playbook == OWN else CHECKOUT / "playbooks" / f"{playbook}.yml"
    return own.read_text(encoding="utf-8")


def _tasks(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    inner = [part for one in found for key in ("tasks", "block", "rescue", "always") for part in one.get(key, [])]
    return [*found, *(_tasks(inner) if inner else [])]
