#!/usr/bin/python
# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: heartbeat_sync
short_description: Save what a lost machine had, bring a returned one up to date, or take a sync back
version_added: "0.1.0"
description:
  - Keeps the trees of a fleet (C(sync_paths) of M(roosync.heartbeat.heartbeat_fleet)) in sync, by way of a baseline
    that all machines share. Each path is merged by itself. What only one side has changed is taken by the other. What
    both have changed differently is a conflict.
  - Nothing is lost. What a sync replaces stays in the vault of the store, and a rollback brings it back.
  - A machine is claimed in the journal while it is synced, so that nobody else syncs it meanwhile. If the task dies,
    the claim runs out, and the next sync goes on from there. One that had options of its own has to be asked for again.
  - Nothing is synced while the store is away, while an incident holds the machine, or (with O(pending)) where
    C(auto_sync) is V(false).
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
      - Returns the plan that the task would carry out, and writes nothing. O(dry_run) does the same in a normal run.
  diff_mode:
    support: full
    details:
      - Shows the entries that change, on the machine and in the baseline.
  idempotent:
    support: full
    details:
      - A second sync changes nothing if nobody else has changed anything.
      - That it was asked for is noted in the journal.
options:
  event:
    description:
      - What to do with O(machine_id). Give this, or O(pending).
      - V(offline) saves what an offline machine had in its last snapshot into the baseline, without touching it.
      - V(online) captures the machine's trees, merges them with the baseline, and brings both up to date. The task must
        run on the machine.
      - V(capture) takes a snapshot of the machine's trees. The task must run on the machine.
      - V(rollback) brings trees and base back to what they were before O(sync_id). The baseline goes back as well if
        nobody has published since. The task must run on the machine, unless the sync was an V(offline) one.
    type: str
    choices: [offline, online, capture, rollback]
  machine_id:
    description:
      - The machine. Needed with O(event). With O(pending), only entries of this machine are worked on.
      - With O(pending) and without this, entries of machines that are offline are worked on, for they need no machine.
        The others are named in RV(machines_to_visit).
    type: str
  pending:
    description:
      - Work on the sync entries that the transitions left pending. The oldest comes first, and a machine that fails
        stops no other.
    type: bool
    default: false
  create_backup:
    description:
      - Record how everything was, so that the sync can be taken back. A sync that decides conflicts is always recorded.
    type: bool
    default: true
  dry_run:
    description:
      - Return the plan and change nothing.
    type: bool
    default: false
  sync_from_baseline:
    description:
      - Bring the machine's trees up to date. If V(false), only the baseline takes what the machine has changed, and
        what its return asks for stays pending.
    type: bool
    default: true
  conflict_policy:
    description:
      - What decides a conflict, instead of the C(conflict_policy) of the fleet.
    type: str
    choices: [manual, baseline, machine, newest]
  force:
    description:
      - Sync even if a tree has vanished, has lost all its files, or more than half of them and at least three.
      - Roll back even if most of the files go that did not come with the sync.
    type: bool
    default: false
  restore:
    description:
      - The machine has lost files, as when its disk was replaced. With O(event=online), what it does not have comes
        back from the baseline, instead of being taken for deleted. Files that it has all the same are merged as usual.
        If they differ from the baseline, that is a conflict.
    type: bool
    default: false
  sync_id:
    description:
      - The sync that O(event=rollback) takes back. The default is the machine's last one.
    type: str
  vault:
    description:
      - How the machine's trees and the vault come together.
      - V(mounted) runs everything on the machine, which must have mounted the store.
      - V(carried) runs on the control node, which must reach the store, and carries manifests and missing contents over
        the connection. The machine needs Python only.
      - V(auto) is V(carried) where the control node reaches the store and the machine is another host, but for contents
        that the machine can get from the same store by itself. Otherwise it is V(mounted).
    type: str
    choices: [auto, mounted, carried]
    default: auto
  root:
    description:
      - The directory that the paths of the trees count from, such as the place where an image of the machine is
        mounted.
    type: path
    default: /
  state_dir:
    description:
      - Where the machine remembers what it has read, so that the next capture reads only what has changed.
    type: path
    default: /var/lib/roosync-heartbeat
