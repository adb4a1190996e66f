# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The sample project is complete, and its data fits AWX, the playbooks, and itself."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from ansible_collections.roosync.heartbeat.tests.integration.awx.controller import parents, template
from ansible_collections.roosync.heartbeat.tests.integration.awx.project import (
    OURS,
    OWN,
    PROJECT,
    controller,
    raw,
    variables_read,
    variables_registered,
    variables_told,
)
from ansible_collections.roosync.heartbeat.tests.integration.awx.schema import Controller
from ansible_collections.roosync.heartbeat.tests.integration.runner import CHECKOUT, NAMESPACE

# A line of this kind is how AWX tells a playbook from any other file.
PLAYBOOK = re.compile(r"^\s*?-?\s*?(?:hosts|(ansible\.builtin\.)?include|(ansible\.builtin\.)?import_playbook):")
# Job templates that are steps of a workflow, with variables in place of a survey.
STEPS = {"heartbeat wait for the lost", "heartbeat repair the lost"}


def looks_like_a_playbook(path: Path) -> bool:
    return any(PLAYBOOK.match(line) for line in path.read_text(encoding="utf-8").splitlines())


@pytest.mark.parametrize("name", OURS)
def test_every_playbook_has_a_wrapper(name: str) -> None:
    path = PROJECT / f"{name}.yml"
    assert path.exists(), f"extensions/awx/{name}.yml is missing: AWX cannot pick a playbook out of a collection"
    (play,) = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert set(play) == {"name", "ansible.builtin.import_playbook"}
    assert play["ansible.builtin.import_playbook"] == NAMESPACE + name


def test_awx_offers_the_playbooks_and_nothing_else() -> None:
    found = {str(path.relative_to(PROJECT)) for path in PROJECT.rglob("*.yml") if looks_like_a_playbook(path)}
    assert found == {f"{name}.yml" for name in [*OURS, OWN]}


def test_the_collection_is_required_in_this_version() -> None:
    wanted = yaml.safe_load((PROJECT / "collections" / "requirements.yml").read_text(encoding="utf-8"))
    galaxy = yaml.safe_load((CHECKOUT / "galaxy.yml").read_text(encoding="utf-8"))
    assert wanted == {"collections": [{"name": NAMESPACE.rstrip("."), "version": f">={galaxy['version']}"}]}


@pytest.mark.parametrize("name", [*OURS, OWN])
def test_every_playbook_tells_a_workflow_what_came_of_it(name: str) -> None:
    assert variables_told(name)


