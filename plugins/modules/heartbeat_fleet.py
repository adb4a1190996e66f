#!/usr/bin/python
# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: heartbeat_fleet
short_description: Create a fleet, change its settings, expect and forget machines
version_added: "0.1.0"
description:
  - Creates a fleet in a store, or changes the settings of one. Nothing else ever starts a store.
  - Agents and checks alike read the settings from the store. An agent that a timer or cron starts keeps the interval
    with which it was deployed, until it is deployed anew.
  - When thresholds become shorter, the earlier ones count as well until the earlier O(offline_after) has passed, so
    that no machine is called offline that does not know of the change yet.
  - Settings that are not given stay as they are. A new fleet starts with the defaults.
  - Settings that make no sense are refused as a whole, with the reason and the nearest sane value.
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
options:
  heartbeat_interval:
    description:
      - Seconds between two heartbeats of a machine. At least 0.1.
      - A running agent keeps to a change by itself. One that systemd or cron starts has to be deployed again; the task
        warns of that.
      - The default of a new fleet is 30.
    type: float
  warning_after:
    description:
      - Seconds without a heartbeat after which a machine is in status C(warning). At least two intervals.
      - The default of a new fleet is 90.
    type: float
  offline_after:
    description:
      - Seconds without a heartbeat after which a machine is C(offline). At least three intervals, and more than
        O(warning_after).
      - The default of a new fleet is 120.
    type: float
  auto_sync:
    description:
      - Whether a machine that goes offline or comes back online opens a sync entry to be worked on.
      - If V(false), the entry is recorded as skipped. The default of a new fleet is V(true).
    type: bool
  confirm_offline:
    description:
      - In how many checks in a row a machine must be found offline before that is recorded. 1 to 20.
      - The default of a new fleet is 1.
    type: int
  confirm_online:
    description:
      - In how many checks in a row an offline machine must be found beating before its return is recorded. 1 to 20.
      - The default of a new fleet is 1.
    type: int
  mass_failure_count:
    description:
      - More newly offline machines than this, if they are also at least O(mass_failure_ratio) of the fleet, are a mass
        failure. It is recorded and shown, and no sync entry of it runs until it is over.
      - The default of a new fleet is 2.
    type: int
  mass_failure_ratio:
    description:
      - See O(mass_failure_count). Above 0 and at most 1. The default of a new fleet is 0.55.
    type: float
  hold_timeout:
    description:
      - Seconds after which a mass failure no longer holds the sync entries. The default of a new fleet is 3600.
    type: float
  zone_key:
    description:
      - A metadata key that divides the fleet into zones. The rule of O(mass_failure_count) then holds in each zone,
        too. A new fleet has no zones. V("") takes them away again.
    type: str
  forget_after:
    description:
      - Seconds a machine must have been offline for O(forget_offline) to forget it. A new fleet has none set, and V(0)
        takes it away again.
    type: float
  clock_skew_warning:
    description:
      - Seconds by which a machine's clock may differ from the store's before checks report it. The difference never
        changes a status. The default of a new fleet is 5.
    type: float
  overrides:
    description:
      - Settings of single machines, by machine id or by pattern (V(lab-*)). An exact id wins over a pattern, an earlier
        pattern over a later one.
      - Each may set C(heartbeat_interval), C(warning_after) and C(offline_after).
      - Replaces all overrides there were. V({}) removes them.
    type: dict
  sync_paths:
    description:
      - The trees that the fleet keeps in sync, by name. A name has lower case letters, digits, V(.), V(_) and V(-).
      - C(path) is the directory on the machines, as an absolute path. It is required.
      - C(include) and C(exclude) are lists of patterns. They say what of the tree belongs to it. The default is all.
      - C(machines) is a list of machine ids or patterns that have the tree. The default is all machines.
      - C(owners) says whether owner and group are kept. The default is V(true).
      - C(setuid) says whether setuid and setgid bits are kept. Without C(owners) they are not. The default is V(false).
      - C(max_file_size) is the most bytes that a file may have, C(max_entries) the most entries that the tree may have.
      - Replaces all trees there were. V({}) removes them. Nothing of the vault or of the machines is removed by that.
    type: dict
  conflict_policy:
    description:
      - What is done where a machine and the baseline have both changed one path, and differently.
      - V(manual) leaves both sides as they are and opens a decision. V(baseline) and V(machine) let that side win.
        V(newest) lets the later modification win, and a change before a deletion.
      - The losing content is always kept in the vault. The default of a new fleet is V(manual).
    type: str
    choices: [manual, baseline, machine, newest]
  sync_parallel:
    description:
      - How many machines are synced at once. 1 to 100. The default of a new fleet is 5.
    type: int
  keep_snapshots:
    description:
      - How many snapshots of each tree of a machine are kept, and how many sync records of each machine, the newest
        first. 1 to 10000. The default of a new fleet is 10.
    type: int
  keep_snapshots_for:
    description:
      - Snapshots and sync records that are younger than this many seconds are kept, however many there are. A new
        fleet has none set, and V(0) takes it away again.
    type: float
  expect:
    description:
      - Machines to be expected. Until its first heartbeat, an expected machine has the status C(unknown).
    type: list
    elements: str
    default: []
  forget:
    description:
      - Machines to be removed, with their record, and no longer expected. One that still beats joins again.
    type: list
    elements: str
    default: []
  forget_offline:
    description:
      - Forget all machines that have been offline for longer than O(forget_after). Those that O(expect) names are
        expected all the same.
    type: bool
    default: false