notes:
  - With O(vault=carried) the libraries are needed on the control node, and the machine needs neither.
seealso:
  - module: roosync.heartbeat.heartbeat_decision
  - module: roosync.heartbeat.heartbeat_fleet
  - module: roosync.heartbeat.heartbeat_vault
"""

EXAMPLES = r"""
- name: Say which directory the web servers have in common
  roosync.heartbeat.heartbeat_fleet:
    store: /srv/heartbeat
    sync_paths:
      site:
        path: /srv/www
        machines:
          - web-*

- name: Take a snapshot of a machine's trees
  roosync.heartbeat.heartbeat_sync:
    store: /srv/heartbeat
    event: capture
    machine_id: web-01

- name: Save what the lost machines had
  roosync.heartbeat.heartbeat_sync:
    store: /srv/heartbeat
    pending: true
  register: saved

- name: Show what a sync of this machine would do
  roosync.heartbeat.heartbeat_sync:
    store: /srv/heartbeat
    event: online
    machine_id: web-01
    dry_run: true

- name: Bring this machine up to date, and let the baseline win where both sides have changed
  roosync.heartbeat.heartbeat_sync:
    store: /srv/heartbeat
    event: online
    machine_id: web-01
    conflict_policy: baseline

- name: Bring back what this machine has lost with its disk
  roosync.heartbeat.heartbeat_sync:
    store: /srv/heartbeat
    event: online
    machine_id: web-01
    restore: true
    conflict_policy: baseline

- name: Take that back
  roosync.heartbeat.heartbeat_sync:
    store: /srv/heartbeat
    event: rollback
    machine_id: web-01
"""

RETURN = r"""
files_synced:
  description:
    - How many files and links were changed, on machines and in the baseline. What was left alone does not count.
  returned: success
  type: int
  sample: 3
bytes:
  description: How many bytes of content came with that.
  returned: success
  type: int
  sample: 20480
bytes_captured:
  description: How many bytes of the machine's content were new to the vault.
  returned: success
  type: int
  sample: 4096
snapshots:
  description: How many snapshots of trees were kept because they differ from the last one.
  returned: success
  type: int
  sample: 1
conflicts_resolved:
  description:
    - How many conflicts were decided, by the policy or by what a person had settled. What the baseline has won counts
      when the machine has taken it.
  returned: success
  type: int
  sample: 0
decisions_created:
  description: How many conflicts were left to a person.
  returned: success
  type: int
  sample: 1
backup_created:
  description: Whether the sync was recorded and can be taken back.
  returned: success
  type: bool
  sample: true
backup_path:
  description: The record of the sync. None where several machines were synced, and RV(syncs) has one each.
  returned: success
  type: str
  sample: /srv/heartbeat/default/vault/refs/syncs/20260131T120000Z-3f1c0a9b77d2.json
sync_id:
  description: The id of the sync, if it changed anything. None where several machines were synced.
  returned: success
  type: str
  sample: 20260131T120000Z-3f1c0a9b77d2
offline_duration:
  description:
    - For how many seconds the machine was offline last, counted from the deadline that it had passed. None if it never
      was, and where several machines were synced.
  returned: success
  type: float
  sample: 380.1
plan:
  description:
    - What changes where, at most 1000 entries. C(side) is C(machine) or C(baseline). C(action) is C(create),
      C(replace), C(attributes) or C(delete).
  returned: success
  type: list
  elements: dict
  sample:
    - tree: site
      path: index.html
      action: replace
      side: machine
      machine_id: web-01
plan_size:
  description: How many entries the plan has in all.
  returned: success
  type: int
  sample: 1
