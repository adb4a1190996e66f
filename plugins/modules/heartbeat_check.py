#!/usr/bin/python
# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: heartbeat_check
short_description: Derive who is online, in warning or offline, and record every change once
version_added: "0.1.0"
description:
  - Looks at all heartbeats in the store, derives each machine's status by the store's own clock, and records every
    change of status exactly once, whoever else checks at the same time.
  - What it returns was recorded before it was returned. A change that nobody has worked on yet stays in
    RV(pending_syncs), so a job that dies after a check loses nothing.
  - While the store is away there is no verdict. The task fails with C(STORE_UNAVAILABLE), and nothing is recorded
    against any machine.
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
      - Decides and reports without recording anything.
  diff_mode:
    support: full
    details:
      - Shows the changes of status.
  idempotent:
    support: full
    details:
      - What was recorded once is not recorded again.
options:
  force:
    description:
      - Look at the store even if a fresh enough result is there.
    type: bool
    default: false
  cache_ttl:
    description:
      - How old the last result may be, in seconds, to be returned again without a look at the heartbeats.
        Such a result is marked with RV(cached).
      - V(0) always looks.
    type: float
    default: 10
  include_details:
    description:
      - Return one entry for each machine in RV(details). Always looks, as with O(force=true).
    type: bool
    default: false
  fail_on:
    description:
      - Fail if any machine has one of these statuses. Everything is recorded and returned all the same.
      - Machines that are away or late as planned (RV(planned)) do not count.
      - While a store outage is going on, all statuses are the last known ones. With V(warning) or V(offline) the task
        then fails, too, for a fleet that nobody hears of must not look well.
    type: list
    elements: str
    choices: [online, warning, offline, unknown]
    default: []
seealso:
  - module: roosync.heartbeat.heartbeat_info
  - module: roosync.heartbeat.heartbeat_wait
"""

EXAMPLES = r"""
- name: Check the fleet
  roosync.heartbeat.heartbeat_check:
    store: /srv/heartbeat
  register: fleet

- name: Show what is new
  ansible.builtin.debug:
    msg: "{{ fleet.summary }}"

- name: Check in a scheduled job that turns red when a machine is offline
  roosync.heartbeat.heartbeat_check:
    store: /srv/heartbeat
    force: true
    fail_on:
      - offline
"""

RETURN = r"""
online:
  description: The machines that are online, by name.
  returned: success
  type: list
  elements: str
  sample: [web-01, web-02]
warning:
  description: The machines that are late, but not yet offline.
  returned: success
  type: list
  elements: str
  sample: []
offline:
  description: The machines that are offline.
  returned: success
  type: list
  elements: str
  sample: [web-03]
unknown:
  description: The machines that are expected and have never beaten.
  returned: success
  type: list
  elements: str
  sample: []
newly_online:
  description: The machines that this check found online, and that were not before.
  returned: success
  type: list
  elements: str
  sample: []
newly_warning:
  description: The machines that this check found late.
  returned: success
  type: list
  elements: str
  sample: []
newly_offline:
  description: The machines that this check found offline.
  returned: success
  type: list
  elements: str
  sample: [web-03]
transitions:
  description:
    - The changes of status that this check recorded.
    - The task is changed if there are any, and if the check opened, widened or closed an incident or let go of what was
      held.
  returned: success
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
pending_syncs:
  description: The sync entries that are not done yet, oldest first, of this check and of earlier ones.
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
flapping:
  description: The machines that go and come so often that nothing acts on it until they have settled.
  returned: success
  type: list
  elements: str
  sample: []
planned:
  description: The machines that are away or late as planned. They said goodbye, or are in a maintenance window.
  returned: success
  type: list
  elements: str
  sample: []
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
  description: What is wrong in the store itself, such as a torn record. None of it affects another machine.
  returned: success
  type: list
  elements: dict
  sample:
    - kind: torn_record
      machine_id: web-05
      path: heartbeats/web-05.json
      what: it is empty
clock_skew_ms:
  description: Machines whose clock differs from the store's by more than C(clock_skew_warning), with the difference.
    It is warned of.
  returned: success
  type: dict
  sample:
    web-04: -61203.5
