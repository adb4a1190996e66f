# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one place where the engine's errors become a module's failure, and its results a module's exit."""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING, Any, Callable, Dict

from ansible.module_utils.basic import AnsibleModule, missing_required_lib

from .._engine.errors import HeartbeatError, InvalidSettings
from .._engine.stores import open_store

if TYPE_CHECKING:
    from typing import NoReturn

    from .._engine.stores.file import FileStore


# Kept in step with the requirements in doc_fragments/store.py by a test.
LIBRARIES = {"pydantic": "2.10", "filelock": "3.12"}


def require(module: AnsibleModule, *libraries: str) -> None:
    """End with Ansible's usual message when a library is missing, or too old, on the host that runs the module."""
    # Only here: a beat, which needs no library, would compile it at every task.
    from ansible.module_utils.compat.version import LooseVersion

    for library in libraries:
        needed = missing_required_lib("%s >= %s" % (library, LIBRARIES[library]))
        try:
            version = str(getattr(__import__(library), "__version__", "0"))
        except ImportError:
            module.fail_json(msg=needed, exception=traceback.format_exc())
        if LooseVersion(version) < LooseVersion(LIBRARIES[library]):
            module.fail_json(msg="%s %s is too old. %s" % (library, version, needed))


def require_checker(module: AnsibleModule) -> None:
    """What everything needs that reads more than one machine's record."""
    require(module, *LIBRARIES)


def printable(value: Any) -> Any:
    """A result that Ansible takes: of a name that is no UTF-8, the other bytes are written as ``\\xff``."""
    if isinstance(value, str):
        if value.isascii():
            return value
        try:
            return value.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
        except UnicodeEncodeError:  # not from a name
            return value.encode("utf-8", "backslashreplace").decode("utf-8")
    if isinstance(value, dict):
        return {printable(key): printable(item) for key, item in value.items()}
    return [printable(item) for item in value] if isinstance(value, (list, tuple)) else value


def failed(exc: HeartbeatError) -> Dict[str, Any]:
    """An error as the keys that a failed module returns, ``msg`` among them."""
    details: Dict[str, Any] = printable(dict(exc.as_result(), msg=exc.message))
    if "path" in details:
        # Under the name of "path" Ansible would look the file up, and add its owner, mode and size.
        details["location"] = details.pop("path")
    return details


def fail(module: AnsibleModule, exc: HeartbeatError) -> NoReturn:
    """End with an error of the engine's."""
    module.fail_json(**failed(exc))


def run(module: AnsibleModule, work: Callable[[FileStore], Dict[str, Any]]) -> NoReturn:
    """Open the store, do the work, and exit with its result or with its error.

    :param work: given the store, returns the module's result. ``warnings`` in it become warnings, ``failure`` (a
        message) makes the module fail with everything else in the result kept.
    """
    try:
        if not module.params["store"]:
            raise InvalidSettings(
                "store is missing: name the store's directory in the task, in module_defaults "
                "(group/roosync.heartbeat.heartbeat), or in the environment variable ROOSYNC_STORE"
            )
        with open_store(module.params["store"], module.params["fleet"]) as store:
            result = printable(work(store))
    except HeartbeatError as exc:
        fail(module, exc)
    if not module._diff:
        result.pop("diff", None)  # as large as the fleet's settings; nobody asked
    for warning in result.pop("warnings", []):
        module.warn(warning)
    failure = result.pop("failure", None)
    if failure is not None:
        module.fail_json(msg=failure, **result)
    module.exit_json(**result)
