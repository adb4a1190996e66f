#!/usr/bin/python
# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: heartbeat_agent_install
short_description: Put the beating agent on a host, with its configuration
version_added: "0.1.0"
description:
  - Copies the agent's files to the host and writes its configuration. A scheduler that starts it is the business of the
    role P(roosync.heartbeat.heartbeat_agent#role), which uses this module.
  - A new version is put beside the old one and switched to in one step.
  - Refuses a host that could not beat. A store that is not mounted, full, read-only or closed to O(owner) is found out
    here, and so are folders that O(owner) may not enter, and an O(host_id) that says nothing.
  - Needs nothing but Python and its standard library on the host.
author:
  - roosync.heartbeat maintainers (@roosync)
extends_documentation_fragment:
  - roosync.heartbeat.store
  - roosync.heartbeat.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  state:
    description:
      - V(present) installs the agent, V(absent) removes its files, its configuration and what it remembers.
      - Nothing is removed but what this module has put there, which is marked for that. Where folders of others are in
        the way, V(present) fails. Only O(config) is written whatever was there.
    type: str
    choices: [present, absent]
    default: present
  machine_id:
    description:
      - The machine's name in the fleet. The default is the host's name.
    type: str
  metadata:
    description:
      - Facts to send with each heartbeat.
    type: dict
    default: {}
  takeover:
    description:
      - Take the machine's name over from another host that is still beating under it.
    type: bool
    default: false
  capture_every:
    description:
      - After how many heartbeats a snapshot of the machine's trees is due, as with
        O(roosync.heartbeat.heartbeat_sync#module:event=capture); V(0) for never. What the agent's user may not read is
        unknown in it.
      - Something has to start them, as with the heartbeats. RV(command) with V(capture) at its end takes one.
    type: int
    default: 0
  prefix:
    description:
      - The folder of the agent's files.
    type: path
    default: /usr/lib/roosync-heartbeat
  config:
    description:
      - The agent's configuration file.
    type: path
    default: /etc/roosync-heartbeat/agent.conf
  state_dir:
    description:
      - The folder of what the agent remembers from beat to beat.
    type: path
    default: /var/lib/roosync-heartbeat
  host_id:
    description:
      - The file whose first line identifies the host. The default is C(/etc/machine-id).
    type: path
  owner:
    description:
      - The user that the agent runs as. It owns O(state_dir) with what is remembered there, and may read
        O(config).
      - What that user can do in the store is tried out as that user, so that a share which knows no root (NFS with
        C(root_squash)) will do. Any other user than the one that the task runs as takes root.
    type: str
  whole_minutes:
    description:
      - The scheduler knows whole minutes only, as cron does. Refuse any other interval.
    type: bool
    default: false
seealso:
  - module: roosync.heartbeat.heartbeat_fleet
  - module: roosync.heartbeat.heartbeat_register
"""

EXAMPLES = r"""
- name: Put the agent on this host
  roosync.heartbeat.heartbeat_agent_install:
    store: /srv/heartbeat
    metadata:
      role: web

- name: Take it away
  roosync.heartbeat.heartbeat_agent_install:
    store: /srv/heartbeat
    state: absent
"""

RETURN = r"""
machine_id:
  description: The name that the machine goes by.
  returned: success and O(state=present)
  type: str
  sample: web-01
heartbeat_interval:
  description: How often the machine is to beat, in seconds.
  returned: success and O(state=present)
  type: float
  sample: 30.0
beat:
  description:
    - What tells a heartbeat of this deployment from one that was there before, or is another host's. It is meant for
      the option O(roosync.heartbeat.heartbeat_wait#module:beats).
  returned: success and O(state=present)
  type: dict
  sample:
    machine_id: web-01
    fingerprint: 5f0c7e0f3a8d4d0bb1e6a1f1d3b7c2aa
    since: "2026-01-31T12:00:00.123456Z"
release:
  description: The version of the agent's files, with a hash of them.
  returned: success and O(state=present)
  type: str
  sample: 0.1.0-3f1c0a9b77d2
command:
  description: The command that a scheduler starts for one heartbeat.
  returned: success and O(state=present)
  type: list
  elements: str
  sample:
    - /usr/bin/python3
    - -I
    - -S
    - /usr/lib/roosync-heartbeat/current/_engine/agent/quick.py
    - /etc/roosync-heartbeat/agent.conf
error_code:
  description:
    - What went wrong, as a stable code.
    - The collection's page on error codes tells what each of them means, and what else a failure returns.
  returned: failure
  type: str
  sample: STORE_UNAVAILABLE
"""

import sys
from typing import Any, Dict

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._engine import releases
from ..module_utils._engine.agent import deploy
from ..module_utils._engine.agent.config import KEYS, Config
from ..module_utils._engine.forked import as_user
from ..module_utils._engine.metadata import encode_metadata
from ..module_utils._module import installing
from ..module_utils._module.spec import argument_spec


def install(module: AnsibleModule) -> Dict[str, Any]:
    """The agent as it is asked for, on a host that can beat."""
    params = module.params
    text = releases.config_text(
        KEYS,
        {
            "store": params["store"],
            "fleet": params["fleet"],
            "machine_id": params["machine_id"],
            "metadata": encode_metadata(params["metadata"])[0],
            "state_dir": params["state_dir"],
            "host_id": params["host_id"],
            "takeover": "true" if params["takeover"] else None,
            "capture_every": str(params["capture_every"]) if params["capture_every"] else None,
        },
    )
    config = Config(params["config"], text)
    examined = as_user(params["owner"], lambda: deploy.examine(config, params["whole_minutes"]))
    return dict(
        installing.install(module, text, deploy.sources(captures=config.capture_every > 0), deploy.REMEMBERED),
        machine_id=config.machine_id,
        **examined,
        command=deploy.command(sys.executable, params["prefix"], params["config"]),
    )


def main() -> None:
    module = AnsibleModule(
        argument_spec=argument_spec(
            state=dict(type="str", choices=["present", "absent"], default="present"),
            machine_id=dict(type="str"),
            metadata=dict(type="dict", default={}),
            takeover=dict(type="bool", default=False),
            capture_every=dict(type="int", default=0),
            prefix=dict(type="path", default="/usr/lib/roosync-heartbeat"),
            config=dict(type="path", default="/etc/roosync-heartbeat/agent.conf"),
            state_dir=dict(type="path", default="/var/lib/roosync-heartbeat"),
            host_id=dict(type="path"),
            owner=dict(type="str"),
            whole_minutes=dict(type="bool", default=False),
        ),
        supports_check_mode=True,
    )

    installing.run(module, lambda: install(module), deploy.REMEMBERED, deploy.end_capture)


if __name__ == "__main__":
    main()
