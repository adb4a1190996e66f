# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = r"""
name: task_times
type: aggregate
short_description: How long each task of a run took
description:
  - Writes a JSON list of task name and seconds, in the order of the run, for runs on a single host.
options:
  path:
    description: Where the list is written at the end of the run.
    type: path
    required: true
    env:
      - name: TASK_TIMES_PATH
"""


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "task_times"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self) -> None:
        super().__init__()
        self.times: list[tuple[str, float]] = []
        self.name = ""
        self.began = 0.0

    def v2_playbook_on_task_start(self, task: Any, is_conditional: bool) -> None:
        self.name = task.get_name()
        self.began = time.perf_counter()

    def v2_runner_on_ok(self, result: Any) -> None:
        self.times.append((self.name, time.perf_counter() - self.began))

    def v2_playbook_on_stats(self, stats: Any) -> None:
        Path(self.get_option("path")).write_text(json.dumps(self.times))
