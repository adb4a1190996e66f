# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A recovery rehearsal: five machines with real agents, one of them lost and brought back.

Everything is real: agent processes that beat every second into a directory store, a SIGKILL, and playbooks that wait
and check. Every expectation is asserted; the first that does not hold ends the rehearsal with exit status 1.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
MACHINES = ["app-01", "app-02", "db-01", "web-01", "web-02"]
LOST = "web-02"
AGENT_PATIENCE = 60.0


class Failed(Exception):
    """An expectation did not hold."""


def module_utils() -> Path:
    """The installed collection's module_utils, as a user has it: the agent is started from there."""
    script = (
        "import pathlib, ansible_collections.roosync.heartbeat.plugins.module_utils as m;"
        "print(pathlib.Path(list(m.__path__)[0]))"
    )
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=env, check=False)
    if found.returncode:
        raise Failed("the collection is not installed in this environment; run `make setup`")
    return Path(found.stdout.strip())


class Rehearsal:
    """The scratch folder with the store, the agents' files and the results."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store = folder / "store"
        self.results = folder / "results"
        self.results.mkdir()
        self.engine = module_utils()
        self.agents: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, machine: str) -> None:
        """Start a machine's agent; each machine has an identity of its own."""
        home = self.folder / machine
        if not home.exists():
            home.mkdir()
            (home / "machine-id").write_text(secrets.token_hex(16) + "\n")
            lines = {
                "store": self.store,
                "machine_id": machine,
                "metadata": json.dumps({"role": machine.split("-")[0]}),
                "state_dir": home,
                "host_id": home / "machine-id",
            }
            (home / "agent.conf").write_text("".join(f"{key} = {value}\n" for key, value in lines.items()))
        with open(home / "agent.log", "ab") as log:
            self.agents[machine] = subprocess.Popen(
                [sys.executable, "-m", "_engine.agent", "run", "--config", str(home / "agent.conf")],
                cwd=self.engine,
                stdout=log,
                stderr=log,
            )

    def kill(self, machine: str) -> float:
        """End an agent as a power cut would; the time of it."""
        agent = self.agents[machine]
        if agent.poll() is not None:
            raise Failed(f"the agent of {machine} ended by itself: {(self.folder / machine / 'agent.log').read_text()}")
        agent.send_signal(signal.SIGKILL)
        agent.wait(AGENT_PATIENCE)
        return time.time()

    def play(self, name: str) -> dict[str, Any]:
        """Run one of the playbooks, and give back what it kept."""
        variables = {
            "rehearsal_store": str(self.store),
            "rehearsal_results": str(self.results),
            "rehearsal_machines": MACHINES,
            "rehearsal_lost": LOST,
            "ansible_python_interpreter": sys.executable,
        }
        command = [str(Path(sys.executable).parent / "ansible-playbook"), "-i", "localhost,", "-c", "local"]
        command += ["-e", json.dumps(variables), str(HERE / "playbooks" / f"{name}.yml")]
        played = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
        if played.returncode:
            raise Failed(f"playbook {name}.yml failed:\n{played.stdout}{played.stderr}")
        kept = self.results / f"{name}.json"
        return json.loads(kept.read_text()) if kept.exists() else {}

    def stop(self) -> None:
        """End the agents that are still there, politely at first."""
        for agent in self.agents.values():
            if agent.poll() is None:
                agent.terminate()
        for agent in self.agents.values():
            try:
                agent.wait(AGENT_PATIENCE)
            except subprocess.TimeoutExpired:
                agent.kill()
                agent.wait()


@contextlib.contextmanager
def rehearsal() -> Iterator[Rehearsal]:
    """A rehearsal that leaves nothing behind, however it ends."""
    folder = Path(tempfile.mkdtemp(prefix="roosync-rehearsal-"))
    made = Rehearsal(folder)
    try:
        yield made
    finally:
        made.stop()
        shutil.rmtree(folder)


