#!/usr/bin/python
# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: heartbeat_vault
short_description: Check the vault of the syncs, and take away what is no longer needed
version_added: "0.1.0"
description:
  - The vault keeps every content of the synced trees once, verified by its hash. It only grows by itself.
  - Retention is set with C(keep_snapshots) and C(keep_snapshots_for) of M(roosync.heartbeat.heartbeat_fleet).
  - Syncs and captures may go on meanwhile.
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
    support: none
    details:
      - The returned numbers tell what has changed.
  idempotent:
    support: full
options:
  verify:
    description:
      - Read every content and check it against its hash. The task fails if one is damaged or missing.
      - What is lacking is written down in the vault. Machines that have it add it anew when they are captured or synced
        the next time, even if nothing has changed there.
    type: bool
    default: false
  prune:
    description:
      - Let go of snapshots, records of syncs and versions of the baseline that retention does not keep. Decisions that
        were closed more than 30 days ago go as well.
    type: bool
    default: false
  gc:
    description:
      - Take away contents that nothing names any more, after O(prune).
      - Packs that an earlier O(verify) found damaged are replaced, once all that is needed of them can be had.
    type: bool
    default: false
  grace:
    description:
      - Seconds for which O(gc) leaves a content in peace that was added or relied on. No sync may take longer.
    type: float
    default: 86400
seealso:
  - module: roosync.heartbeat.heartbeat_fleet
  - module: roosync.heartbeat.heartbeat_sync
"""

EXAMPLES = r"""
- name: Check every content once a week
  roosync.heartbeat.heartbeat_vault:
    store: /srv/heartbeat
    verify: true

- name: Take away what is too old
  roosync.heartbeat.heartbeat_vault:
    store: /srv/heartbeat
    prune: true
    gc: true
"""

RETURN = r"""
verified:
  description:
    - What the check found. C(lost) are contents that are named, damaged, and whole nowhere else, C(missing) those that
      are named and nowhere to be found.
  returned: when O(verify=true)
  type: dict
  sample:
    packs: 12
    contents: 10241
    bytes: 61214310
    damaged: {}
    lost: []
    missing: []
pruned:
  description: How much retention let go of.
  returned: when O(prune=true)
  type: dict
  sample:
    snapshots: 4
    records: 1
    versions: 0
    decisions: 0
collected:
  description: How much was taken away.
  returned: when O(gc=true)
  type: dict
  sample:
    packs: 2
    contents: 311
    bytes: 1048576
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


def keep_up(module: AnsibleModule, store: FileStore) -> Dict[str, Any]:
    """Do what is asked for, in the order in which it makes sense."""
    from ..module_utils._engine.sync import keeping

    params = module.params
    return keeping.keep_up(
        store, params["verify"], params["prune"], params["grace"] if params["gc"] else None, module.check_mode
    )


def main() -> None:
    module = AnsibleModule(
        argument_spec=argument_spec(
            verify=dict(type="bool", default=False),
            prune=dict(type="bool", default=False),
            gc=dict(type="bool", default=False),
            grace=dict(type="float", default=86400),
        ),
        supports_check_mode=True,
    )
    boundary.require_checker(module)
    boundary.run(module, lambda store: keep_up(module, store))


if __name__ == "__main__":
    main()
