#!/bin/sh
# podman.sh ARGS... : podman with storage, settings and networks of its own below .cache/hosts, so that nothing is shared
# with other containers of this machine.
set -eu

home=$(cd "$(dirname "$0")/../.." && pwd)/.cache/hosts/podman
export CONTAINERS_CONF="$home/containers.conf" CONTAINERS_STORAGE_CONF="$home/storage.conf"

if [ ! -e "$home/complete" ]; then
    mkdir -p "$home/networks"
    # runc lets systemd run as the first process without --privileged. The limits are named because podman's own ones
    # need a capability that root does not have on every virtual machine, and netavark because a fresh storage may
    # choose another network backend.
    cat >"$CONTAINERS_CONF" <<CONF
[containers]
log_driver = "none"
default_ulimits = ["nofile=4096:20000", "nproc=4096:4096"]
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "none"
lock_type = "file"
tmp_dir = "$home/tmp"
[network]
network_backend = "netavark"
network_config_dir = "$home/networks"
CONF
    cat >"$CONTAINERS_STORAGE_CONF" <<CONF
[storage]
driver = "overlay"
graphroot = "$home/storage"
runroot = "$home/run"
CONF
    : >"$home/complete"
fi
exec podman "$@"
