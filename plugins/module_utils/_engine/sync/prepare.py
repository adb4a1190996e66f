# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Everything of an apply that comes before the tree is touched: from steps to operations. Standard library only.

What is not as it was when the tree was captured is left alone here already.
"""

from __future__ import annotations

import os
import stat

from . import paths
from .attributes import Attributes, Handle, Keeper, NoSuchOwner
from .beneath import OTHER_FILE_SYSTEM, Obstructed, signature
from .durable import syncfs
from .files import read_context
from .manifest import DIRECTORY, LINK
from .operations import APPEARED, CHANGED, NOT_EMPTY, VANISHED, Left
from .plan import Operation
from .steps import CHANGE, FINISH, MAKE_DIRECTORY, NARROW, PUT, REMOVE, REMOVE_DIRECTORY, Step
from .structure import root_above
from .witness import unchanged

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, List, Mapping, Set, Tuple

    from .beneath import Beneath
    from .contents import Contents
    from .manifest import Manifest
    from .spec import TreeSpec
    from .staging import Staging


class Preparation:
    """Turns steps into operations.

    :ivar left: path -> why nothing is done there.
    """

    def __init__(
        self,
        tree: Beneath,
        staging: Staging,
        spec: TreeSpec,
        before: Manifest,
        signatures: Mapping[str, Tuple[int, int, int, int]],
        contents: Contents,
    ) -> None:
        self.tree = tree
        self.staging = staging
        self.spec = spec
        self.before = before
        self.signatures = signatures
        self.contents = contents
        self.contexts = bool(read_context(tree.fd))
        self.keeper = Keeper(spec, self.contexts)
        self.operations: List[Operation] = []
        self.left: Dict[str, str] = {}
        self.at = ""
        self._number = 0
        self._made: Dict[str, Operation] = {}
        self._narrowed: Dict[str, Operation] = {}

    def run(self, todo: List[Step]) -> None:
        """Prepare all steps. Afterwards all that was staged is on disk, but not yet the names of it.

        :raises OSError: something cannot be staged; ``at`` is the path it is for.
        :raises HeartbeatError: of fetching.
        """
        todo = self._without_kept(todo)
        self._loosen(todo)
        table = {
            REMOVE: self._remove,
            REMOVE_DIRECTORY: self._remove_directory,
            NARROW: self._narrow,
            MAKE_DIRECTORY: self._make_directory,
            PUT: self._put,
            CHANGE: self._change,
            FINISH: self._finish,
        }
        for step in todo:
            self.at = step.path
            if root_above(paths.parent(step.path), self.left) and step.before is None:
                self.left.setdefault(step.path, self.left[root_above(paths.parent(step.path), self.left)])
                continue
            try:
                table[step.kind](step)
            except (Left, Obstructed, NoSuchOwner) as exc:
                self.left.setdefault(step.path, str(exc))
        if not self.contents.flush:
            syncfs(self.staging.fd)

    # Looking ahead.

    def _without_kept(self, todo: List[Step]) -> List[Step]:
        """Without the directories that cannot go, since they hold what is not part of the tree."""
        kept: Set[str] = set()
        removed = {step.path for step in todo if step.kind in (REMOVE, REMOVE_DIRECTORY)}
        replaced = {step.path for step in todo if step.kind == PUT and step.path in removed}
        for step in todo:
            if step.kind == REMOVE_DIRECTORY and self._holds_more(step.path, removed - kept):
                kept.add(step.path)
        roots = {path for path in replaced if path in kept}
        self.left.update(dict.fromkeys(sorted(kept), NOT_EMPTY))
        return [step for step in todo if step.path not in kept and not root_above(step.path, roots)]

    def _holds_more(self, path: str, removed: Set[str]) -> bool:
        """Whether a directory holds anything that will not be removed. What is beneath it has been asked before."""
        self.at = path
        try:
            names = os.listdir(self.tree.directory(path))
        except Obstructed:
            return False
        return any("%s/%s" % (path, paths.decode(os.fsencode(name))) not in removed for name in names)

    def _loosen(self, todo: List[Step]) -> None:
        """Directories that their owner may not write into: whoever is not root must change that for a moment."""
        user = os.geteuid()
        if user == 0:
            return
        described = {step.path for step in todo if step.kind == NARROW}
        removed = {step.path for step in todo if step.kind == REMOVE_DIRECTORY}
        for above in sorted({paths.parent(step.path) for step in todo} - described - {""}):
            entry = self.before.entries.get(above)
            if entry is None or entry.kind != DIRECTORY or entry.uid != user or entry.mode & 0o300 == 0o300:
                continue
            now = Attributes(entry.mode, entry.uid, entry.gid)
            loose = now._replace(mode=now.mode | 0o300)
            self._narrowed[above] = self._add(Operation(NARROW, above, self._next(), old=now, new=loose))
            if above not in removed:
                todo.append(Step(FINISH, above, entry, entry))

    # Removing.

    def _remove(self, step: Step) -> None:
        state = self._unchanged(step)
        self._add(Operation(REMOVE, step.path, self._next(), before=signature(state)))

    def _remove_directory(self, step: Step) -> None:
        state = self._unchanged(step)
        fd = self.tree.directory(step.path)
        loose = self._narrowed.get(step.path)
        had = loose.new if loose is not None and loose.new is not None else _attributes(state)
        had = had._replace(context=read_context(fd) if self.contexts else "")
        self._add(Operation(REMOVE_DIRECTORY, step.path, self._next(), old=had, mtime_ns=state.st_mtime_ns))

    # Directories that stay, or come.

    def _narrow(self, step: Step) -> None:
        state = self._unchanged(step)
        if step.after is None:
            raise AssertionError("step.after is None")
        old = _attributes(state)
        final = self.keeper.wanted(step.after, state)
        mode = old.mode & final.mode
        if os.geteuid() != 0:
            mode |= 0o300
        new = final._replace(mode=mode, context="")
        self._narrowed[step.path] = self._add(Operation(NARROW, step.path, self._next(), old=old, new=new))

    def _make_directory(self, step: Step) -> None:
        if step.after is None:
            raise AssertionError("step.after is None")
        self._nothing_there(step)
        self.keeper.wanted(step.after, None)
        number = self._next()
        os.mkdir(b"%d" % number, 0o700, dir_fd=self.staging.new)
        state = os.stat(b"%d" % number, dir_fd=self.staging.new, follow_symlinks=False)
        operation = Operation(MAKE_DIRECTORY, step.path, number, staged=signature(state), old=_attributes(state))
        self._made[step.path] = self._add(operation)

    def _finish(self, step: Step) -> None:
        if step.after is None:
            raise AssertionError("step.after is None")
        made, narrowed = self._made.get(step.path), self._narrowed.get(step.path)
        if made is not None and made.old is not None:
            new = self.keeper.wanted(step.after, None)
            self._add(
                Operation(
                    FINISH,
                    step.path,
                    made.number,
                    staged=made.staged,
                    old=made.old,
                    new=new,
                    mtime_ns=step.after.mtime_ns,
                )
            )
        elif narrowed is not None and narrowed.new is not None and narrowed.old is not None:
            if step.before is step.after:
                new = narrowed.old
            else:
                state = self.tree.lstat(step.path)
                new = self.keeper.wanted(step.after, state)
            self._add(Operation(FINISH, step.path, narrowed.number, old=narrowed.new, new=new))

    # Files and links.

    def _change(self, step: Step) -> None:
        state = self._unchanged(step)
        if step.after is None:
            raise AssertionError("step.after is None")
        if state.st_nlink > 1:
            # Its other names may lie outside of the tree.
            self._put(step)
            return
        new = self.keeper.wanted(step.after, state)
        fd, name = self.tree.place(step.path)
        context = ""
        if self.contexts:
            with Handle(fd, name, is_dir=False) as handle:
                context = handle.context()
        old = _attributes(state)._replace(context=context)
        self._add(Operation(CHANGE, step.path, self._next(), before=signature(state), old=old, new=new))

    def _put(self, step: Step) -> None:
        if step.after is None:
            raise AssertionError("step.after is None")
        there = None
        if step.before is None:
            self._nothing_there(step)
        else:
            there = self._unchanged(step)
        context = self._context_of(step.path) if there is not None and self.contexts else ""
        wanted = self.keeper.wanted(step.after, there, context)
        number = self._next()
        before = None
        if there is not None:
            # Kept before the new content comes, which may take long: whoever changes the file meanwhile is seen.
            before = self.contents.keep(step.path, number)
            if before is None or not before.is_content_of(there):
                raise Left(VANISHED if before is None else CHANGED)
        stage = self.contents.link if step.after.kind == LINK else self.contents.file
        staged = stage(step.after, wanted, number)
        self._add(Operation(PUT, step.path, number, before=before, staged=staged))

    def _context_of(self, path: str) -> str:
        fd, name = self.tree.place(path)
        return read_context(b"/proc/self/fd/%d/%s" % (fd, name), follow=False)

    # Looking.

    def _unchanged(self, step: Step) -> os.stat_result:
        if step.before is None:
            raise AssertionError("step.before is None")
        return unchanged(self.tree, step.before, self.signatures.get(step.path))

    def _nothing_there(self, step: Step) -> None:
        path = step.path
        if self.tree.is_other_file_system(path):
            raise Left(OTHER_FILE_SYSTEM)
        if path in self.before.entries:
            return  # it goes first
        if root_above(paths.parent(path), self._made):
            return  # in a directory that is not there either
        if self.tree.lstat(path) is not None:
            raise Left(APPEARED)

    def _next(self) -> int:
        self._number += 1
        return self._number

    def _add(self, operation: Operation) -> Operation:
        self.operations.append(operation)
        return operation


def _attributes(state: os.stat_result) -> Attributes:
    return Attributes(stat.S_IMODE(state.st_mode), state.st_uid, state.st_gid)
