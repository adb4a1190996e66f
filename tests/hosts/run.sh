#!/usr/bin/env bash
# run.sh PART [PYTEST ARGUMENTS] : the tests on real hosts, which are containers with systemd and sshd. PART is what to
# call it. Run from the root of the checkout, as root on Debian 12; what is missing is installed by apt.
#
# HOSTS says what to do on a machine that cannot start containers:
#   required     fail, with the reason. This is the default.
#   if-possible  leave this part out, and say so with the reason.
#   skip         leave it out on any machine, and say so.
# Whatever else goes wrong is a failure. However it ends, the hosts and their network are gone afterwards; the image
# stays in .cache/hosts.
set -euo pipefail

part=$1
shift
here=$(dirname "$0")
# The hosts have fixed addresses, so there is one run at a time on a machine. This is longer than one takes.
LOCK=/run/roosync-heartbeat-hosts.lock
PATIENCE=5400

HOSTS=${HOSTS:-required}
case $HOSTS in
required | if-possible) ;;
skip) exec tests/tools/not-run.sh --allowed "$part (HOSTS=skip)" ;;
*)
    echo "$part: HOSTS is '$HOSTS', and can be required, if-possible or skip" >&2
    exit 2
    ;;
esac

cannot() {
    [ "$HOSTS" = required ] || exec tests/tools/not-run.sh --allowed "$part ($1)"
    echo "$part: the test hosts cannot run here: $1. HOSTS=skip leaves them out." >&2
    exit 1
}

[ "$(id -u)" = 0 ] || cannot "they need root"
# shellcheck source=/dev/null
[ "$(. /etc/os-release && echo "${ID:-} ${VERSION_ID:-}")" = "debian 12" ] || cannot "they are built on and of Debian 12"

packages=(aardvark-dns iproute2 iptables mmdebstrap netavark openssh-client podman runc util-linux)
missing=()
for package in "${packages[@]}"; do
    dpkg-query --show --showformat '${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed || missing+=("$package")
done
if [ ${#missing[@]} -gt 0 ]; then
    echo "installing ${missing[*]}" >&2
    tests/tools/apt-install.sh "${missing[@]}" || cannot "apt could not install ${missing[*]}"
fi

mkdir -p .cache/hosts
exec 7>"$LOCK"
if ! flock --nonblock 7; then
    echo "$part: another run uses the test hosts' addresses; waiting for its end" >&2
    flock --timeout $PATIENCE 7 || { echo "$part: it has not ended within $PATIENCE s" >&2; exit 1; }
fi

lab() { "$here/lab.sh" "$@" 7>&-; }
reason=$("$here/probe.sh" 7>&-) || cannot "$reason"

trap 'lab down' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
"$here/image.sh" >/dev/null 7>&-
# Before the tests, so that there is one reason and not one for each test.
lab up 1
.venv/bin/pytest tests/hosts "$@" 7>&-
