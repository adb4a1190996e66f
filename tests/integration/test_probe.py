# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbook ``probe``: who is registered, of those that cannot beat by themselves."""

from __future__ import annotations

import json
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from ansible_collections.roosync.heartbeat.tests.integration.fleets import prepare
from ansible_collections.roosync.heartbeat.tests.integration.runner import NO_RESET, Ansible


@contextmanager
def device(greeting: bytes) -> Iterator[int]:
    """A port of this machine at which something answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    connected = server.accept()[0]
                except OSError:
                    return  # closed
                with connected, suppress(OSError):  # whoever asks may be gone before there is an answer
                    connected.sendall(greeting)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join()


def over(connection: str, port: int) -> dict[str, Any]:
    return {"ansible_connection": f"ansible.netcommon.{connection}", "ansible_host": "127.0.0.1", "ansible_port": port}


def test_who_answers_over_connections_by_which_ansible_asks_the_device_nothing(
    ansible: Ansible, tmp_path: Path
) -> None:
    """A ping would run on the control node, and succeed for a device that is dead."""
    prepare(tmp_path / "store", {})
    with device(b"SSH-2.0-device\r\n") as netconf, device(b"") as other, socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))  # nobody listens
        dead = bound.getsockname()[1]
        hosts = {
            "a-host": {"ansible_connection": "local", "ansible_python_interpreter": sys.executable},
            "router-1": over("netconf", netconf),
            "router-2": over("netconf", dead),
            "router-3": over("netconf", other),
            "switch-1": over("grpc", other),
            "switch-2": over("grpc", dead),
        }
        inventory = tmp_path / "inventory.json"
        inventory.write_text(json.dumps({"devices": {"hosts": hosts}}), encoding="utf-8")
        run = ansible.play(
            Path("roosync.heartbeat.probe"),
            *("-i", str(inventory)),
            variables={
                "heartbeat_hosts": "devices",
                "heartbeat_store": str(tmp_path / "store"),
                "heartbeat_probe_timeout": 10,  # the dead are asked again for as long
            },
        )
    assert run.rc == 0, run.output
    assert set(run.complaints) <= {NO_RESET}, run.output
    found = sorted(path.stem for path in (tmp_path / "store" / "default" / "heartbeats").iterdir())
    assert found == ["a-host", "router-1", "switch-1"]
