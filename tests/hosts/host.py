# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One test host, and everything that can be done to it."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

PODMAN = str(Path(__file__).resolve().parent / "podman.sh")
FAKETIME = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1"
TIMEOUT = 180.0
POLL = 0.05


class CommandFailed(Exception):
    """A command ended with another exit status than 0."""


def run(command: list[str], timeout: float = TIMEOUT) -> str:
    """Run a command of this machine; its standard output."""
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout, check=False
    )
    if done.returncode:
        raise CommandFailed(f"{' '.join(command)}: exit status {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def podman(*arguments: str, timeout: float = TIMEOUT) -> str:
    return run([PODMAN, *arguments], timeout)


def wait_until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + TIMEOUT
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {TIMEOUT:g} s: {what}")
        time.sleep(POLL)


@dataclass(frozen=True)
class Host:
    """A container with systemd as its first process."""

    name: str
    address: str
    key: Path

    @property
    def mac(self) -> str:
        """Derived from the address, so that a host keeps it, and nobody's memory of it is ever wrong."""
        return "02:00:" + ":".join(f"{int(part):02x}" for part in self.address.split("."))

    # -- commands ------------------------------------------------------------------------------------------------

    def run(self, script: str, timeout: float = TIMEOUT) -> str:
        """Run a shell script on the host, past its network."""
        return podman("exec", self.name, "sh", "-c", script, timeout=timeout)

    def succeeds(self, script: str) -> bool:
        command = [PODMAN, "exec", self.name, "sh", "-c", script]
        return subprocess.run(command, capture_output=True, timeout=TIMEOUT, check=False).returncode == 0

    def write(self, path: str, text: str) -> None:
        """Write a file on the host, and the folder it is in."""
        command = [PODMAN, "exec", "-i", self.name, "sh", "-c", f"mkdir -p $(dirname {path}) && cat >{path}"]
        subprocess.run(command, input=text, text=True, capture_output=True, timeout=TIMEOUT, check=True)

    @property
    def root(self) -> Path:
        """The host's files, as this machine reaches them while the host runs."""
        return Path("/proc", str(self._init), "root")

    @property
    def _init(self) -> int:
        """The host's first process, as this machine counts it."""
        return int(podman("inspect", "--format", "{{.State.Pid}}", self.name))

    # -- life and death ------------------------------------------------------------------------------------------

    @property
    def running(self) -> bool:
        return podman("inspect", "--format", "{{.State.Running}}", self.name).strip() == "true"

    def kill(self) -> float:
        """A power cut; the time of it. The disk stays as it is."""
        init = self._init
        assert init > 0, f"{self.name} is down"  # 0 would be the processes of the tests
        killed = time.time()
        os.kill(init, signal.SIGKILL)  # with the first process, all of them end
        self._wait_until_down()
        return killed

    def shut_down(self) -> None:
        """A clean shutdown."""
        # systemd takes the connection away while the command is still running.
        command = [PODMAN, "exec", self.name, "systemctl", "poweroff"]
        subprocess.run(command, capture_output=True, timeout=TIMEOUT, check=False)
        self._wait_until_down()

    def start(self) -> None:
        """Switch the host on, and wait until systemd has started everything."""
        if not self.running:
            podman("start", self.name)
        self.wait_until_started()

    def reboot(self) -> None:
        self.shut_down()
        self.start()

    def _wait_until_down(self) -> None:
        wait_until(lambda: not self.running, f"{self.name} is down")

    def wait_until_started(self) -> None:
        # Of a systemd that does not listen yet the command knows nothing, and does not wait.
        command = "systemctl is-system-running --wait || :"
        wait_until(lambda: self.run(command).strip() in ("running", "degraded"), f"{self.name} has started")

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """All processes of the host stand still, as those of a paused virtual machine."""
        podman("pause", self.name)
        try:
            yield
        finally:
            podman("unpause", self.name)

    # -- network -------------------------------------------------------------------------------------------------

    @contextmanager
    def cut_off(self, peer: Host | None = None) -> Iterator[None]:
        """No packet goes in or out, as with a pulled cable; or only those from and to one other host."""
        source = f"-s {peer.address} " if peer else ""
        target = f"-d {peer.address} " if peer else ""
        rules = [f"INPUT {source}! -i lo -j DROP", f"OUTPUT {target}! -o lo -j DROP"]
        self.run("; ".join(f"iptables -w -I {rule}" for rule in rules))
        try:
            yield
        finally:
            self.run("; ".join(f"iptables -w -D {rule}" for rule in rules))

    # -- disks ---------------------------------------------------------------------------------------------------

    def mount_small_disk(self, path: str, size: str) -> None:
        """Mount a file system of this size (``64k``), where the shared directory's group may write."""
        self.run(f"mkdir -p {path} && mount -t tmpfs -o size={size},mode=2775 small {path} && chgrp heartbeat {path}")

    @contextmanager
    def full(self, path: str) -> Iterator[None]:
        """Not a byte more fits into the file system at ``path``, nor what is freed there later.

        A record that is being replaced while the file system fills up frees its old place, which would be enough for
        one beat after the other.
        """
        fill = f"cat /dev/zero >>{path}/.filler 2>/dev/null"
        self.run(f"{fill} || :; systemd-run --quiet --unit filler sh -c 'while :; do {fill}; sleep 0.05; done'")
        try:
            yield
        finally:
            self.run(f"systemctl stop filler; rm {path}/.filler")

    @contextmanager
    def read_only(self, path: str) -> Iterator[None]:
        """What is mounted at ``path`` is read-only there. Elsewhere it may be mounted too, and stays as it is."""
        # Refused while a file is open there for writing, as one is during each beat.
        wait_until(lambda: self.succeeds(f"mount -o remount,bind,ro {path}"), f"nobody writes to {path}")
        try:
            yield
        finally:
            self.run(f"mount -o remount,bind,rw {path}")

    # -- a network file system -----------------------------------------------------------------------------------

    def mount_sshfs(self, server: Host, source: str, target: str, reconnect: bool = True) -> None:
        """Mount a directory of another host: a file system that a network is between.

        :param reconnect: whether the mount waits for a server that went away; otherwise it disappears with it.
        """
        podman("cp", str(self.key), f"{self.name}:/root/.ssh/id_ed25519")
        # Without ConnectTimeout a reconnect may wait for a minute; without cache, other clients' writes are seen.
        options = "StrictHostKeyChecking=no,UserKnownHostsFile=/dev/null,cache=no,direct_io,allow_other"
        options += ",ServerAliveInterval=1,ServerAliveCountMax=2,ConnectTimeout=2"
        options += ",reconnect" if reconnect else ""
        self.run(
            "chown 0:0 /root/.ssh/id_ed25519; chmod 600 /root/.ssh/id_ed25519; "
            f"mkdir -p {target} && sshfs root@{server.address}:{source} {target} -o {options}"
        )

    def unmount(self, path: str) -> None:
        self.run(f"umount -l {path} 2>/dev/null || :")

    # -- clock ---------------------------------------------------------------------------------------------------

    @contextmanager
    def wrong_clock(self, unit: str, offset: str) -> Iterator[None]:
        """The clock of one unit is off by ``offset`` (``+600``). The host's own clock is the whole machine's."""
        drop_in = f"/etc/systemd/system/{unit}.d/wrong-clock.conf"
        # Monotonic time stays true, as it does on a host whose clock was set.
        environment = f"LD_PRELOAD={FAKETIME} FAKETIME={offset}s DONT_FAKE_MONOTONIC=1"
        self.write(drop_in, "".join(["[Service]\n", *(f"Environment={one}\n" for one in environment.split())]))
        self.run("systemctl daemon-reload")
        try:
            yield
        finally:
            self.run(f"rm -r {drop_in.rpartition('/')[0]}; systemctl daemon-reload")
