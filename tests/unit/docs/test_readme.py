# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""README.md: the sections that Automation Hub wants, and facts that are kept elsewhere in the repository."""

from __future__ import annotations

import re

import yaml

from ansible_collections.roosync.heartbeat.tests.docs.pages import CHECKOUT, code, page, rows

README = page("README.md")
HUB_SECTIONS = [
    "Description",
    "Requirements",
    "Installation",
    "Use Cases",
    "Testing",
    "Contributing",
    "Support",
    "Release Notes",
    "Related Information",
    "License",
]
MODULES = sorted(path.stem for path in (CHECKOUT / "plugins" / "modules").glob("*.py"))
ROLES = {path.name for path in (CHECKOUT / "roles").iterdir()}


def test_the_sections_in_their_order() -> None:
    assert re.findall(r"^## (.+)$", README.prose, re.MULTILINE) == HUB_SECTIONS


def test_the_two_commands_come_first() -> None:
    first = README.text[: README.text.index("## Description")]
    commands = [c.text for b in README.blocks if b.text in first for c in b.commands()]
    assert commands == ["make run", "make test"]


def test_every_module_is_listed_and_in_the_action_group() -> None:
    listed = {name for row in rows(README.section("Description")) for name in code(row[0])}
    assert sorted(listed - ROLES) == MODULES
    runtime = yaml.safe_load((CHECKOUT / "meta" / "runtime.yml").read_text(encoding="utf-8"))
    assert sorted(runtime["action_groups"]["heartbeat"]) == MODULES


def test_every_playbook_and_role_is_named() -> None:
    named = {name.rsplit(".", 1)[-1] for name in code(README.section("Description"))}
    assert {path.stem for path in (CHECKOUT / "playbooks").glob("*.yml")} <= named
    assert named >= ROLES


def test_versions_of_ansible_core_are_those_that_are_tested() -> None:
    tested = set()
    for name in ("run", "core-2.16", "core-2.21"):
        pinned = (CHECKOUT / "requirements" / (name + ".txt")).read_text(encoding="utf-8")
        tested.update(re.findall(r"^ansible-core==(\d+\.\d+)\.", pinned, re.MULTILINE))
    for section in ("Requirements", "Testing"):
        found = re.search(r"[Tt]ested with (?:ansible-core )?(2[\d., and]+\d)", README.section(section))
        assert found is not None, section
        assert set(re.findall(r"\d\.\d+", found.group(1))) == tested
    runtime = yaml.safe_load((CHECKOUT / "meta" / "runtime.yml").read_text(encoding="utf-8"))
    least = runtime["requires_ansible"].lstrip(">=").rsplit(".", 1)[0]
    assert "ansible-core %s or newer" % least in README.section("Requirements")


def test_versions_of_libraries_are_those_that_the_modules_name() -> None:
    from ansible_collections.roosync.heartbeat.plugins.doc_fragments.store import ModuleDocFragment

    wanted = yaml.safe_load(ModuleDocFragment.CHECKER)["requirements"]
    for requirement in wanted:
        name, _separator, version = requirement.partition(" >= ")
        assert "`%s` %s or newer" % (name, version) in README.section("Requirements")
    listed = (CHECKOUT / "meta" / "ee-requirements.txt").read_text(encoding="utf-8")
    assert {re.split(r"\W", line)[0] for line in listed.splitlines()} == {w.split()[0] for w in wanted}


def test_the_version_of_the_archive_is_that_of_the_collection() -> None:
    galaxy = yaml.safe_load((CHECKOUT / "galaxy.yml").read_text(encoding="utf-8"))
    assert "roosync-heartbeat-%s.tar.gz" % galaxy["version"] in README.text


def test_the_requirements_file_names_this_collection() -> None:
    (block,) = [b for b in README.blocks if b.file_name == "requirements.yml"]
    (wanted,) = yaml.safe_load(block.text)["collections"]
    galaxy = yaml.safe_load((CHECKOUT / "galaxy.yml").read_text(encoding="utf-8"))
    assert wanted["name"] == "%s.%s" % (galaxy["namespace"], galaxy["name"])
    assert wanted["version"] == ">=" + galaxy["version"]
