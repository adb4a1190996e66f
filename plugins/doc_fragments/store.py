# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options that every module has: where the fleet is."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  store:
    description:
      - The store of the heartbeats, as an absolute directory path or as C(file:///path).
      - Usually a directory on a share that all machines mount. It is never used before it holds a fleet.
        A directory without C(fleet.json) is taken for a share that is not mounted, and nothing is written into it.
      - Required, here or in C(module_defaults). If not given, the environment variable E(ROOSYNC_STORE) of the host
        that runs the module is used.
    type: str
  fleet:
    description:
      - The name of the fleet in the store.
      - Lower case letters, digits, V(.), V(_) and V(-), at most 64 characters.
    type: str
    default: default
"""

    CHECKER = r"""
options: {}
requirements:
  - pydantic >= 2.10
  - filelock >= 3.12
notes:
  - Runs on one host that reaches the store, usually the control node. Machines that only beat need neither library.
"""

    BACKUP = r"""
options:
  directory:
    description:
      - The directory of the backups, on the host that runs the module. It is made if it is not there, for its owner
        alone.
      - The default is C(backups/) of the fleet itself. A fleet that is destroyed takes those with it, so another disk
        is a better place. Another folder of the fleet is refused, because a restore takes away what is there.
    type: path
  passphrase:
    description:
      - Encrypts a new backup, and opens those that are encrypted. Keep it with Ansible Vault.
      - It is not logged, and no other process gets it. The format is that of C(age), so C(age --decrypt) opens a backup
        too.
      - Needs the Python library C(cryptography) on the host that runs the module. ansible-core brings it along.
    type: str
"""
