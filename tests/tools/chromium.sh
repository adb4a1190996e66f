#!/bin/sh
# chromium.sh PART : print the path of a Chromium, which is installed by apt where it is missing and that is possible.
#
# PART is what to call the tests that need it. Where there is none, that is noted as a part that cannot run here.
set -eu

cannot() {
    exec "$(dirname "$0")/not-run.sh" "$1 (no Chromium: $2)"
}

# Tests run side by side, and what is half installed is not to be used.
mkdir -p .cache
exec 8>.cache/lock-chromium
if command -v flock >/dev/null; then flock 8; fi

if ! command -v chromium; then
    [ "$(id -u)" = 0 ] || cannot "$1" "not root"
    command -v apt-get >/dev/null || cannot "$1" "no apt"
    echo "installing chromium" >&2
    "$(dirname "$0")/apt-install.sh" chromium fonts-dejavu-core 2>/dev/null || cannot "$1" "apt could not install it"
    command -v chromium
fi
