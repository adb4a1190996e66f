#!/usr/bin/python
# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: heartbeat_info
short_description: Show the fleet, its machines and what happened to them
version_added: "0.1.0"
description:
  - Shows each machine's status, derived at this moment, without recording anything.
  - If the store can be read but not written, the statuses are the recorded ones, and RV(live) is V(false).
author:
  - roosync.heartbeat maintainers (@roosync)
extends_documentation_fragment:
  - roosync.heartbeat.store
  - roosync.heartbeat.store.checker
  - roosync.heartbeat.attributes
  - roosync.heartbeat.attributes.read_only
options:
  machines:
    description:
      - Show these machines only, by name or by pattern (V(web-*)).
    type: list
    elements: str
    default: []
  status:
    description:
      - Show machines with one of these statuses only.
    type: list
    elements: str
    choices: [online, warning, offline, unknown]
    default: []
  include_details:
    description:
      - Return one entry for each machine in RV(machines). That opens the record of each machine shown.
      - A goodbye counts as soon as the record is opened. Of machines that are chosen by O(status) alone, or shown
        without details, it may count only after they are late, or after a check has read it.
    type: bool
    default: true
  include_heartbeats:
    description:
      - Include the last heartbeat itself in RV(machines).
    type: bool
    default: false
  include_incidents:
    description:
      - Return the incidents of the past, too, in RV(incident_history).
    type: bool
    default: false
  include_decisions:
    description:
      - Return the conflicts of syncs that a person has to settle, in RV(decisions).
    type: bool
    default: false
  events_since:
    description:
      - Return the changes of status with a number above this one. V(0) returns them from the beginning.
      - At most the newest 1000 are returned, of the O(machines) that are asked for.
    type: int
seealso:
  - module: roosync.heartbeat.heartbeat_check
  - module: roosync.heartbeat.heartbeat_decision
"""

EXAMPLES = r"""
- name: Show everything
  roosync.heartbeat.heartbeat_info:
    store: /srv/heartbeat
  register: fleet

- name: Who is offline, and since when
  roosync.heartbeat.heartbeat_info:
    store: /srv/heartbeat
    status:
      - offline

- name: What happened to the web servers since event 120
  roosync.heartbeat.heartbeat_info:
    store: /srv/heartbeat
    machines:
      - web-*
    events_since: 120
"""

RETURN = r"""
machines:
  description:
    - One entry for each machine that was asked for.
    - C(metadata) and C(clock_skew_ms) are there if the machine's record can be read, C(heartbeat) is with
      O(include_heartbeats=true).
  returned: if O(include_details=true)
  type: list
  elements: dict
  sample:
    - machine_id: web-03
      status: offline
      expected: true
      last_heartbeat: "2026-01-31T12:00:00.000000Z"
      age_seconds: 131.5
      since: "2026-01-31T12:02:00.000000Z"
      offline_since: "2026-01-31T12:02:00.000000Z"
      warning_since: "2026-01-31T12:01:30.000000Z"
      missed_heartbeats: 4
      planned: false
      planned_until: null
      flapping: false
      held_by: null
      heartbeat_interval: 30.0
      metadata:
        role: web
      clock_skew_ms: -3.4
      heartbeat:
        sequence: 4711
        sent_at: "2026-01-31T11:59:59.996600Z"
        fingerprint: 5b1d20a2b8a84ff1c2a0e2b7f20a9d3c
        boot_id: 0b6f3a52-7d4e-4c19-9a5e-5f1f2f9c3a77
        agent_version: 0.1.0
        latency_ms: 1.2
        leaving: null
        took_over: null
        missed: null
online:
  description: The machines that are online, of those asked for.
  returned: success
  type: list
  elements: str
  sample: [web-01]
warning:
  description: The machines that are late, of those asked for.
  returned: success
  type: list
  elements: str
  sample: []
offline:
  description: The machines that are offline, of those asked for.
  returned: success
  type: list
  elements: str
  sample: [web-03]
unknown:
  description: The machines that are expected and have never beaten, of those asked for.
  returned: success
  type: list
  elements: str
  sample: []
unknown_machines:
  description: The names asked for that the fleet does not know at all.
  returned: success
  type: list
  elements: str
  sample: []
events:
  description: The changes of status, oldest first.
  returned: if O(events_since) was given
  type: list
  elements: dict
  sample:
    - event: 17
      event_id: ab8c4b5517e90d8cb40dff0513a6aa9e
      machine_id: web-03
      from: warning
      to: offline
      effective_at: "2026-01-31T12:02:00.000000Z"
      detected_at: "2026-01-31T12:02:11.500000Z"
      last_heartbeat: "2026-01-31T12:00:00.000000Z"
      cause: silence
      planned: false
      held_by: null
last_event:
  description: The number of the newest recorded change of status.
  returned: success
  type: int
  sample: 17
settings:
  description: The settings of the fleet.
  returned: success
  type: dict
  sample:
    heartbeat_interval: 30.0
    warning_after: 90.0
    offline_after: 120.0
    auto_sync: true
    confirm_offline: 1
    confirm_online: 1
    mass_failure_count: 2
    mass_failure_ratio: 0.55
    hold_timeout: 3600.0
    zone_key: null
    forget_after: null
    clock_skew_warning: 5.0
    overrides: {}
    sync_paths: {}
    conflict_policy: manual
    sync_parallel: 5
    keep_snapshots: 10
    keep_snapshots_for: null
