# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the modules say of themselves is what they are."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict, Iterator, List, Tuple

import pytest
import yaml

from ansible_collections.roosync.heartbeat.tests.unit.modules.finder import (
    COLLECTION,
    MODULES,
    NAMESPACE,
    documentation_of,
    load,
    settings_of,
)

every_module = pytest.mark.parametrize("name", MODULES)
TYPES = {"str": str, "bool": bool, "int": int, "float": (int, float), "list": list, "dict": dict, "raw": object}
# What says nothing of the option itself, or nothing that a documentation could say.
NOT_DOCUMENTED = {"fallback", "no_log", "options", "removed_in_version", "removed_from_collection"}


@pytest.fixture(scope="session")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Dict[str, Any]:
    """What ansible-doc shows of each module of this checkout, with what its fragments add."""
    home = tmp_path_factory.mktemp("ansible")
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
    settings = {
        "ANSIBLE_COLLECTIONS_PATH": str(COLLECTION / ".cache" / "tree"),
        "ANSIBLE_CONFIG": str(COLLECTION / "tests" / "ansible.cfg"),
        "ANSIBLE_HOME": str(home),
        "LC_ALL": "C.UTF-8",
    }
    command = [str(Path(sys.executable).parent / "ansible-doc"), "--json", "--type", "module"]
    done = subprocess.run(
        [*command, *(NAMESPACE + name for name in MODULES)],
        env={**kept, **settings},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return {name[len(NAMESPACE) :]: found for name, found in json.loads(done.stdout).items()}


def test_all_modules_are_shown(shown: Dict[str, Any]) -> None:
    assert sorted(shown) == MODULES
    for name, found in shown.items():
        assert os.path.samefile(found["doc"]["filename"], str(load(name).__file__))


def test_all_modules_are_in_the_action_group() -> None:
    runtime = yaml.safe_load((COLLECTION / "meta" / "runtime.yml").read_text(encoding="utf-8"))
    assert sorted(runtime["action_groups"]["heartbeat"]) == MODULES


@every_module
def test_options_are_those_of_the_argument_spec(shown: Dict[str, Any], name: str) -> None:
    assert options(shown[name]["doc"]["options"], "suboptions") == options(
        settings_of(name)["argument_spec"], "options"
    )


def options(found: Dict[str, Any], inner: str) -> Dict[str, Any]:
    """Options in one form, whether they come from the documentation or from the module."""
    described = {}
    for option, settings in found.items():
        kept = {key: settings.get(key) for key in ("default", "choices", "elements", "aliases")}
        kept["type"] = settings.get("type", "str")
        kept["required"] = bool(settings.get("required", False))
        kept["aliases"] = kept["aliases"] or []
        kept["inner"] = options(settings[inner], inner) if inner in settings else None
        described[option] = kept
    return described


@every_module
def test_every_option_says_what_it_is_for(shown: Dict[str, Any], name: str) -> None:
    for option, settings in shown[name]["doc"]["options"].items():
        text = " ".join(settings["description"])
        assert text.endswith("."), option
        assert len(text) > 10, option


@every_module
def test_settings_of_a_module_are_known_to_this_test(name: str) -> None:
    """A new key in an argument spec may need a word in the documentation, and a comparison here."""
    known = {"type", "default", "choices", "elements", "required", "aliases"} | NOT_DOCUMENTED
    assert {key for option in settings_of(name)["argument_spec"].values() for key in option} <= known


@every_module
def test_attributes(shown: Dict[str, Any], name: str) -> None:
    assert "roosync.heartbeat.attributes" in documentation_of(name)["extends_documentation_fragment"]
    attributes = shown[name]["doc"]["attributes"]
    assert set(attributes) == {"check_mode", "diff_mode", "idempotent", "action_group"}
    for attribute in attributes.values():
        assert attribute["description"]
        assert attribute["support"] in ("full", "partial", "none", "N/A")
    assert attributes["action_group"]["membership"] == ["roosync.heartbeat.heartbeat"]
    supports_check_mode = settings_of(name).get("supports_check_mode", False)
    assert supports_check_mode == (attributes["check_mode"]["support"] in ("full", "partial"))


@every_module
def test_the_frame(shown: Dict[str, Any], name: str) -> None:
    """Who wrote it, since when it is there, and what to look at next."""
    doc = shown[name]["doc"]
    assert doc["module"] == name
    assert doc["version_added"]
    assert doc["version_added_collection"] == NAMESPACE.rstrip(".")
    assert doc["author"]
    assert not doc["short_description"].endswith(".")
    others = [entry["module"] for entry in doc["seealso"] if "module" in entry]
    assert others
    assert set(others) <= {NAMESPACE + other for other in MODULES} - {NAMESPACE + name}


def tasks(found: List[Dict[str, Any]]) -> Iterator[Dict[str, Any]]:
    """The tasks, those in blocks included."""
    for task in found:
        inner = [task[part] for part in ("block", "rescue", "always") if part in task]
        for part in inner:
            yield from tasks(part)
        if not inner:
            yield task


@every_module
def test_examples_are_tasks_that_use_the_options_there_are(shown: Dict[str, Any], name: str) -> None:
    examples = list(tasks(yaml.safe_load(shown[name]["examples"])))
    ours = [task for task in examples if NAMESPACE + name in task]
    assert ours
    for task in examples:
        assert task["name"][0].isupper()
    for task in ours:
        given = task[NAMESPACE + name]
        assert set(given) <= set(shown[name]["doc"]["options"]), task["name"]
        assert given["store"] == "/srv/heartbeat", task["name"]


def values(found: Dict[str, Any], where: str = "") -> Iterator[Tuple[str, Dict[str, Any]]]:
    """Returned values, those within others included."""
    for key, value in found.items():
        yield where + key, value
        yield from values(value.get("contains", {}), where + key + ".")


@every_module
def test_returned_values_are_described(shown: Dict[str, Any], name: str) -> None:
    found = dict(values(shown[name]["return"]))
    assert "error_code" in found
    for key, value in found.items():
        assert "".join(value["description"]).endswith("."), key
        assert value["type"] in TYPES, key
        assert (value["type"] == "list") == ("elements" in value), key
        assert "." in key or value["returned"], key
        if "sample" in value:
            assert isinstance(value["sample"], TYPES[value["type"]]), key
            if value["type"] == "list":
                assert all(isinstance(item, TYPES[value["elements"]]) for item in value["sample"]), key
