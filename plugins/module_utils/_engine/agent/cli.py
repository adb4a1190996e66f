# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The agent's command line: ``beat``, ``run``, ``status``, ``stop`` and ``capture``.

Exit status: 0 done; 1 failed, with ``ERROR_CODE: message`` on standard error; 2 called the wrong way.
"""

from __future__ import annotations

import sys

from ..errors import HeartbeatError, InvalidSettings
from . import service
from .config import DEFAULT_CONFIG, load

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, List

USAGE = (
    """usage: agent COMMAND [--config FILE]

  beat    write one heartbeat
  run     write one every interval, until SIGTERM; then say goodbye
  status  what runs here, and what the store has of this machine
  stop    stop the running agent, with a goodbye
  capture take a snapshot of this machine's trees, and say what is new

--config FILE  default: %s
"""
    % DEFAULT_CONFIG
)


def main(argv: List[str]) -> int:
    """Run one command; ``argv`` without the program's name."""
    if argv and argv[0] in ("-h", "--help"):
        sys.stdout.write(USAGE)
        return 0
    command, path = _arguments(argv)
    if not command:
        sys.stderr.write(USAGE)
        return 2
    try:
        config = load(path)
        if config.warning:
            service.say("warning: " + config.warning)
        result: Any = (_capturing() if command == "capture" else getattr(service, command))(config)
    except HeartbeatError as exc:
        service.say("%s: %s" % (exc.error_code, exc.message))
        return 1
    if result is not None and command != "beat":
        import json

        sys.stdout.write(json.dumps(result, indent=2) + "\n")
    return 0


def _capturing() -> Any:
    """What captures; it comes with more files than a host that only beats has."""
    try:
        from .capture import run
    except ImportError as exc:
        raise InvalidSettings(
            "captures are not installed here; deploy the agent with capture_every (heartbeat_agent_capture_every)", exc
        ) from exc
    return run


def _arguments(argv: List[str]) -> Any:
    """The command and the config file, or an empty command when the call makes no sense."""
    path = DEFAULT_CONFIG
    words = list(argv)
    if "--config" in words[:-1]:
        at = words.index("--config")
        path = words[at + 1]
        del words[at : at + 2]
    if len(words) != 1 or words[0] not in ("beat", "run", "status", "stop", "capture"):
        return "", path
    return words[0], path
