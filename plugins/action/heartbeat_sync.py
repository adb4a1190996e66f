# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``heartbeat_sync`` led from the control node: the machine needs neither the store nor a library."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Dict, Optional

from ansible.errors import AnsibleActionFail
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ..module_utils._engine.errors import HeartbeatError
from ..module_utils._engine.stores import open_store
from ..module_utils._module.boundary import LIBRARIES, failed, printable
from ..module_utils._module.spec import argument_spec, sync_options

if TYPE_CHECKING:
    from ..module_utils._engine.stores.file import FileStore
    from ..module_utils._engine.sync.carried import CarriedSite

TREE = "roosync.heartbeat.heartbeat_tree"
ON_THE_MACHINE = ("online", "capture", "rollback")


class OverConnection:
    """See :class:`.carried.Carrier`: the connection of the task."""

    def __init__(self, action: Leading, task_vars: Dict[str, Any], params: Dict[str, Any]) -> None:
        self.action = action
        self.task_vars = task_vars
        self.params = params
        self.workdir = action._connection._shell.tmpdir

    def call(self, **options: Any) -> Dict[str, Any]:
        shared = {name: self.params[name] for name in ("store", "fleet", "root", "state_dir")}
        done: Dict[str, Any] = self.action._execute_module(
            module_name=TREE,
            module_args=dict(shared, workdir=self.workdir, **options),
            task_vars=self.task_vars,
        )
        if done.get("failed"):
            raise _Told(done)
        return done

    def fetch(self, remote: str, local: str) -> None:
        self.action._connection.fetch_file(remote, local)

    def put(self, local: str, name: str) -> None:
        remote = self.action._connection._shell.join_path(self.workdir, name)
        self.action._transfer_file(local, remote)
        self.action._fixup_perms2((self.workdir, remote), execute=False)

    def tell(self, text: str) -> None:
        Display().display("%s: %s" % (self.task_vars.get("inventory_hostname", "?"), text))


class _Told(HeartbeatError):
    """The module on the machine failed, and has said why."""

    def __init__(self, result: Dict[str, Any]) -> None:
        super().__init__(str(result.get("msg", "the module on the machine failed")))
        self.error_code = str(result.get("error_code", "SYNC_ONLINE_FAILED"))
        self.details.update({key: result[key] for key in ("errno", "location", "cause_code") if key in result})


class Leading(ActionBase):
    """What leads the work on a machine's trees from the control node, or leaves it to the module of that name."""

    TRANSFERS_FILES = True
    MODULE = ""
    RULES: ClassVar[Dict[str, Any]] = {}
    """Of the options, as an argument spec validator takes them."""

    def options(self) -> Dict[str, Any]:
        """The options of the module."""
        raise NotImplementedError

    def needs_machine(self, params: Dict[str, Any]) -> bool:
        """Whether the task is about the trees of this host."""
        raise NotImplementedError

    def lead(self, params: Dict[str, Any], store: FileStore, site: CarriedSite) -> Dict[str, Any]:
        """Do it; what the module would return."""
        raise NotImplementedError

    def run(self, tmp: Optional[str] = None, task_vars: Optional[Dict[str, Any]] = None) -> Dict[str, Any]:
        variables = task_vars or {}
        result: Dict[str, Any] = super().run(tmp, variables)
        checked = ArgumentSpecValidator(argument_spec(**self.options()), **self.RULES).validate(self._task.args)
        params = checked.validated_parameters
        if checked.error_messages or not self._carries(params):
            # What is wrong with the options is for the module to say.
            result.update(self._execute_module(module_name=self.MODULE, task_vars=variables))
            return result
        try:
            result.update(printable(self._carry(params, variables)))
        except HeartbeatError as exc:
            result.update(dict(failed(exc), failed=True, changed=False))
        finally:
            self._remove_tmp_path(self._connection._shell.tmpdir)
        return result

    def _carries(self, params: Dict[str, Any]) -> bool:
        """Whether this process leads, and not a module on the machine."""
        if not self.needs_machine(params) or params["vault"] == "mounted" or not params["store"]:
            return False
        if params["vault"] == "carried":
            return True
        if self._connection.transport == "local":
            return False
        try:
            with open_store(params["store"], params["fleet"]) as store:
                return store.exists()
        except HeartbeatError:
            return False

    def _carry(self, params: Dict[str, Any], task_vars: Dict[str, Any]) -> Dict[str, Any]:
        for library in LIBRARIES:
            try:
                __import__(library)
            except ImportError as exc:
                raise AnsibleActionFail(
                    "the Python library %s >= %s is needed on the control node (%s)"
                    % (library, LIBRARIES[library], exc)
                ) from exc
        from ..module_utils._engine.sync.carried import CarriedSite

        if not self._connection._shell.tmpdir:
            self._make_tmp_path()
        carried = CarriedSite(OverConnection(self, task_vars, params), direct=params["vault"] == "auto")
        with carried as site, open_store(params["store"], params["fleet"]) as store:
            found = self.lead(params, store, site)
        if not self._task.diff:
            found.pop("diff", None)
        failure = found.pop("failure", None)
        if failure is not None:
            found.update(failed=True, msg=failure)
        return found


class ActionModule(Leading):
    MODULE = "roosync.heartbeat.heartbeat_sync"

    def options(self) -> Dict[str, Any]:
        return sync_options()

    def needs_machine(self, params: Dict[str, Any]) -> bool:
        return bool(params["event"] in ON_THE_MACHINE or (params["pending"] and params["machine_id"]))

    def lead(self, params: Dict[str, Any], store: FileStore, site: CarriedSite) -> Dict[str, Any]:
        from ..module_utils._engine.sync import batch
        from ..module_utils._engine.sync.session import request_from

        return batch.sync(
            store,
            request_from(params, self._task.check_mode),
            params["pending"],
            lambda machine_id: site,
            lambda: open_store(params["store"], params["fleet"]),
            params["dry_run"],
        )
