# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What AWX takes: the options of the modules of awx.awx 24, and the rules of AWX's API for surveys and schedules.

The data of the sample project has to pass these models. Nothing here asks an AWX, for there is none to ask.
"""

from __future__ import annotations

import re
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, create_model, model_validator

# A value of this type is a valid default or answer; what multiselect takes as its default is another matter.
ANSWERS: dict[str, tuple[type, ...]] = {
    "text": (str,),
    "textarea": (str,),
    "password": (str,),
    "integer": (int,),
    "float": (float, int),
    "multiplechoice": (str,),
    "multiselect": (list,),
}
# AWX refuses a start without a time zone, exceptions, and anything that would run every few seconds.
RRULE = re.compile(
    r"DTSTART:\d{8}T\d{6}Z RRULE:FREQ=(MINUTELY|HOURLY|DAILY|WEEKLY|MONTHLY|YEARLY);INTERVAL=[1-9]\d*"
    r"(;(BY(DAY=[A-Z,]+|(MONTH|MONTHDAY|HOUR|MINUTE)=[\d,-]+)|UNTIL=\d{8}T\d{6}Z|COUNT=\d{1,3}))*"
)


class Strict(BaseModel):
    """Nothing that is not named, and no value of another type."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Question(Strict):
    """One question of a survey."""

    type: Literal["text", "textarea", "password", "integer", "float", "multiplechoice", "multiselect"]
    question_name: str = Field(min_length=1)
    question_description: str
    variable: str = Field(pattern="^heartbeat_[a-z_]+$")
    required: bool
    min: int | None = None
    max: int | None = None
    choices: list[str] | None = None
    default: str | int | float | None = None

    @model_validator(mode="after")
    def _as_the_api_has_it(self) -> Question:
        if (self.choices is not None) is not self.type.startswith("multi"):
            raise ValueError("choices belong to multiplechoice and multiselect, and have to be there")
        if self.default not in (None, "") and self.errors(self.preset):
            raise ValueError(f"the default is no answer: {self.errors(self.preset)}")
        return self

    @property
    def preset(self) -> Any:
        """The default as an answer. AWX has the one of a multiselect as lines, an answer is a list."""
        if self.type == "multiselect" and isinstance(self.default, str):
            return self.default.splitlines()
        return self.default

    def errors(self, answer: Any) -> list[str]:
        """Why AWX refuses an answer."""
        if isinstance(answer, bool) or not isinstance(answer, ANSWERS[self.type]):
            return [f"{self.variable}: {answer!r} is not of the type {self.type}"]
        if self.choices is not None:
            chosen = answer if isinstance(answer, list) else [answer]
            return [f"{self.variable}: {one!r} is no choice" for one in chosen if one not in self.choices]
        size = len(answer) if isinstance(answer, str) else answer
        low, high = self.min is not None and size < self.min, self.max is not None and size > self.max
        return [f"{self.variable}: {answer!r} is out of bounds"] if low or high else []


class Survey(Strict):
    """A survey; AWX wants name and description, and lets them be empty."""

    name: str
    description: str
    spec: list[Question] = Field(min_length=1)

    @model_validator(mode="after")
    def _one_question_for_each_variable(self) -> Survey:
        variables = [question.variable for question in self.spec]
        if len(set(variables)) < len(variables):
            raise ValueError(f"a variable is asked for twice: {variables}")
        return self


def _options(name: str, required: str = "", **fields: Any) -> type[Strict]:
    """A model of a module's options: for each type the names, in one string, or the type of one name."""
    types = {"text": str, "whole": int, "flag": bool, "texts": list[str], "mapping": dict[str, Any]}
    found: dict[str, Any] = {}
    for kind, names in fields.items():
        found.update(dict.fromkeys(names.split(), types[kind]) if kind in types else {kind: names})
    wanted = required.split()
    return create_model(name, __base__=Strict, **{n: (t, ...) if n in wanted else (t, None) for n, t in found.items()})


NOTIFICATIONS = "notification_templates_started notification_templates_success notification_templates_error"
LAUNCH = "ask_inventory_on_launch ask_limit_on_launch ask_labels_on_launch ask_tags_on_launch ask_skip_tags_on_launch"

