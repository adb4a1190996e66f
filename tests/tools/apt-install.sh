#!/bin/sh
# apt-install.sh PACKAGE... : install Debian packages, as root; with the lists of packages as they are, or with new ones
# if that fails. Only the last attempt says what is wrong.
#
# apt turns away whoever comes second, and gives a mirror one chance. Both are a matter of luck: a machine that has just
# started may be at its own updates, and other tests may be installing something.
set -eu

export DEBIAN_FRONTEND=noninteractive
options="-o Acquire::Retries=3 -o DPkg::Lock::Timeout=300"

mkdir -p .cache
exec 8>.cache/lock-apt
if command -v flock >/dev/null; then flock 8; fi

# shellcheck disable=SC2086 # several options
install() { apt-get $options install -qqy --no-install-recommends "$@" >/dev/null 8>&-; }
# shellcheck disable=SC2086
update() { apt-get $options update -qq >/dev/null 8>&-; }

for pause in 0 10; do
    sleep "$pause"
    if install "$@" 2>/dev/null; then exit 0; fi
    update 2>/dev/null || :
done
install "$@"
