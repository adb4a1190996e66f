# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write down, one JSON object per line, each task as it starts and what became of it."""

from __future__ import annotations

import json
import os
import time
from typing import Any

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: record
type: notification
short_description: Write every task and its result into a file
description:
  - Used by the integration tests, which read the file named by E(ROOSYNC_TEST_RECORD).
"""


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "record"
    CALLBACK_NEEDS_ENABLED = True

    def _write(self, event: str, task: Any, **more: Any) -> None:
        entry = dict(more, event=event, name=task.get_name(), action=task.action, at=time.time())
        with open(os.environ["ROOSYNC_TEST_RECORD"], "a", encoding="utf-8") as file:
            file.write(json.dumps(entry, default=str) + "\n")

    def v2_playbook_on_task_start(self, task: Any, is_conditional: bool) -> None:
        self._write("start", task)

    def v2_runner_on_ok(self, result: Any) -> None:
        self._write("ok", result._task, result=result._result, host=result._host.get_name())

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        self._write("failed", result._task, result=result._result, host=result._host.get_name(), ignored=ignore_errors)

    def v2_runner_on_skipped(self, result: Any) -> None:
        self._write("skipped", result._task, result=result._result, host=result._host.get_name())

    def v2_runner_on_unreachable(self, result: Any) -> None:
        self._write("unreachable", result._task, result=result._result, host=result._host.get_name())
