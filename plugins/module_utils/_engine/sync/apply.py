# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bringing a tree on this machine to what a merge made of it, all of it or nothing. Standard library only.

Why nothing is lost, wherever this is cut off, and why one flush can stand for thousands:

1. New contents, with their final modes and owners, and second names for what they replace, are made in the staging
   directory (:mod:`.staging`). They need not reach the disk in any order. A crash leaves the tree as it was.
2. All of it is flushed, and only then the plan is written, flushed, and given its name; the staging directory and the
   root are flushed after that. So once a plan is found, all that it speaks of is whole, even after a loss of power.
3. The operations are carried out in order. None is flushed by itself: each can be done again, and undone, from what the
   staging directory still holds. A rename takes its file out of there in the same step that puts it into the tree.
4. The directories that were changed are flushed, and only then the plan is removed and that flushed: the changes cannot
   get lost once the plan is. Then success is reported. The rest of the staging directory is rubbish from there on.

An error before the plan has its name throws the staging away. After it, the operations are undone, the last one first;
the plan is renamed before that, so that a second crash goes on undoing. :func:`recover` does what is left of either.
"""

from __future__ import annotations

import errno
import fcntl
import os
from contextlib import contextmanager
from typing import NamedTuple

from ..errors import HeartbeatError, LockTimeout, SyncOnlineFailed
from . import paths, plan
from .beneath import Beneath
from .carrying import NOTHING, UNFINISHED, UNTOUCHED, Recovered, carry_out, discard, recover_tree
from .contents import Contents
from .durable import flush_one_by_one
from .place import open_root
from .prepare import Preparation
from .space import check_space
from .staging import Staging
from .steps import CHANGE, PUT, Step, needed, steps
from .trouble import failure, with_note

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, Iterator, List, Mapping, Optional, Tuple

    from .contents import Fetch
    from .manifest import Manifest
    from .spec import TreeSpec

__all__ = ["Applied", "Recovered", "apply", "needed", "recover"]


class Applied(NamedTuple):
    """What an apply has done."""

    operations: int
    """How many steps it took."""
    written: int
    """How many bytes of content were put into the tree."""
    left: Dict[str, str]
    """Path -> why it was left as it is: somebody changed it meanwhile, mostly. All else is done. The base must not move
    for these (:func:`.merge.base_without`)."""


def apply(
    root: str,
    spec: TreeSpec,
    before: Manifest,
    after: Manifest,
    fetch: Fetch,
    signatures: Optional[Mapping[str, Tuple[int, int, int, int]]] = None,
    sizes: Optional[Mapping[str, int]] = None,
    create: bool = False,
) -> Applied:
    """Bring a tree from what was captured to what it should be.

    When this returns, the tree is as described and that is on disk. When it raises, the tree is as it was, or the
    message says that it is between two states; then :func:`recover`, which every apply begins with, ends that.

    :param root: where the tree is; no link on the way is followed. (``spec.path``, or that below another root.)
    :param before: the tree as it was captured. What is not so any more is left alone, and reported.
    :param after: a valid tree, such as :attr:`.outcome.Merge.new_mine`. Paths that either manifest does not know are
        left alone.
    :param fetch: writes a content, by its digest, to the empty file of a descriptor. It returns True if it has hashed
        what it wrote and found it to be that content (:meth:`.vault.Vault.copy_to` does hash it); otherwise that is
        done here. Called for the contents of :func:`needed`, and for those that have gone from the tree meanwhile.
    :param signatures: path -> inode, size, mtime, ctime, of the scan that ``before`` is from. Files without one that
        fits are read and compared.
    :param sizes: digest -> bytes that a content takes on disk, where that is less than its length.
    :param create: make the root if it is not there, for a tree that is restored; what it lies in must be there.
    :raises DiskSpaceLow: there is not enough space, or there are not enough inodes; found out first.
    :raises LockTimeout: another apply is at work on this tree.
    :raises HeartbeatError: anything else, also what ``fetch`` raises.
    """
    todo = steps(before, after, spec)
    with _opened(root, create and bool(todo)) as tree:
        if tree is None:
            if not todo:
                return Applied(0, 0, {})
            raise SyncOnlineFailed(
                "%s is not there; create it, or mount what belongs there, then sync again" % root, path=root
            )
        recover_tree(tree, spec)
        if not todo:
            return Applied(0, 0, {})
        check_space(tree, todo, sizes or {})
        return _apply(tree, spec, todo, before, fetch, signatures or {})


def recover(root: str, spec: TreeSpec) -> Recovered:
    """Finish what an interrupted apply of a tree has begun, or undo it if that cannot be finished.

    To be called before a tree is captured. It costs a few system calls when nothing was interrupted.

    :raises HeartbeatError: it can neither be finished nor undone now; or what is found is not believed.
    """
    with _opened(root, False) as tree:
        return Recovered(NOTHING, {}) if tree is None else recover_tree(tree, spec)


@contextmanager
def _opened(root: str, create: bool) -> Iterator[Optional[Beneath]]:
    """The tree, locked against other applies; None when it is not there."""
    fd = open_root(root)
    if fd is None and create:
        _create_root(root)
        fd = open_root(root)
    if fd is None:
        yield None
        return
    with Beneath(fd, root) as tree:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as exc:
            if exc.errno in (errno.EWOULDBLOCK, errno.EACCES):
                raise LockTimeout("another sync is changing %s; wait until it is done" % root, exc) from exc
            # A file system without locks: the staging directory is made by one alone in any case.
        yield tree


def _create_root(root: str) -> None:
    above = open_root(os.path.dirname(root) or "/")
    try:
        if above is not None:
            os.mkdir(paths.encode(os.path.basename(root)), 0o755, dir_fd=above)
    except OSError as exc:
        raise failure(exc, "make the root of the tree", root) from exc
    finally:
        if above is not None:
            os.close(above)


def _apply(
    tree: Beneath,
    spec: TreeSpec,
    todo: List[Step],
    before: Manifest,
    fetch: Fetch,
    signatures: Mapping[str, Tuple[int, int, int, int]],
) -> Applied:
    with Staging(tree.fd, tree.label) as staging:
        flush = flush_one_by_one(sum(step.kind in (PUT, CHANGE) for step in todo))
        contents = Contents(tree, staging, before, fetch, flush)
        preparation = Preparation(tree, staging, spec, before, signatures, contents)
        try:
            try:
                staging.make()
                preparation.run(todo)
                staging.write_plan(plan.dump(preparation.operations))
            except OSError as exc:
                raise failure(exc, "prepare a change of", tree.label_of(preparation.at)) from exc
        except BaseException as exc:
            clean = _withdraw(staging)
            if isinstance(exc, HeartbeatError):
                raise with_note(exc, UNTOUCHED if clean else UNFINISHED) from exc
            raise
        left, trouble = carry_out(tree, staging, preparation.operations)
        if trouble is not None:
            raise trouble
        return Applied(len(preparation.operations) - len(left), contents.written, {**preparation.left, **left})


def _withdraw(staging: Staging) -> bool:
    """Nothing was touched yet: take the staging away. Whether that no plan is left is certain."""
    try:
        if staging.fd >= 0:
            staging.end()
    except OSError:
        return False
    discard(staging)
    return True
