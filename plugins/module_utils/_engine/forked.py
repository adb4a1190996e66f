# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Work done in a copy of this process: beside it, or as another user. Standard library only.

A child says through a pipe what came of its work, and never returns into the program that it is a copy of. A process
with threads cannot safely be copied.
"""

from __future__ import annotations

import json
import os

from . import errors
from .errors import HeartbeatError, InvalidSettings

TYPE_CHECKING = False
if TYPE_CHECKING:
    import pwd
    from typing import Any, Callable, Dict, Optional


class Child:
    """Another process, at work.

    :param work: what it does; returns what can be written as JSON.
    :param died: the error for a child that ended without an answer.
    """

    def __init__(self, work: Callable[[], Any], died: HeartbeatError) -> None:
        self._died = died
        self._answer, there = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(self._answer)  # or it would wait for itself, when nobody else reads any more
            _live(there, work)
        os.close(there)

    def result(self) -> Any:
        """What came of its work.

        :raises HeartbeatError: the one that the work ended with, or that the child died.
        """
        with os.fdopen(os.dup(self._answer), "rb") as stream:
            data = stream.read()
        try:
            answer = json.loads(data)
        except ValueError as exc:
            raise self._died from exc
        if "error" in answer:
            kind, message, details = answer["error"]
            raise getattr(errors, kind, type(self._died))(message, **details)
        return answer["result"]

    def end(self) -> None:
        """Let go of it. If its answer is not wanted any more, it finds nobody to give it to, and ends."""
        os.close(self._answer)
        try:
            os.waitpid(self.pid, 0)
        except ChildProcessError:
            pass


def _live(there: int, work: Callable[[], Any]) -> None:
    """The whole life of a child."""
    status = 1
    try:
        try:
            answer: Dict[str, Any] = {"result": work()}
        except HeartbeatError as exc:
            answer = {"error": (type(exc).__name__, exc.message, exc.details)}
        with os.fdopen(there, "wb") as stream:
            stream.write(json.dumps(answer).encode("ascii"))
        status = 0
    finally:
        os._exit(status)


def account(name: str) -> pwd.struct_passwd:
    """A user, by name or number.

    :raises InvalidSettings: there is no such user.
    """
    import pwd

    try:
        return pwd.getpwuid(int(name)) if name.isdigit() else pwd.getpwnam(name)
    except (KeyError, ValueError, OverflowError):
        raise InvalidSettings("user %.80r is not there; make it first, or name another one" % name) from None


def as_user(name: Optional[str], work: Callable[[], Any]) -> Any:
    """Do something with the rights of a user: root's say nothing of another one's, nor on a share that knows no root.

    Whatever the work imports must have been imported before: the user may not be able to read Python's files.

    :param name: the user; None, or the one that this process is already, does it here.
    :param work: returns what can be written as JSON.
    :raises InvalidSettings: there is no such user, or this one cannot become it.
    """
    who = account(name) if name else None
    if who is None or who.pw_uid == os.geteuid():
        return work()

    def become() -> Any:
        try:
            os.initgroups(who.pw_name, who.pw_gid)
            os.setgid(who.pw_gid)
            os.setuid(who.pw_uid)
        except OSError as exc:
            raise InvalidSettings(
                "cannot become %s to see what that user may do: %s; become root for this task" % (name, exc.strerror)
            ) from exc
        return work()

    child = Child(become, InvalidSettings("what %s may do could not be found out: the process that looked died" % name))
    try:
        return child.result()
    finally:
        child.end()
