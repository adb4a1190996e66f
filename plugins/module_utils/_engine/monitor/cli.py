# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One scheduled check: look, record, keep the result, tell of what is new.

Exit status: 0 checked; 1 no verdict, or something of the rest failed, with ``ERROR_CODE: message`` on standard error;
2 called the wrong way.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any, Dict, List

from ..agent.local import Lock, prepare_state_dir
from ..check import run_check
from ..errors import HeartbeatError
from ..stores import open_store
from . import news, results
from .config import DEFAULT_CONFIG, Config, load

CHECKING = "another check is still at work here (pid %s); wait for it, or end it if it hangs, and check again"
PATIENCE = 30.0
"""Seconds for which a check waits for the one before it, besides the time that its hook may take."""
USAGE = "usage: start.py [CONFIG]\n\nOne check of a fleet. CONFIG defaults to %s.\n" % DEFAULT_CONFIG


def main(argv: List[str]) -> int:
    """Run one check; ``argv`` without the program's name."""
    if len(argv) > 1 or argv[:1] in (["-h"], ["--help"]):
        asked = argv == ["-h"] or argv == ["--help"]
        (sys.stdout if asked else sys.stderr).write(USAGE)
        return 0 if asked else 2
    try:
        config = load(argv[0] if argv else DEFAULT_CONFIG)
        prepare_state_dir(config.state_dir)
        patience = PATIENCE + (config.hook_timeout if config.hook else 0)
        with Lock(config.state_dir, held=CHECKING, patience=patience):
            return run(config)
    except HeartbeatError as exc:
        return say(exc)


def run(config: Config) -> int:
    """One check, with the lock held."""
    # What a check keeps of its own for when the store is away.
    os.environ["XDG_CACHE_HOME"] = config.state_dir
    watched = news.News(config)
    events: List[Dict[str, Any]] = []
    status = 0
    try:
        with open_store(config.store, config.fleet) as store:
            if config.hook:
                watched.begin(store)
            result = run_check(store, force=True)
            if config.hook:
                events = watched.since(store)
        sys.stdout.write(result["summary"] + "\n")
        sys.stdout.flush()
    except HeartbeatError as exc:
        result, status = results.failure(exc), say(exc)
    host = results.host_name()
    text = json.dumps(dict(result, host=host, store=config.store, fleet=config.fleet), indent=1) + "\n"
    try:
        results.Results(config, host).keep(text.encode(), results.moment_of(result))
    except HeartbeatError as exc:
        status = say(exc)
    try:
        if events:
            news.tell(config, events, result)
        if config.hook and "summary" in result:
            watched.done()
    except HeartbeatError as exc:
        status = say(exc)
    return status


def say(exc: HeartbeatError) -> int:
    """A failure, for the journal of the service manager; the exit status for it."""
    sys.stderr.write("%s: %s\n" % (exc.error_code, exc.message))
    sys.stderr.flush()
    return 1
