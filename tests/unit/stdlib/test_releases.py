# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which files go along with one, and what is left when they go."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.roosync.heartbeat.plugins.module_utils._engine import releases
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.agent import deploy
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.errors import InvalidSettings
from ansible_collections.roosync.heartbeat.tests.unit.stdlib.support import ENGINE


def test_all_that_a_file_imports_goes_along() -> None:
    """At its head, in a function, by a name of its own or of its package; not what is not there, nor anything twice."""
    assert sorted(releases.closure("clock.py")) == ["__init__.py", "clock.py"]
    found = releases.closure("agent/service.py")
    assert {"agent/beater.py", "agent/local.py", "agent/quick.py", "stores/file.py", "record.py"} <= set(found)
    assert {"agent/__init__.py", "stores/__init__.py", "__init__.py"} <= set(found)
    assert all(data == (ENGINE / name).read_bytes() for name, data in found.items())


def test_the_agent_takes_along_all_that_it_imports() -> None:
    wanted = {name for entry in ("agent/quick.py", "agent/service.py") for name in releases.closure(entry)}
    wanted |= {"agent/__main__.py", "agent/cli.py"}  # which knows of captures as well, but does without them
    # What settings of syncs mean is of no interest to a beat, which passes them over.
    assert {name for name in wanted - set(deploy.FILES) if not name.startswith("sync/")} == set()
    assert set(deploy.FILES) - wanted == set()


def test_a_folder_that_was_remembered_goes_too(tmp_path: Path) -> None:
    state, precious = tmp_path / "state", tmp_path / "precious"
    (state / "cache" / "deep").mkdir(parents=True)
    (state / "cache" / "deep" / "x").write_text("x")
    precious.mkdir()
    (precious / "kept").write_text("kept")
    (state / "linked").symlink_to(precious)
    (state / "other").write_text("somebody else's")
    remembered = ("cache", "linked", "never")
    assert releases.forgettable(str(state), remembered) == [str(state / "cache"), str(state / "linked")]
    releases.forget(str(state), remembered)
    assert [path.name for path in state.iterdir()] == ["other"]
    assert (precious / "kept").exists()


def test_a_configuration_is_of_lines() -> None:
    assert releases.config_text(("b", "a"), {"a": "1", "b": "2", "c": "3"}).splitlines()[1:] == ["b = 2", "a = 1"]
    for value in ("1\n2", " 1", "1\r"):
        with pytest.raises(InvalidSettings, match="one line"):
            releases.config_text(("a",), {"a": value})


@pytest.mark.parametrize(("interval", "nearest"), [(30, 60), (90, 60), (61, 60), (420, 360), (5000, 3600)])
def test_what_cron_cannot_keep(interval: float, nearest: float) -> None:
    with pytest.raises(
        InvalidSettings, match="cron knows whole minutes that divide an hour, and it is done every"
    ) as no:
        releases.keep_to_minutes(interval, "it is done", "choose")
    assert no.value.details["nearest"] == nearest
    releases.keep_to_minutes(nearest, "it is done", "choose")
