# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""docs/awx.md and the project's README: their commands work, and their tables are those of the playbooks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.roosync.heartbeat.tests.docs.pages import code, load, page, rows
from ansible_collections.roosync.heartbeat.tests.docs.session import complaints, follow
from ansible_collections.roosync.heartbeat.tests.integration.awx import schema
from ansible_collections.roosync.heartbeat.tests.integration.awx.project import (
    OURS,
    OWN,
    PROJECT,
    controller,
    raw,
    variables_read,
    variables_told,
)
from ansible_collections.roosync.heartbeat.tests.integration.docs.reader import Reader

MODULES = {
    "project": (schema.Project, "controller_projects"),
    "inventory": (schema.Inventory, "controller_inventories"),
    "inventory_source": (schema.InventorySource, "controller_inventory_sources"),
    "job_template": (schema.JobTemplate, "controller_templates"),
    "workflow_job_template": (schema.Workflow, "controller_workflows"),
    "schedule": (schema.Schedule, "controller_schedules"),
}
# The real modules need an AWX. These take options of the same names, and write down what they are given.
STAND_IN = """
import json
from ansible.module_utils.basic import AnsibleModule
module = AnsibleModule(argument_spec={name: {"type": "raw"} for name in %(names)r})
with open(%(record)r, "a") as record:
    given = {name: value for name, value in module.params.items() if value is not None}
    record.write(json.dumps([%(module)r, given]) + "\\n")
module.exit_json(changed=True)
"""


@pytest.fixture
def reader(tmp_path: Path) -> Reader:
    """A reader with a home of their own, since another collection goes into it."""
    home = tmp_path / "home"
    home.mkdir()
    made = Reader(home)
    made.install()
    modules = home / ".ansible" / "collections" / "ansible_collections" / "awx" / "awx" / "plugins" / "modules"
    modules.mkdir(parents=True)
    for name, (model, _variable) in MODULES.items():
        values = {"names": list(model.model_fields), "record": str(home / "record"), "module": name}
        (modules / f"{name}.py").write_text(STAND_IN % values, encoding="utf-8")
    return made


def test_the_page_sets_up_what_the_project_describes(reader: Reader) -> None:
    """Every module gets all of its data as the files have it: what is a template for AWX is none on the way there."""
    typed = follow(page("awx.md"), reader.home, reader.environment)
    assert not (found := complaints(page("awx.md"), typed)), "\n\n".join(found)
    given = [json.loads(line) for line in (reader.home / "record").read_text(encoding="utf-8").splitlines()]
    data = raw()
    assert given == [[name, entry] for name, (_model, variable) in MODULES.items() for entry in data[variable]]


def test_the_page_names_what_every_playbook_asks_and_tells() -> None:
    table: dict[str, list[str]] = {row[0].strip("`"): row for row in rows(page("awx.md").section(SECTION))}
    assert set(table) == {*OURS, OWN}
    shared = {"heartbeat_store", "heartbeat_fleet", "heartbeat_monitor"}
    for name, (_name, asks, tells) in table.items():
        asked = {word for word in code(asks) if word.startswith("heartbeat_")}
        assert {word for word in code(tells) if word.startswith("heartbeat_")} == variables_told(name)
        assert asked <= variables_read(name)
        surveys = [t.survey_spec.spec for t in controller().controller_templates if t.survey_enabled]
        assert {q.variable for spec in surveys for q in spec} & variables_read(name) - shared <= asked | role_of(name)


SECTION = "What the playbooks ask and tell"


def role_of(name: str) -> set[str]:
    """What is no variable of the playbook itself, though it occurs in its role: a result's key of that name."""
    return {"heartbeat_interval"} if name in ("deploy", "recover", "stop", "remove", "drill") else set()


def test_the_page_shows_the_workflow() -> None:
    (workflow,) = controller().controller_workflows
    table: list[list[str]] = rows(page("awx.md").section("The workflow"))
    shown = {row[0].strip("`"): [code(cell) for cell in row[2:]] for row in table}
    described: dict[str, Any] = {
        node.identifier: [node.related.after(True), node.related.after(False)] for node in workflow.workflow_nodes
    }
    assert shown == described


def test_the_readme_names_every_file() -> None:
    named = {name for row in rows(load(PROJECT / "README.md").text) for name in code(row[0])}
    files = {str(path.relative_to(PROJECT)) for path in PROJECT.rglob("*") if path.is_file()}
    assert named == files - {"README.md"}
