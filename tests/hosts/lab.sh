#!/bin/sh
# lab.sh up COUNT | down : start test hosts for work by hand, or take them away. After `make setup-dev`.
set -eu
cd "$(dirname "$0")/../.."
export PYTHONPATH=.cache/tree
exec .venv/bin/python -m ansible_collections.roosync.heartbeat.tests.hosts.lab "$@"
