#!/bin/sh
# install-collection.sh VENV : build the collection as it would be published, and install it into a virtual environment.
#
# Run from the root of the checkout. Without a network; does nothing if no file that matters has changed.
set -eu

venv=$1
bin=$PWD/$venv/bin
stamp=$venv/.stamps/collection

exec 9>.cache/lock
command -v flock >/dev/null && flock 9

sum=$(
    for path in galaxy.yml README.md meta plugins roles playbooks extensions; do
        # Not what Python compiles: others may be at work here, and it comes and goes under names of a moment.
        [ ! -e "$path" ] || find "$path" -name __pycache__ -prune -o -type f -exec cksum {} +
    done | LC_ALL=C sort | cksum
)
[ "$(cat "$stamp" 2>/dev/null)" != "$sum" ] || exit 0

site=$("$bin/python" -I -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
dist=.cache/dist
rm -rf "$dist"
"$bin/ansible-galaxy" collection build --force --output-path "$dist" . >/dev/null
# Installing over an older copy would keep the files that are no more.
rm -rf "$site/ansible_collections/roosync"
# Looked for where it is going to be, or ansible-galaxy warns that it will not be found there.
ANSIBLE_COLLECTIONS_PATH=$site "$bin/ansible-galaxy" collection install --offline --no-deps \
    --collections-path "$site" "$dist"/roosync-heartbeat-*.tar.gz >/dev/null
"$bin/python" -m compileall -qq "$site/ansible_collections/roosync" || :
printf '%s\n' "$sum" >"$stamp"
printf 'installed the collection into %s\n' "$venv" >&2
