#!/usr/bin/python
# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: heartbeat_drill
short_description: Keep the record of a drill, and write its report
version_added: "0.1.0"
description:
  - A drill rehearses the loss of machines and their recovery, and measures both. The playbook
    C(roosync.heartbeat.drill) plays one. This module chooses the machines, notes what is done to them, and writes the
    report, as JSON and as a page of HTML with the trend over all drills. It touches no machine itself.
  - How long things took is told by the journal and by the store's clock.
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
      - Chooses and refuses as it would otherwise, and writes nothing. The drill of V(begin) cannot be marked or ended,
        for it is not there.
  diff_mode:
    support: none
  idempotent:
    support: partial
    details:
      - Each V(begin) is another drill, and each V(mark) another moment. V(end) of a drill that has ended changes
        nothing.
options:
  event:
    description:
      - V(begin) opens a drill. It is refused during an incident, during another drill, for machines that are not
        online, and for so many machines that their loss would be a mass failure.
      - V(mark) notes that the drill is at O(step).
      - V(end) measures, judges, and writes the report. A scratch tree is no longer declared afterwards.
    type: str
    choices: [begin, mark, end]
    required: true
  drill_id:
    description:
      - The drill. Needed with V(mark) and V(end). With V(begin) it is returned.
    type: str
  machines:
    description:
      - With V(begin), the machines of the drill. No other is touched.
      - With V(mark), the machines that are at O(step). The default is all of the drill.
    type: list
    elements: str
    default: []
  choose_one:
    description:
      - Choose one of O(machines) at random, among those that are online. The choice is recorded.
    type: bool
    default: false
  loss:
    description:
      - How the agents will end, for the report.
    type: str
    choices: [stop, kill]
    default: kill
  destroys:
    description:
      - The tree whose loss is rehearsed. V(scratch) declares one that is the drill's own, for its machines alone.
        Otherwise the name of a tree that C(sync_paths) of the fleet declares for all of the machines.
    type: str
    default: ""
  folder:
    description:
      - The folder of drills on the machines, in which a scratch tree lies.
    type: str
    default: /var/lib/roosync-heartbeat-drill
  patience:
    description:
      - For how many seconds a drill that was cut off stands in the way of the next one.
    type: float
    default: 3600
  step:
    description:
      - With V(mark), what is being done, in a few words. V(stopping) is said right before the agents end.
    type: str
    default: ""
  results:
    description:
      - With V(end), what was found on each machine. A machine of the drill that is left out has failed.
    type: list
    elements: dict
    default: []
    suboptions:
      machine_id:
        description: The machine.
        type: str
        required: true
      trouble:
        description: What went wrong, if anything did.
        type: str
        default: ""
      kept:
        description: Where something lies that could not be put back.
        type: str
      compared:
        description: What M(roosync.heartbeat.heartbeat_drill_tree) has found in comparing, by tree.
        type: dict
        default: {}
  keep:
    description:
      - How many reports to keep. The oldest go first.
    type: int
    default: 100
seealso:
  - module: roosync.heartbeat.heartbeat_drill_info
  - module: roosync.heartbeat.heartbeat_drill_tree
"""

EXAMPLES = r"""
- name: Begin a drill on one of two machines
  roosync.heartbeat.heartbeat_drill:
    store: /srv/heartbeat
    event: begin
    machines:
      - web-01
      - web-02
    choose_one: true
  register: drill

- name: Note the time
  roosync.heartbeat.heartbeat_drill:
    store: /srv/heartbeat
    event: mark
    drill_id: "{{ drill.drill_id }}"
    step: stopping

- name: End it, for something is in the way
  roosync.heartbeat.heartbeat_drill:
    store: /srv/heartbeat
    event: end
    drill_id: "{{ drill.drill_id }}"
    results:
      - machine_id: "{{ drill.machines[0] }}"
        trouble: its agent could not be stopped
"""

RETURN = r"""
drill_id:
  description: The drill.
  returned: success
  type: str
  sample: 20260131T120000Z-3f1c0a9b77d2
machines:
  description: The machines of the drill.
  returned: success
  type: list
  elements: str
  sample: [web-01]
state:
  description: V(running) or V(ended).
  returned: success
  type: str
  sample: ended
candidates:
  description: The machines that were to choose from.
  returned: success
  type: list
  elements: str
  sample: [web-01, web-02]
chosen_at_random:
  description: Whether one of them was chosen at random.
  returned: success
  type: bool
  sample: true
loss:
  description: How the agents end. V(kill) or V(stop).
  returned: success
  type: str
  sample: kill
trees:
  description: With V(begin), the trees of each machine, as C(sync_paths) has them. Otherwise their names.
  returned: success
  type: dict
  sample:
    web-01:
      site:
        path: /srv/www
destroys:
  description: The name of the tree that is destroyed. Empty for none.
  returned: success
  type: str
  sample: site
