#!/usr/bin/python
# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: heartbeat_import
short_description: Take over machines from another monitor
version_added: "0.1.0"
description:
  - Takes over the machines of a file, each with the time at which it was last heard of. A machine is as dead here as it
    was there.
  - Reads the files of the earlier RooSync heartbeat tools (C(heartbeat.json), C(heartbeats.json), or a directory with
    one file for each machine, also from their backups), and plain JSON and CSV of any other monitor.
  - The record of a machine that beats here already is never replaced.
author:
  - roosync.heartbeat maintainers (@roosync)
extends_documentation_fragment:
  - roosync.heartbeat.store
  - roosync.heartbeat.store.checker
  - roosync.heartbeat.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  src:
    description:
      - The file, or the directory with one file for each machine, on the host that runs the module.
    type: path
    required: true
  format:
    description:
      - What the file is. By default that is seen from how it begins.
    type: str
    choices: [auto, json, csv]
    default: auto
  columns:
    description:
      - Which columns of a CSV file, or keys of a JSON file, hold the machine's name and the time at which it was last
        heard of. Needed where their names are not the usual ones, such as C(host) and C(last_seen).
      - What is in other columns becomes the machine's metadata.
    type: dict
    suboptions:
      machine_id:
        description:
          - The column with the name.
        type: str
      last_heartbeat:
        description:
          - The column with the time.
        type: str
  utc_offset:
    description:
      - What times without an offset are meant in, such as V(+01:00). Without it they are refused.
    type: str
  expect:
    description:
      - Expect the machines in the fleet. One of which no time is known is V(unknown) until it beats.
    type: bool
    default: true
seealso:
  - module: roosync.heartbeat.heartbeat_register
  - module: roosync.heartbeat.heartbeat_restore
"""

EXAMPLES = r"""
- name: Take over what the earlier tools knew
  roosync.heartbeat.heartbeat_import:
    store: /srv/heartbeat
    src: /srv/roosync/heartbeat.json

- name: Take over a list of hosts from another monitor
  roosync.heartbeat.heartbeat_import:
    store: /srv/heartbeat
    src: /srv/export/hosts.csv
    columns:
      machine_id: Host Name
      last_heartbeat: Last Check
    utc_offset: "+01:00"
"""

RETURN = r"""
machines:
  description:
    - What became of each machine. C(action) is V(imported), V(expected) if no time is known at which it was heard of,
      or V(kept) if a heartbeat that is here already tells more.
  returned: success
  type: list
  elements: dict
  sample:
    - machine_id: web-03
      last_heartbeat: "2026-01-31T12:00:00.000000Z"
      action: imported
failed_machines:
  description: What was not taken over, with the reason.
  returned: success
  type: list
  elements: dict
  sample:
    - index: 2
      machine_id: ../x
      error_code: INVALID_MACHINE_ID
      msg: "machine_id '../x' has characters that are not allowed (/); use letters, digits, '.', '_' and '-'"
error_code:
  description:
    - What went wrong, as a stable code.
    - The collection's page on error codes tells what each of them means, and what else a failure returns.
  returned: failure
  type: str
  sample: HEARTBEAT_REGISTRATION_FAILED
"""

from typing import TYPE_CHECKING, Any, Dict

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._module import boundary
from ..module_utils._module.spec import argument_spec

if TYPE_CHECKING:
    from ..module_utils._engine.stores.file import FileStore


def take_over(module: AnsibleModule, store: FileStore) -> Dict[str, Any]:
    """Read the file, and keep what is in it."""
    from ..module_utils._engine.backup import foreign, importing

    params = module.params
    named = params["columns"] or {}
    request = importing.Request(
        src=params["src"],
        format=params["format"],
        columns=foreign.Columns(named.get("machine_id"), named.get("last_heartbeat")),
        utc_offset=params["utc_offset"],
        expect=params["expect"],
    )
    return importing.run(store, request, dry_run=module.check_mode)


def main() -> None:
    module = AnsibleModule(
        argument_spec=argument_spec(
            src=dict(type="path", required=True),
            format=dict(type="str", choices=["auto", "json", "csv"], default="auto"),
            columns=dict(type="dict", options=dict(machine_id=dict(type="str"), last_heartbeat=dict(type="str"))),
            utc_offset=dict(type="str"),
            expect=dict(type="bool", default=True),
        ),
        supports_check_mode=True,
    )
    boundary.require_checker(module)
    boundary.run(module, lambda store: take_over(module, store))


if __name__ == "__main__":
    main()
