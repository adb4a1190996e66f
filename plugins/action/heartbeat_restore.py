# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``heartbeat_restore`` from a snapshot, led from the control node, as ``heartbeat_sync`` is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict

from ..module_utils._engine.stores import open_store
from ..module_utils._module.spec import RESTORE_RULES, restore_options
from .heartbeat_sync import Leading

if TYPE_CHECKING:
    from ..module_utils._engine.stores.file import FileStore
    from ..module_utils._engine.sync.carried import CarriedSite


class ActionModule(Leading):
    MODULE = "roosync.heartbeat.heartbeat_restore"
    RULES = RESTORE_RULES

    def options(self) -> Dict[str, Any]:
        return restore_options()

    def needs_machine(self, params: Dict[str, Any]) -> bool:
        return params["snapshot"] is not None

    def lead(self, params: Dict[str, Any], store: FileStore, site: CarriedSite) -> Dict[str, Any]:
        from ..module_utils._engine.backup import trees

        return trees.restore_trees(
            store,
            trees.wanted_from(params),
            site,
            lambda: open_store(params["store"], params["fleet"]),
            self._task.check_mode,
        )
