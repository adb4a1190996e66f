# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The agent's configuration and command line: nonsense is one clear line, never a traceback, and never half done."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import List

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.agent import config, quick
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.errors import HeartbeatError
from ansible_collections.roosync.heartbeat.tests.unit.stdlib.agents import Agent, beaten, refused
from ansible_collections.roosync.heartbeat.tests.unit.stdlib.faults import AS_NOBODY, python
from ansible_collections.roosync.heartbeat.tests.unit.stdlib.support import ENGINE, Fleet, tree

MINIMAL = "store = /srv/store\nmachine_id = web1\n"


@pytest.mark.parametrize(
    ("data", "error_code", "said"),
    [
        (b"", "INVALID_SETTINGS", "store is missing"),
        (b"store =\n", "INVALID_SETTINGS", "store is missing"),
        (b"store = /srv\nstore = /srv\n", "INVALID_SETTINGS", "line 2: 'store' is given twice"),
        (b"store = /srv\nintervall = 5\n", "INVALID_SETTINGS", "line 2: 'intervall' is not one of store, fleet"),
        (b"\nstore /srv\n", "INVALID_SETTINGS", "line 2: 'store /srv' has no '='"),
        (b"[agent]\nstore = /srv\n", "INVALID_SETTINGS", "line 1: '[agent]' has no '='"),
        (b"= /srv\n", "INVALID_SETTINGS", "line 1: '' is not one of store, fleet"),
        (b"\xef\xbb\xbfstore = /srv\n", "INVALID_SETTINGS", "line 1: '\\ufeffstore' is not one of store, fleet"),
        (b"store = srv\n", "INVALID_SETTINGS", "give an absolute path"),
        (b"store = redis://h\n", "INVALID_SETTINGS", "directories only"),
        (b"store = /srv\nfleet = ../x\n", "INVALID_SETTINGS", "fleet '../x'"),
        (b"store = /srv\ntakeover = yes\n", "INVALID_SETTINGS", "takeover must be true or false, not 'yes'"),
        (b"store = /srv\nstate_dir = state\n", "INVALID_SETTINGS", "state_dir must be an absolute path, not 'state'"),
        (b"store = /srv\0x\n", "INVALID_SETTINGS", "is no text file"),
        (b"store = /srv\nstate_dir = /x\0\n", "INVALID_SETTINGS", "is no text file"),
        (b"\x7fELF\x02\x01\x01\0\0", "INVALID_SETTINGS", "is no text file"),
        (b"\xff\xfes\0t\0", "INVALID_SETTINGS", "it is not UTF-8 text"),
        (b"store = /srv\nmachine_id = ../x\n", "INVALID_MACHINE_ID", "'../x' has characters that are not allowed (/)"),
        (b"store = /srv\nmachine_id = " + b"x" * 254, "INVALID_MACHINE_ID", "has 254 characters"),
        (b"store = /srv\nmachine_id = \xc3\xa9", "INVALID_MACHINE_ID", "not allowed"),
        (b"store = /srv\nmetadata = {x}\n", "INVALID_METADATA", "metadata is not valid JSON"),
        (b"store = /srv\nmetadata = [1]\n", "INVALID_METADATA", "must be a JSON object (a dictionary), not list"),
        (b'store = /srv\nmetadata = {"a": NaN}\n', "INVALID_METADATA", "NaN is not JSON"),
        (b'store = /srv\nmetadata = {"a": 1, "a": 2}\n', "INVALID_METADATA", "duplicate key 'a'"),
        (b"store = /srv\nmetadata = " + b"[" * 100_000, "INVALID_METADATA", "nested too deeply"),
        (b'store = /srv\nmetadata = {"x": "' + b"y" * 65_529 + b'"}', "INVALID_METADATA", "is 65537 bytes as JSON"),
    ],
    ids=range(26),
)
def test_a_configuration_that_makes_no_sense_is_refused(
    agent: Agent, fleet: Fleet, data: bytes, error_code: str, said: str
) -> None:
    before = tree(fleet.root)
    agent.conf.write_bytes(data)
    with pytest.raises(HeartbeatError) as caught:
        config.load(str(agent.conf))
    assert caught.value.error_code == error_code
    assert said in caught.value.message
    assert "\n" not in caught.value.message
    with pytest.raises((quick.Changed, OSError, ValueError)):
        quick.beat(str(agent.conf))
    assert tree(fleet.root) == before
    assert not agent.state_dir.exists()


@pytest.mark.parametrize("command", ["beat", "run", "status", "stop"])
def test_every_command_refuses_it_in_one_line(agent: Agent, command: str) -> None:
    agent.conf.write_text("store = /srv\nstore = /srv\n")
    said = refused(agent.command(command), "INVALID_SETTINGS")
    assert said == "INVALID_SETTINGS: %s, line 2: 'store' is given twice" % agent.conf
    assert refused(agent.quick(), "INVALID_SETTINGS") == said


def test_a_configuration_that_is_not_there_is_named(agent: Agent, tmp_path: Path) -> None:
    agent.conf.unlink()
    said = refused(agent.quick(), "INVALID_SETTINGS")
    assert "cannot read the configuration %s: No such file or directory" % agent.conf in said
    agent.conf.mkdir()
    assert "Is a directory" in refused(agent.quick(), "INVALID_SETTINGS")


