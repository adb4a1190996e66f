# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Other programs, each for a bounded time. Standard library only."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Mapping, NamedTuple, Optional, Sequence

    class Ended(NamedTuple):
        """How a program ended, and what it printed, if that was asked for."""

        status: int
        output: bytes
        errors: bytes

else:
    from collections import namedtuple

    Ended = namedtuple("Ended", ("status", "output", "errors"))


class TookTooLong(Exception):
    """The program was still running when its time was up. It and all that it started have been killed."""


def run(
    command: Sequence[str],
    patience: float,
    data: bytes = b"",
    more_environment: Optional[Mapping[str, str]] = None,
    listen: bool = True,
) -> Ended:
    """Run a program to its end.

    :param patience: the seconds that it may take.
    :param data: what it gets on its standard input.
    :param more_environment: variables on top of those of this process.
    :param listen: whether to take what it prints; otherwise that goes where this process prints.
    :raises OSError: if it cannot be started.
    :raises TookTooLong: if it has not ended in time.
    """
    where = subprocess.PIPE if listen else None
    # A group of its own, so that nothing that it started outlives it when its time is up. AnsibleModule.run_command
    # has no bound on the time, and this runs where there is no AnsibleModule.
    process = subprocess.Popen(  # pylint: disable=ansible-bad-function
        list(command),
        stdin=subprocess.PIPE,
        stdout=where,
        stderr=where,
        env=dict(os.environ, **(more_environment or {})),
        start_new_session=True,
    )
    try:
        output, errors = process.communicate(data, timeout=patience)
    except BaseException as exc:
        # Even if the program itself has ended: what it started may be what is being waited for.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        if isinstance(exc, subprocess.TimeoutExpired):
            raise TookTooLong("%s took longer than %g s" % (command[0], patience)) from exc
        raise
    return Ended(process.returncode, output or b"", errors or b"")
