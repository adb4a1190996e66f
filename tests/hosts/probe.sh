#!/usr/bin/env bash
# probe.sh : whether this machine can start containers as the test hosts are: with runc, their capabilities and device,
# and a network of their own. Prints why not, and fails. It needs no image: the container sees this machine's /usr.
set -euo pipefail

podman=$(cd "$(dirname "$0")" && pwd)/podman.sh
name=roosync-heartbeat-probe
work=$(mktemp -d)
tidy() {
    "$podman" rm --force --time 0 "$name" >/dev/null 2>&1 || :
    "$podman" network rm --force "$name" >/dev/null 2>&1 || :
    # Inner ones first.
    find /sys/fs/cgroup -depth -type d -path "*/$name*" -exec rmdir {} + 2>/dev/null || :
}
trap 'tidy; rm -rf "$work"' EXIT
# What a run that was killed has left.
tidy

try() {
    "$@" >"$work/said" 2>&1 || {
        # The last line tells the cause, those before it what came of it.
        tail -n 1 "$work/said" | sed "s/^Error: //"
        exit 1
    }
}
mkdir -p "$work/root/usr"
for folder in bin lib lib64; do
    ln -s "usr/$folder" "$work/root/$folder"
done
try "$podman" network create --internal "$name"
try "$podman" run --rm --name "$name" --network "$name" --cgroup-parent "/$name" \
    --cap-add SYS_ADMIN,NET_ADMIN --device /dev/fuse --security-opt seccomp=unconfined \
    --volume /usr:/usr:ro --rootfs "$work/root" /usr/bin/true
