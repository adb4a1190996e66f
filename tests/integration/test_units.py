# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The units that the roles write, as systemd itself judges them. That they do their work is tested on real hosts."""

from __future__ import annotations

import getpass
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.roosync.heartbeat.tests.integration.runner import CHECKOUT, PLAYBOOKS, Ansible

# What docs/deployment.md says of a usual service, and what is let pass where one needs more.
EXPOSED, STILL_EXPOSED = 1.0, 2.0
USUAL = ("agent", "monitor")
SERVICES = ("roosync-test.service", "roosync-test-goodbye.service")
UNITS = (*SERVICES, "roosync-test.timer")
COMMAND = ["/usr/bin/env", "-S", "/usr/lib/roosync-heartbeat/current/quick.py"]
CASES: dict[str, dict[str, Any]] = {
    "agent": {"writes": ["/srv/heartbeat", "/var/lib/roosync-heartbeat"]},
    "monitor": {"writes": ["/srv/heartbeat", "/var/lib/roosync-heartbeat-monitor"]},
    "monitor with a hook": {"writes": ["/srv/heartbeat"], "network": True},
    "captures": {"writes": ["/srv/heartbeat", "/var/lib/roosync-heartbeat"], "reads_anything": True},
    "at home": {"writes": ["/home/shared/heartbeat"]},
    "in a folder for temporary files": {"writes": ["/tmp/heartbeat"]},
    "with strange names": {
        "writes": ["/srv/100% of it/$HOME", '/srv/"quoted"'],
        "command": [*COMMAND, "100%s", "$HOME ${x}", 'a "b"', "back\\slash", ""],
    },
}


@pytest.fixture(scope="module")
def analyze() -> str:
    """The program of systemd that looks at units; it needs no systemd that runs."""
    found = shutil.which("systemd-analyze")
    if found is None:
        reason = "integration: units as systemd-analyze judges them (it is not here)"
        noted = subprocess.run([str(CHECKOUT / "tests/tools/not-run.sh"), reason], check=False, timeout=60)
        assert noted.returncode == 0, reason
        pytest.skip(reason)
    return found


def written(ansible: Ansible, folder: Path, **variables: Any) -> dict[str, str]:
    """The units, by name; written twice, the second time without a change."""
    given = {"folder": str(folder), "user": getpass.getuser(), "command": COMMAND, **variables}
    for changes in (True, False):
        run = ansible.play(PLAYBOOKS / "roles" / "units.yml", variables=given)
        assert run.rc == 0, run.output
        assert run.complaints == []
        assert any(task.changed for task in run.tasks) is changes
    return {path.name: path.read_text(encoding="utf-8") for path in folder.iterdir()}


def said(*command: str, **environment: str) -> str:
    given = {"LC_ALL": "C.UTF-8", **environment}
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=given)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.mark.parametrize("case", CASES)
def test_units_of_the_host(ansible: Ansible, analyze: str, tmp_path: Path, case: str) -> None:
    """systemd understands every line, and finds the services as little exposed as they are meant to be."""
    units = written(ansible, tmp_path, **CASES[case])
    assert sorted(units) == sorted(UNITS)
    assert said(analyze, "verify", *(str(tmp_path / name) for name in UNITS)) == ""
    limit = EXPOSED if case in USUAL else STILL_EXPOSED
    for name in SERVICES:
        threshold = f"--threshold={limit * 10:.0f}"
        table = said(analyze, "security", "--offline=true", "--no-pager", threshold, str(tmp_path / name))
        exposure = re.search(rf"Overall exposure level for {re.escape(name)}: ([\d.]+)", table)
        assert exposure is not None, table
        assert float(exposure.group(1)) < limit


def test_the_threshold_is_one(ansible: Ansible, analyze: str, tmp_path: Path) -> None:
    """The test above is worth something only if an exposed service does not pass it."""
    units = written(ansible, tmp_path, **CASES["agent"])
    open_to_all = tmp_path / "open.service"
    open_to_all.write_text("\n".join(line for line in units[SERVICES[0]].splitlines() if "Restrict" not in line))
    command = [analyze, "security", "--offline=true", "--no-pager", "--threshold=20", str(open_to_all)]
    assert subprocess.run(command, capture_output=True, timeout=60, check=False).returncode != 0


def test_strange_names_arrive_as_they_are(ansible: Ansible, tmp_path: Path) -> None:
    service = written(ansible, tmp_path, **CASES["with strange names"])[SERVICES[0]]
    (start,) = re.findall("^ExecStart=(.*)$", service, re.MULTILINE)
    assert start.endswith(r'''"100%%s" "$$HOME $${x}" "a \"b\"" "back\\slash" ""''')
    assert re.findall("^ReadWritePaths=(.*)$", service, re.MULTILINE) == [
        '"-/srv/100%% of it/$HOME"',
        r'"-/srv/\"quoted\""',
    ]


@pytest.mark.parametrize("case", ["at home", "captures"])
def test_units_of_one_user(ansible: Ansible, analyze: str, tmp_path: Path, case: str) -> None:
    """A manager of a user's own has no right to much of the sandbox, and refuses to start what asks for it."""
    units = written(ansible, tmp_path, scope="user", **CASES[case])
    for name in SERVICES:
        assert not re.search("^(User|Capability|Protect|Private|ReadWrite|Bind|RemoveIPC)", units[name], re.MULTILINE)
        assert "NoNewPrivileges=yes" in units[name]
    assert "WantedBy=default.target" in units["roosync-test-goodbye.service"]
    home = {"HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path)}
    assert said(analyze, "verify", "--user", *(str(tmp_path / name) for name in UNITS), **home) == ""


def test_values_that_came_as_text(ansible: Ansible, tmp_path: Path) -> None:
    """As key=value on the command line gives them."""
    found = []
    for name, value in (("meant", False), ("text", "false")):
        (tmp_path / name).mkdir()
        interval: float | str = "60" if value else 60.0
        given = {"writes": ["/srv/heartbeat"], "network": value, "reads_anything": value, "interval": interval}
        found.append(written(ansible, tmp_path / name, **given))
    assert found[1] == found[0]
    assert "PrivateNetwork=yes" in found[1][SERVICES[0]]
