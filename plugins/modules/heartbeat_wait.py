#!/usr/bin/python
# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: heartbeat_wait
short_description: Wait until machines reach a status
version_added: "0.1.0"
description:
  - Looks at the fleet again and again until all the named machines have a status. Records nothing.
  - If the store is away in the meantime, it goes on waiting.
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
      - The machines to wait for, by name.
    type: list
    elements: str
    required: true
  status:
    description:
      - The status that all of them must have.
    type: str
    choices: [online, warning, offline, unknown]
    default: online
  beats:
    description:
      - The machines, of those in O(machines), of which the heartbeat of a certain host is waited for, and since when.
        Otherwise the one that is there may be from before, or of another host that goes by the name.
      - The return value C(beat) of M(roosync.heartbeat.heartbeat_agent_install) is such an entry.
    type: list
    elements: dict
    default: []
    suboptions:
      machine_id:
        description: The machine's name.
        type: str
        required: true
      fingerprint:
        description: By what the store tells the host from others.
        type: str
        required: true
      since:
        description: A time by the store's clock, in ISO 8601. The heartbeat has to be from then or later.
        type: str
        required: true
  timeout:
    description:
      - Seconds after which to give up. The task then fails with C(WAIT_TIMEOUT) and names who is missing.
    type: float
    default: 300
  delay:
    description:
      - Seconds between two looks. At least 0.05.
    type: float
    default: 2
seealso:
  - module: roosync.heartbeat.heartbeat_check
"""

EXAMPLES = r"""
- name: Wait until both web servers are back after a reboot
  roosync.heartbeat.heartbeat_wait:
    store: /srv/heartbeat
    machines:
      - web-01
      - web-02
    timeout: 600

- name: Wait until a machine is offline
  roosync.heartbeat.heartbeat_wait:
    store: /srv/heartbeat
    machines:
      - web-03
    status: offline
"""

RETURN = r"""
machines:
  description: The machines that were waited for.
  returned: success
  type: list
  elements: str
  sample: [web-01, web-02]
status:
  description: The status that they have.
  returned: success
  type: str
  sample: online
elapsed:
  description: How long it took, in seconds.
  returned: success
  type: float
  sample: 12.3
looks:
  description: How many looks it took.
  returned: success
  type: int
  sample: 7
missing:
  description:
    - The machines that are not there yet, with the status that they have. Where O(beats) asks for another heartbeat
      than the one that is there, what is lacking follows after a colon.
  returned: when the time was up
  type: dict
  sample:
    web-02: warning
error_code:
  description:
    - What went wrong, as a stable code.
    - The collection's page on error codes tells what each of them means, and what else a failure returns.
  returned: failure
  type: str
  sample: WAIT_TIMEOUT
"""

from typing import TYPE_CHECKING, Any, Dict, Tuple

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._engine.errors import InvalidSettings
from ..module_utils._module import boundary
from ..module_utils._module.spec import argument_spec

if TYPE_CHECKING:
    from ..module_utils._engine.look import Expected
    from ..module_utils._engine.stores.file import FileStore

MIN_DELAY = 0.05


def wait(module: AnsibleModule, store: FileStore) -> Dict[str, Any]:
    """Wait for the machines."""
    from ..module_utils._engine import look
    from ..module_utils._engine.settings import MAX_SECONDS

    params = module.params
    if not (MIN_DELAY <= params["delay"] <= MAX_SECONDS and 0 <= params["timeout"] <= MAX_SECONDS):
        raise InvalidSettings(
            "delay: %g and timeout: %g are refused: delay must be at least %g, timeout not negative, both at most "
            "30 days" % (params["delay"], params["timeout"], MIN_DELAY)
        )
    beats = dict(expected(entry) for entry in params["beats"])
    found = look.wait(store, params["machines"], params["status"], params["timeout"], params["delay"], beats)
    return dict(found, changed=False)


def expected(entry: Dict[str, str]) -> Tuple[str, Expected]:
    """One of the heartbeats to wait for."""
    from ..module_utils._engine.clock import parse_iso
    from ..module_utils._engine.identity import normalise_machine_id
    from ..module_utils._engine.look import Expected

    try:
        since = parse_iso(entry["since"])
    except ValueError as exc:
        raise InvalidSettings(
            "beats: since: %.40r is no time: write it in ISO 8601, such as 2026-01-31T12:00:00Z" % entry["since"],
            exc,
        ) from exc
    return normalise_machine_id(entry["machine_id"], "beats"), Expected(entry["fingerprint"], since)


def main() -> None:
    module = AnsibleModule(
        argument_spec=argument_spec(
            machines=dict(type="list", elements="str", required=True),
            status=dict(type="str", choices=["online", "warning", "offline", "unknown"], default="online"),
            beats=dict(
                type="list",
                elements="dict",
                default=[],
                options=dict(
                    machine_id=dict(type="str", required=True),
                    fingerprint=dict(type="str", required=True),
                    since=dict(type="str", required=True),
                ),
            ),
            timeout=dict(type="float", default=300),
            delay=dict(type="float", default=2),
        ),
        supports_check_mode=True,
    )
    boundary.require_checker(module)
    boundary.run(module, lambda store: wait(module, store))


if __name__ == "__main__":
    main()
