#!/usr/bin/python
# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: heartbeat_backup
short_description: Back up a fleet, or one machine of it
version_added: "0.1.0"
description:
  - Makes one archive of everything that is kept for a fleet, while machines go on beating. It is read back and verified
    before it gets its name.
  - Older backups are removed by O(keep) and O(keep_for).
  - A backup is a compressed tar archive. With O(passphrase) it is encrypted, in the format of the tool C(age). Only its
    owner can read it.
  - M(roosync.heartbeat.heartbeat_backup_info) lists backups and verifies them. M(roosync.heartbeat.heartbeat_restore)
    brings them back.
author:
  - roosync.heartbeat maintainers (@roosync)
extends_documentation_fragment:
  - roosync.heartbeat.store
  - roosync.heartbeat.store.checker
  - roosync.heartbeat.store.backup
  - roosync.heartbeat.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
    details:
      - RV(backup) and RV(removed) tell what is made and what is removed.
  idempotent:
    support: partial
    details:
      - Each run makes another backup, unless O(max_age) says that there is one which is young enough.
options:
  state:
    description:
      - V(present) makes a backup, then removes those that O(keep) and O(keep_for) let go.
      - V(pruned) only removes those.
      - V(absent) removes the one backup that O(name) says.
    type: str
    choices: [present, pruned, absent]
    default: present
  name:
    description:
      - The name of the backup to remove.
    type: str
  machine_id:
    description:
      - Back up this machine only.
    type: str
  max_age:
    description:
      - Make no backup if there is one that is younger than this, in seconds. Backups of what a restore has replaced do
        not count.
    type: float
  keep:
    description:
      - Keep so many of the newest backups. Those of the whole fleet are counted by themselves, and so are those of each
        machine, and among each of them those of what a restore has replaced.
      - A backup that is kept by O(keep) or by O(keep_for) stays, and the newest always stays. If neither is given, all
        of them stay.
    type: int
  keep_for:
    description:
      - Keep all backups that are younger than this, in seconds.
    type: float
  verify:
    description:
      - Read the new backup back, and compare it with its digests.
    type: bool
    default: true
seealso:
  - module: roosync.heartbeat.heartbeat_backup_info
  - module: roosync.heartbeat.heartbeat_restore
"""

EXAMPLES = r"""
- name: A backup each day, the last seven and those of the last month
  roosync.heartbeat.heartbeat_backup:
    store: /srv/heartbeat
    directory: /var/backups/heartbeat
    max_age: 86000
    keep: 7
    keep_for: 2592000

- name: An encrypted backup, with a passphrase that is kept by Ansible Vault
  roosync.heartbeat.heartbeat_backup:
    store: /srv/heartbeat
    directory: /var/backups/heartbeat
    passphrase: "{{ vaulted_passphrase | default('correct horse battery staple') }}"

- name: One machine, before it is taken apart
  roosync.heartbeat.heartbeat_backup:
    store: /srv/heartbeat
    machine_id: web-03
"""

RETURN = r"""
backup:
  description:
    - The backup that was made, or the one that is young enough.
    - C(machine_id) is null if it is of the whole fleet. C(sha256) is the digest that the archive carries in itself.
  returned: if O(state=present)
  type: dict
  sample:
    name: default@20260131T120000.123456Z.tar.gz
    location: /var/backups/heartbeat/default@20260131T120000.123456Z.tar.gz
    machine_id: null
    created_at: "2026-01-31T12:00:00.123456Z"
    encrypted: false
    bytes: 3109
    before_restore: false
    machines: 6
    commit: 17
    files: 29
    content_bytes: 14568
    sha256: efaacfe8a2090687778d51651e8d29f777c76044b6e9ef156f6011a866accff4
    reason: ""
removed:
  description: The backups that were removed.
  returned: success
  type: list
  elements: dict
  sample:
    - name: default@20260124T120000.123456Z.tar.gz
      location: /var/backups/heartbeat/default@20260124T120000.123456Z.tar.gz
      machine_id: null
      created_at: "2026-01-24T12:00:00.123456Z"
      encrypted: false
      bytes: 3109
      before_restore: false
backups:
  description:
    - The backups that are there now, newest first.
    - C(before_restore) says that it is of what a restore has replaced.
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
error_code:
  description:
    - What went wrong, as a stable code.
    - The collection's page on error codes tells what each of them means, and what else a failure returns.
  returned: failure
  type: str
  sample: DISK_SPACE_LOW
"""

from typing import TYPE_CHECKING, Any, Dict

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._module import boundary
from ..module_utils._module.spec import argument_spec, backup_options

if TYPE_CHECKING:
    from ..module_utils._engine.stores.file import FileStore


def back_up(module: AnsibleModule, store: FileStore) -> Dict[str, Any]:
    """Make a backup, or remove some."""
    from ..module_utils._engine.backup import create

    params = module.params
    request = create.Request(
        machine_id=params["machine_id"],
        directory=params["directory"],
        passphrase=params["passphrase"],
        verify=params["verify"],
        max_age=params["max_age"],
        keep=params["keep"],
        keep_for=params["keep_for"],
    )
    if params["state"] == "present":
        return create.run(store, request, dry_run=module.check_mode)
    if params["state"] == "pruned":
        return create.prune_only(store, request, dry_run=module.check_mode)
    return create.remove_one(store, request, params["name"], dry_run=module.check_mode)


def main() -> None:
    module = AnsibleModule(
        argument_spec=argument_spec(
            **backup_options(),
            state=dict(type="str", choices=["present", "pruned", "absent"], default="present"),
            name=dict(type="str"),
            machine_id=dict(type="str"),
            max_age=dict(type="float"),
            keep=dict(type="int"),
            keep_for=dict(type="float"),
            verify=dict(type="bool", default=True),
        ),
        required_if=[("state", "absent", ["name"])],
        supports_check_mode=True,
    )
    boundary.require_checker(module)
    boundary.run(module, lambda store: back_up(module, store))


if __name__ == "__main__":
    main()