expected:
  description: The machines that are expected.
  returned: success
  type: list
  elements: str
  sample: [web-01, web-03]
statistics:
  description: How many machines there are, in all and by status.
  returned: success
  type: dict
  sample:
    total: 2
    online: 1
    warning: 0
    offline: 1
    unknown: 0
pending_syncs:
  description: The sync entries that are not done yet, oldest first.
  returned: success
  type: list
  elements: dict
  sample:
    - event_id: ab8c4b5517e90d8cb40dff0513a6aa9e
      machine_id: web-03
      event: offline
      state: pending
      opened_at: "2026-01-31T12:02:11.500000Z"
      reason: null
      held_by: null
      attempts: 0
incidents:
  description: What is going on that is wider than one machine.
  returned: success
  type: list
  elements: dict
  sample:
    - incident_id: mass-af28faee5ea6f052
      kind: mass_failure
      opened_at: "2026-01-31T12:02:11.500000Z"
      since: "2026-01-31T12:02:11.500000Z"
      until: null
      closed_at: null
      closed_by: null
      reason: 12 of 20 machines went offline together
      machines: [web-03, web-04]
      zone: null
      common:
        prefix: web-
incident_history:
  description: All incidents, newest first, as their documents in the store have them. At most 200.
  returned: if O(include_incidents=true)
  type: list
  elements: dict
  sample:
    - incident_id: mass-af28faee5ea6f052
      kind: mass_failure
      opened_at: "2026-01-31T12:02:11.500000Z"
      since: "2026-01-31T12:02:11.500000Z"
      until: "2026-01-31T12:20:00.000000Z"
      closed_at: "2026-01-31T12:20:00.000000Z"
      closed_by: return
      reason: 12 of 20 machines went offline together
      machines: [web-03, web-04]
      zone: null
      common:
        prefix: web-
decisions:
  description:
    - The decisions that are open, as RV(roosync.heartbeat.heartbeat_decision#module:decisions) has them. That module
      settles them.
  returned: if O(include_decisions=true)
  type: list
  elements: dict
  sample:
    - decision_id: 3f1c0a9b77d2e001
      machine_id: web-01
      tree: site
      path: news.html
      state: open
      keep: null
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
      reason: ""
maintenance:
  description: The maintenance windows that are active or to come.
  returned: success
  type: list
  elements: dict
  sample:
    - name: kernel-update
      machines: [web-*]
      metadata: {}
      start: "2026-01-31T12:00:00.000000Z"
      end: "2026-01-31T13:00:00.000000Z"
      duration: null
      flexible: false
      reason: Kernel update
      phase: active
identity_conflicts:
  description: Hosts that were refused because another host beats under their name.
  returned: success
  type: list
  elements: dict
  sample:
    - machine_id: db-01
      holder: 5b1d20a2b8a84ff1c2a0e2b7f20a9d3c
      refused: 93f7c1c7e0d24a5a8f4e6b0a1d2c3e4f
      refused_host: db-01-clone
      refused_at: "2026-01-31T12:02:03.200000Z"
problems:
  description: What is wrong in the store itself.
  returned: success
  type: list
  elements: dict
  sample:
    - kind: torn_record
      machine_id: web-05
      path: heartbeats/web-05.json
      what: it is empty
live:
  description: Whether the statuses were derived at this moment. Otherwise they are the recorded ones.
  returned: success
  type: bool
  sample: true
as_of:
  description: The store's time of the look.
  returned: success
  type: str
  sample: "2026-01-31T12:02:11.500000Z"
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


def show(module: AnsibleModule, store: FileStore) -> Dict[str, Any]:
    """Look, and return what was asked for."""
    from ..module_utils._engine.look import Question, info

    params = module.params
    question = Question(
        machines=params["machines"],
        statuses=params["status"],
        include_heartbeats=params["include_heartbeats"],
        include_details=params["include_details"],
        include_incidents=params["include_incidents"],
        events_since=params["events_since"],
    )
    result = dict(info(store, question), changed=False)
    if params["include_decisions"]:
        from ..module_utils._engine.sync.settling import open_decisions

        result["decisions"] = [one for one in open_decisions(store) if question.asks_for(one["machine_id"])]
    return result


def main() -> None:
    module = AnsibleModule(
        argument_spec=argument_spec(
            machines=dict(type="list", elements="str", default=[]),
            status=dict(type="list", elements="str", choices=["online", "warning", "offline", "unknown"], default=[]),
            include_details=dict(type="bool", default=True),
            include_heartbeats=dict(type="bool", default=False),
            include_incidents=dict(type="bool", default=False),
            include_decisions=dict(type="bool", default=False),
            events_since=dict(type="int"),
        ),
        supports_check_mode=True,
    )
    boundary.require_checker(module)
    boundary.run(module, lambda store: show(module, store))


if __name__ == "__main__":
    main()