@pytest.mark.parametrize("name", [*OURS, OWN])
def test_names_are_told_in_the_order_in_which_they_are_known(name: str) -> None:
    """Ansible's filters for sets return a list in another order each time."""
    source = (CHECKOUT / "playbooks" / f"{name}.yml") if name in OURS else (PROJECT / f"{name}.yml")
    assert re.findall(r"\b(?:difference|union|intersect)\(", source.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("name", [*OURS, OWN])
def test_what_one_job_tells_is_no_variable_of_the_next(name: str) -> None:
    """AWX hands it on as extra variables, which would win over everything that the next playbook sets by itself."""
    told = {variable for one in [*OURS, OWN] for variable in variables_told(one)}
    assert told & variables_read(name) == set()


def test_every_playbook_has_a_job_template() -> None:
    assert {t.playbook for t in controller().controller_templates} == {f"{name}.yml" for name in [*OURS, OWN]}


@pytest.mark.parametrize("name", [one.name for one in controller().controller_templates])
def test_a_job_template_asks_for_what_its_playbook_reads(name: str) -> None:
    launched = template(name)
    playbook = launched.playbook.removesuffix(".yml")
    settable = variables_read(playbook) - variables_registered(playbook)
    assert launched.survey_enabled is (None if name in STEPS else True)
    asked = {q.variable for q in launched.survey_spec.spec} if launched.survey_enabled else set()
    assert asked | set(launched.extra_vars or {}) <= settable
    told = {f"{{{{ {variable} }}}}" for variable in variables_told("check")}
    assert set((launched.extra_vars or {}).values()) <= told


def test_no_answer_is_all_hosts_where_something_is_taken_away() -> None:
    for name in ("heartbeat stop", "heartbeat remove", "heartbeat probe"):
        (hosts,) = [q for q in template(name).survey_spec.spec if q.variable == "heartbeat_hosts"]
        assert (hosts.required, hosts.default) == (True, None)


def test_names_lead_somewhere() -> None:
    data = controller()
    projects = {one.name for one in data.controller_projects}
    inventories = {one.name for one in data.controller_inventories}
    launchable = [one.name for one in [*data.controller_templates, *data.controller_workflows]]
    assert len(set(launchable)) == len(launchable)
    for one in data.controller_templates:
        assert (one.project in projects, one.inventory in inventories) == (True, True)
    for one in data.controller_inventory_sources:
        assert (one.source_project in projects, one.inventory in inventories) == (True, True)
        assert (PROJECT / one.source_path).exists()
    assert {one.unified_job_template for one in data.controller_schedules} <= set(launchable)
    assert {n.unified_job_template.name for w in data.controller_workflows for n in w.workflow_nodes} <= set(launchable)


def test_schedules_answer_what_has_to_be_answered() -> None:
    """AWX wants every required question answered by a schedule that answers any, defaults or not."""
    for schedule in controller().controller_schedules:
        questions = template(schedule.unified_job_template).survey_spec.spec
        given = schedule.extra_data or {}
        assert {q.variable for q in questions if q.required} <= set(given) <= {q.variable for q in questions}
        assert [e for q in questions if q.variable in given for e in q.errors(given[q.variable])] == []


def test_the_nodes_of_workflows() -> None:
    for workflow in controller().controller_workflows:
        names = [node.identifier for node in workflow.workflow_nodes]
        assert len(set(names)) == len(names)
        assert {name for node in workflow.workflow_nodes for name in node.related.all} <= set(names)
        roots = [name for name, before in parents(workflow.workflow_nodes).items() if not before]
        assert roots == ["check"]


# Each of them makes a mistake that AWX would refuse, or would not see until a job runs.
MISTAKES: dict[str, Callable[[dict[str, Any], dict[str, Any], dict[str, Any]], Any]] = {
    "an option that is not there": lambda data, launched, question: launched.update(ask_vars_on_launch=True),
    "an option of another type": lambda data, launched, question: launched.update(verbosity="1"),
    "an option that is missing": lambda data, launched, question: launched.pop("playbook"),
    "a question of no type": lambda data, launched, question: question.update(type="string"),
    "a question without required": lambda data, launched, question: question.pop("required"),
    "a question asked twice": lambda data, launched, question: launched["survey_spec"]["spec"].append(question),
    "a default of another type": lambda data, launched, question: question.update(default=1),
    "a choice without choices": lambda data, launched, question: question.update(type="multiplechoice"),
    "a survey without a name": lambda data, launched, question: launched["survey_spec"].pop("name"),
    "a rule without an interval": lambda data, launched, question: data["controller_schedules"][0].update(
        rrule="DTSTART:20260101T000000Z RRULE:FREQ=MINUTELY"
    ),
    "a start without a time zone": lambda data, launched, question: data["controller_schedules"][0].update(
        rrule="DTSTART:20260101T000000 RRULE:FREQ=MINUTELY;INTERVAL=5"
    ),
    "a link in another place": lambda data, launched, question: data["controller_workflows"][0]["workflow_nodes"][
        0
    ].update(success_nodes=[{"identifier": "show"}]),
}


@pytest.mark.parametrize("what", MISTAKES)
def test_the_schema_sees(what: str) -> None:
    data = raw()
    Controller.model_validate(data)
    launched = data["controller_templates"][0]
    MISTAKES[what](data, launched, launched["survey_spec"]["spec"][0])
    with pytest.raises(ValidationError):
        Controller.model_validate(data)
