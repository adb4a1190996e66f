#!/bin/sh
# tree.sh link|copy ROOT : put the checkout at ROOT/ansible_collections/roosync/heartbeat, where tools look for a
# collection. Run from the root of the checkout.
#
# link: symbolic links to what is at the top of the checkout, dot files left out, so that no tool can walk in circles.
# copy: a copy for ansible-test, which refuses links and writes its results into the tree.
set -eu

tree=$2/ansible_collections/roosync/heartbeat

case $1 in
link)
    mkdir -p "$tree"
    # Links to files that are no more go; the rest stays in place, for others may be using it at this moment.
    for link in "$tree"/*; do
        [ -e "$link" ] || rm -f "$link"
    done
    for path in *; do
        [ -L "$tree/$path" ] || ln -s "$PWD/$path" "$tree/$path" 2>/dev/null || [ -L "$tree/$path" ]
    done
    ;;
copy)
    mkdir -p "$tree"
    tar -cf - --exclude=./.git --exclude='./.venv*' --exclude=./.cache --exclude=./.ansible --exclude=./tests/output \
        --exclude=__pycache__ . | tar -xf - -C "$tree"
    ;;
*)
    echo "usage: $0 link|copy ROOT" >&2
    exit 2
    ;;
esac
