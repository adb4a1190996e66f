#!/usr/bin/env bash
# image.sh : build the image of the test hosts with mmdebstrap, from the package sources of this machine and nothing
# else, and print its name. An image of the same recipe is kept below .cache/hosts and used again.
#
# A host has systemd as its first process, sshd, Python as Debian ships it, cron, sshfs and libfaketime. root and the
# user ops (who may use sudo) can log in by key. The group heartbeat (3000) is for the shared directory.
set -euo pipefail
cd "$(dirname "$0")"

sources=()
for file in /etc/apt/sources.list /etc/apt/sources.list.d/debian.sources; do
    [ ! -s "$file" ] || sources+=("$file")
done
# shellcheck source=/dev/null
release=$(. /etc/os-release && echo "$VERSION_CODENAME")
name=localhost/roosync-heartbeat-host:$(cat image.sh "${sources[@]}" | cksum | cut -d ' ' -f 1)
if ./podman.sh image exists "$name"; then
    echo "$name"
    exit 0
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# Proxies and the like; and a mirror that fails once has another chance.
apt-config dump Acquire >"$work/apt.conf"
echo 'Acquire::Retries "5";' >>"$work/apt.conf"

# Containers share the kernel of this machine and its boot id, by which the agent tells a reboot. Each start of a host
# gets one of its own.
cat >"$work/boot-id.service" <<'UNIT'
[Unit]
Description=A boot id of this host's own
DefaultDependencies=no
Before=sysinit.target

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/sh -c 'cat /proc/sys/kernel/random/uuid >/run/boot_id && mount --bind /run/boot_id /proc/sys/kernel/random/boot_id'

[Install]
WantedBy=sysinit.target
UNIT
# It stays until the last program has ended: the goodbye at shutdown is of the same boot.
printf '[Unit]\nDefaultDependencies=no\n' >"$work/stays.conf"
cat >"$work/sshd.conf" <<'CONF'
UseDNS no
PermitRootLogin prohibit-password
AuthorizedKeysFile /etc/ssh/authorized_keys
MaxStartups 200
MaxSessions 200
CONF
echo 'ops ALL=(ALL) NOPASSWD:ALL' >"$work/sudoers"

packages=systemd,systemd-sysv,dbus,python3,openssh-server,sudo,iproute2,iptables,cron,procps,sshfs,faketime
# What a container has no use for, and what would work in the background.
masked="systemd-logind.service getty@.service console-getty.service getty.target systemd-networkd.service
    systemd-udevd.service systemd-udev-trigger.service apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer
    e2scrub_all.timer fstrim.timer"

mount=$(systemd-escape --path --suffix=mount /proc/sys/kernel/random/boot_id)

# shellcheck disable=SC2016 # it is for mmdebstrap's shell: the new root
in_root='chroot "$1"'
echo "building the image of the test hosts" >&2
mmdebstrap --quiet --variant=minbase --aptopt="$work/apt.conf" --include="$packages" \
    --dpkgopt='path-exclude=/usr/share/man/*' \
    --dpkgopt='path-exclude=/usr/share/doc/*' \
    --dpkgopt='path-exclude=/usr/share/locale/*' \
    --customize-hook="copy-in $work/boot-id.service /etc/systemd/system" \
    --customize-hook="$in_root mkdir /etc/systemd/system/$mount.d" \
    --customize-hook="upload $work/stays.conf /etc/systemd/system/$mount.d/stays.conf" \
    --customize-hook="$in_root systemctl enable --quiet boot-id.service" \
    --customize-hook="$in_root systemctl mask --quiet ${masked//$'\n'/ }" \
    --customize-hook="$in_root ssh-keygen -A" \
    --customize-hook="upload $work/sshd.conf /etc/ssh/sshd_config.d/hosts.conf" \
    --customize-hook="$in_root groupadd --gid 3000 heartbeat" \
    --customize-hook="$in_root useradd --create-home --shell /bin/bash ops" \
    --customize-hook="upload $work/sudoers /etc/sudoers.d/ops" \
    --customize-hook="$in_root sh -c 'rm -rf /var/cache/apt/*.bin /var/lib/apt/lists/*'" \
    "$release" "$work/host.tar" "${sources[@]}" >&2
./podman.sh import --quiet --change 'CMD ["/sbin/init"]' "$work/host.tar" "$name" >&2
echo "$name"
