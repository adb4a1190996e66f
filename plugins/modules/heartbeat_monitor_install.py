#!/usr/bin/python
# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: heartbeat_monitor_install
short_description: Put a check that runs without Ansible on a host, with its configuration
version_added: "0.1.0"
description:
  - Copies the files of the check to the host and writes its configuration. A scheduler that starts it is the business
    of the role P(roosync.heartbeat.heartbeat_monitor#role), which uses this module.
  - A new version is put beside the old one and switched to in one step.
  - Refuses a host that could not check. A store that is not mounted, full or read-only is found out here.
  - This module needs nothing but Python and its standard library. The check itself needs what O(python) has.
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
      - V(present) installs the check, V(absent) removes its files, its configuration and what it remembers.
      - Nothing is removed but what this module has put there, which is marked for that. Where folders of others are in
        the way, V(present) fails. Only O(config) is written whatever was there.
      - Results stay in any case.
    type: str
    choices: [present, absent]
    default: present
  python:
    description:
      - The Python that the check is to run with. It needs C(pydantic) 2.10 or newer and C(filelock) 3.12 or newer.
      - The default is the one that runs this module.
    type: str
  interval:
    description:
      - Seconds between two checks, for this module to refuse what the scheduler cannot keep.
    type: float
    default: 60
  whole_minutes:
    description:
      - The scheduler knows whole minutes only, as cron does. Refuse any other interval.
    type: bool
    default: false
  results:
    description:
      - The folder of the results. It has to be there. The default is C(logs) of the fleet, in the store.
      - Each check leaves a file there, C(check-TIME-HOST.json), and the newest once more as C(latest.json).
    type: str
  keep:
    description:
      - How many results of this host to keep.
    type: int
    default: 1000
  keep_days:
    description:
      - For how many days to keep them.
    type: float
    default: 30
  hook:
    description:
      - A command to run when machines are newly offline, and not as planned. Its program, by its full path, and its
        arguments.
      - It gets the machines in the environment variable E(ROOSYNC_NEWLY_OFFLINE), and everything about them as JSON on
        its standard input.
      - Each event is told at least once. If the command fails, it is told again after the next check.
    type: list
    elements: str
    default: []
  hook_timeout:
    description:
      - Seconds after which the command is ended, one at least.
    type: float
    default: 60
  prefix:
    description:
      - The folder of the files.
    type: path
    default: /usr/lib/roosync-heartbeat-monitor
  config:
    description:
      - The configuration file.
    type: path
    default: /etc/roosync-heartbeat/monitor.conf
  state_dir:
    description:
      - The folder of what is remembered from check to check.
    type: path
    default: /var/lib/roosync-heartbeat-monitor
  owner:
    description:
      - The user that the check runs as. It owns O(state_dir) with what is remembered there, and may read
        O(config).
      - What that user can do in the store is tried out as that user, so that a share which knows no root (NFS with
        C(root_squash)) will do. Any other user than the one that the task runs as takes root.
    type: str
seealso:
  - module: roosync.heartbeat.heartbeat_check
"""

EXAMPLES = r"""
- name: Put the check on this host
  roosync.heartbeat.heartbeat_monitor_install:
    store: /srv/heartbeat
    keep: 500
    hook:
      - /usr/local/bin/page
      - --urgent

- name: Take it away
  roosync.heartbeat.heartbeat_monitor_install:
    store: /srv/heartbeat
    state: absent
"""

RETURN = r"""
release:
  description: The version of the files, with a hash of them.
  returned: success and O(state=present)
  type: str
  sample: 0.1.0-3f1c0a9b77d2
command:
  description: The command that a scheduler starts for one check.
  returned: success and O(state=present)
  type: list
  elements: str
  sample:
    - /usr/lib/roosync-heartbeat-monitor/python/bin/python
    - -I
    - /usr/lib/roosync-heartbeat-monitor/current/_engine/monitor/start.py
    - /etc/roosync-heartbeat/monitor.conf
results_dir:
  description: The folder of the results.
  returned: success and O(state=present)
  type: str
  sample: /srv/heartbeat/default/logs
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
from ..module_utils._engine.forked import as_user
from ..module_utils._engine.monitor import deploy
from ..module_utils._engine.monitor.config import KEYS, Config, as_text
from ..module_utils._engine.stores import open_store
from ..module_utils._module import installing
from ..module_utils._module.spec import argument_spec


def install(module: AnsibleModule) -> Dict[str, Any]:
    """The check as it is asked for, on a host that can check."""
    params = module.params
    text = releases.config_text(KEYS, as_text({key: params[key] for key in KEYS}))
    config = Config(params["config"], text)
    with open_store(config.store, config.fleet) as store:
        as_user(params["owner"], lambda: deploy.examine(store, params["interval"], params["whole_minutes"]))
        results = deploy.results_of(config, store)
    return dict(
        installing.install(module, text, deploy.sources(), deploy.REMEMBERED),
        command=deploy.command(params["python"] or sys.executable, params["prefix"], params["config"]),
        results_dir=results,
    )


def main() -> None:
    module = AnsibleModule(
        argument_spec=argument_spec(
            state=dict(type="str", choices=["present", "absent"], default="present"),
            python=dict(type="str"),
            interval=dict(type="float", default=60),
            whole_minutes=dict(type="bool", default=False),
            results=dict(type="str"),
            keep=dict(type="int", default=1000),
            keep_days=dict(type="float", default=30),
            hook=dict(type="list", elements="str", default=[]),
            hook_timeout=dict(type="float", default=60),
            prefix=dict(type="path", default="/usr/lib/roosync-heartbeat-monitor"),
            config=dict(type="path", default="/etc/roosync-heartbeat/monitor.conf"),
            state_dir=dict(type="path", default="/var/lib/roosync-heartbeat-monitor"),
            owner=dict(type="str"),
        ),
        supports_check_mode=True,
    )
    installing.run(module, lambda: install(module), deploy.REMEMBERED)


if __name__ == "__main__":
    main()
