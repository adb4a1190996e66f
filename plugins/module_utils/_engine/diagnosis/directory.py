# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a directory store stands on: free space, permissions, and locks."""

from __future__ import annotations

import fcntl
import os
import stat
import time
from typing import Any, Dict, Iterator, List, Set

from ..clock import iso
from ..premises import is_private
from ..state import RUNNING, State, SyncEntry
from ..stores.base import printable
from ..stores.file import FOLDERS, MARK
from .finding import FAILED, MEGABYTE, OK, WARNING, Finding
from .scene import Scene

LEAST_INODES = 1000
LOCK_WATCH = 5.0
"""For so many seconds a lock has to stay held before it is anybody's business: as long as a check waits for it."""
LOCK_PAUSE = 0.05


def free_space(scene: Scene) -> Finding:
    found = os.statvfs(scene.store.location)
    free = found.f_bavail * found.f_frsize / MEGABYTE
    limits = scene.limits
    evidence = "%.0f MB are free" % free
    advice = "free space at %s, or raise the quota: a store that is full gives no verdict" % scene.store.location
    if found.f_files and found.f_favail < LEAST_INODES:
        evidence += ", and %d files can still be made" % found.f_favail
        return Finding("free_space", WARNING if found.f_favail else FAILED, evidence, advice)
    if free < limits.free_space_failed:
        return Finding("free_space", FAILED, "%s, less than %g" % (evidence, limits.free_space_failed), advice)
    if free < limits.free_space_warning:
        return Finding("free_space", WARNING, "%s, less than %g" % (evidence, limits.free_space_warning), advice)
    return Finding("free_space", OK, evidence)


# -- permissions -------------------------------------------------------------------------------------------------


def permissions(scene: Scene) -> Finding:
    details = list(_forbidden(scene.store.location))
    if not details:
        return Finding("permissions", OK, "this user may use every folder, and nobody may who should not")
    worst = FAILED if any(detail.pop("failed") for detail in details) else WARNING
    first = details[0]
    evidence = "%s: %s%s" % (first["path"], first["what"], _more(details))
    advice = (
        "make folders that are missing with heartbeat_repair; give folders the mode 2775 and one group, of which "
        "everybody is a member who beats or checks"
    )
    return Finding("permissions", worst, evidence, advice, details)


def _more(details: List[Dict[str, Any]]) -> str:
    return " and %d more" % (len(details) - 1) if len(details) > 1 else ""


def _forbidden(location: str) -> Iterator[Dict[str, Any]]:
    """What is wrong with the modes of a fleet's folders, and of the files beside them."""
    top = os.stat(location)
    read_only = bool(os.statvfs(location).f_flag & os.ST_RDONLY)
    for folder in ("", *FOLDERS):
        for failed, what in _of_folder(location, folder, top, read_only):
            yield {"path": folder or ".", "what": what, "failed": failed}
    for name in sorted(os.listdir(location)) if os.access(location, os.R_OK) else []:
        state = os.lstat(os.path.join(location, name))
        if not stat.S_ISREG(state.st_mode):
            continue
        if state.st_mode & stat.S_IWOTH:
            yield {"path": printable(name), "what": "everybody may write it", "failed": False}
        elif name == MARK and top.st_mode & stat.S_IWGRP and not state.st_mode & stat.S_IRGRP:
            yield {"path": name, "what": "its group may not read it", "failed": False}


def _of_folder(location: str, folder: str, top: os.stat_result, read_only: bool) -> Iterator[tuple[bool, str]]:
    path = os.path.join(location, folder)
    try:
        state = os.lstat(path)
    except OSError as exc:
        yield True, "it is missing" if isinstance(exc, FileNotFoundError) else "it cannot be looked at"
        return
    if not stat.S_ISDIR(state.st_mode):
        yield True, "it is no folder"
        return
    if is_private(folder, state):
        return
    if not os.access(path, os.R_OK | os.X_OK):
        yield True, "this user may not read it"
    # That the file system is read-only is the business of the check that writes.
    if not read_only and not os.access(path, os.W_OK):
        yield True, "this user may not write into it"
    if state.st_mode & stat.S_IWOTH and not state.st_mode & stat.S_ISVTX:
        yield False, "everybody may write into it"
    if top.st_mode & stat.S_IWGRP and (state.st_gid != top.st_gid or not state.st_mode & stat.S_IWGRP):
        yield False, "the group of the fleet may not write into it"


# -- locks -------------------------------------------------------------------------------------------------------


def locks(scene: Scene) -> Finding:
    details: List[Dict[str, Any]] = [
        {"path": "locks/" + name, "what": "held, and by no process that lives here"}
        for name in dead_locks(scene.store.location)
    ]
    details += [
        {
            "path": "journal",
            "event_id": entry.event_id,
            "machine_id": entry.machine_id,
            "what": "claimed by %s until %s" % (entry.claimed_by, iso(entry.lease_until or 0)),
        }
        for entry in dead_claims(scene.history.ledger.state, scene.probe.stamp)
    ]
    if not details:
        return Finding("locks", OK, "no lock is held by the dead")
    evidence = "%s: %s%s" % (details[0]["path"], details[0]["what"], _more(details))
    advice = (
        "run heartbeat_repair, once you know that nobody on another host is at work; a claim that has run out is also "
        "taken by the next worker"
    )
    return Finding("locks", WARNING, evidence, advice, details)


def dead_claims(state: State, now: int) -> List[SyncEntry]:
    """Sync entries whose worker has neither finished nor renewed its claim."""
    return [
        entry
        for entry in sorted(state.syncs.values(), key=lambda entry: entry.event_id)
        if entry.state == RUNNING and (entry.lease_until is None or entry.lease_until <= now)
    ]


def dead_locks(location: str) -> List[str]:
    """The names of lock files that stay held though no living process of this host holds them.

    A kernel frees the locks of a process that ends. They outlive it on a file server that does not know yet, and in
    a child that has inherited them.
    """
    folder = os.path.join(location, "locks")
    try:
        names = sorted(name for name in os.listdir(folder) if name.endswith(".lock"))
    except OSError:
        return []  # named by the check of permissions
    suspects = {name for name in names if _is_held(os.path.join(folder, name))}
    deadline = time.monotonic() + LOCK_WATCH
    while suspects and time.monotonic() < deadline:
        time.sleep(LOCK_PAUSE)
        suspects = {name for name in suspects if _is_held(os.path.join(folder, name))}
    living = _held_by_the_living() if suspects else set()
    return sorted(name for name in suspects if _inode(os.path.join(folder, name)) not in living)


def _is_held(path: str) -> bool:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        # Shared, so that two diagnoses do not take each other for the dead.
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False  # a file system without locks
    finally:
        os.close(fd)
    return False


def _inode(path: str) -> int:
    try:
        return os.stat(path, follow_symlinks=False).st_ino
    except OSError:
        return 0


def _held_by_the_living() -> Set[int]:
    """The inodes that living processes of this host hold locks on.

    Without their devices, which some file systems name differently here and there: one too many is on the safe side.
    """
    found = set()
    try:
        with open("/proc/locks", encoding="ascii") as stream:
            for line in stream:
                words = line.split()  # 1: FLOCK ADVISORY WRITE 4711 08:01:12345 0 EOF
                if len(words) >= 6 and words[1] != "->" and os.path.exists("/proc/%s" % words[4]):
                    found.add(int(words[5].rsplit(":", 1)[1]))
    except (OSError, ValueError, IndexError):
        pass
    return found
