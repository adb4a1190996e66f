#!/usr/bin/python
# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: heartbeat_incident
short_description: Release an incident
version_added: "0.1.0"
description:
  - A mass failure holds the sync entries of its machines. Releasing it lets go of them. Those that are still true
    become pending, the others are skipped.
  - An incident is released by itself when its machines return, or after C(hold_timeout) of the fleet.
  - Releasing a store outage that is still going on says that the store is well and the machines are gone. They are then
    judged by their silence, as any machine.
  - M(roosync.heartbeat.heartbeat_info) lists the incidents.
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
      - RV(incident) shows what the incident has become.
  idempotent:
    support: full
options:
  incident_id:
    description:
      - The incident, as RV(roosync.heartbeat.heartbeat_check#module:incidents) names it.
    type: str
    required: true
  reason:
    description:
      - Why, or who says so, for people to read. It is recorded.
    type: str
    default: ""
seealso:
  - module: roosync.heartbeat.heartbeat_check
  - module: roosync.heartbeat.heartbeat_info
"""

EXAMPLES = r"""
- name: Check the fleet
  roosync.heartbeat.heartbeat_check:
    store: /srv/heartbeat
  register: fleet

- name: Release every mass failure that is going on
  roosync.heartbeat.heartbeat_incident:
    store: /srv/heartbeat
    incident_id: "{{ item.incident_id }}"
    reason: The power of rack 12 will not be back today
  loop: "{{ fleet.incidents | selectattr('kind', 'eq', 'mass_failure') }}"
  loop_control:
    label: "{{ item.incident_id }}"
"""

RETURN = r"""
incident:
  description: The incident as it is now.
  returned: success
  type: dict
  sample:
    incident_id: mass-af28faee5ea6f052
    kind: mass_failure
    opened_at: "2026-01-31T12:02:11.500000Z"
    since: "2026-01-31T12:02:11.500000Z"
    until: "2026-01-31T12:20:00.000000Z"
    closed_at: "2026-01-31T12:20:00.000000Z"
    closed_by: "person: The power of rack 12 will not be back today"
    reason: 12 of 20 machines went offline together
    machines: [web-03, web-04]
    zone: null
    common:
      prefix: web-
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


def release(module: AnsibleModule, store: FileStore) -> Dict[str, Any]:
    """Release the incident."""
    from ..module_utils._engine import incidents

    params = module.params
    return incidents.release(store, params["incident_id"], params["reason"], dry_run=module.check_mode)


def main() -> None:
    module = AnsibleModule(
        argument_spec=argument_spec(
            incident_id=dict(type="str", required=True),
            reason=dict(type="str", default=""),
        ),
        supports_check_mode=True,
    )
    boundary.require_checker(module)
    boundary.run(module, lambda store: release(module, store))


if __name__ == "__main__":
    main()
