#!/usr/bin/python
# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: heartbeat_backup_info
short_description: List backups and snapshots, and verify backups
version_added: "0.1.0"
description:
  - Lists the backups of a fleet. With O(verify) each of them is read to its end, and compared with its digests.
  - A backup that is damaged makes the task fail, after all of them were looked at.
author:
  - roosync.heartbeat maintainers (@roosync)
extends_documentation_fragment:
  - roosync.heartbeat.store
  - roosync.heartbeat.store.checker
  - roosync.heartbeat.store.backup
  - roosync.heartbeat.attributes
  - roosync.heartbeat.attributes.read_only
options:
  name:
    description:
      - Only this backup. A name, an absolute path, or V(latest).
    type: str
  machine_id:
    description:
      - Only the backups of this machine, and the snapshots of its trees.
    type: str
  verify:
    description:
      - Read and verify the backups. Those that are encrypted need O(passphrase).
    type: bool
    default: false
seealso:
  - module: roosync.heartbeat.heartbeat_backup
  - module: roosync.heartbeat.heartbeat_restore
"""

EXAMPLES = r"""
- name: Which backups are there
  roosync.heartbeat.heartbeat_backup_info:
    store: /srv/heartbeat
    directory: /var/backups/heartbeat

- name: Which snapshots are there of the trees of this machine
  roosync.heartbeat.heartbeat_backup_info:
    store: /srv/heartbeat
    machine_id: web-01

- name: Verify all of them
  roosync.heartbeat.heartbeat_backup_info:
    store: /srv/heartbeat
    directory: /var/backups/heartbeat
    verify: true
"""

RETURN = r"""
backups:
  description:
    - The backups, newest first.
    - C(before_restore) says that it is of what a restore has replaced.
    - C(verified) is null if it was not asked for. C(problem) says what is wrong with one that is not.
    - What is in a backup (C(machines), C(commit), C(files), C(content_bytes), C(sha256), C(reason)) is there if it was
      verified.
  returned: success
  type: list
  elements: dict
  sample:
    - name: default@20260131T120000.123456Z.tar.gz
      location: /var/backups/heartbeat/default@20260131T120000.123456Z.tar.gz
      machine_id: null
      created_at: "2026-01-31T12:00:00.123456Z"
      encrypted: false
      bytes: 3109
      before_restore: false
      verified: true
      problem: null
      machines: 6
      commit: 17
      files: 29
      content_bytes: 14568
      sha256: efaacfe8a2090687778d51651e8d29f777c76044b6e9ef156f6011a866accff4
      reason: ""
snapshots:
  description:
    - The snapshots of the machine's trees, the newest of each tree first. M(roosync.heartbeat.heartbeat_restore) brings
      them back.
  returned: if O(machine_id) is given
  type: list
  elements: dict
  sample:
    - tree: site
      snapshot: 3
      captured_at: "2026-01-31T12:00:00.123456Z"
error_code:
  description:
    - What went wrong, as a stable code.
    - The collection's page on error codes tells what each of them means, and what else a failure returns.
  returned: failure
  type: str
  sample: BACKUP_CORRUPT
"""

from typing import TYPE_CHECKING, Any, Dict

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._module import boundary
from ..module_utils._module.spec import argument_spec, backup_options

if TYPE_CHECKING:
    from ..module_utils._engine.stores.file import FileStore


def look(module: AnsibleModule, store: FileStore) -> Dict[str, Any]:
    """List, and verify if that is wanted."""
    from ..module_utils._engine.backup import inspection

    params = module.params
    return inspection.run(
        store,
        directory=params["directory"],
        name=params["name"],
        machine_id=params["machine_id"],
        verify=params["verify"],
        passphrase=params["passphrase"],
    )


def main() -> None:
    module = AnsibleModule(
        argument_spec=argument_spec(
            **backup_options(),
            name=dict(type="str"),
            machine_id=dict(type="str"),
            verify=dict(type="bool", default=False),
        ),
        supports_check_mode=True,
    )
    boundary.require_checker(module)
    boundary.run(module, lambda store: look(module, store))


if __name__ == "__main__":
    main()
