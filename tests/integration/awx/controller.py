# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""AWX's own part in small: which variables a job gets, and how a workflow goes on.

There is no AWX here. What stands here was written after its code: surveys, the order of variables, the edges of a
workflow, and what a job hands to those after it. It reads the project's data, and ansible-runner runs the jobs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from graphlib import TopologicalSorter
from typing import Any

from ansible_collections.roosync.heartbeat.tests.integration.awx.execution import Execution, Job
from ansible_collections.roosync.heartbeat.tests.integration.awx.project import controller
from ansible_collections.roosync.heartbeat.tests.integration.awx.schema import Node


def template(name: str) -> Any:
    """A job template or a workflow by its name."""
    data = controller()
    (found,) = [one for one in [*data.controller_templates, *data.controller_workflows] if one.name == name]
    return found


def answered(launched: Any, answers: Mapping[str, Any]) -> dict[str, Any]:
    """What a survey makes of the answers: AWX refuses what was not asked for, and adds the defaults that it accepts.

    The default of a multiselect is a string and an answer must be a list, so that one is for the form alone.
    """
    questions = launched.survey_spec.spec if launched.survey_enabled else []
    asked = {question.variable: question for question in questions}
    unknown = set(answers) - set(asked)
    assert not unknown, f"{launched.name} does not ask for {unknown}"
    found = {q.variable: q.default for q in questions if q.default is not None and not q.errors(q.default)}
    found.update(answers)
    errors = [error for name, value in answers.items() for error in asked[name].errors(value)]
    errors += [f"{q.variable} is missing" for q in questions if q.required and q.variable not in found]
    assert not errors, errors
    return found


def launch(
    execution: Execution,
    name: str,
    *arguments: str,
    answers: Mapping[str, Any] | None = None,
    handed_on: Mapping[str, Any] | None = None,
) -> Job:
    """Launch a job template.

    :param arguments: what the job type and the limit are for ansible-playbook.
    :param answers: to the survey.
    :param handed_on: what comes from a workflow, which a survey need not have asked for.
    """
    launched = template(name)
    own = launched.extra_vars or {}
    variables = {**own, **answered(launched, answers or {}), **(handed_on or {})}
    return execution.run(launched.playbook, *arguments, variables=variables, trusted=own)


@dataclass
class Walk:
    """A workflow that has come to its end: the jobs by their nodes, in the order in which they ran."""

    jobs: dict[str, Job] = field(default_factory=dict)
    succeeded: bool = True

    @property
    def path(self) -> list[tuple[str, str]]:
        return [(node, job.status) for node, job in self.jobs.items()]


def parents(nodes: list[Node]) -> dict[str, list[Node]]:
    """For each node those that lead to it."""
    return {node.identifier: [one for one in nodes if node.identifier in one.related.all] for node in nodes}


def walk(execution: Execution, name: str, answers: Mapping[str, Any]) -> Walk:
    """Launch a workflow and go through with it."""
    workflow = template(name)
    given = {**(workflow.extra_vars or {}), **answered(workflow, answers)}
    nodes = {node.identifier: node for node in workflow.workflow_nodes}
    before = parents(workflow.workflow_nodes)
    done = Walk()
    told: dict[str, dict[str, Any]] = {}
    for identifier in TopologicalSorter({i: [p.identifier for p in b] for i, b in before.items()}).static_order():
        ran = [one for one in before[identifier] if one.identifier in done.jobs]
        led_here = [one for one in ran if identifier in one.related.after(done.jobs[one.identifier].succeeded)]
        if before[identifier] and not led_here:
            continue
        node = nodes[identifier]
        told[identifier] = {}
        for one in ran:
            told[identifier].update(told[one.identifier] | done.jobs[one.identifier].artifacts)
        # The workflow's own variables win over what jobs told.
        job = launch(
            execution,
            node.unified_job_template.name,
            answers=node.extra_data,
            handed_on={**told[identifier], **given},
        )
        done.jobs[identifier] = job
        # A failure with no way on from there is a failure of the workflow.
        done.succeeded = done.succeeded and (job.succeeded or bool(node.related.after(False)))
    return done
