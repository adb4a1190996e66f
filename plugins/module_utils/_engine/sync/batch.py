# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One result in one form, whether a single machine was synced or whatever was pending."""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Optional

from ..errors import InvalidSettings
from ..identity import normalise_machine_id
from ..state import OFFLINE
from ..stores.base import Store
from .pending import SiteOf, machines_to_visit, run_pending
from .run import EVENTS, run
from .session import Request

TOTALS = ("files_synced", "bytes", "bytes_captured", "snapshots", "conflicts_resolved", "decisions_created")
LISTS = ("plan", "conflicts", "left_alone", "diff")


def sync(
    store: Store,
    request: Request,
    pending: bool,
    site_of: SiteOf,
    open_store: Callable[[], Store],
    only_ask: bool = False,
) -> Dict[str, Any]:
    """Sync one machine, or work on what is pending: what ``heartbeat_sync`` returns.

    :param request: its machine may be empty where ``pending`` is set: then it is any.
    :param site_of: the trees of a machine; None where they cannot be reached.
    :param only_ask: nobody wants it done, so that what would change is no change (of the task, as check mode sees it).
    :raises InvalidSettings: it is not said what is to be done.
    """
    store.connect()
    check(request, pending)
    if pending:
        machine_id = normalise_machine_id(request.machine_id) if request.machine_id else None
        found = run_pending(store, request, site_of, open_store, machine_id)
    else:
        site = None if request.event == OFFLINE else site_of(normalise_machine_id(request.machine_id))
        found = {"syncs": [run(store, request, site, open_store)], "failed": [], "overtaken": [], "left": []}
    result = _joined(found)
    if only_ask:
        result["changed"] = False
    return result


def check(request: Request, pending: bool) -> None:
    """Whether a request says what is to be done, and no more.

    :raises InvalidSettings: it does not.
    """
    if pending and request.event:
        raise InvalidSettings("give event, or pending: true; not both")
    if not pending and request.event not in EVENTS:
        raise InvalidSettings(
            "say what to do: event (%s) of one machine, or pending: true for all that waits" % ", ".join(EVENTS)
        )
    if not pending and not request.machine_id:
        raise InvalidSettings("machine_id is missing: name the machine that is to be synced")


def _joined(found: Dict[str, Any]) -> Dict[str, Any]:
    syncs: List[Dict[str, Any]] = found["syncs"]
    result: Dict[str, Any] = {key: sum(one[key] for one in syncs) for key in TOTALS}
    for key in LISTS:
        result[key] = [dict(item, machine_id=one["machine_id"]) for one in syncs for item in one[key]]
    for part in result["diff"]:
        name = "%s, %s" % (part.pop("machine_id"), part["before_header"])
        part.update(before_header=name, after_header=name)
    alone: Dict[str, Any] = syncs[0] if len(syncs) == 1 else {}
    result.update(
        changed=any(one["changed"] for one in syncs) or bool(found["overtaken"]),
        plan_size=sum(one["plan_size"] for one in syncs),
        sync_id=alone.get("sync_id"),
        backup_created=any(one["backup_created"] for one in syncs),
        backup_path=alone.get("backup_path"),
        offline_duration=alone.get("offline_duration"),
        syncs=[{key: value for key, value in one.items() if key not in LISTS} for one in syncs],
        overtaken=found["overtaken"],
        failed_machines=found["failed"],
        pending_syncs=found["left"],
        machines_to_visit=machines_to_visit(found["left"]),
        message="; ".join(one["message"] for one in syncs) or "nothing was pending that can be done from here",
    )
    if found["failed"]:
        result.update(_failure(found["failed"]))
    return result


def _failure(failed: List[Dict[str, Any]]) -> Dict[str, Any]:
    first: Optional[Dict[str, Any]] = failed[0]
    if first is None:
        raise AssertionError("first is None")
    named = ", ".join("%s: %s" % (one["machine_id"], one["msg"]) for one in failed[:5])
    offline = first["event"] == OFFLINE
    return {
        "failure": "%d sync%s failed: %s" % (len(failed), "" if len(failed) == 1 else "s", named),
        "error_code": "SYNC_OFFLINE_FAILED" if offline else "SYNC_ONLINE_FAILED",
        "cause_code": first["error_code"],
    }