statistics:
  description: Numbers of this check. C(duration_ms) is in milliseconds.
  returned: success
  type: dict
  sample:
    total: 3
    online: 2
    warning: 0
    offline: 1
    unknown: 0
    newly_offline: 1
    newly_online: 0
    newly_warning: 0
    planned: 0
    held: 0
    pending_syncs: 1
    problems: 0
    opened: 1
    races: 0
    duration_ms: 7.7
checked_at:
  description: When the look was taken, by the store's clock.
  returned: success
  type: str
  sample: "2026-01-31T12:02:11.500000Z"
cached:
  description: Whether this is an earlier check's result, returned again.
  returned: success
  type: bool
  sample: false
last_event:
  description: The number of the newest recorded change of status.
  returned: success
  type: int
  sample: 17
summary:
  description: All of it in one line.
  returned: success
  type: str
  sample: "3 machines: 2 online, 1 offline; newly offline: web-03"
details:
  description: One entry for each machine.
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
error_code:
  description:
    - What went wrong, as a stable code.
    - The collection's page on error codes tells what each of them means, and what else a failure returns.
  returned: failure
  type: str
  sample: STORE_UNAVAILABLE
last_known:
  description:
      - The statuses as last recorded, if they are known. They come from the store where it can still be read, otherwise
        from what this host kept of its last check.
  returned: when the store is away
  type: dict
  sample:
    as_of: "2026-01-31T12:02:11.500000Z"
    statuses:
      online: [web-01]
      warning: []
      offline: []
      unknown: []
"""

from typing import TYPE_CHECKING, Any, Dict

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._engine.errors import InvalidSettings
from ..module_utils._module import boundary
from ..module_utils._module.spec import argument_spec

if TYPE_CHECKING:
    from ..module_utils._engine.stores.file import FileStore

STATUSES = ("online", "warning", "offline", "unknown")


def check(module: AnsibleModule, store: FileStore) -> Dict[str, Any]:
    """Check, and judge the outcome by ``fail_on``."""
    from ..module_utils._engine.check import run_check
    from ..module_utils._engine.report import shorten
    from ..module_utils._engine.settings import MAX_SECONDS

    params = module.params
    if not params["cache_ttl"] <= MAX_SECONDS:  # NaN is refused with that, too
        raise InvalidSettings(
            "cache_ttl: %g is refused: it must be a number of seconds, at most 30 days" % params["cache_ttl"]
        )
    result = run_check(
        store,
        force=params["force"],
        cache_ttl=params["cache_ttl"],
        dry_run=module.check_mode,
        include_details=params["include_details"],
    )
    changes = [t for t in result["transitions"] if not result["cached"]]
    result["diff"] = {
        "before": "".join("%s: %s\n" % (t["machine_id"], t["from"]) for t in changes),
        "after": "".join("%s: %s\n" % (t["machine_id"], t["to"]) for t in changes),
    }
    result["warnings"] = ["incident %s: %s" % (i["incident_id"], i["reason"]) for i in result["incidents"]]
    if result["clock_skew_ms"]:
        wrong = ["%s (%+.1f s)" % (machine, skew / 1000) for machine, skew in result["clock_skew_ms"].items()]
        result["warnings"].append(
            "clocks differ from the store's: %s; put the time service of these hosts right" % shorten(wrong)
        )
    bad = []
    for status in params["fail_on"]:
        names = [name for name in result[status] if name not in result["planned"]]
        if names:
            bad.append("%d %s: %s" % (len(names), status, shorten(names)))
    unheard = [i for i in result["incidents"] if i["kind"] == "store_outage"]
    if unheard and {"warning", "offline"}.intersection(params["fail_on"]):
        bad.append("nobody has been heard of since %s: %s" % (unheard[0]["since"], unheard[0]["reason"]))
    if bad:
        result["failure"] = "; ".join(bad)
    return result


def main() -> None:
    module = AnsibleModule(
        argument_spec=argument_spec(
            force=dict(type="bool", default=False),
            cache_ttl=dict(type="float", default=10),
            include_details=dict(type="bool", default=False),
            fail_on=dict(type="list", elements="str", choices=list(STATUSES), default=[]),
        ),
        supports_check_mode=True,
    )
    boundary.require_checker(module)
    boundary.run(module, lambda store: check(module, store))


if __name__ == "__main__":
    main()
