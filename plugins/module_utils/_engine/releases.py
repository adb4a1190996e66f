# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of the engine on a host: copied whole, switched to in one step, and taken away again.

Each version lies in a folder of its own, named by what is in it; ``current`` points to one of them and is replaced by a
rename. So nothing ever runs with half-copied files, and what is running goes on with the files it began with. Standard
library only: it runs on the host itself.
"""

from __future__ import annotations

import ast
import errno
import hashlib
import os
import pkgutil
import shutil
import stat

from .errors import InvalidSettings
from .register import VERSION
from .stores.atomic import TEMPORARY, make_path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, Iterable, Iterator, List, Mapping, Optional, Sequence, Tuple

PACKAGE = "_engine"
CURRENT = "current"
RELEASES = "releases"
MARKER = ".roosync-heartbeat"
"""Lies in what was made here, so that nothing else is ever removed or taken over."""
OURS = "roosync-heartbeat"
"""How the names of folders begin that are for this collection alone."""
CONFIG_HEAD = "# Written by Ansible (roosync.heartbeat); changes made here are lost."
CRON_INTERVALS = tuple(60 * minutes for minutes in (1, 2, 3, 4, 5, 6, 10, 12, 15, 20, 30, 60))
_ENGINE = __name__.rpartition(".")[0]


def read(names: Iterable[str]) -> Dict[str, bytes]:
    """Files of the engine, from wherever this code was loaded (a folder, or an archive that Ansible sent)."""
    found = {}
    for name in names:
        data = pkgutil.get_data(_ENGINE, name)
        if data is None:
            raise InvalidSettings("the file %s cannot be read from %s" % (name, _ENGINE))
        found[name] = data
    return found


def closure(name: str) -> Dict[str, bytes]:
    """A file of the engine, and every other one that it imports, at its head or anywhere, and those in turn."""
    found: Dict[str, bytes] = {}
    waiting = [name]
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        try:
            found.update(read([name]))
        except OSError:
            continue  # "from . import x" may mean a module, or something in the package's own file
        waiting.extend(_imports(name, found[name]))
    return found


def _imports(name: str, data: bytes) -> Iterator[str]:
    """What a file may import of the engine, as names of files, and the packages above them."""
    here = name.split("/")[:-1]
    yield "/".join([*here, "__init__.py"])
    for node in ast.walk(ast.parse(data)):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = here[: len(here) - node.level + 1] + (node.module or "").split(".")
            path = "/".join(part for part in base if part)
            for wanted in ["", *(alias.name for alias in node.names)]:
                module = "/".join(part for part in (path, wanted) if part)
                yield from (module + ".py", module + "/__init__.py") if module else ()


def release_name(files: Dict[str, bytes]) -> str:
    """A name for a set of files: the version, and a hash of what is in them."""
    digest = hashlib.sha256()
    for name in sorted(files):
        digest.update(b"%s\0%d\0" % (name.encode(), len(files[name])))
        digest.update(files[name])
    return "%s-%s" % (VERSION, digest.hexdigest()[:12])


def installed(prefix: str) -> Optional[str]:
    """The name of the release in use, or None."""
    try:
        return os.path.basename(os.readlink(os.path.join(prefix, CURRENT)))
    except OSError:
        return None


def is_whole(prefix: str, files: Dict[str, bytes]) -> bool:
    """Whether the release in use has exactly these files, unchanged."""
    return installed(prefix) == release_name(files) and _has(os.path.join(prefix, CURRENT), files)


def _has(release: str, files: Dict[str, bytes]) -> bool:
    root = os.path.join(release, PACKAGE)
    try:
        for name, data in files.items():
            with open(os.path.join(root, name), "rb") as stream:
                if stream.read() != data:
                    return False
    except OSError:
        return False
    return True


def install(prefix: str, files: Dict[str, bytes]) -> None:
    """Put a release in place and switch to it; the one before is kept, older ones are removed.

    :raises InvalidSettings: see :func:`refuse_others`.
    """
    refuse_others(prefix)
    before = installed(prefix)
    release = release_name(files)
    folder = os.path.join(prefix, RELEASES)
    make_path(folder)
    mark(folder)
    temporary = os.path.join(folder, "%s%d" % (TEMPORARY, os.getpid()))
    shutil.rmtree(temporary, ignore_errors=True)
    target = os.path.join(folder, release)
    if not _has(target, files):  # otherwise it is the one before, by which something may be running
        _write_tree(os.path.join(temporary, PACKAGE), files)
        if os.path.lexists(target):  # a damaged one of this name
            os.rename(target, "%s-old" % temporary)
        os.rename(temporary, target)
    link = os.path.join(prefix, "%s%d" % (TEMPORARY, os.getpid()))
    os.symlink(os.path.join(RELEASES, release), link)
    os.rename(link, os.path.join(prefix, CURRENT))
    for name in os.listdir(folder):
        if name not in (release, before, MARKER):
            shutil.rmtree(os.path.join(folder, name), ignore_errors=True)
    for name in os.listdir(prefix):
        path = os.path.join(prefix, name)
        if name.startswith(TEMPORARY) and os.path.islink(path) and os.readlink(path).startswith(RELEASES + "/"):
            os.unlink(path)  # of an upgrade that was killed


def mark(folder: str) -> None:
    """Leave the mark of what was made here."""
    if not is_marked(folder):
        os.close(os.open(os.path.join(folder, MARKER), os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644))


def is_named(folder: str) -> bool:
    """Whether a folder has a name that is for this collection alone, so that it needs no mark."""
    return os.path.basename(folder).startswith(OURS)


def is_marked(folder: str) -> bool:
    return os.path.isfile(os.path.join(folder, MARKER))


def refuse_others(prefix: str) -> None:
    """See that nothing of others lies where the releases are to lie.

    :raises InvalidSettings: something does.
    """
    folder = os.path.join(prefix, RELEASES)
    if is_marked(folder):
        return
    empty = os.path.isdir(folder) and not os.listdir(folder)
    for path in (folder, os.path.join(prefix, CURRENT)):
        if os.path.lexists(path) and not (path == folder and empty):
            raise InvalidSettings(
                "%s is there already and was not put there by this collection, so it is left alone; move it away, or "
                "name another prefix" % path,
                path=path,
            )


def _write_tree(root: str, files: Dict[str, bytes]) -> None:
    for name, data in files.items():
        path = os.path.join(root, name)
        make_path(os.path.dirname(path))
        with open(path, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        os.chmod(path, 0o644)


def absolute(option: str, path: str) -> str:
    """The path, if it is one that can be meant.

    :raises InvalidSettings: a relative path, or the root of everything.
    """
    if not path.startswith("/") or os.path.normpath(path).strip("/") == "" or "\n" in path:
        raise InvalidSettings("%s: %r must be an absolute path below /" % (option, path[:200]))
    return os.path.normpath(path)


def closed(*paths: str) -> Optional[Tuple[str, str]]:
    """The first folder above one of the paths that this user may not enter, and that path."""
    for path in paths:
        above = "/"
        for name in path.strip("/").split("/"):
            if os.path.isdir(above) and not os.access(above, os.X_OK):
                return above, path
            above = os.path.join(above, name)
    return None


def remove(prefix: str) -> None:
    """Take the files away, and the prefix too if nothing else is in it."""
    folder = os.path.join(prefix, RELEASES)
    if not is_marked(folder):
        return
    if os.path.lexists(os.path.join(prefix, CURRENT)):
        os.unlink(os.path.join(prefix, CURRENT))
    for name in sorted(os.listdir(folder), key=MARKER.__eq__):  # the mark last: whoever is killed here can go on
        _remove(os.path.join(folder, name))
    os.rmdir(folder)
    if not os.listdir(prefix):
        os.rmdir(prefix)


def _remove(path: str) -> None:
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    else:
        os.unlink(path)


def is_for_us(state_dir: str, remembered: Sequence[str]) -> bool:
    """Whether a folder that is there is for what is remembered: by its name or its mark, or nothing else is in it."""
    return is_named(state_dir) or is_marked(state_dir) or state_dir in forgettable(state_dir, remembered)


def forgettable(state_dir: str, remembered: Sequence[str]) -> List[str]:
    """What lies in a state folder under names of ours, the mark too, and the folder itself if nothing else is in it."""
    names = os.listdir(state_dir) if os.path.isdir(state_dir) else []
    own = [name for name in names if name == MARKER or name.split(".tmp-")[0] in remembered]
    whole = [state_dir] if os.path.isdir(state_dir) and len(own) == len(names) else []
    return [os.path.join(state_dir, name) for name in sorted(own)] + whole


def forget(state_dir: str, remembered: Sequence[str]) -> None:
    """Remove what :func:`forgettable` names."""
    for path in forgettable(state_dir, remembered):
        if path == state_dir:
            os.rmdir(path)
        else:
            _remove(path)


def hand_over(state_dir: str, remembered: Sequence[str], uid: int, dry_run: bool) -> bool:
    """Give what :func:`forgettable` names to another user, who could not write to it otherwise.

    Of what the user before may have put there instead nothing is given: no link is followed, and a file that has
    another name somewhere else is left as it is.

    :returns: whether anything is another user's.
    """
    changed = False
    for path in forgettable(state_dir, remembered):
        changed = _give(path, None, uid, dry_run) or changed
    return changed


def _give(name: str, parent: Optional[int], uid: int, dry_run: bool) -> bool:
    try:
        fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=parent)
    except OSError as exc:
        if exc.errno in (errno.ENOENT, errno.ELOOP, errno.ENXIO):
            return False
        raise
    try:
        state = os.fstat(fd)
        folder = stat.S_ISDIR(state.st_mode)
        changed = state.st_uid != uid and (folder or (stat.S_ISREG(state.st_mode) and state.st_nlink == 1))
        if changed and not dry_run:
            os.fchown(fd, uid, -1)
        for inside in os.listdir(fd) if folder else ():
            changed = _give(inside, fd, uid, dry_run) or changed
        return changed
    finally:
        os.close(fd)


def is_there(prefix: str) -> bool:
    """Whether any release of ours lies under the prefix."""
    return is_marked(os.path.join(prefix, RELEASES))


def config_text(keys: Sequence[str], values: Mapping[str, Optional[str]]) -> str:
    """A configuration file.

    :param keys: in the order in which they are written.
    :raises InvalidSettings: a value that does not fit on one line.
    """
    lines = [CONFIG_HEAD]
    for key in keys:
        value = values.get(key)
        if value is None or value == "":
            continue
        if "\n" in value or "\r" in value or value != value.strip():
            raise InvalidSettings("%s: %r must be one line without spaces around it" % (key, value[:80]))
        lines.append("%s = %s" % (key, value))
    return "\n".join(lines) + "\n"


def keep_to_minutes(interval: float, whose: str, remedy: str) -> None:
    """See that cron can keep an interval.

    :param whose: what is to be done every so often, for the message.
    :param remedy: what else can be done than to use systemd.
    :raises InvalidSettings: it is not made of whole minutes.
    """
    if interval not in CRON_INTERVALS:
        raise InvalidSettings(
            "cron knows whole minutes that divide an hour, and %s every %g s; use systemd, or %s one of %s"
            % (whose, interval, remedy, ", ".join(map(str, CRON_INTERVALS))),
            nearest=min(CRON_INTERVALS, key=lambda allowed: abs(allowed - interval)),
        )