def say(text: str) -> None:
    """A line of the story, at once."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def clock(text: str) -> str:
    """The time of day of an ISO 8601 time, to the hundredth of a second."""
    return text[11:22]


def seconds(text: str) -> float:
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def tell(transition: dict[str, Any]) -> None:
    say(
        f"    {transition['machine_id']}: {transition['from']} -> {transition['to']}, effective "
        f"{clock(transition['effective_at'])}, detected {clock(transition['detected_at'])} "
        f"(last heartbeat {clock(transition['last_heartbeat'])}, event {transition['event']})"
    )


def rehearse(stage: Rehearsal) -> None:
    """The story, from the first beat to the return."""
    stage.play("0_fleet")
    say("1. A store is started, and five agents begin to beat every second (warning after 5 s, offline after 15 s).")
    for machine in MACHINES:
        stage.start(machine)
    online = stage.play("1_online")["checks"]
    say(f"   {online[0]['summary']}")

    killed_at = stage.kill(LOST)
    say(f"2. The agent of {LOST} is killed with SIGKILL.")
    loss = stage.play("2_loss")["checks"]
    for check in loss[:2]:
        tell(check["transitions"][0])
    say(f"   A second check reports nothing new: {loss[2]['summary']}.")
    sync = loss[2]["pending_syncs"][0]
    say(f"   The sync entry of the loss is {sync['state']} (event {sync['event']}, id {sync['event_id'][:12]}...).")

    stage.start(LOST)
    say(f"3. The agent of {LOST} is started again.")
    back = stage.play("3_return")
    tell(back["checks"][0]["transitions"][0])
    say(f"   A second check reports nothing new: {back['checks'][1]['summary']}.")
    report(online + loss + back["checks"], back["info"], killed_at)


def report(checks: list[dict[str, Any]], info: dict[str, Any], killed_at: float) -> None:
    """The table and the figures; what must hold over the whole rehearsal is judged here."""
    since = {event["machine_id"]: event["effective_at"] for event in info["events"]}
    say("")
    say(f"{'MACHINE':<10} {'STATUS':<8} {'LAST BEAT':<12} SINCE")
    for machine in info["machines"]:
        name = machine["machine_id"]
        say(f"{name:<10} {machine['status']:<8} {clock(machine['last_heartbeat']):<12} {clock(since[name])}")
    reported = [transition["event_id"] for check in checks for transition in check["transitions"]]
    recorded = [event["event_id"] for event in info["events"]]
    offline = [event for event in info["events"] if event["to"] == "offline"]
    false_offline = [event for event in offline if event["machine_id"] != LOST]
    detection = seconds(offline[0]["detected_at"]) - killed_at if offline else float("nan")
    say("")
    say(
        f"detected offline {detection:.1f} s after the kill; {len(checks)} checks; {len(recorded)} transitions; "
        f"{len(false_offline)} false offlines"
    )
    expect(sorted(reported) == sorted(recorded), "every transition was reported once and recorded once")
    expect(len(set(recorded)) == len(recorded), "no transition was recorded twice")
    expect(len(recorded) == len(MACHINES) + 3, "five machines joined, one warned, went offline and came back")
    expect(not false_offline, "nobody was called offline who was beating")
    expect(info["online"] == MACHINES, "all five machines are online at the end")


def expect(holds: bool, what: str) -> None:
    if not holds:
        raise Failed(f"this does not hold: {what}")


def main() -> int:
    started = time.monotonic()
    signal.signal(signal.SIGTERM, lambda *_args: sys.exit(128 + signal.SIGTERM))  # end the agents, whoever ends this
    try:
        with rehearsal() as stage:
            rehearse(stage)
    except Failed as failed:
        sys.stderr.write(f"REHEARSAL FAILED: {failed}\n")
        return 1
    say(f"rehearsal passed in {time.monotonic() - started:.1f} s")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
