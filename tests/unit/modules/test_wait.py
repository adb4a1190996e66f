# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When heartbeat_wait looks. The pause is a stand-in that lets things happen instead of waiting for them."""

from __future__ import annotations

from typing import Any, Callable, Dict, List

import pytest

from ansible_collections.roosync.heartbeat.plugins.module_utils._engine import look
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.clock import NS, iso, parse_iso
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.register import register
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.stores import open_store

RunModule = Callable[..., Dict[str, Any]]


def come(store: str) -> None:
    with open_store(store) as opened:
        register(opened, "web-03")


def test_the_last_look_is_when_the_time_is_up(
    run_module: RunModule, store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pause that is longer than the time that is left must not make it give up early."""
    pauses: List[float] = []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        come(store)

    monkeypatch.setattr(look.time, "sleep", pause)
    result = run_module("heartbeat_wait", store=store, machines=["web-03"], timeout=30, delay=3600)
    assert (result["status"], result["looks"]) == ("online", 2)
    assert len(pauses) == 1
    assert 20 < pauses[0] <= 30


def test_no_time_at_all_is_one_look(run_module: RunModule, store: str) -> None:
    given = {"store": store, "machines": ["web-03"], "timeout": 0}
    assert run_module("heartbeat_wait", **given)["error_code"] == "WAIT_TIMEOUT"
    come(store)
    assert run_module("heartbeat_wait", **given)["looks"] == 1


def test_a_heartbeat_of_another_host_or_from_before_does_not_do(run_module: RunModule, store: str) -> None:
    """The machine is online for all that."""
    own, other = "1" * 32, "2" * 32

    def waited(fingerprint: str, since: int) -> Dict[str, Any]:
        beats = [{"machine_id": "WEB-03", "fingerprint": fingerprint, "since": iso(since)}]
        return run_module("heartbeat_wait", store=store, machines=["web-03"], beats=beats, timeout=0)

    with open_store(store) as opened:
        arrived = parse_iso(register(opened, "web-03", fingerprint=own)["received_at"])
    assert waited(own, arrived)["status"] == "online"
    assert waited(own, arrived + NS)["missing"] == {"web-03": "online: no new heartbeat"}
    assert waited(other, arrived)["missing"] == {"web-03": "online: the heartbeat is another host's"}


def test_a_heartbeat_since_no_time_is_refused(run_module: RunModule, store: str) -> None:
    beats = [{"machine_id": "web-01", "fingerprint": "", "since": "yesterday"}]
    result = run_module("heartbeat_wait", store=store, machines=["web-01"], beats=beats)
    assert result["error_code"] == "INVALID_SETTINGS"
    assert "since: 'yesterday' is no time" in result["msg"]
