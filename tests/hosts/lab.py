# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The test hosts hb-1, hb-2, ...: containers with systemd, with fixed addresses on an internal network, and with ssh.

``tests/hosts/lab.sh up 6`` starts six and writes ``.cache/hosts/inventory.ini`` for work by hand; ``down`` takes
everything away but the image.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from ansible_collections.roosync.heartbeat.tests.hosts.host import PODMAN, Host, podman, run, wait_until

HERE = Path(__file__).resolve().parent
CHECKOUT = HERE.parents[1]
HOME = CHECKOUT / ".cache" / "hosts"
STORE = "/srv/heartbeat"
"""Where every host sees the shared directory."""
GROUP = 3000
"""The group on every host that may write there."""
NETWORK = "roosync-heartbeat"
CGROUPS = Path("/sys/fs/cgroup")
SUBNET = "10.83.0.0/24"
GATEWAY = "10.83.0.1"
BRIDGE_MAC = "02:00:0a:53:00:01"
FIRST = 11
PATIENCE = 180.0
BUILD = 1800.0
"""For the image, which is built the first time."""
# A host that was cut off or frozen is unreachable after seconds, not minutes.
SSH = (
    "-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR "
    "-o ServerAliveInterval=2 -o ServerAliveCountMax=5 -o ConnectTimeout=10"
)


class LabError(Exception):
    """The hosts cannot be had."""


class Lab:
    """The hosts of this checkout. There is one network, so there is one lab on a machine at a time."""

    def __init__(self) -> None:
        self.hosts: list[Host] = []
        self.key = HOME / "id"
        self.inventory = HOME / "inventory.ini"
        self.shared = Path("/dev/shm", NETWORK)
        """The directory that every host sees as :data:`STORE`, as it is on this machine. In memory, so that no other
        program's use of this machine's disk can pass for a fault."""

    def up(self, count: int) -> list[Host]:
        """Start ``count`` fresh hosts with an empty shared directory, and wait until ssh answers on all."""
        self.down()
        image = run([str(HERE / "image.sh")], timeout=BUILD).strip()
        self._prepare()
        hosts = [Host(f"hb-{n}", f"10.83.0.{FIRST + n - 1}", self.key) for n in range(1, count + 1)]
        self._start(hosts[0], image)
        weigh(count)
        self._pin_bridge()
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda host: self._start(host, image), hosts[1:]))
        self.hosts = hosts
        self.write_inventory()
        for host in hosts:
            wait_for_ssh(host)
        return hosts

    def down(self) -> None:
        """Take away hosts, network and shared directory. What is not there is no trouble."""
        names = podman("ps", "--all", "--format", "{{.Names}}").split()
        if names:
            podman("rm", "--force", "--time", "0", *names)
        if subprocess.run([PODMAN, "network", "exists", NETWORK], check=False).returncode == 0:
            podman("network", "rm", "--force", NETWORK)
        remove_cgroups()
        subprocess.run(_route("del"), stderr=subprocess.DEVNULL, check=False)
        shutil.rmtree(self.shared, ignore_errors=True)
        self.inventory.unlink(missing_ok=True)
        self.hosts = []

    def _prepare(self) -> None:
        if GATEWAY in run(["ip", "-brief", "-4", "address"]).replace("/", " ").split():
            raise LabError(f"{GATEWAY} is in use on this machine: only one lab can be up at a time")
        if not self.key.exists():
            run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "test hosts", "-f", str(self.key)])
        # sshd reads it as root inside of the hosts.
        authorized = HOME / "authorized_keys"
        authorized.write_bytes(self.key.with_suffix(".pub").read_bytes())
        authorized.chmod(0o644)
        self.shared.mkdir(parents=True)
        os.chown(self.shared, 0, GROUP)
        self.shared.chmod(0o2775)
        # Without the bridge, traffic for the hosts ends here instead of leaving by the default route.
        run(_route("replace"))
        podman("network", "create", "--internal", "--subnet", SUBNET, "--gateway", GATEWAY, NETWORK)

    def _start(self, host: Host, image: str) -> None:
        # The capabilities and the device are for the faults: mounts, packet filters, sshfs. The Python of the tests is
        # there too, so that any host can run a checker with what that needs.
        podman(
            *("run", "--detach", "--name", host.name, "--hostname", host.name),
            *("--network", NETWORK, "--ip", host.address, "--mac-address", host.mac),
            *("--systemd=always", "--cap-add", "SYS_ADMIN,NET_ADMIN", "--device", "/dev/fuse"),
            *("--security-opt", "seccomp=unconfined", "--shm-size", "16m", "--cgroup-parent", f"/{NETWORK}"),
            *("--volume", f"{HOME / 'authorized_keys'}:/etc/ssh/authorized_keys:ro"),
            *("--volume", f"{self.shared}:{STORE}"),
            *(option for path in python_paths() for option in ("--volume", f"{path}:{path}:ro")),
            *(image, "/sbin/init"),
        )

    @staticmethod
    def _pin_bridge() -> None:
        """A bridge takes its address from its ports: unpinned, each start and stop of a host stalls all connections."""
        for line in run(["ip", "-brief", "-4", "address"]).splitlines():
            if f" {GATEWAY}/" in line:
                run(["ip", "link", "set", line.split()[0], "address", BRIDGE_MAC])
                return
        raise LabError("the hosts' network has no bridge")

    def write_inventory(self) -> None:
        """For work by hand and for molecule."""
        lines = ["[hosts]", *(f"{host.name} ansible_host={host.address}" for host in self.hosts), "", "[hosts:vars]"]
        lines += [f"{name}={value}" for name, value in connection(self.key).items()]
        self.inventory.write_text("\n".join(lines) + "\n", encoding="utf-8")


