#!/bin/sh
# not-run.sh [--allowed] TEXT : note that a part of the tests cannot run on this machine. `make test` repeats the notes
# at its end.
#
# With STRICT=1 a missing part is a failure: what checks a change before it is merged must check all of it. `make test`
# fails for it at the end, after all that can run has run. --allowed: whoever started the run allowed this part to be
# missing, so that it is reported just as loudly, and does not fail.
set -eu

kind=missing
if [ "$1" = --allowed ]; then
    kind=allowed
    shift
fi
printf 'NOT RUN: %s\n' "$1" >&2
if [ -n "${NOT_RUN_LOG:-}" ]; then
    printf '%s %s\n' "$kind" "$1" >>"$NOT_RUN_LOG"
elif [ "${STRICT:-}" = 1 ] && [ "$kind" = missing ]; then
    exit 1
fi