conflicts:
  description:
    - What both sides had changed differently, at most 1000. C(resolution) is C(machine), C(baseline) or C(open).
      C(kept) names what lost and stays in the vault.
  returned: success
  type: list
  elements: dict
  sample:
    - tree: site
      path: news.html
      resolution: baseline
      machine:
        kind: file
        mode: "0644"
        owner: root
        group: root
        size: 5
        modified: "2026-01-31T11:58:00.000000Z"
        content: 2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824
      baseline: null
      kept:
        - side: machine
          path: news.html
      machine_id: web-01
left_alone:
  description: What could not be looked at or must not be touched, and why, at most 1000 entries.
  returned: success
  type: list
  elements: dict
  sample:
    - tree: site
      path: run/socket
      reason: special (socket)
      machine_id: web-01
syncs:
  description: One entry for each machine that was synced.
  returned: success
  type: list
  elements: dict
  sample:
    - changed: true
      machine_id: web-01
      event: online
      event_id: 7b4a628e93361f0c7b4a628e93361f0c
      sync_id: 20260131T120000Z-3f1c0a9b77d2
      files_synced: 3
      bytes: 20480
      bytes_captured: 4096
      snapshots: 1
      conflicts_resolved: 0
      decisions_created: 1
      backup_created: true
      backup_path: /srv/heartbeat/default/vault/refs/syncs/20260131T120000Z-3f1c0a9b77d2.json
      offline_duration: 380.1
      baseline:
        site: 7
      plan_size: 1
      message: "web-01 online: made 1 change on the machine and 0 in the baseline"
overtaken:
  description: Entries that asked for nothing any more, and why.
  returned: success
  type: list
  elements: dict
  sample:
    - event_id: 7b4a628e93361f0c7b4a628e93361f0c
      machine_id: web-02
      event: offline
      opened_at: "2026-01-31T12:00:00.000000Z"
      reason: "overtaken: the machine was online when its turn came"
failed_machines:
  description: The machines whose sync failed, each with its error. Their entries stay and are tried again next time.
  returned: success
  type: list
  elements: dict
  sample: []
pending_syncs:
  description: The entries that are still open.
  returned: success
  type: list
  elements: dict
  sample:
    - event_id: 1f0c7b4a628e93367b4a628e93361f0c
      machine_id: web-03
      event: online
      state: pending
      opened_at: "2026-01-31T12:00:00.000000Z"
      reason: null
      held_by: null
      attempts: 0
machines_to_visit:
  description: The machines of those entries that only a task on the machine itself can work on.
  returned: success
  type: list
  elements: str
  sample: [web-03]
message:
  description: All of that in one line.
  returned: success
  type: str
  sample: "web-01 online: made 1 change on the machine and 0 in the baseline"
error_code:
  description:
    - What went wrong, as a stable code.
    - The collection's page on error codes tells what each of them means, and what else a failure returns.
  returned: failure
  type: str
  sample: MACHINE_NOT_ONLINE
"""

from typing import TYPE_CHECKING, Any, Dict

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._module import boundary
from ..module_utils._module.spec import argument_spec, sync_options

if TYPE_CHECKING:
    from ..module_utils._engine.stores.file import FileStore


def sync(module: AnsibleModule, store: FileStore) -> Dict[str, Any]:
    """Sync what is asked for, with the trees of this host."""
    from ..module_utils._engine.stores import open_store
    from ..module_utils._engine.sync import batch
    from ..module_utils._engine.sync.localsite import LocalSite
    from ..module_utils._engine.sync.session import request_from

    params = module.params
    here = params["machine_id"]
    return batch.sync(
        store,
        request_from(params, module.check_mode),
        params["pending"],
        lambda machine_id: LocalSite(params["root"], params["state_dir"]) if here else None,
        lambda: open_store(params["store"], params["fleet"]),
        params["dry_run"],
    )


def main() -> None:
    module = AnsibleModule(argument_spec=argument_spec(**sync_options()), supports_check_mode=True)
    boundary.require_checker(module)
    boundary.run(module, lambda store: sync(module, store))


if __name__ == "__main__":
    main()
