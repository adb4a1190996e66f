#!/usr/bin/python
# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: heartbeat_maintenance
short_description: Set a maintenance window, or end one
version_added: "0.1.0"
description:
  - In a maintenance window, the absence of the machines it is meant for is recorded as planned. It raises no alarm and
    opens no sync entry.
  - The end of a window starts the clock anew. A machine that is still silent has one C(offline_after) to return. Then
    its absence is recorded once more, as one that is not planned any longer. That holds for a machine that said goodbye
    within the window, too.
  - What was offline before a window is not told of again. A machine that returns within one opens its sync entry as
    ever.
  - Every window has an end, so a play that dies inside its own window silences nobody for ever.
  - M(roosync.heartbeat.heartbeat_info) lists the windows.
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
    details:
      - A window without O(start) begins at the first run. Later runs leave that as it is.
options:
  name:
    description:
      - The name of the window. Lower case letters, digits, V(.), V(_) and V(-).
    type: str
    required: true
  state:
    description:
      - V(present) sets the window, or changes one that is not over.
      - V(absent) ends it now. One that has not begun is removed, and so is a document that cannot be read.
    type: str
    choices: [present, absent]
    default: present
  machines:
    description:
      - The machines that the window is meant for, by name or by pattern (V(web-*)).
    type: list
    elements: str
    default: []
  metadata:
    description:
      - The machines that the window is meant for, by metadata. All the values given must be the machine's own. A list
        in the machine's metadata matches by any of its members. Plain values are compared as text.
      - Together with O(machines), both must match.
    type: dict
    default: {}
  start:
    description:
      - When the window begins, as an ISO 8601 time with an offset (V(2026-01-31T22:00:00+01:00)). The default is now.
    type: str
  end:
    description:
      - When the window ends, as an ISO 8601 time with an offset.
    type: str
  duration:
    description:
      - How long the window lasts, in seconds. Give this or O(end). A flexible window needs both.
    type: float
  flexible:
    description:
      - The window begins for each machine by itself when it goes offline between O(start) and O(end), and lasts for
        O(duration) from then on.
    type: bool
    default: false
  reason:
    description:
      - Why, for people to read.
    type: str
    default: ""
seealso:
  - module: roosync.heartbeat.heartbeat_info
"""

EXAMPLES = r"""
- name: A window around the work of a play, which always lets go
  block:
    - name: Announce the absence of the web servers
      roosync.heartbeat.heartbeat_maintenance:
        store: /srv/heartbeat
        name: kernel-update
        machines:
          - web-*
        duration: 3600
        reason: Kernel update

    - name: Do the work
      ansible.builtin.debug:
        msg: This is where machines are rebooted.
  always:
    - name: Let go
      roosync.heartbeat.heartbeat_maintenance:
        store: /srv/heartbeat
        name: kernel-update
        state: absent

- name: A whole rack, next month, by metadata
  roosync.heartbeat.heartbeat_maintenance:
    store: /srv/heartbeat
    name: rack-12-power
    metadata:
      rack: r12
    start: "2099-01-31T22:00:00+01:00"
    end: "2099-02-01T02:00:00+01:00"

- name: Each laptop may be away for eight hours, some time this year
  roosync.heartbeat.heartbeat_maintenance:
    store: /srv/heartbeat
    name: laptops
    machines:
      - laptop-*
    end: "2099-12-31T00:00:00Z"
    flexible: true
    duration: 28800
"""

RETURN = r"""
window:
  description: The window as it is now. Empty if there is none.
  returned: success
  type: dict
  sample:
    name: kernel-update
    machines: [web-*]
    metadata: {}
    start: "2026-01-31T12:00:00.000000Z"
    end: "2026-01-31T13:00:00.000000Z"
    duration: null
    flexible: false
    reason: Kernel update
    phase: active
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


def maintain(module: AnsibleModule, store: FileStore) -> Dict[str, Any]:
    """Set the window, or end it."""
    from ..module_utils._engine import maintenance

    params = module.params
    if params["state"] == "absent":
        return maintenance.end_window(store, params["name"], dry_run=module.check_mode)
    request = maintenance.Request(
        name=params["name"],
        machines=params["machines"],
        metadata=params["metadata"],
        start=params["start"],
        end=params["end"],
        duration=params["duration"],
        flexible=params["flexible"],
        reason=params["reason"],
    )
    return maintenance.set_window(store, request, dry_run=module.check_mode)


def main() -> None:
    module = AnsibleModule(
        argument_spec=argument_spec(
            name=dict(type="str", required=True),
            state=dict(type="str", choices=["present", "absent"], default="present"),
            machines=dict(type="list", elements="str", default=[]),
            metadata=dict(type="dict", default={}),
            start=dict(type="str"),
            end=dict(type="str"),
            duration=dict(type="float"),
            flexible=dict(type="bool", default=False),
            reason=dict(type="str", default=""),
        ),
        supports_check_mode=True,
    )
    boundary.require_checker(module)
    boundary.run(module, lambda store: maintain(module, store))


if __name__ == "__main__":
    main()
