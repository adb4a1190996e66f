#!/usr/bin/python
# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: heartbeat_register
short_description: Register heartbeats of one machine or of many
version_added: "0.1.0"
description:
  - Writes a heartbeat of one machine into the store, or of many machines in one call.
  - A machine that beats for the first time joins the fleet with that.
  - Needs nothing but Python and its standard library on the host that runs it.
author:
  - roosync.heartbeat maintainers (@roosync)
extends_documentation_fragment:
  - roosync.heartbeat.store
  - roosync.heartbeat.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
    details:
      - A heartbeat is a point in time; there is nothing to compare it with.
  idempotent:
    support: none
    details:
      - Every run is one more heartbeat.
options:
  machine_id:
    description:
      - The machine's name in the fleet. Letters, digits, V(.), V(_) and V(-), at most 253 characters. Upper case
        becomes lower case.
      - The default is the host name of the host that runs the module.
    type: str
  metadata:
    description:
      - Facts to keep with the heartbeat. Strings, numbers, booleans, V(null), lists and dictionaries.
      - They are those of this heartbeat. What an earlier one brought is not kept.
      - More than 10000 bytes as JSON give a warning, more than 65536 are refused.
    type: dict
  attest:
    description:
      - Whether the heartbeat bears the fingerprint of the host that runs the module, so that no other host can
        beat under the same name. Use V(false) to register a heartbeat on behalf of another machine.
      - The default is V(true) when O(machine_id) is not given or is this host's own name, and V(false) otherwise.
    type: bool
  allow_takeover:
    description:
      - Take the name over from another host that is still beating under it. Without this, a name can be taken over only
        once its holder is offline or has said goodbye.
    type: bool
    default: false
  machines:
    description:
      - Many machines, each of them registered on its behalf (see O(attest)).
      - Each is a dictionary with C(machine_id), which is required, and C(metadata). They are as O(machine_id) and
        O(metadata).
      - A bad one among them fails alone, whatever it is. The others are registered, and the task fails at the end.
    type: list
    elements: raw
seealso:
  - module: roosync.heartbeat.heartbeat_check
"""

EXAMPLES = r"""
- name: Beat for this host, under its own name
  roosync.heartbeat.heartbeat_register:
    store: /srv/heartbeat

- name: Beat with metadata
  roosync.heartbeat.heartbeat_register:
    store: /srv/heartbeat
    machine_id: web-01
    metadata:
      role: web
      rack: r12

- name: Register many machines in one call, from the control node
  roosync.heartbeat.heartbeat_register:
    store: /srv/heartbeat
    machines:
      - machine_id: switch-1
        metadata:
          kind: switch
      - machine_id: switch-2
"""

RETURN = r"""
machine_id:
  description: The machine's name, in the form the store keeps it.
  returned: success, for one machine
  type: str
  sample: web-01
received_at:
  description: When the store received the heartbeat, by the store's own clock.
  returned: success, for one machine
  type: str
  sample: "2026-01-31T12:00:00.123456Z"
status:
  description: The machine's status by this heartbeat.
  returned: success, for one machine
  type: str
  sample: online
is_new_machine:
  description: Whether this was the machine's first heartbeat.
  returned: success, for one machine
  type: bool
  sample: false
sequence:
  description: The number of the heartbeat, counted by machine.
  returned: success, for one machine
  type: int
  sample: 4711
latency_ms:
  description: How long writing took, in milliseconds.
  returned: success, for one machine
  type: float
  sample: 1.2
clock_skew_ms:
  description: By how many milliseconds this host's clock is ahead of the store's. It never changes a status.
  returned: success, for one machine
  type: float
  sample: -3.4
machines:
  description: What was registered, for each machine the keys above.
  returned: when O(machines) was given
  type: list
  elements: dict
  sample:
    - machine_id: switch-1
      received_at: "2026-01-31T12:00:00.123456Z"
      status: online
      is_new_machine: true
      sequence: 1
      latency_ms: 0.9
      clock_skew_ms: -3.4
failed_machines:
  description: What was not registered, with the reason.
  returned: when O(machines) was given
  type: list
  elements: dict
  sample:
    - index: 2
      machine_id: ../x
      error_code: INVALID_MACHINE_ID
      msg: "machine_id '../x' has characters that are not allowed (/); use letters, digits, '.', '_' and '-'"
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

from ..module_utils._engine import identity
from ..module_utils._engine.errors import HeartbeatRegistrationFailed, InvalidMachineId
from ..module_utils._engine.register import register, register_many
from ..module_utils._module import boundary
from ..module_utils._module.spec import argument_spec

if TYPE_CHECKING:
    from ..module_utils._engine.stores.file import FileStore


def register_one(module: AnsibleModule, store: FileStore) -> Dict[str, Any]:
    """One machine: this host itself, or another on whose behalf the heartbeat is registered."""
    params = module.params
    machine_id = params["machine_id"]
    if machine_id is None:
        machine_id = identity.default_machine_id()
        if machine_id is None:
            raise InvalidMachineId("this host's name cannot be a machine id; give machine_id")
    attest = params["attest"]
    if attest is None:
        attest = machine_id.strip().lower() in identity.local_names()
    result = register(
        store,
        machine_id,
        params["metadata"],
        fingerprint=identity.fingerprint(identity.host_secret()) if attest else "",
        boot=identity.boot_id() if attest else "",
        allow_takeover=params["allow_takeover"],
        dry_run=module.check_mode,
    )
    return dict(result, changed=True)


def register_batch(module: AnsibleModule, store: FileStore) -> Dict[str, Any]:
    """Many machines; what fails, fails alone, and is named at the end."""
    params = module.params
    found = register_many(store, params["machines"], params["allow_takeover"], dry_run=module.check_mode)
    kept, failed = found["registered"], found["failed_machines"]
    warnings = ["%s: %s" % (m["machine_id"], w) for m in kept for w in m.pop("warnings")]
    result = dict(changed=bool(kept), machines=kept, failed_machines=failed, warnings=warnings)
    if failed:
        named = "; ".join("%s: %s" % (f["machine_id"] or "machine %d" % f["index"], f["msg"]) for f in failed[:3])
        result["error_code"] = HeartbeatRegistrationFailed.error_code
        result["cause_code"] = failed[0]["error_code"]
        result["failure"] = "%d of %d machines were not registered: %s" % (len(failed), len(failed) + len(kept), named)
    return result


def main() -> None:
    module = AnsibleModule(
        argument_spec=argument_spec(
            machine_id=dict(type="str"),
            metadata=dict(type="dict"),
            attest=dict(type="bool"),
            allow_takeover=dict(type="bool", default=False),
            machines=dict(type="list", elements="raw"),
        ),
        mutually_exclusive=[("machines", "machine_id"), ("machines", "metadata"), ("machines", "attest")],
        supports_check_mode=True,
    )
    work = register_one if module.params["machines"] is None else register_batch
    boundary.run(module, lambda store: work(module, store))


if __name__ == "__main__":
    main()
