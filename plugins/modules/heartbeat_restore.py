#!/usr/bin/python
# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: heartbeat_restore
short_description: Restore a fleet or a machine from a backup, or a machine's trees from a snapshot
version_added: "0.1.0"
description:
  - Reads and verifies the whole backup before anything is touched, and backs up what it is about to replace.
  - A whole fleet is built beside the one in use, and then the two change places in one step. Wherever the restore is
    killed, the former state stands or the new one, and the next run tidies up.
  - Every heartbeat keeps the time at which it was received, so whoever was dead stays dead. The time between the backup
    and the restore counts against nobody. Each machine has one C(offline_after) to return.
  - A restore from a backup is shown as an incident by M(roosync.heartbeat.heartbeat_info). Each restore leaves a
    document in C(reports/).
  - With O(snapshot), the directory trees of a machine (C(sync_paths) of M(roosync.heartbeat.heartbeat_fleet)) become
    what they were in one of its snapshots. All of the snapshot is verified before anything is touched, and a tree is
    changed as a whole or not at all. What was there before is kept, and
    O(roosync.heartbeat.heartbeat_sync#module:event=rollback) brings it back.
author:
  - roosync.heartbeat maintainers (@roosync)
extends_documentation_fragment:
  - roosync.heartbeat.store
  - roosync.heartbeat.store.checker
  - roosync.heartbeat.store.backup
  - roosync.heartbeat.attributes
attributes:
  check_mode:
    support: full
    details:
      - The backup or the snapshot is verified in check mode, too.
  diff_mode:
    support: full
  idempotent:
    support: full
    details:
      - A fleet that is as it is in the backup is left alone, and so is a tree that is as it is in the snapshot.
options:
  backup:
    description:
      - The backup to restore. A name, an absolute path, or V(latest) for the newest one of the whole fleet, which is
        the default.
      - With O(machine_id), V(latest) is the newest one of that machine, or else of the whole fleet.
      - V(latest) is never a backup of what a restore has replaced. Those have C(.before-restore) in their name, and are
        restored by it.
    type: str
  snapshot:
    description:
      - Restore the trees of O(machine_id) from a snapshot, and nothing else. The task must run on the machine that gets
        them.
      - V(latest), the number of a snapshot, or a time, such as V(2026-01-31T12:00:00Z), for the newest one that had
        been taken by then. M(roosync.heartbeat.heartbeat_backup_info) lists the snapshots of a machine.
      - Each tree counts its snapshots by itself, so a number needs one tree.
    type: str
  machine_id:
    description:
      - Restore the record of this machine only. The rest of the fleet stays as it is.
      - With O(snapshot), the machine whose trees these are.
    type: str
  to_machine_id:
    description:
      - The machine that gets the trees, if it is another one that replaces O(machine_id). It must have beaten once.
    type: str
  trees:
    description:
      - The names of the trees to restore. All of those that the machine has, if it is empty.
    type: list
    elements: str
    default: []
  force:
    description:
      - Replace a fleet in which machines have beaten since the backup was made, or which is another fleet. Replace the
        record of a machine that is alive.
      - With O(snapshot), take most of the files of a tree away if the snapshot does not have them.
    type: bool
    default: false
  safety_backup:
    description:
      - Back up what is replaced, into the same directory and with the same passphrase. Without it there is no way back.
      - With O(snapshot), what is replaced is always kept.
    type: bool
    default: true
  vault:
    description:
      - How the machine's trees and the vault, which has the snapshots, come together. The same as in
        M(roosync.heartbeat.heartbeat_sync).
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
      - Where the machine remembers what it has read.
    type: path
    default: /var/lib/roosync-heartbeat
notes:
  - With O(snapshot) and O(vault=carried), or V(auto) on another host than the control node, the libraries are needed on
    the control node, and the machine needs neither.
seealso:
  - module: roosync.heartbeat.heartbeat_backup
  - module: roosync.heartbeat.heartbeat_backup_info
  - module: roosync.heartbeat.heartbeat_sync
"""

EXAMPLES = r"""
- name: Make a backup
  roosync.heartbeat.heartbeat_backup:
    store: /srv/heartbeat
    directory: /var/backups/heartbeat

- name: See what a restore would change, with --check --diff
  roosync.heartbeat.heartbeat_restore:
    store: /srv/heartbeat
    directory: /var/backups/heartbeat

- name: Bring one machine back as it was
  roosync.heartbeat.heartbeat_restore:
    store: /srv/heartbeat
    directory: /var/backups/heartbeat
    machine_id: web-03

- name: Bring the whole fleet back, over one that has gone on
  roosync.heartbeat.heartbeat_restore:
    store: /srv/heartbeat
    directory: /var/backups/heartbeat
    force: true

- name: Say which directory the shops have in common
  roosync.heartbeat.heartbeat_fleet:
    store: /srv/heartbeat
    sync_paths:
      shop:
        path: /srv/shop

- name: Take a snapshot of this machine's trees
  roosync.heartbeat.heartbeat_sync:
    store: /srv/heartbeat
    event: capture
    machine_id: web-01

- name: Bring them back as they were when they were captured last
  roosync.heartbeat.heartbeat_restore:
    store: /srv/heartbeat
    machine_id: web-01
    snapshot: latest

- name: Give what web-01 had to the host that replaces it
  roosync.heartbeat.heartbeat_restore:
    store: /srv/heartbeat
    machine_id: web-01
    to_machine_id: web-02
    snapshot: latest
"""

RETURN = r"""
backup:
  description: The backup that was restored, and what is in it. Null if snapshots were restored.
  returned: success
  type: raw
  sample:
    name: default@20260131T120000.123456Z.tar.gz
    location: /var/backups/heartbeat/default@20260131T120000.123456Z.tar.gz
    machine_id: null
    created_at: "2026-01-31T12:00:00.123456Z"
    encrypted: false
    bytes: 3109
    before_restore: false
    machines: 6
    commit: 17
    files: 29
    content_bytes: 14568
    sha256: efaacfe8a2090687778d51651e8d29f777c76044b6e9ef156f6011a866accff4
    reason: ""
machine_id:
  description: The machine that was restored, or that got the trees. Null if it was the whole fleet.
  returned: success
  type: raw
  sample: web-03
files:
  description: How many files were restored.
  returned: success
  type: int
  sample: 29
replaced_backup:
  description:
    - The backup of what was replaced, or with O(snapshot) the record of it in the vault.
    - Null if nothing was there, nothing was changed, or O(safety_backup=false).
  returned: success
  type: raw
  sample: /var/backups/heartbeat/default@20260131T130000.123456Z.before-restore.tar.gz
report:
  description: The document of this restore. Null if nothing was changed.
  returned: success
  type: raw
  sample: /srv/heartbeat/default/reports/restore-20260131T130001.123456Z.json
incident_id:
  description: The incident that shows this restore. Null if nothing was changed, and with O(snapshot).
  returned: success
  type: raw
  sample: restore-56a76b18ae48dd20
interrupted:
  description:
    - What became of an earlier restore that was interrupted. V(finished) if the new state stood already, V(undone) if
      it did not, null if there was none.
  returned: success
  type: raw
  sample: null
snapshots:
  description: The snapshots that were restored.
  returned: if O(snapshot) is given
  type: list
  elements: dict
  sample:
    - tree: site
      snapshot: 3
      captured_at: "2026-01-31T12:00:00.123456Z"
      machine_id: web-01
sync_id:
  description:
    - What M(roosync.heartbeat.heartbeat_sync) takes back by O(roosync.heartbeat.heartbeat_sync#module:event=rollback).
    - Null if nothing was changed.
  returned: if O(snapshot) is given
  type: raw
  sample: 20260131T120000Z-3f1c0a9b77d2
bytes:
  description: How many bytes of content came with the files.
  returned: if O(snapshot) is given
  type: int
  sample: 20480
plan:
  description: What changes on the machine, at most 1000 entries, as M(roosync.heartbeat.heartbeat_sync) tells it.
  returned: if O(snapshot) is given
  type: list
  elements: dict
  sample:
    - tree: site
      path: index.html
      action: create
      side: machine
plan_size:
  description: How many entries the plan has in all.
  returned: if O(snapshot) is given
  type: int
  sample: 1
left_alone:
  description: What could not be looked at or must not be touched, and why, at most 1000 entries.
  returned: if O(snapshot) is given
  type: list
  elements: dict
  sample:
    - tree: site
      path: run/socket
      reason: a socket
message:
  description: All of that in one line.
  returned: if O(snapshot) is given
  type: str
  sample: "web-01 restore: made 1 change on the machine and 0 in the baseline"
error_code:
  description:
    - What went wrong, as a stable code.
    - The collection's page on error codes tells what each of them means, and what else a failure returns.
  returned: failure
  type: str
  sample: RESTORE_FAILED
"""

from typing import TYPE_CHECKING, Any, Dict

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._module import boundary
from ..module_utils._module.spec import RESTORE_RULES, argument_spec, restore_options

if TYPE_CHECKING:
    from ..module_utils._engine.stores.file import FileStore


def restored(module: AnsibleModule, store: FileStore) -> Dict[str, Any]:
    """Restore."""
    params = module.params
    if params["snapshot"] is not None:
        return trees_restored(module, store)
    from ..module_utils._engine.backup import restore

    request = restore.Request(
        backup=params["backup"] or "latest",
        directory=params["directory"],
        passphrase=params["passphrase"],
        machine_id=params["machine_id"],
        force=params["force"],
        safety_backup=params["safety_backup"],
    )
    return restore.run(store, request, dry_run=module.check_mode)


def trees_restored(module: AnsibleModule, store: FileStore) -> Dict[str, Any]:
    """Restore trees of this host."""
    from ..module_utils._engine.backup import trees
    from ..module_utils._engine.stores import open_store
    from ..module_utils._engine.sync.localsite import LocalSite

    params = module.params
    return trees.restore_trees(
        store,
        trees.wanted_from(params),
        LocalSite(params["root"], params["state_dir"]),
        lambda: open_store(params["store"], params["fleet"]),
        module.check_mode,
    )


def main() -> None:
    module = AnsibleModule(argument_spec=argument_spec(**restore_options()), supports_check_mode=True, **RESTORE_RULES)
    boundary.require_checker(module)
    boundary.run(module, lambda store: restored(module, store))


if __name__ == "__main__":
    main()
