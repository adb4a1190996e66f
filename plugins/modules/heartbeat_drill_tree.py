#!/usr/bin/python
# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: heartbeat_drill_tree
short_description: What a drill does to the trees of a machine
version_added: "0.1.0"
description:
  - The playbook C(roosync.heartbeat.drill) calls this module on the machines of a drill. It needs no library but
    Python's own, and no store. By itself it is of use where a drill was cut off, to put back what was put aside.
author:
  - roosync.heartbeat maintainers (@roosync)
extends_documentation_fragment:
  - roosync.heartbeat.store
  - roosync.heartbeat.attributes
attributes:
  check_mode:
    support: full
    details:
      - Does nothing at all.
  diff_mode:
    support: none
  idempotent:
    support: partial
    details:
      - V(compare) and V(finish) can be repeated. The others are done once in a drill.
options:
  op:
    description:
      - V(prepare) makes the drill's folder, and its scratch tree.
      - V(remember) reads every tree whole, and keeps what it holds.
      - V(destroy) lets everything in O(tree) be gone. What is in a scratch tree is deleted. What is in any other tree
        is put aside, into a folder beside it that only its owner can look into.
      - V(compare) reads every tree whole again, and names each difference in kind, content, mode, owner, SELinux
        context, target of a link, and time of a file.
      - V(finish) puts back what was put aside and has not come back otherwise, and takes the drill's folder away.
    type: str
    choices: [compare, destroy, finish, prepare, remember]
    required: true
  drill_id:
    description:
      - The drill, as M(roosync.heartbeat.heartbeat_drill) has named it.
    type: str
    required: true
  trees:
    description:
      - The trees of the machine, as M(roosync.heartbeat.heartbeat_drill) returns them.
    type: dict
    default: {}
  tree:
    description:
      - The tree that is prepared, destroyed, or taken away. Any tree but a scratch tree is only destroyed.
    type: str
    default: ""
  scratch:
    description:
      - Whether O(tree) is the drill's own.
    type: bool
    default: false
  recovered:
    description:
      - With V(finish), that the tree was recovered. What is missing in it now was removed by somebody since, and is not
        put back.
    type: bool
    default: false
  folder:
    description:
      - The folder of drills on the machine. Nobody else can look into it.
    type: path
    default: /var/lib/roosync-heartbeat-drill
  root:
    description:
      - The directory that the paths of the trees count from.
    type: path
    default: /
  state_dir:
    description:
      - Where the machine remembers what it has read. V(finish) lets it forget a scratch tree.
    type: path
    default: /var/lib/roosync-heartbeat
seealso:
  - module: roosync.heartbeat.heartbeat_drill
"""

EXAMPLES = r"""
- name: Put back what a drill has left behind that was cut off
  roosync.heartbeat.heartbeat_drill_tree:
    store: /srv/heartbeat
    op: finish
    drill_id: 20260131T120000Z-3f1c0a9b77d2
    trees:
      site:
        path: /srv/www
"""

RETURN = r"""
trees:
  description:
    - What was found, by tree. With V(compare), C(differing) entries are not as they were, of which C(differences) names
      at most 1000.
  returned: remember, compare
  type: dict
  sample:
    site:
      entries: 120
      digest: 2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824
      digest_after: 2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824
      differing: 0
      differences: []
destroyed:
  description: How many entries of the tree's directory are gone.
  returned: destroy
  type: int
  sample: 7
put_back:
  description: How many entries were put back.
  returned: finish
  type: int
  sample: 0
kept:
  description: Where something lies that could not be put back. Null if there is nothing.
  returned: finish
  type: raw
  sample: null
error_code:
  description:
    - What went wrong, as a stable code.
    - The collection's page on error codes tells what each of them means, and what else a failure returns.
  returned: failure
  type: str
  sample: RESTORE_FAILED
"""

from typing import Any, Dict

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._engine.drill.trees import DrilledMachine
from ..module_utils._engine.errors import HeartbeatError
from ..module_utils._module import boundary
from ..module_utils._module.spec import argument_spec


def work(module: AnsibleModule) -> Dict[str, Any]:
    """One step of a drill."""
    params = module.params
    here = DrilledMachine(params["drill_id"], params["folder"], params["trees"], params["root"])
    if module.check_mode:
        return {"changed": params["op"] != "compare"}
    own = params["tree"] if params["scratch"] else ""
    if params["op"] == "prepare":
        return here.prepare(own)
    if params["op"] == "remember":
        return here.remember()
    if params["op"] == "destroy":
        return here.destroy(params["tree"], params["scratch"])
    return here.compare() if params["op"] == "compare" else here.finish(params["recovered"], own, params["state_dir"])


def main() -> None:
    module = AnsibleModule(
        argument_spec=argument_spec(
            op=dict(type="str", choices=["compare", "destroy", "finish", "prepare", "remember"], required=True),
            drill_id=dict(type="str", required=True),
            trees=dict(type="dict", default={}),
            tree=dict(type="str", default=""),
            scratch=dict(type="bool", default=False),
            recovered=dict(type="bool", default=False),
            folder=dict(type="path", default="/var/lib/roosync-heartbeat-drill"),
            root=dict(type="path", default="/"),
            state_dir=dict(type="path", default="/var/lib/roosync-heartbeat"),
        ),
        required_if=[("op", "destroy", ["tree"])],
        supports_check_mode=True,
    )
    try:
        result = work(module)
    except HeartbeatError as exc:
        boundary.fail(module, exc)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