@given(st.text(max_size=200))
def test_any_text_is_a_configuration_or_an_error_of_ours(text: str) -> None:
    try:
        made = config.Config("agent.conf", MINIMAL + text)
    except HeartbeatError:
        return
    assert (made.store, made.machine_id) == ("/srv/store", "web1")
    assert made.state_dir == quick.setting(MINIMAL + text, "state_dir", quick.DEFAULT_STATE_DIR)


def test_both_ways_read_the_same_settings() -> None:
    """The quick one has a reader of its own."""
    assert (quick.DEFAULT_CONFIG, quick.DEFAULT_STATE_DIR) == (config.DEFAULT_CONFIG, config.DEFAULT_STATE_DIR)
    text = MINIMAL + "# state_dir = /no\n\n  state_dir=/a=b \n host_id =\r\nmetadata = {}\r\n"
    made = config.Config("agent.conf", text)
    assert made.state_dir == quick.setting(text, "state_dir", "") == "/a=b"
    assert made.host_id == quick.setting(text, "host_id", "") == ""


def test_defaults_need_a_store_only() -> None:
    made = config.Config("agent.conf", "store = /srv/store")
    assert (made.fleet, made.state_dir, made.metadata_json) == ("default", "/var/lib/roosync-heartbeat", "{}")
    assert not made.takeover
    assert made.machine_id


def agent_with(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "_engine.agent", *arguments],
        cwd=str(ENGINE.parent),
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("call", [[], ["fly"], ["beat", "now"], ["--config"], ["--config", "x"], ["beat", "--config"]])
def test_a_call_that_makes_no_sense_is_shown_the_usage(call: List[str]) -> None:
    done = agent_with(*call)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("usage: agent COMMAND [--config FILE]")


def test_help_is_no_error() -> None:
    done = agent_with("--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert "beat    write one heartbeat" in done.stdout


def test_the_options_may_come_first(agent: Agent, fleet: Fleet) -> None:
    beaten(agent_with("--config", str(agent.conf), "beat"))
    assert fleet.beat("web1").sequence == 1


def test_large_metadata_is_warned_about_and_sent(agent: Agent, fleet: Fleet) -> None:
    agent.configure(metadata='{"x": "%s"}' % ("y" * 10_000))
    done = agent.command("beat")
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == "warning: metadata is 10008 bytes as JSON; over 10000 every beat and check gets slower\n"
    assert len(fleet.beat("web1").metadata["x"]) == 10_000


@pytest.mark.parametrize("place", ["a file", "below a file", "a dangling link"])
def test_a_state_dir_that_cannot_be_made_is_named(agent: Agent, tmp_path: Path, place: str) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere/x")
    state_dir = {
        "a file": tmp_path / "file",
        "below a file": tmp_path / "file/state",
        "a dangling link": tmp_path / "link",
    }[place]
    agent.configure(state_dir=str(state_dir))
    assert "cannot make the agent's state_dir %s: " % state_dir in refused(agent.quick(), "INVALID_SETTINGS")


EACH_COMMAND = (
    """
settings_ = config.load(sys.argv[1])
%s
print(json.dumps([outcome(getattr(service, name), settings_) for name in ("beat", "run", "stop")]))
"""
    % AS_NOBODY
)


@pytest.mark.parametrize("mode", [0o555, 0])
def test_a_state_dir_of_another_user_is_named(shared: Fleet, mode: int) -> None:
    agent = Agent(shared.root.parent / "host", shared)
    agent.state_dir.mkdir()
    agent.state_dir.chmod(mode)
    answers = python(EACH_COMMAND, str(agent.conf))
    agent.state_dir.chmod(0o755)
    for answer in answers:
        assert answer["error_code"] == "INVALID_SETTINGS"
        assert str(agent.state_dir) in answer["msg"]
        assert "this user" in answer["msg"]
    assert not shared.record("web1").exists()


def test_status_does_not_say_that_nothing_runs_to_who_cannot_know(shared: Fleet) -> None:
    agent = Agent(shared.root.parent / "host", shared)
    beaten(agent.quick())
    agent.state_dir.chmod(0)
    body = "settings_ = config.load(sys.argv[1])\n%s\nprint(json.dumps(outcome(service.status, settings_)))" % AS_NOBODY
    answer = python(body, str(agent.conf))
    agent.state_dir.chmod(0o700)
    assert answer["error_code"] == "INVALID_SETTINGS"
    assert answer["msg"].endswith("%s, which this user may not read; ask as the agent's user" % agent.state_dir)


PLANTED = """
conf, state, name, target = sys.argv[1:]
os.symlink(target, "%s/%s" % (state, name.replace("PID", str(os.getpid()))))
local.Spool(state, identity.boot_id()).failed("TEST", 0)
print(json.dumps(outcome(service.beat, config.load(conf))))
"""


@pytest.mark.parametrize("name", ["agent.lock", "prepared.tmp-PID", "missed.json.tmp-PID"])
def test_links_in_the_state_dir_are_not_followed(agent: Agent, tmp_path: Path, name: str) -> None:
    """Should others be able to write there, they must not get a file of root's overwritten."""
    agent.state_dir.mkdir()
    precious = tmp_path / "precious"
    precious.write_text("precious")
    answer = python(PLANTED, str(agent.conf), str(agent.state_dir), name, str(precious))
    assert precious.read_text() == "precious"
    assert ("error_code" in answer) == (name == "agent.lock")