def weigh(count: int) -> None:
    """Give each host the share of the processors that a machine of its own would have.

    Unweighted, all of them together would count as one process among those of this machine.
    """
    for path, share in ((f"cpu/{NETWORK}/cpu.shares", 2048), (f"{NETWORK}/cpu.weight", 200)):
        file = CGROUPS / path
        if file.exists():
            file.write_text(str(min(count * share, 50 * share)), encoding="ascii")


def remove_cgroups() -> None:
    """podman leaves empty ones behind. The last of their processes may be at their end, and are waited for."""
    for top in (*CGROUPS.glob(f"*/{NETWORK}"), CGROUPS / NETWORK):
        wait_until(lambda top=top: _is_removed(top), f"no process is in {top} any more")


def _is_removed(top: Path) -> bool:
    for folder, _folders, _files in os.walk(top, topdown=False):
        try:
            os.rmdir(folder)
        except OSError:  # busy, or removed by podman itself
            pass
    return not top.exists()


def connection(key: Path) -> dict[str, str]:
    """The variables by which Ansible reaches a host."""
    return {
        "ansible_user": "root",
        "ansible_ssh_private_key_file": str(key),
        "ansible_python_interpreter": "/usr/bin/python3",
        "ansible_remote_tmp": "~/.ansible/tmp",
        "ansible_ssh_common_args": SSH,
    }


def python_paths() -> list[str]:
    """What a host must see to run the Python of these tests; Debian's own is there."""
    return [path for path in dict.fromkeys((sys.prefix, sys.base_prefix)) if path != "/usr"]


def wait_for_ssh(host: Host) -> None:
    """Wait until the host's sshd answers."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        try:
            with socket.create_connection((host.address, 22), timeout=1) as connected:
                if connected.recv(4) == b"SSH-":
                    return
        except OSError:
            pass
        time.sleep(0.05)
    raise LabError(f"ssh on {host.name} does not answer within {PATIENCE:.0f} s")


def _route(what: str) -> list[str]:
    return ["ip", "route", what, "blackhole", SUBNET, "metric", "9999"]


def main(arguments: list[str]) -> int:
    if arguments[:1] == ["up"] and len(arguments) == 2 and arguments[1].isdigit():
        began = time.monotonic()
        hosts = Lab().up(int(arguments[1]))
        sys.stdout.write(f"{len(hosts)} hosts up in {time.monotonic() - began:.1f} s: {HOME / 'inventory.ini'}\n")
        return 0
    if arguments == ["down"]:
        Lab().down()
        return 0
    sys.stderr.write("usage: lab up COUNT | down\n")
    return 2


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