scratch:
  description: Whether that tree is the drill's own.
  returned: success
  type: bool
  sample: false
began_at:
  description: The store's time.
  returned: success
  type: str
  sample: "2026-01-31T12:00:00.000000Z"
ended_at:
  description: The store's time. Null until the drill has ended.
  returned: success
  type: raw
  sample: "2026-01-31T12:03:20.000000Z"
verdict:
  description: V(passed) or V(failed). Null until the drill has ended.
  returned: success
  type: raw
  sample: passed
summary:
  description: All of that in one line. Empty until the drill has ended.
  returned: success
  type: str
  sample: "drill 20260131T120000Z-3f1c0a9b77d2 of web-01 passed: found offline after 121.3 s, recovered after 140.0 s"
reports:
  description:
    - What was measured on each machine, once the drill has ended.
    - C(detection_seconds) is from the last heartbeat until a check found the machine offline, C(rto_seconds) until it
      was back and up to date. C(rpo_seconds) is how old the recovered state was when the agent was ended, or at the
      last heartbeat if that came later. C(unprepared_rpo_seconds) is what it would have been without the sync that a
      drill begins with, and C(unprepared_changes) is how many changes had not been captured.
  returned: success
  type: list
  elements: dict
  sample:
    - machine_id: web-01
      verdict: passed
      reason: ""
      detection_seconds: 121.3
      rto_seconds: 140.0
      rpo_seconds: 12.1
      unprepared_rpo_seconds: 3605.2
      unprepared_changes: 4
      entries: 120
      differing: 0
      differences: []
      changed_meanwhile: []
      kept: null
      planned: false
      steps:
        - step: last heartbeat
          at: "2026-01-31T12:00:12.000000Z"
          seconds: 0.0
          source: heartbeat
report_path:
  description: The document of the drill, which is the report once it has ended.
  returned: success
  type: str
  sample: /srv/heartbeat/default/drills/20260131T120000Z-3f1c0a9b77d2.json
page_path:
  description: The report as a page of HTML. Null until the drill has ended.
  returned: success
  type: raw
  sample: /srv/heartbeat/default/drills/20260131T120000Z-3f1c0a9b77d2.html
error_code:
  description:
    - What went wrong, as a stable code.
    - The collection's page on error codes tells what each of them means, and what else a failure returns.
  returned: failure
  type: str
  sample: LOCK_TIMEOUT
"""

from typing import TYPE_CHECKING, Any, Dict

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._module import boundary
from ..module_utils._module.spec import argument_spec

if TYPE_CHECKING:
    from ..module_utils._engine.stores.file import FileStore


def drill(module: AnsibleModule, store: FileStore) -> Dict[str, Any]:
    """Begin, mark or end."""
    from ..module_utils._engine.drill import begin, end, measure

    params = module.params
    if params["event"] == "begin":
        wanted = begin.Wanted(
            params["machines"],
            params["choose_one"],
            params["loss"],
            params["destroys"],
            params["folder"],
            params["patience"],
        )
        found = begin.begin(store, wanted, module.check_mode)
        return dict(end.as_result(store, found["drill"]), changed=True, trees=found["trees"])
    if params["event"] == "mark":
        marked = end.mark(store, params["drill_id"], params["machines"], params["step"], module.check_mode)
        return dict(end.as_result(store, marked), changed=True)
    told = {
        one["machine_id"]: measure.Told(one["trouble"], one["kept"] or None, one["compared"])
        for one in params["results"]
    }
    done = end.end(store, params["drill_id"], told, params["keep"], module.check_mode)
    return dict(end.as_result(store, done["drill"]), changed=done["changed"])


def main() -> None:
    result = dict(
        machine_id=dict(type="str", required=True),
        trouble=dict(type="str", default=""),
        kept=dict(type="str"),
        compared=dict(type="dict", default={}),
    )
    module = AnsibleModule(
        argument_spec=argument_spec(
            event=dict(type="str", choices=["begin", "mark", "end"], required=True),
            drill_id=dict(type="str"),
            machines=dict(type="list", elements="str", default=[]),
            choose_one=dict(type="bool", default=False),
            loss=dict(type="str", choices=["stop", "kill"], default="kill"),
            destroys=dict(type="str", default=""),
            folder=dict(type="str", default="/var/lib/roosync-heartbeat-drill"),
            patience=dict(type="float", default=3600),
            step=dict(type="str", default=""),
            results=dict(type="list", elements="dict", default=[], options=result),
            keep=dict(type="int", default=100),
        ),
        required_if=[("event", "mark", ["drill_id", "step"]), ("event", "end", ["drill_id"])],
        supports_check_mode=True,
    )
    boundary.require_checker(module)
    boundary.run(module, lambda store: drill(module, store))


if __name__ == "__main__":
    main()
