# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The store itself: is it there, can it be read and written, how fast, and what time is it there?"""

from __future__ import annotations

from ..clock import iso
from ..errors import HeartbeatError
from ..settings import Settings
from ..stores.file import FOLDERS, PRIVATE
from .finding import OK, WARNING, Finding, failure
from .scene import Scene


def reachable(scene: Scene) -> Finding:
    """Whether there is a fleet at the address (raises ``StoreUnavailable`` where not: nothing else can be checked)."""
    scene.store.connect()
    return Finding("store_reachable", OK, "there is a fleet at %s" % scene.store.location)


def readable(scene: Scene) -> Finding:
    name = "store_readable"
    try:
        scene.store.read("fleet.json")
        count = len(scene.store.scan().received)
        for folder in FOLDERS:
            if folder != PRIVATE:
                scene.store.names(folder)
    except HeartbeatError as exc:
        if exc.details.get("errno") in ("ENOENT", "ENOTDIR", "ELOOP"):
            # A folder that is not there is named by the check of permissions.
            return Finding(name, OK, "the fleet's folder can be read")
        return failure(name, exc)
    return Finding(name, OK, "%d record%s and every folder can be read" % (count, "" if count == 1 else "s"))


def writable(scene: Scene) -> Finding:
    name = "store_writable"
    try:
        evidence = "a file was really written, read back and removed at %s" % iso(scene.probe.stamp)
        scene.store.now()
    except HeartbeatError as exc:
        return failure(name, exc)
    return Finding(name, OK, evidence)


def latency(scene: Scene) -> Finding:
    seconds, limit = scene.probe.seconds, scene.limits.latency_warning
    evidence = "to write, fsync and read a small file took %.1f ms at most" % (seconds * 1000)
    if seconds > limit:
        advice = "look at the load of the file server and at the network; every heartbeat takes as long"
        return Finding("store_latency", WARNING, "%s, over %g ms" % (evidence, limit * 1000), advice)
    return Finding("store_latency", OK, evidence)


def clock(scene: Scene) -> Finding:
    """The store's clock against this host's. No status rests on it, but people compare logs by it."""
    try:
        limit = scene.settings.clock_skew_warning
    except HeartbeatError:
        limit = Settings().clock_skew_warning
    ahead = scene.probe.ahead
    where = "ahead of" if ahead >= 0 else "behind"
    evidence = "the store's clock is %.3f s %s this host's" % (abs(ahead), where)
    if abs(ahead) - scene.probe.uncertain > limit:
        advice = "set both by NTP; statuses rest on the store's clock alone, and do not suffer"
        return Finding("store_clock", WARNING, "%s, over %g s" % (evidence, limit), advice)
    return Finding("store_clock", OK, evidence)
