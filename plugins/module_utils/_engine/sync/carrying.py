# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From a plan in place to a plan done, or undone. The order of it all is explained in :mod:`.apply`."""

from __future__ import annotations

import errno
import os
from typing import NamedTuple

from ..errors import HeartbeatError
from . import paths, plan
from .beneath import Obstructed
from .durable import flush_directory, flush_one_by_one, syncfs
from .operations import Runner
from .staging import Staging
from .trouble import failure, with_note

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, List, Optional, Set, Tuple

    from .beneath import Beneath
    from .plan import Operation
    from .spec import TreeSpec

NOTHING = "nothing"
DISCARDED = "discarded"
FINISHED = "finished"
UNDONE = "undone"
UNTOUCHED = "the tree is as it was"
UNFINISHED = "the tree is between two states: the next sync of this machine finishes or undoes it first"


class Recovered(NamedTuple):
    """What became of an interrupted apply."""

    outcome: str
    """``nothing``, ``discarded`` (it had not begun), ``finished`` or ``undone``."""
    left: Dict[str, str]
    """Path -> why it was left as it is: somebody has changed it since."""
    reason: str = ""
    """Why it was undone."""


def discard(staging: Staging) -> None:
    """What is left behind here, the next recovery takes away."""
    try:
        if staging.fd >= 0:
            staging.discard()
    except OSError:
        pass


def carry_out(
    tree: Beneath, staging: Staging, operations: List[Operation]
) -> Tuple[Dict[str, str], Optional[HeartbeatError]]:
    """From the plan in place to the plan done.

    :returns: what was left alone, and why; and the error, if it could not be done and was undone.
    :raises HeartbeatError: it could neither be done nor undone.
    """
    runner = Runner(tree, staging)
    try:
        runner.do(operations)
        _flush(tree, operations)
    except OSError as exc:
        trouble = failure(exc, "change", tree.label_of(runner.at))
        try:
            staging.turn_back()
            _take_back(tree, staging, operations)
        except (OSError, HeartbeatError):
            raise with_note(trouble, UNFINISHED) from exc
        return {}, with_note(trouble, UNTOUCHED)
    _end(staging, tree, "the change itself is complete")
    return runner.left, None


def _take_back(tree: Beneath, staging: Staging, operations: List[Operation]) -> Dict[str, str]:
    """From a plan on its way back to the tree as it was.

    :raises HeartbeatError: that is not possible now.
    """
    runner = Runner(tree, staging)
    try:
        runner.undo(operations)
        _flush(tree, operations)
    except OSError as exc:
        raise failure(exc, "undo a change of", tree.label_of(runner.at)) from exc
    _end(staging, tree, UNTOUCHED)
    return runner.left


def _end(staging: Staging, tree: Beneath, note: str) -> None:
    try:
        staging.end()
    except OSError as exc:
        raise with_note(failure(exc, "note the end of a change of", tree.label), note) from exc
    discard(staging)


def _flush(tree: Beneath, operations: List[Operation]) -> None:
    """Let everything that was done in the tree be on disk."""
    directories: Set[str] = {paths.parent(operation.path) for operation in operations}
    directories.update(operation.path for operation in operations if operation.new is not None)
    if not flush_one_by_one(len(directories)):
        syncfs(tree.fd)
        return
    for path in sorted(directories):
        try:
            flush_directory(tree.directory(path))
        except Obstructed:
            _flush_file(tree, path)


def _flush_file(tree: Beneath, path: str) -> None:
    """A file whose attributes were changed in place; what is gone is flushed with the directory that it was in."""
    try:
        fd, name = tree.place(path)
        opened = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=fd)
    except (Obstructed, FileNotFoundError, PermissionError):
        return
    except OSError as exc:
        if exc.errno in (errno.ELOOP, errno.ENXIO):
            return
        raise
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def recover_tree(tree: Beneath, spec: TreeSpec) -> Recovered:
    """See :func:`.apply.recover`."""
    with Staging(tree.fd, tree.label) as staging:
        try:
            if not staging.find():
                return Recovered(NOTHING, {})
            found = staging.read_plan(plan.MAX_BYTES)
            if found is None:
                staging.discard()
                return Recovered(DISCARDED, {})
        except OSError as exc:
            raise failure(exc, "look for an interrupted sync in", tree.label) from exc
        data, undoing = found
        operations = plan.load(data, spec.mode_bits, staging.label)
        if undoing:
            return Recovered(UNDONE, _take_back(tree, staging, operations))
        left, trouble = carry_out(tree, staging, operations)
        return Recovered(FINISHED, left) if trouble is None else Recovered(UNDONE, {}, trouble.message)
