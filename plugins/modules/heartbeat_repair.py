#!/usr/bin/python
# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: heartbeat_repair
short_description: Put right what a crash left behind in the store
version_added: "0.1.0"
description:
  - Makes folders of the store that are missing.
  - Makes a checkpoint that is damaged, missing, or not what the journal adds up to anew from the journal.
  - Passes over commits that are torn or missing, for good. What the checkpoint still knows of them is written into the
    journal again, so that nothing is lost that anybody knows.
  - Gives sync entries back whose worker died, so that the next one takes them.
  - Removes locks that nobody holds any more, with O(clear_locks=true).
  - It needs nobody's judgement for any of these. What does is left alone and named by
    M(roosync.heartbeat.heartbeat_diagnose). A damaged C(fleet.json) is a failure, as the settings are a person's.
  - If you have a backup of commits that are lost, put them back first.
author:
  - roosync.heartbeat maintainers (@roosync)
extends_documentation_fragment:
  - roosync.heartbeat.store
  - roosync.heartbeat.store.checker
  - roosync.heartbeat.attributes
attributes:
  check_mode:
    support: full
    details:
      - Says what would be repaired. While folders are missing, what lies beyond them cannot be seen.
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  clear_locks:
    description:
      - Remove lock files that stay held although no living process of the host that runs the module holds them.
      - They may be held by a process of another host. Allow it only if you know that nobody is at work there. A lock
        that is held by nobody at all needs no clearing.
    type: bool
    default: false
seealso:
  - module: roosync.heartbeat.heartbeat_diagnose
"""

EXAMPLES = r"""
- name: See what there is to repair
  roosync.heartbeat.heartbeat_repair:
    store: /srv/heartbeat
  check_mode: true
  diff: true
  register: plan

- name: Repair it, after the host that checked has crashed
  roosync.heartbeat.heartbeat_repair:
    store: /srv/heartbeat
    clear_locks: true
"""

RETURN = r"""
repairs:
  description: What was repaired, or in check mode would be.
  returned: success
  type: list
  elements: dict
  sample:
    - path: journal/00000000000000000042.json
      what: "torn: 118 bytes without a proper end; passed over"
      done: passed over for good
dead_locks:
  description: Locks that no living process of this host holds, and that were left as they are.
  returned: success
  type: list
  elements: str
  sample: [fleet.lock]
commits:
  description:
    - The number of the journal's last commit. As the other numbers it says that the state can be read.
    - Null in check mode, if folders are missing.
  returned: success
  type: int
  sample: 43
machines:
  description: How many machines the fleet has.
  returned: success
  type: int
  sample: 12
last_event:
  description: The number of the newest recorded change of status.
  returned: success
  type: int
  sample: 97
repaired_at:
  description: The store's time afterwards.
  returned: success
  type: str
  sample: "2026-01-31T12:02:11.500000Z"
error_code:
  description:
    - What went wrong, as a stable code.
    - The collection's page on error codes tells what each of them means, and what else a failure returns.
  returned: failure
  type: str
  sample: STORE_CORRUPT
"""

from typing import TYPE_CHECKING, Any, Dict

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._module import boundary
from ..module_utils._module.spec import argument_spec

if TYPE_CHECKING:
    from ..module_utils._engine.stores.file import FileStore


def repair(module: AnsibleModule, store: FileStore) -> Dict[str, Any]:
    """Repair what can be repaired."""
    from ..module_utils._engine.repair import run_repair

    return run_repair(store, clear_locks=module.params["clear_locks"], dry_run=module.check_mode)


def main() -> None:
    module = AnsibleModule(
        argument_spec=argument_spec(clear_locks=dict(type="bool", default=False)),
        supports_check_mode=True,
    )
    boundary.require_checker(module)
    boundary.run(module, lambda store: repair(module, store))


if __name__ == "__main__":
    main()
