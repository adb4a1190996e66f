#!/usr/bin/python
# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: heartbeat_decision
short_description: Settle conflicts that a sync has left to a person
version_added: "0.1.0"
description:
  - With the C(conflict_policy) V(manual), a path that a machine and the baseline have both changed differently opens a
    decision. Both sides keep what they have until somebody settles it.
  - The next sync of the machine carries out what was settled. It holds for what both sides had when the decision was
    opened. If one has changed since, the decision is opened anew.
  - Without O(keep) the decisions are only listed.
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
    support: partial
    details:
      - A file that is given with O(src) is published each time.
options:
  decision_id:
    description:
      - This decision only.
    type: str
  machine_id:
    description:
      - Decisions of this machine only. A machine that has never beaten is an error.
    type: str
  tree:
    description:
      - Decisions of this tree only. One that the fleet does not have is an error.
    type: str
  keep:
    description:
      - V(machine) keeps what the machine has, V(baseline) what the baseline has.
      - V(file) keeps O(src) in place of both. It becomes a new version of the baseline at once.
    type: str
    choices: [machine, baseline, file]
  src:
    description:
      - The file to be kept with O(keep=file), and with nothing else, on the host that runs the module. Mode and owner
        are those that the baseline has, or else the machine.
    type: path
  reason:
    description:
      - Why, or who says so, for people to read.
    type: str
    default: ""
seealso:
  - module: roosync.heartbeat.heartbeat_sync
"""

EXAMPLES = r"""
- name: List what is to be decided
  roosync.heartbeat.heartbeat_decision:
    store: /srv/heartbeat
  register: found

- name: Keep what the baseline has, wherever there is a question about web-01
  roosync.heartbeat.heartbeat_decision:
    store: /srv/heartbeat
    machine_id: web-01
    keep: baseline
    reason: It was only a trial
"""

RETURN = r"""
decisions:
  description: The decisions that were asked for, as they are now. Those that are over are left out.
  returned: success
  type: list
  elements: dict
  sample:
    - decision_id: 3f1c0a9b77d2e001
      machine_id: web-01
      tree: site
      path: news.html
      state: settled
      keep: baseline
      machine:
        kind: file
        mode: "0644"
        owner: root
        group: root
        size: 5
        modified: "2026-01-31T11:58:00.000000Z"
        content: 2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824
      baseline: null
      base: null
      opened_at: "2026-01-31T12:00:00.000000Z"
      sync_id: 20260131T120000Z-3f1c0a9b77d2
      reason: It was only a trial
settled:
  description: The ids of those that this task has settled.
  returned: success
  type: list
  elements: str
  sample: [3f1c0a9b77d2e001]
error_code:
  description:
    - What went wrong, as a stable code.
    - The collection's page on error codes tells what each of them means, and what else a failure returns.
  returned: failure
  type: str
  sample: INVALID_SETTINGS
"""

from typing import TYPE_CHECKING, Any, Dict

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._module import boundary
from ..module_utils._module.spec import argument_spec

if TYPE_CHECKING:
    from ..module_utils._engine.stores.file import FileStore


def decide(module: AnsibleModule, store: FileStore) -> Dict[str, Any]:
    """Settle decisions, or list them."""
    from ..module_utils._engine.sync.settling import Settlement, settle

    options = ("decision_id", "machine_id", "tree", "keep", "src", "reason")
    request = Settlement(**{name: module.params[name] for name in options})
    return settle(store, request, dry_run=module.check_mode)


def main() -> None:
    module = AnsibleModule(
        argument_spec=argument_spec(
            decision_id=dict(type="str"),
            machine_id=dict(type="str"),
            tree=dict(type="str"),
            keep=dict(type="str", choices=["machine", "baseline", "file"]),
            src=dict(type="path"),
            reason=dict(type="str", default=""),
        ),
        supports_check_mode=True,
    )
    boundary.require_checker(module)
    boundary.run(module, lambda store: decide(module, store))


if __name__ == "__main__":
    main()
