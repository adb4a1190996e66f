# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Follow a page as a reader does: one shell in a home folder of its own, files saved and commands typed in order."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.roosync.heartbeat.tests.docs.pages import Command, Page

MARK = "@@@@"
TIMEOUT = 900
# Only what a network, a service manager or containers are needed for, or what the Makefile runs as a test of its own.
NOT_TYPED = frozenset(
    [
        "make run",
        "make test",
        "make help",
        "make format",
        "make bench",
        "make setup-dev",
        "make hosts",
        'make hosts ARGS="-k test_faults -x"',
        "tests/hosts/lab.sh up 6",
        "tests/hosts/podman.sh exec hb-1 systemctl list-timers",
        "tests/hosts/lab.sh down",
        "git clone https://github.com/roosync/roosync.heartbeat",
        "cd roosync.heartbeat",
        "ansible-galaxy collection install roosync.heartbeat",
        "ansible-galaxy collection install -r requirements.yml",
        "python3 -m pip install pydantic filelock",
    ]
)
# What differs from run to run, and what takes its place on both sides.
_VARIES = (
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z"), "<time>"),
    (re.compile(r"\d\d:\d\d:\d\d\.\d+"), "<clock>"),
    (re.compile(r"\b[0-9a-f]{32}\b"), "<hex>"),
    (re.compile(r"\b[0-9a-f]{12}\.\.\."), "<hex>"),
    (
        re.compile(
            r"(\"(?:pid|stopped_pid|age_seconds|clock_skew_ms|latency_ms|elapsed|missed_heartbeats)\": )-?[\d.]+"
        ),
        r"\1<number>",
    ),
    (re.compile(r"\bpid \d+"), "pid <number>"),
    (re.compile(r"\d+ beats were missed"), "<number> beats were missed"),
    (re.compile(r"\b\d+\.\d s\b"), "<seconds>"),
    (re.compile(r"\*{3,}"), "***"),
)
# Said by the shell that runs the script, not by a command of the page.
_SHELL = re.compile(r"^\S+: line \d+: +\d+ Killed.*$\n?", re.MULTILINE)


@dataclass
class Typed:
    """A command that was run, and what came of it."""

    command: Command
    status: int
    output: str


def matches(expected: str, output: str) -> bool:
    """Whether an output is as the page shows it; ``...`` stands for anything, on a line of its own for any lines."""
    lines = ["(?s:.*)" if line.strip() == "..." else _line(line) for line in _even(expected).splitlines()]
    return re.fullmatch("".join(lines), _even(output)) is not None


def _line(line: str) -> str:
    return "[^\\n]*".join(re.escape(part) for part in line.split("...")) + "\\n"


def _even(text: str) -> str:
    for pattern, stand_in in _VARIES:
        text = pattern.sub(stand_in, text)
    return "".join(line.rstrip() + "\n" for line in text.splitlines())


def follow(
    page: Page,
    home: Path,
    environment: Mapping[str, str],
    moved: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    timeout: float = TIMEOUT,
) -> list[Typed]:
    """Type a page's commands in order, and save its named files where they are named.

    :param moved: folders of a real machine, and the scratch folders that take their place.
    :param cwd: where to begin, if not at home; no file of the page is saved then.
    """
    commands = [c for block in page.blocks for c in block.commands()]
    commands = [c for c in commands if c.text not in NOT_TYPED]
    script = home / ".page.sh"
    script.write_text(move(_script(page, save=cwd is None), moved or {}), encoding="utf-8")
    with open(home / ".page.out", "w+", encoding="utf-8") as output:
        # A group of its own: whatever the page leaves running in the background ends with it.
        shell = subprocess.Popen(
            ["bash", str(script)],
            cwd=cwd or home,
            env={**environment, "HOME": str(home)},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            shell.wait(timeout)
        except subprocess.TimeoutExpired:
            pass  # what came back until then is shown
        finally:
            try:
                os.killpg(shell.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            shell.wait()
        output.seek(0)
        text = output.read()
    for folder, scratch in (moved or {}).items():
        text = text.replace(scratch, folder)
    return _typed(commands, text)


def move(text: str, moved: Mapping[str, str]) -> str:
    """The text with the folders of a real machine replaced by scratch folders."""
    for folder, scratch in moved.items():
        text = re.sub(r"(?<![\w/.-])%s(?![\w.-])" % re.escape(folder), scratch, text)
    return text


def _script(page: Page, save: bool) -> str:
    lines = ["set -u"]
    for block in page.blocks:
        if block.language == "console":
            for command in block.commands():
                if command.text not in NOT_TYPED:
                    lines += ["echo", f"echo {MARK}", command.text, f"printf '\\n{MARK} %s\\n' $?"]
        elif save and block.file_name is not None:
            lines += [f"cat > {shlex.quote(block.file_name)} <<'{MARK}'", block.text.rstrip("\n"), MARK]
    return "\n".join(lines) + "\n"


def _typed(commands: list[Command], output: str) -> list[Typed]:
    found = re.findall(rf"^{MARK}\n(.*?)\n?^{MARK} (\d+)$", _SHELL.sub("", output), re.MULTILINE | re.DOTALL)
    hung = commands[min(len(found), len(commands) - 1)]
    assert len(found) == len(commands), (
        f"{len(commands)} commands, {len(found)} came back, and line {hung.line} did not: $ {hung.text}\n{output}"
    )
    return [Typed(command, int(status), text) for command, (text, status) in zip(commands, found)]


def complaints(page: Page, typed: list[Typed]) -> list[str]:
    """Every command that failed where it should not, did not where it should, or printed something else."""
    found = []
    for one in typed:
        where = f"{page.name}:{one.command.line}: $ {one.command.text}"
        if (one.status != 0) is not one.command.fails:
            found.append(f"{where}\nexit status {one.status}:\n{one.output}")
        elif one.command.text.endswith("&"):
            continue
        elif not matches(one.command.expected, one.output):
            found.append(f"{where}\nshould print:\n{one.command.expected}\nprinted:\n{one.output}")
    return found
