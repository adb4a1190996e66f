# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reports of diagnoses in the store: written when they say something new, and no more of them than wanted."""

from __future__ import annotations

import json
from typing import Any, Dict, List, Mapping, Optional, Tuple

from ..clock import iso
from ..errors import HeartbeatError
from ..metadata import plain_json
from ..stores.base import Store, read_if_file
from .finding import subject

FOLDER = "diagnostics"
_LENGTH = len("20260131T120000.000000Z.json")


def name_of(moment: int) -> str:
    """The name of the report of a moment; names sort as the moments do."""
    return iso(moment).replace("-", "").replace(":", "") + ".json"


def reports(store: Store) -> List[str]:
    """The names of all reports, oldest first. What else lies there is left alone."""
    return [n for n in store.names(FOLDER) if len(n) == _LENGTH and n[8:9] == "T" and n.endswith("Z.json")]


def newest(store: Store) -> Tuple[Optional[str], Dict[str, Any]]:
    """The newest report that can be read, and its name."""
    for name in reversed(reports(store)):
        try:
            found = read_if_file(store, "%s/%s" % (FOLDER, name))
            document = plain_json(found.data, "report") if found is not None else None
            if document is not None and isinstance(essence(document), dict):
                return name, document
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            continue
    return None, {}


def essence(report: Mapping[str, Any]) -> Dict[str, List[str]]:
    """What a report says, without times and measures: the checks that are not well, and what they are about."""
    found = {
        check["check"]: [check["status"], *sorted({subject(detail) for detail in check["details"]})]
        for check in report["checks"]
        if check["status"] != "ok"
    }
    found.update({left["check"]: ["not_checked"] for left in report["not_checked"]})
    return found


def save(store: Store, report: Mapping[str, Any], moment: int, keep: int) -> str:
    """Write a report; those that are too many go. Returns its name."""
    name = name_of(moment)
    store.write("%s/%s" % (FOLDER, name), (json.dumps(report, indent=2) + "\n").encode())
    for old in reports(store)[:-keep]:
        try:
            store.delete("%s/%s" % (FOLDER, old))
        except HeartbeatError:
            break  # the next diagnosis tries again
    return name
