#!/usr/bin/python
# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: heartbeat_store_prepare
short_description: Prepare the directory of a store, and see that there is room in it
version_added: "0.1.0"
description:
  - Makes the directory of a store, for a group to share, and gives the folders of a fleet that is there already their
    group and modes. Modes are C(2775) for folders and C(664) for files, which is what agents and checks need.
    Backups that their owner has closed to others stay closed.
  - Refuses a directory beneath a file system that is meant to be mounted and is not.
  - Measures free space, free files and quotas, warns when they run low, and refuses when they are too low.
  - Creates no fleet. That is the business of M(roosync.heartbeat.heartbeat_fleet). The role
    P(roosync.heartbeat.heartbeat_store#role) uses both.
  - Needs nothing but Python and its standard library on the host.
author:
  - roosync.heartbeat maintainers (@roosync)
extends_documentation_fragment:
  - roosync.heartbeat.store
  - roosync.heartbeat.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  group:
    description:
      - The group that is to own the directory and what is in it. Whoever beats or checks has to be in it.
      - Without it they stay with the group that they have.
    type: str
  mount_point:
    description:
      - A directory that has to be a mount point, with the store on it.
      - Whatever C(/etc/fstab) names above the store has to be mounted in any case.
    type: path
  refuse_below:
    description:
      - Fail when less space is free for ordinary users. A number of bytes, or one with a unit such as V(16M).
      - V(0) for no limit, here and in the other three.
    type: str
    default: 16M
  warn_below:
    description:
      - Warn when less space is free.
    type: str
    default: 256M
  refuse_below_files:
    description:
      - Fail when fewer files can still be made. Not every file system has such a limit.
    type: int
    default: 1000
  warn_below_files:
    description:
      - Warn when fewer files can still be made.
    type: int
    default: 10000
  quota_users:
    description:
      - Users whose quotas count, such as the one that the agents run as.
      - Quotas are read with the program C(quota) where the file system has them turned on, and on NFS. What could not
        be found out is in RV(unchecked).
    type: list
    elements: str
    default: []
  quota_groups:
    description:
      - Groups whose quotas count. The default is O(group).
    type: list
    elements: str
seealso:
  - module: roosync.heartbeat.heartbeat_fleet
"""

EXAMPLES = r"""
- name: A directory for the heartbeats
  roosync.heartbeat.heartbeat_store_prepare:
    store: /srv/heartbeat
    refuse_below: 64M

- name: See how much room there is, without a limit
  roosync.heartbeat.heartbeat_store_prepare:
    store: /srv/heartbeat
    refuse_below: "0"
    refuse_below_files: 0
  check_mode: true
  register: room

- name: Show it
  ansible.builtin.debug:
    msg: "{{ room.bytes_free }} bytes are free. Not found out: {{ room.unchecked }}"
"""

RETURN = r"""
mount_point:
  description: Where the file system is mounted that the store lies on.
  returned: success
  type: str
  sample: /srv
file_system:
  description: The type of that file system.
  returned: success
  type: str
  sample: nfs4
bytes_total:
  description: The size of the file system.
  returned: success
  type: int
  sample: 107374182400
bytes_free:
  description: The space that is free for ordinary users.
  returned: success
  type: int
  sample: 53687091200
files_free:
  description: How many files can still be made. Null where there is no limit but the space.
  returned: success
  type: int
  sample: 6553600
quotas:
  description: The quotas that were found. A limit of 0 is none.
  returned: success
  type: list
  elements: dict
  sample:
    - kind: group
      name: heartbeat
      bytes_used: 122880
      bytes_soft: 1048576
      bytes_limit: 2097152
      files_used: 31
      files_soft: 0
      files_limit: 0
unchecked:
  description: What could not be found out, and why.
  returned: success
  type: list
  elements: str
  sample: ["the quota of group heartbeat on /srv: the program quota is not installed"]
error_code:
  description:
    - What went wrong, as a stable code.
    - The collection's page on error codes tells what each of them means, and what else a failure returns.
  returned: failure
  type: str
  sample: DISK_SPACE_LOW
"""

import os
from typing import TYPE_CHECKING, Any, Dict

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.common.text.formatters import human_to_bytes

from ..module_utils._engine import capacity, mounts, premises
from ..module_utils._engine.errors import InvalidSettings, StoreUnavailable
from ..module_utils._module import boundary
from ..module_utils._module.spec import argument_spec

if TYPE_CHECKING:
    from ..module_utils._engine.stores.file import FileStore


def size(option: str, text: str) -> int:
    """A number of bytes, with a unit or without."""
    try:
        number = human_to_bytes(text)
    except ValueError:
        number = -1
    if number < 0:
        raise InvalidSettings(
            "%s: %r is no size; give a number of bytes, or one with a unit such as 16M" % (option, text)
        )
    return int(number)


def limits(params: Dict[str, Any]) -> capacity.Limits:
    for option in ("refuse_below_files", "warn_below_files"):
        if params[option] < 0:
            raise InvalidSettings("%s: %d is no number of files; 0 is for no limit" % (option, params[option]))
    return capacity.Limits(
        size("refuse_below", params["refuse_below"]),
        size("warn_below", params["warn_below"]),
        params["refuse_below_files"],
        params["warn_below_files"],
    )


def group_id(module: AnsibleModule) -> Any:
    """The group's number; in check mode one that nobody has, where an earlier task would have made the group."""
    name = module.params["group"]
    try:
        return premises.group_id(name) if name else None
    except InvalidSettings:
        if module.check_mode:
            return -1
        raise


def prepare(module: AnsibleModule, store: FileStore) -> Dict[str, Any]:
    """See that all is well, then make and mend."""
    params = module.params
    wanted = limits(params)
    path = os.path.realpath(store.root)
    there = mounts.nearest(path)
    known = mounts.mounted(mounts.read(mounts.MOUNTINFO))
    point = params["mount_point"] and os.path.normpath(params["mount_point"])
    mounts.require(path, point, known, mounts.read(mounts.FSTAB))
    mount = mounts.mount_of(path, known)
    if mount.read_only:
        raise StoreUnavailable("%s is mounted read-only; remount it read-write" % mount.point, path=mount.point)
    groups = params["quota_groups"]
    if groups is None:
        groups = [params["group"]] if params["group"] else []
    room = capacity.measure(there, mount, params["quota_users"], groups)
    warnings = capacity.judge(store.root, room, wanted)
    work = premises.Premises(store.root, store.fleet, group_id(module), module.check_mode)
    work.prepare()
    if work.kept:
        room["unchecked"].append(
            "%s does not keep modes or groups; its mount options have to give the group its rights" % mount.point
        )
    return dict(
        room,
        changed=work.changed,
        mount_point=mount.point,
        file_system=mount.kind,
        warnings=warnings,
        diff=work.diff(),
    )


def main() -> None:
    module = AnsibleModule(
        argument_spec=argument_spec(
            group=dict(type="str"),
            mount_point=dict(type="path"),
            refuse_below=dict(type="str", default="16M"),
            warn_below=dict(type="str", default="256M"),
            refuse_below_files=dict(type="int", default=1000),
            warn_below_files=dict(type="int", default=10000),
            quota_users=dict(type="list", elements="str", default=[]),
            quota_groups=dict(type="list", elements="str"),
        ),
        supports_check_mode=True,
    )
    boundary.run(module, lambda store: prepare(module, store))


if __name__ == "__main__":
    main()
