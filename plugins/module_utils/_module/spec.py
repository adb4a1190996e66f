# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The argument spec that all modules share: where the fleet is."""

from __future__ import annotations

from typing import Any, Dict

from ansible.module_utils.basic import env_fallback


def argument_spec(**options: Any) -> Dict[str, Any]:
    """A module's own options together with ``store`` and ``fleet``."""
    return dict(
        options,
        # Not "required": linters do not see module_defaults and the environment; the boundary asks for it.
        store=dict(type="str", fallback=(env_fallback, ["ROOSYNC_STORE"])),
        fleet=dict(type="str", default="default"),
    )


def sync_options() -> Dict[str, Any]:
    """The options of ``heartbeat_sync``, which its action plugin reads as well."""
    return dict(
        event=dict(type="str", choices=["offline", "online", "capture", "rollback"]),
        machine_id=dict(type="str"),
        pending=dict(type="bool", default=False),
        create_backup=dict(type="bool", default=True),
        dry_run=dict(type="bool", default=False),
        sync_from_baseline=dict(type="bool", default=True),
        conflict_policy=dict(type="str", choices=["manual", "baseline", "machine", "newest"]),
        force=dict(type="bool", default=False),
        restore=dict(type="bool", default=False),
        sync_id=dict(type="str"),
        **_machine_options(),
    )


def _machine_options() -> Dict[str, Any]:
    """Where a machine's trees are, and how they and the vault come together."""
    return dict(
        vault=dict(type="str", choices=["auto", "mounted", "carried"], default="auto"),
        root=dict(type="path", default="/"),
        state_dir=dict(type="path", default="/var/lib/roosync-heartbeat"),
    )


def backup_options() -> Dict[str, Any]:
    """Where the backups are, and what opens them: the same for every module that touches one."""
    return dict(
        directory=dict(type="path"),
        passphrase=dict(type="str", no_log=True),
    )


def restore_options() -> Dict[str, Any]:
    """The options of ``heartbeat_restore``, which its action plugin reads as well."""
    return dict(
        backup=dict(type="str"),
        snapshot=dict(type="str"),
        machine_id=dict(type="str"),
        to_machine_id=dict(type="str"),
        trees=dict(type="list", elements="str", default=[]),
        force=dict(type="bool", default=False),
        safety_backup=dict(type="bool", default=True),
        **_machine_options(),
        **backup_options(),
    )


# What of them belongs together.
RESTORE_RULES: Dict[str, Any] = dict(
    mutually_exclusive=[("backup", "snapshot")],
    required_by=dict(snapshot=["machine_id"], to_machine_id=["snapshot"]),
)
