#!/usr/bin/python
# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: heartbeat_tree
short_description: What a machine does for a sync that is led from the control node
version_added: "0.1.0"
description:
  - M(roosync.heartbeat.heartbeat_sync) calls this module on a machine that has not mounted the store, or that has no
    library but Python's own. It is not meant to be used in a playbook by itself.
author:
  - roosync.heartbeat maintainers (@roosync)
extends_documentation_fragment:
  - roosync.heartbeat.store
  - roosync.heartbeat.attributes
attributes:
  check_mode:
    support: full
    details:
      - Looks at the trees, and leaves nothing behind but what the caller fetches from O(workdir).
  diff_mode:
    support: N/A
    details:
      - M(roosync.heartbeat.heartbeat_sync) shows the difference.
  idempotent:
    support: full
options:
  op:
    description:
      - V(capture) looks at the trees. V(bundle) packs contents that the vault does not have. V(apply) brings the trees
        to what was decided.
    type: str
    choices: [capture, bundle, apply]
    default: capture
  trees:
    description:
      - The trees, as C(sync_paths) of the fleet has them.
    type: dict
    default: {}
  last:
    description:
      - The digest of the last snapshot of each tree.
    type: dict
    default: {}
  dry_run:
    description:
      - V(capture) only looks, as in check mode. It leaves nothing behind but what the caller fetches from O(workdir).
    type: bool
    default: false
  number:
    description:
      - Which of several lists of contents is meant.
    type: int
    default: 0
  store_id:
    description:
      - The id of the fleet's store. If O(store) is the same one on the machine, contents go there directly.
    type: str
  workdir:
    description:
      - The folder for what passes between the machine and the control node. The caller makes and removes it.
      - Without it, nothing is handed over.
    type: str
    default: ""
  root:
    description:
      - The directory that the paths of the trees count from.
    type: path
    default: /
  state_dir:
    description:
      - Where the machine remembers what it has read.
    type: path
    default: /var/lib/roosync-heartbeat
seealso:
  - module: roosync.heartbeat.heartbeat_sync
"""

EXAMPLES = r"""
- name: See what a machine would be asked
  roosync.heartbeat.heartbeat_tree:
    store: /srv/heartbeat
    trees:
      site:
        path: /srv/www
  check_mode: true
"""

RETURN = r"""
trees:
  description: What was found or done, by tree.
  returned: success
  type: dict
  sample:
    site:
      vanished: false
      digest: 2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824
      bytes: 0
      manifest: /root/.ansible/tmp/manifest-site
mounted:
  description: Whether contents went to the vault directly.
  returned: success
  type: bool
  sample: false
free:
  description: How many bytes are free where O(workdir) is.
  returned: when O(op=capture)
  type: int
  sample: 21474836480
error_code:
  description:
    - What went wrong, as a stable code.
    - The collection's page on error codes tells what each of them means, and what else a failure returns.
  returned: failure
  type: str
  sample: SYNC_ONLINE_FAILED
"""

from typing import Any, Dict

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._engine.errors import HeartbeatError
from ..module_utils._engine.sync import machine
from ..module_utils._module import boundary
from ..module_utils._module.spec import argument_spec


def work(module: AnsibleModule) -> Dict[str, Any]:
    """Do one operation on this machine's trees."""
    params = module.params
    here = machine.Machine(params["trees"], params["root"], params["state_dir"], params["workdir"])
    vault = machine.same_store(params["store"] or "", params["fleet"], params["store_id"] or "")
    dry_run = params["dry_run"] or module.check_mode
    return here.run(params["op"], params["number"], params["last"], vault, dry_run)


def main() -> None:
    module = AnsibleModule(
        argument_spec=argument_spec(
            op=dict(type="str", choices=["capture", "bundle", "apply"], default="capture"),
            trees=dict(type="dict", default={}),
            last=dict(type="dict", default={}),
            dry_run=dict(type="bool", default=False),
            number=dict(type="int", default=0),
            store_id=dict(type="str"),
            workdir=dict(type="str", default=""),
            root=dict(type="path", default="/"),
            state_dir=dict(type="path", default="/var/lib/roosync-heartbeat"),
        ),
        supports_check_mode=True,
    )
    try:
        result = work(module)
    except HeartbeatError as exc:
        boundary.fail(module, exc)
    except OSError as exc:
        text = "%s: %s" % (exc.filename or "the trees", exc.strerror or exc)
        module.fail_json(msg=boundary.printable(text), error_code="SYNC_ONLINE_FAILED")
    module.exit_json(**result)


if __name__ == "__main__":
    main()
