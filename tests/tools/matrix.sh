#!/bin/sh
# matrix.sh PART ENVIRONMENT COMMAND... : run a command, for this part of the tests, in an environment of the test
# matrix, made as needed below .cache/venvs. Run from the root of the checkout.
set -eu

tools=$PWD/tests/tools
part=$1 name=$2
shift 2

case $name in
py3.8) versions=3.8 requirements=test ;;                     # what the oldest managed machines have
core-2.16) versions="3.11 3.12" requirements="core-2.16 test" ;; # the oldest supported ansible-core
core-2.21) versions="3.13 3.12" requirements="core-2.21 test simulation" ;; # the newest
*)
    echo "no such environment: $name" >&2
    exit 2
    ;;
esac

venv=.cache/venvs/$name
status=0
# shellcheck disable=SC2086 # a list of names
PYTHON='' "$tools/venv.sh" "$venv" "$versions" $requirements || status=$?
case $status in
0) ;;
3)
    exec "$tools/not-run.sh" "$part with $name (no Python $(echo "$versions" | sed 's/ / or /g') here)"
    ;;
*) exit "$status" ;;
esac
case $name in
core-*) "$tools/install-collection.sh" "$venv" ;;
esac

printf '%s: %s\n' "$name" "$*" >&2
here=$PWD
case $here in
*[[:space:]]*)
    # ansible-core 2.16 runs no Python with a space in its path. The way there is another one, the place the same.
    way=$(mktemp -d)
    trap 'rm -rf "$way"' EXIT
    ln -s "$here" "$way/checkout"
    here=$way/checkout
    ;;
esac
PATH=$here/$venv/bin:$PATH "$@"
