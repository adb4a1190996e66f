# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a drill does on the machine that it is played on: remember its trees, destroy one, compare, put back.

Standard library only. Everything that a drill remembers lies in a folder of its own, for its user alone. A tree that is
"destroyed" is put aside: what no recovery brings back can still be put back, wherever the drill ends.
"""

from __future__ import annotations

import json
import os
import shutil

from ..errors import InvalidSettings, RestoreFailed, from_os_error
from ..sync import manifest as manifests
from ..sync.places import DEFAULT_STATE_DIR, cache_path, placed
from ..sync.scan import scan
from ..sync.spec import from_mapping, is_tree_name
from . import aside
from .differing import difference, differences

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Mapping, Optional, Tuple

    from ..sync.manifest import Manifest
    from ..sync.spec import TreeSpec

SCRATCH = "scratch"
SCRATCH_TIME = 1_767_225_600
"""Of the files in a scratch tree, the same on all machines: what one has published comes to the others as well."""
MAX_SHOWN = 1000
_NAME = frozenset("abcdefghijklmnopqrstuvwxyz0123456789TZ-")


def is_drill_id(text: object) -> bool:
    """Whether something is the id of a drill: one part of a path, and never a hidden one."""
    return isinstance(text, str) and 0 < len(text) <= 64 and _NAME.issuperset(text) and text[0] != "-"


class DrilledMachine:
    """This machine, for one step of a drill.

    :param folder: where drills remember what they need; each in a folder of its own.
    :param trees: name -> tree as ``sync_paths`` has it.
    :param root: what all of these paths count from.
    """

    def __init__(self, drill_id: str, folder: str, trees: Mapping[str, Any], root: str) -> None:
        if not is_drill_id(drill_id):
            raise InvalidSettings("%.80r is no id of a drill; heartbeat_drill gives it" % (drill_id,))
        if not folder.startswith("/") or ".." in folder.split("/") or not folder.strip("/"):
            raise InvalidSettings("folder must be an absolute path to a folder of the drills' own, not %.200r" % folder)
        self.drill_id = drill_id
        self.parent = os.path.normpath(root + "/" + folder)
        self.folder = os.path.join(self.parent, drill_id)
        self.trees: Dict[str, TreeSpec] = {
            name: placed(from_mapping(name, given), root) for name, given in sorted(trees.items())
        }

    # -- before the loss -----------------------------------------------------------------------------------------

    def prepare(self, scratch: str) -> Dict[str, Any]:
        """Make the drill's folder, and the files of its scratch tree if it has one.

        :param scratch: name of the tree that is the drill's own; empty for none.
        """
        try:
            os.makedirs(self.parent, mode=0o700, exist_ok=True)
            os.mkdir(self.folder, 0o700)
            if scratch:
                self._fill(self._tree(scratch).path)
        except OSError as exc:
            # It is on the machine: nothing is wrong with the store, of which errors of the system speak otherwise.
            advice = "give a folder that this user can make (heartbeat_drill_folder)"
            raise from_os_error(exc, "prepare the drill", self.folder, advice) from exc
        return {"changed": True}

    def _fill(self, path: str) -> None:
        """Some of everything that a tree can hold. The same on each machine of a drill, so that nothing conflicts."""
        inside = os.path.normpath(self.folder) + "/"
        if not (path + "/").startswith(inside):
            raise InvalidSettings("the scratch tree %s is not in the drill's folder %s" % (path, self.folder))
        os.mkdir(path, 0o755)
        os.mkdir(os.path.join(path, "empty"), 0o750)
        os.mkdir(os.path.join(path, "deep"), 0o755)
        os.mkdir(os.path.join(path, "deep", "deeper"), 0o700)
        for number, (name, mode) in enumerate(
            (("readable", 0o644), ("private", 0o600), ("deep/runs", 0o755), ("deep/deeper/large", 0o640))
        ):
            content = ("%s %s\n" % (self.drill_id, name)).encode() * (1 << (4 * number))
            target = os.path.join(path, name)
            with open(target, "xb") as stream:
                stream.write(content)
            os.chmod(target, mode)
            os.utime(target, (SCRATCH_TIME, SCRATCH_TIME))
        os.symlink("readable", os.path.join(path, "link"))

    def remember(self) -> Dict[str, Any]:
        """Read every tree, whole, and keep what it holds for a comparison."""
        found: Dict[str, Any] = {}
        for name, spec in self.trees.items():
            seen = scan(spec)
            if seen.vanished:
                raise InvalidSettings(
                    "the tree %s (%s) is not there, so that it cannot be compared later; mount it, or drill another "
                    "machine" % (name, spec.path)
                )
            self._write("before-%s.json" % name, manifests.dump(seen.manifest))
            found[name] = {"entries": len(seen.manifest.entries), "digest": seen.digest, "not_seen": len(seen.unknown)}
        return {"changed": bool(found), "trees": found}

    # -- the loss, and what comes after --------------------------------------------------------------------------

    def destroy(self, tree: str, scratch: bool) -> Dict[str, Any]:
        """Let everything in a tree be gone.

        :param scratch: it is the drill's own, and is really deleted. Any other is put aside.
        """
        spec = self._tree(tree)
        self._manifest(tree)  # what is not known by heart is not destroyed
        try:
            if scratch:
                if not (spec.path + "/").startswith(self.folder + "/"):
                    raise InvalidSettings("the tree %s is not the drill's own: %s" % (tree, spec.path))
                count = len(os.listdir(spec.path))
                shutil.rmtree(spec.path)
            else:
                self._write("destroyed.json", json.dumps({"tree": tree}).encode("ascii"))
                count = aside.put_aside(spec.path, self._aside(spec))
        except OSError as exc:
            raise from_os_error(exc, "destroy the tree of the drill", spec.path) from exc
        return {"changed": True, "destroyed": count}

    def compare(self) -> Dict[str, Any]:
        """Read every tree again, whole, and name each difference to what was remembered."""
        found: Dict[str, Any] = {}
        for name, spec in self.trees.items():
            before = self._manifest(name)
            seen = scan(spec)
            differ = differences(before, seen.manifest, spec)
            found[name] = {
                "entries": len(before.entries),
                "digest": manifests.digest(manifests.dump(before)),
                "digest_after": seen.digest,
                "differing": len(differ),
                "differences": differ[:MAX_SHOWN],
            }
        return {"changed": False, "trees": found}

    # -- at the end ----------------------------------------------------------------------------------------------

    def finish(self, recovered: bool, scratch: str = "", state_dir: str = DEFAULT_STATE_DIR) -> Dict[str, Any]:
        """Put back what was put aside and has not come back otherwise, and take the drill's folder away.

        The folder stays while something is still put aside. May be called again and again.

        :param recovered: the tree was recovered, so that what is missing now was removed by somebody since.
        :param scratch: name of the tree that is the drill's own; empty for none.
        :param state_dir: where the machine remembers what it has read of it.
        """
        moved, kept = self._put_back(recovered)
        there = os.path.lexists(self.folder)
        if there and kept is None:
            try:
                shutil.rmtree(self.folder)
                if not os.listdir(self.parent):
                    os.rmdir(self.parent)
                if scratch:
                    _remove(cache_path(state_dir, self._tree(scratch)))
            except OSError as exc:
                raise from_os_error(exc, "take the drill's folder away", self.folder) from exc
        return {"changed": there, "put_back": moved, "kept": kept}

    def _put_back(self, recovered: bool) -> Tuple[int, Optional[str]]:
        data = self._read("destroyed.json")
        if data is None:
            return 0, None
        try:
            name = str(json.loads(data.decode("ascii"))["tree"])
        except (ValueError, KeyError, TypeError) as exc:
            raise RestoreFailed(
                "what the drill %s remembers in %s is damaged; what it has put aside lies beside the tree, in a folder "
                "with its id: move it back by hand" % (self.drill_id, self.folder)
            ) from exc
        spec = self._tree(name)
        before, now = self._manifest(name).entries, scan(spec).manifest.entries
        alike = {path: now[path] for path in now if not difference(before.get(path), now[path], spec)}
        gone = set(before).difference(now) if recovered else set()
        try:
            done = aside.put_back(self._aside(spec), spec.path, alike, gone)
            if done.kept is None:
                os.unlink(os.path.join(self.folder, "destroyed.json"))
        except OSError as exc:
            raise RestoreFailed(
                "what the drill has put aside in %s could not be put back into %s: %s; move it back by hand"
                % (self._aside(spec), spec.path, exc.strerror or exc),
                exc,
            ) from exc
        return done.moved, done.kept

    # -- files ---------------------------------------------------------------------------------------------------

    def _tree(self, name: str) -> TreeSpec:
        if name not in self.trees:
            raise InvalidSettings("%.80r is not one of the trees of this machine" % (name,))
        return self.trees[name]

    def _aside(self, spec: TreeSpec) -> str:
        """Beside the tree, because only there it can be put by a mere change of its name."""
        return os.path.join(os.path.dirname(spec.path), ".roosync-drill-%s-%s" % (self.drill_id, spec.name))

    def _manifest(self, name: str) -> Manifest:
        data = self._read("before-%s.json" % name) if is_tree_name(name) else None
        if data is None:
            raise InvalidSettings("the drill %s has not looked at the tree %s before the loss" % (self.drill_id, name))
        return manifests.load(data, self._tree(name).max_entries)

    def _read(self, name: str) -> Optional[bytes]:
        path = os.path.join(self.folder, name)
        try:
            with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb") as stream:
                return stream.read(manifests.MAX_BYTES + 1)
        except FileNotFoundError:
            return None
        except OSError as exc:
            raise from_os_error(exc, "read what the drill remembers", path) from exc

    def _write(self, name: str, data: bytes) -> None:
        path = os.path.join(self.folder, name)
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            with os.fdopen(os.open(path + ".new", flags, 0o600), "wb") as stream:
                stream.write(data)
                stream.flush()
                os.fsync(stream.fileno())
            os.rename(path + ".new", path)
        except OSError as exc:
            raise from_os_error(exc, "remember something for the drill", path) from exc


def _remove(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        return
