#!/bin/sh
# find-python.sh VERSION... : print the path of a Python of the first of these versions (3.11, 3.8, ...) on this machine.
#
# Looks on PATH and among pyenv's versions. pyenv's shims are passed over, because a shim runs whichever version the
# current folder happens to select, and so are virtual environments, because those go away. One that can make virtual
# environments is preferred to one that cannot (Debian ships that ability separately).
set -eu

pyenv=${PYENV_ROOT:-$HOME/.pyenv}

candidates() {
    old_ifs=$IFS
    IFS=:
    for dir in $PATH; do
        case $dir in
        */shims) ;;
        *) printf '%s\n' "${dir:-.}/python$1" ;;
        esac
    done
    IFS=$old_ifs
    for dir in "$pyenv"/versions/*/bin; do
        printf '%s\n' "$dir/python$1"
    done
}

# Prints "full" for a Python that can make virtual environments, "bare" for one that cannot, nothing for anything else.
kind() {
    [ -x "$1" ] && "$1" -I -c '
import importlib.util, sys
if sys.prefix == sys.base_prefix and "%d.%d" % sys.version_info[:2] == sys.argv[1]:
    print("full" if importlib.util.find_spec("ensurepip") else "bare")
' "$2" 2>/dev/null
}

for version; do
    bare=
    while IFS= read -r python; do
        case $(kind "$python" "$version" || :) in
        full)
            printf '%s\n' "$python"
            exit 0
            ;;
        bare) bare=${bare:-$python} ;;
        esac
    done <<EOF
$(candidates "$version")
EOF
    if [ -n "$bare" ]; then
        printf '%s\n' "$bare"
        exit 0
    fi
done
exit 1
