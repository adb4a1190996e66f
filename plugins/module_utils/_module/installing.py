# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What modules share that put files of the engine on a host: ``prefix``, ``config``, ``state_dir`` and ``owner``."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Callable, Dict, Sequence

from ansible.module_utils.basic import AnsibleModule

from .._engine import releases
from .._engine.agent.local import write_local
from .._engine.errors import InvalidSettings
from .._engine.forked import account, as_user
from .._engine.stores.atomic import make_path
from . import boundary

if TYPE_CHECKING:
    from typing import NoReturn

    from .._engine.stores.file import FileStore


def run(
    module: AnsibleModule,
    present: Callable[[], Dict[str, Any]],
    remembered: Sequence[str],
    end: Callable[[str], None] = lambda _state_dir: None,
) -> NoReturn:
    """Do what ``state`` asks for, and exit.

    :param present: what ``state=present`` does.
    :param remembered: the names of the files in ``state_dir``.
    :param end: ends what may still be at work with ``state_dir``, before that goes.
    """

    def work(_store: FileStore) -> Dict[str, Any]:
        for option in ("prefix", "config", "state_dir"):
            module.params[option] = releases.absolute(option, module.params[option])
        try:
            if module.params["state"] == "present":
                return present()
            if not module.check_mode:
                end(module.params["state_dir"])
            return remove(module, remembered)
        except OSError as exc:
            raise InvalidSettings(
                "cannot change %s: %s; become a user who may write there, or name another folder"
                % (exc.filename or "the files", exc.strerror or exc),
                exc,
            ) from exc

    boundary.run(module, work)


def install(module: AnsibleModule, text: str, files: Dict[str, bytes], remembered: Sequence[str]) -> Dict[str, Any]:
    """Files, configuration and state folder as they are asked for; ``changed``, ``release`` and ``diff``.

    :param remembered: the names of the files in ``state_dir``.
    """
    params = module.params
    releases.refuse_others(params["prefix"])
    refuse_others(params["state_dir"], remembered)
    before, found = read(params["config"]), releases.installed(params["prefix"])
    changed = before != text
    # The files first: they know what may be in the configuration, where those before them may not.
    if not releases.is_whole(params["prefix"], files):
        changed = True
        if not module.check_mode:
            releases.install(params["prefix"], files)
    if before != text and not module.check_mode:
        make_path(os.path.dirname(params["config"]))
        write_local(params["config"], text.encode())
    changed = permit(module, remembered) or changed
    release = releases.release_name(files)
    return {
        "changed": changed,
        "release": release,
        "diff": [
            {"before_header": "release", "after_header": "release", "before": found or "", "after": release},
            {"before_header": params["config"], "after_header": params["config"], "before": before, "after": text},
        ],
    }


def read(path: str) -> str:
    """A file's text, or nothing where there is no file."""
    try:
        with open(path, encoding="utf-8", errors="replace", newline="") as stream:
            return stream.read()
    except OSError:
        return ""


def refuse_others(state_dir: str, remembered: Sequence[str]) -> None:
    """See that a folder which is to be closed to all but the user is nobody else's."""
    if os.path.isdir(state_dir) and not releases.is_for_us(state_dir, remembered):
        raise InvalidSettings(
            "state_dir: there is more in %s than this collection remembers, so it is left alone; name a folder that is "
            "for this alone, or one that is not there yet" % state_dir,
            path=state_dir,
        )


def permit(module: AnsibleModule, remembered: Sequence[str]) -> bool:
    """The least that the user needs: its own state folder with what is in it, and to read the configuration."""
    params = module.params
    state_dir, config, owner = params["state_dir"], params["config"], params["owner"]
    missing = not os.path.isdir(state_dir)
    if module.check_mode and (missing or not os.path.exists(config)):
        return True
    if missing:
        make_path(os.path.dirname(state_dir))
        os.mkdir(state_dir, 0o700)
    if not (module.check_mode or releases.is_named(state_dir)):
        releases.mark(state_dir)
    changed = module.set_mode_if_different(state_dir, "0700", missing)
    changed = module.set_owner_if_different(state_dir, owner, changed)
    if owner:
        changed = releases.hand_over(state_dir, remembered, account(owner).pw_uid, module.check_mode) or changed
    changed = module.set_mode_if_different(config, "0600", changed)
    changed = module.set_owner_if_different(config, owner, changed)
    return open_up(module) or bool(changed)


def open_up(module: AnsibleModule) -> bool:
    """See that the user reaches its files. Folders of our own name are opened to it, those of others are not ours to.

    :returns: whether one had to be.
    :raises InvalidSettings: one that is not ours is closed to the user.
    """
    params = module.params
    files = os.path.join(params["prefix"], releases.CURRENT, releases.PACKAGE, "__init__.py")
    changed = False
    while True:
        found = as_user(params["owner"], lambda: releases.closed(params["config"], files, params["state_dir"]))
        if found is None:
            return changed
        folder, path = found
        if not (releases.is_named(folder) and module.set_mode_if_different(folder, "a+rx", False)):
            raise InvalidSettings(
                "%s may not enter %s, and %s is in it; let it (chmod o+x %s), or name another folder"
                % (params["owner"] or "this user", folder, path, folder),
                path=folder,
            )
        if module.check_mode:
            return True
        changed = True


def remove(module: AnsibleModule, remembered: Sequence[str]) -> Dict[str, Any]:
    """Nothing of it stays behind, and nothing of others goes."""
    params = module.params
    config, state_dir = params["config"], params["state_dir"]
    there = [config] if read(config).startswith(releases.CONFIG_HEAD) else []
    mine = releases.is_for_us(state_dir, remembered)
    there += releases.forgettable(state_dir, remembered) if mine else []
    changed = bool(there) or releases.is_there(params["prefix"])
    if changed and not module.check_mode:
        releases.remove(params["prefix"])
        if mine:
            releases.forget(state_dir, remembered)
        if config in there:
            os.unlink(config)
            if not os.listdir(os.path.dirname(config)):
                os.rmdir(os.path.dirname(config))
    return {"changed": changed, "diff": {"before": "\n".join(there), "after": ""}}
