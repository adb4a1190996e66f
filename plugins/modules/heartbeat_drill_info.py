#!/usr/bin/python
# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: heartbeat_drill_info
short_description: List drills, and what they say together
version_added: "0.1.0"
description:
  - Lists the drills of a fleet, the newest first, with their trend.
author:
  - roosync.heartbeat maintainers (@roosync)
extends_documentation_fragment:
  - roosync.heartbeat.store
  - roosync.heartbeat.store.checker
  - roosync.heartbeat.attributes
  - roosync.heartbeat.attributes.read_only
options:
  limit:
    description:
      - How many drills to list at most. The trend is about all of them.
    type: int
    default: 10
seealso:
  - module: roosync.heartbeat.heartbeat_drill
"""

EXAMPLES = r"""
- name: Look at the drills
  roosync.heartbeat.heartbeat_drill_info:
    store: /srv/heartbeat
  register: past

- name: Show how long a recovery takes
  ansible.builtin.debug:
    msg: "{{ past.trend.passed }} of {{ past.trend.drills }} passed, median RTO {{ past.trend.rto_seconds.median }} s"
"""

RETURN = r"""
drills:
  description:
    - The drills, the newest first, as M(roosync.heartbeat.heartbeat_drill) returns them.
    - C(state) is V(running) or V(ended).
  returned: success
  type: list
  elements: dict
  sample:
    - drill_id: 20260131T120000Z-3f1c0a9b77d2
      state: ended
      began_at: "2026-01-31T12:00:00.000000Z"
      ended_at: "2026-01-31T12:03:20.000000Z"
      machines: [web-01]
      candidates: [web-01, web-02]
      chosen_at_random: true
      loss: kill
      destroys: site
      scratch: false
      trees:
        web-01: [site]
      verdict: passed
      summary: "drill 20260131T120000Z-3f1c0a9b77d2 of web-01 passed: found offline after 121.3 s"
      reports: []
      report_path: /srv/heartbeat/default/drills/20260131T120000Z-3f1c0a9b77d2.json
      page_path: /srv/heartbeat/default/drills/20260131T120000Z-3f1c0a9b77d2.html
trend:
  description:
    - All drills that have ended together. C(points) has one entry for each, with the figures of its worst machine.
    - The figures over all of them (C(detection_seconds), C(rto_seconds), C(rpo_seconds)) are about those that passed.
  returned: success
  type: dict
  sample:
    drills: 3
    passed: 3
    success_rate: 1.0
    points:
      - drill_id: 20260131T120000Z-3f1c0a9b77d2
        began_at: "2026-01-31T12:00:00.000000Z"
        verdict: passed
        loss: kill
        destroys: site
        machines: 1
        differing: 0
        detection_seconds: 121.3
        rto_seconds: 140.0
        rpo_seconds: 12.1
    detection_seconds:
      median: 121.3
      best: 120.4
      worst: 122.9
      last: 121.3
    rto_seconds:
      median: 140.0
      best: 138.2
      worst: 151.0
      last: 140.0
    rpo_seconds:
      median: 12.1
      best: 11.8
      worst: 14.0
      last: 12.1
error_code:
  description:
    - What went wrong, as a stable code.
    - The collection's page on error codes tells what each of them means, and what else a failure returns.
  returned: failure
  type: str
  sample: STORE_UNAVAILABLE
"""

from typing import TYPE_CHECKING, Any, Dict

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._module import boundary
from ..module_utils._module.spec import argument_spec

if TYPE_CHECKING:
    from ..module_utils._engine.stores.file import FileStore


def look(module: AnsibleModule, store: FileStore) -> Dict[str, Any]:
    """List what there is."""
    from ..module_utils._engine.drill import end

    return end.info(store, module.params["limit"])


def main() -> None:
    module = AnsibleModule(
        argument_spec=argument_spec(limit=dict(type="int", default=10)),
        supports_check_mode=True,
    )
    boundary.require_checker(module)
    boundary.run(module, lambda store: look(module, store))


if __name__ == "__main__":
    main()
