#!/usr/bin/python
# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: heartbeat_diagnose
short_description: Find out what is wrong with a fleet or with its store
version_added: "0.1.0"
description:
  - Checks the store (whether it is there, can be read and can really be written, how fast it is, its clock, free space,
    permissions, locks), what lies in it (settings, records, the journal and its checkpoint, maintenance windows), and
    the fleet (machines, clocks, versions of agents, intervals, identity conflicts, open work).
  - Each check is V(ok), V(warning) or V(failed), and says what was seen and what to do.
  - The report is saved under C(diagnostics) in the store if it says something else than the newest one there.
  - Reads the record of every machine. Run it when something seems wrong, and once a day, not every minute.
  - Nothing is put right. M(roosync.heartbeat.heartbeat_repair) does that, where it needs nobody's judgement.
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
      - Makes every check and saves nothing. The small file by which the store is tried is written and removed all the
        same.
  diff_mode:
    support: full
    details:
      - Shows what is not well, against the newest report that was saved.
  idempotent:
    support: full
    details:
      - The same faults are reported once, for as long as they are the same.
options:
  free_space_warning:
    description:
      - Warn if less is free in the store, in megabytes.
    type: float
    default: 100
  free_space_failed:
    description:
      - The check fails if less is free in the store, in megabytes.
    type: float
    default: 20
  latency_warning:
    description:
      - Warn if a small file takes longer to write and to read, in seconds.
    type: float
    default: 1
  keep:
    description:
      - How many reports to keep. The oldest go first.
    type: int
    default: 20
  fail_on:
    description:
      - Fail if any check has one of these statuses. Everything is returned and saved all the same.
      - What could not be checked counts as V(failed).
    type: list
    elements: str
    choices: [warning, failed]
    default: []
seealso:
  - module: roosync.heartbeat.heartbeat_repair
  - module: roosync.heartbeat.heartbeat_info
"""

EXAMPLES = r"""
- name: Find out what is wrong
  roosync.heartbeat.heartbeat_diagnose:
    store: /srv/heartbeat
  register: diagnosis

- name: Show what is not well, and what to do
  ansible.builtin.debug:
    msg: "{{ item.check }}: {{ item.evidence }}. {{ item.advice }}"
  loop: "{{ diagnosis.checks | rejectattr('status', 'equalto', 'ok') }}"
  loop_control:
    label: "{{ item.check }}"

- name: Diagnose in a scheduled job that turns red, with more space and more patience
  roosync.heartbeat.heartbeat_diagnose:
    store: /srv/heartbeat
    free_space_warning: 500
    free_space_failed: 100
    latency_warning: 10
    fail_on:
      - failed
"""

RETURN = r"""
status:
  description:
    - The worst status of all checks. It is at least V(warning) if a check could not be made.
  returned: success, and if there is no store
  type: str
  sample: failed
summary:
  description: One line for a log.
  returned: success, and if there is no store
  type: str
  sample: "24 checks: 22 ok, 1 warning, 1 failed: free_space, machines_offline"
checks:
  description:
    - One entry for each check.
    - C(details) has one entry for each machine, file or entry that the check is about, at most 100. Their keys depend
      on the check.
  returned: success, and if there is no store
  type: list
  elements: dict
  sample:
    - check: free_space
      status: warning
      evidence: 81 MB are free, less than 100
      advice: "free space at /srv/heartbeat/default, or raise the quota: a store that is full gives no verdict"
      details: []
    - check: machines_offline
      status: failed
      evidence: web-03 since 2026-01-31T12:02:00.000000Z
      advice: "look at each host: is it up, does its agent run, is the store mounted there?"
      details:
        - machine_id: web-03
          since: "2026-01-31T12:02:00.000000Z"
          last_heartbeat: "2026-01-31T12:00:00.000000Z"
          planned: false
not_checked:
  description: Checks that could not be made, and why. What is in the way is named by a check of its own.
  returned: success, and if there is no store
  type: list
  elements: dict
  sample:
    - check: store_latency
      reason: "cannot write: /srv/heartbeat/default: Read-only file system (EROFS); remount the store read-write"
statistics:
  description: How many checks there are by status, and how many could not be made.
  returned: success, and if there is no store
  type: dict
  sample:
    ok: 22
    warning: 1
    failed: 1
    not_checked: 0
diagnosed_at:
  description: The store's time. Null if the store cannot be written.
  returned: success, and if there is no store
  type: str
  sample: "2026-01-31T12:02:11.500000Z"
report_path:
  description:
    - The report in the store that says what was found. Null if it could not be saved, or in check mode would be.
  returned: success
  type: str
  sample: /srv/heartbeat/default/diagnostics/20260131T120211.500000Z.json
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


def diagnose(module: AnsibleModule, store: FileStore) -> Dict[str, Any]:
    """Diagnose, and judge the outcome by ``fail_on``."""
    from ..module_utils._engine.diagnose import run_diagnosis
    from ..module_utils._engine.diagnosis.finding import Limits

    params = module.params
    limits = Limits(
        free_space_warning=params["free_space_warning"],
        free_space_failed=params["free_space_failed"],
        latency_warning=params["latency_warning"],
        keep=params["keep"],
    )
    result = run_diagnosis(store, limits, dry_run=module.check_mode)
    found = {check["status"] for check in result["checks"]}
    if result["not_checked"]:
        found.add("failed")
    if found.intersection(params["fail_on"]):
        result["failure"] = result["summary"]
    return result


def main() -> None:
    module = AnsibleModule(
        argument_spec=argument_spec(
            free_space_warning=dict(type="float", default=100),
            free_space_failed=dict(type="float", default=20),
            latency_warning=dict(type="float", default=1),
            keep=dict(type="int", default=20),
            fail_on=dict(type="list", elements="str", choices=["warning", "failed"], default=[]),
        ),
        supports_check_mode=True,
    )
    boundary.require_checker(module)
    boundary.run(module, lambda store: diagnose(module, store))


if __name__ == "__main__":
    main()