seealso:
  - module: roosync.heartbeat.heartbeat_info
"""

EXAMPLES = r"""
- name: A fleet with the default settings
  roosync.heartbeat.heartbeat_fleet:
    store: /srv/heartbeat

- name: A fleet that beats every ten seconds, with a slow laboratory
  roosync.heartbeat.heartbeat_fleet:
    store: /srv/heartbeat
    heartbeat_interval: 10
    warning_after: 30
    offline_after: 60
    overrides:
      lab-*:
        heartbeat_interval: 60
        warning_after: 180
        offline_after: 300

- name: Keep a directory of all web servers in sync, and let the baseline win where both sides have changed
  roosync.heartbeat.heartbeat_fleet:
    store: /srv/heartbeat
    conflict_policy: baseline
    sync_paths:
      site:
        path: /srv/www
        exclude:
          - "*.tmp"
        machines:
          - web-*

- name: Expect every host of the inventory
  roosync.heartbeat.heartbeat_fleet:
    store: /srv/heartbeat
    expect: "{{ groups['all'] }}"

- name: Forget a machine that was taken out of service
  roosync.heartbeat.heartbeat_fleet:
    store: /srv/heartbeat
    forget:
      - web-07

- name: Forget all that have been offline for 30 days
  roosync.heartbeat.heartbeat_fleet:
    store: /srv/heartbeat
    forget_after: 2592000
    forget_offline: true
"""

RETURN = r"""
created:
  description: Whether the fleet was created.
  returned: success
  type: bool
  sample: false
settings:
  description: All settings of the fleet, as they are now.
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
  sample: [web-01, web-02]
forgotten:
  description: The machines that were forgotten by this task.
  returned: success
  type: list
  elements: str
  sample: [web-07]
error_code:
  description:
    - What went wrong, as a stable code.
    - The collection's page on error codes tells what each of them means, and what else a failure returns.
  returned: failure
  type: str
  sample: INVALID_SETTINGS
nearest:
  description: The nearest sane value of the setting that was refused.
  returned: when a setting was refused
  type: raw
  sample: 60.0
"""

from typing import TYPE_CHECKING, Any, Callable, Dict, Optional

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.parsing.convert_bool import boolean

from ..module_utils._module import boundary
from ..module_utils._module.spec import argument_spec

if TYPE_CHECKING:
    from ..module_utils._engine.stores.file import FileStore

SETTINGS: Dict[str, Any] = dict(
    heartbeat_interval=dict(type="float"),
    warning_after=dict(type="float"),
    offline_after=dict(type="float"),
    auto_sync=dict(type="bool"),
    confirm_offline=dict(type="int"),
    confirm_online=dict(type="int"),
    mass_failure_count=dict(type="int"),
    mass_failure_ratio=dict(type="float"),
    hold_timeout=dict(type="float"),
    zone_key=dict(type="str", no_log=False),
    forget_after=dict(type="float"),
    clock_skew_warning=dict(type="float"),
    overrides=dict(type="dict"),
    sync_paths=dict(type="dict"),
    conflict_policy=dict(type="str", choices=["manual", "baseline", "machine", "newest"]),
    sync_parallel=dict(type="int"),
    keep_snapshots=dict(type="int"),
    keep_snapshots_for=dict(type="float"),
)
TREE_VALUES: Dict[str, Callable[[Any], Any]] = {
    "owners": boolean,
    "setuid": boolean,
    "max_file_size": int,
    "max_entries": int,
}


def with_types(given: Dict[str, Any], type_of: Callable[[str], Optional[Callable[[Any], Any]]]) -> Dict[str, Any]:
    """Inside a dictionary, numbers from INI files and from templates before ansible-core 2.19 arrive as text."""

    def typed(name: str, value: Any) -> Any:
        convert = type_of(name)
        try:
            return convert(value) if convert is not None and isinstance(value, str) else value
        except (TypeError, ValueError):
            return value  # for the engine to refuse by name

    return {
        key: {name: typed(name, value) for name, value in values.items()} if isinstance(values, dict) else values
        for key, values in given.items()
    }


def manage(module: AnsibleModule, store: FileStore) -> Dict[str, Any]:
    """Bring the fleet to what the task asks for."""
    from ..module_utils._engine import fleet

    params = module.params
    settings = {name: params[name] for name in SETTINGS if params[name] is not None}
    if "overrides" in settings:
        settings["overrides"] = with_types(settings["overrides"], lambda name: float)
    if "sync_paths" in settings:
        settings["sync_paths"] = with_types(settings["sync_paths"], TREE_VALUES.get)
    request = fleet.Request(
        settings=settings,
        expect=params["expect"],
        forget=params["forget"],
        forget_offline=params["forget_offline"],
    )
    return fleet.manage(store, request, dry_run=module.check_mode)


def main() -> None:
    module = AnsibleModule(
        argument_spec=argument_spec(
            expect=dict(type="list", elements="str", default=[]),
            forget=dict(type="list", elements="str", default=[]),
            forget_offline=dict(type="bool", default=False),
            **SETTINGS,
        ),
        supports_check_mode=True,
    )
    boundary.require_checker(module)
    boundary.run(module, lambda store: manage(module, store))


if __name__ == "__main__":
    main()