Project = _options(
    "Project",
    "name organization scm_type scm_url",
    text="name description scm_url local_path scm_branch scm_refspec credential default_environment organization "
    "signature_validation_credential",
    scm_type=Literal["manual", "git", "svn", "insights", "archive"],
    flag="scm_clean scm_delete_on_update scm_track_submodules scm_update_on_launch allow_override wait update_project",
    whole="scm_update_cache_timeout timeout",
    texts=NOTIFICATIONS,
)
Inventory = _options(
    "Inventory",
    "name organization",
    text="name description organization host_filter",
    mapping="variables",
    kind=Literal["", "smart", "constructed"],
    texts="instance_groups input_inventories",
    flag="prevent_instance_group_fallback",
)
InventorySource = _options(
    "InventorySource",
    "name inventory source",
    text="name description inventory source_path enabled_var enabled_value host_filter limit credential "
    "execution_environment organization source_project scm_branch",
    source=Literal["scm", "ec2", "gce", "azure_rm", "vmware", "satellite6", "openstack", "controller", "insights"],
    mapping="source_vars",
    flag="overwrite overwrite_vars update_on_launch",
    whole="timeout verbosity update_cache_timeout",
    texts=NOTIFICATIONS,
)
JobTemplate = _options(
    "JobTemplate",
    "name description organization inventory project playbook job_type",
    text="name description organization inventory project playbook execution_environment limit job_tags skip_tags "
    "start_at_task host_config_key scm_branch webhook_service webhook_credential",
    job_type=Literal["run", "check"],
    texts=f"credentials instance_groups labels {NOTIFICATIONS}",
    whole="forks verbosity timeout job_slice_count",
    mapping="extra_vars",
    flag=f"{LAUNCH} ask_diff_mode_on_launch ask_variables_on_launch ask_job_type_on_launch ask_verbosity_on_launch "
    "ask_credential_on_launch ask_execution_environment_on_launch ask_forks_on_launch ask_instance_groups_on_launch "
    "ask_job_slice_count_on_launch ask_timeout_on_launch ask_scm_branch_on_launch survey_enabled become_enabled "
    "diff_mode allow_simultaneous force_handlers use_fact_cache prevent_instance_group_fallback",
    survey_spec=Survey,
)


class Schedule(
    _options(  # type: ignore[misc]
        "ScheduleOptions",
        "name unified_job_template rrule",
        text="name description execution_environment inventory scm_branch job_tags skip_tags limit "
        "unified_job_template organization rrule",
        job_type=Literal["run", "check"],
        mapping="extra_data",
        texts="credentials instance_groups labels",
        whole="forks job_slice_count timeout verbosity",
        flag="diff_mode enabled",
    )
):
    """A schedule."""

    @model_validator(mode="after")
    def _a_rule_that_awx_takes(self) -> Schedule:
        if not RRULE.fullmatch(self.rrule):
            raise ValueError(f"AWX does not take this rule: {self.rrule}")
        return self


class Named(Strict):
    name: str


class Reference(Strict):
    """What a node runs."""

    name: str
    type: Literal["job_template", "workflow_job_template", "project"]
    organization: Named


class NodeName(Strict):
    identifier: str


class Related(Strict):
    """Where a workflow goes on from a node."""

    success_nodes: list[NodeName] = []
    failure_nodes: list[NodeName] = []
    always_nodes: list[NodeName] = []

    def after(self, succeeded: bool) -> list[str]:
        """The nodes that this outcome leads to."""
        chosen = self.success_nodes if succeeded else self.failure_nodes
        return [node.identifier for node in [*chosen, *self.always_nodes]]

    @property
    def all(self) -> set[str]:
        return {*self.after(True), *self.after(False)}


class Node(Strict):
    """A node of a workflow. Prompts and nodes that wait for all of their parents are not used here."""

    identifier: str
    unified_job_template: Reference
    extra_data: dict[str, Any] = {}
    related: Related = Related()


Workflow = _options(
    "Workflow",
    "name description organization workflow_nodes",
    text="name description organization job_tags skip_tags inventory limit scm_branch webhook_service "
    "webhook_credential",
    mapping="extra_vars",
    texts=f"labels {NOTIFICATIONS} notification_templates_approvals",
    flag=f"{LAUNCH} survey_enabled allow_simultaneous ask_variables_on_launch ask_scm_branch_on_launch "
    "destroy_current_nodes",
    survey_spec=Survey,
    workflow_nodes=list[Node],
)


class Controller(Strict):
    """All of the project's data, by the names that the roles of infra.aap_configuration know."""

    controller_projects: list[Project]  # type: ignore[valid-type]
    controller_inventories: list[Inventory]  # type: ignore[valid-type]
    controller_inventory_sources: list[InventorySource]  # type: ignore[valid-type]
    controller_templates: list[JobTemplate]  # type: ignore[valid-type]
    controller_workflows: list[Workflow]  # type: ignore[valid-type]
    controller_schedules: list[Schedule]
