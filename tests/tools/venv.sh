#!/bin/sh
# venv.sh DIR "VERSION..." NAME... : a virtual environment at DIR, of the first of these Python versions that is here,
# with requirements/NAME.txt of each NAME. Run from the root of the checkout.
#
# What has been installed is remembered by checksum in DIR/.stamps: a second run does nothing and needs no network.
# Exits 3 when none of the Pythons is on this machine.
set -eu

dir=$1 versions=$2
shift 2
tools=$(dirname "$0")
uv=$PWD/.venv/bin/uv

say() { printf '%s\n' "$*" >&2; }

# One at a time: make may run several targets that all need the same environment.
mkdir -p .cache
exec 9>.cache/lock
command -v flock >/dev/null && flock 9

# The place is part of it, since scripts in a virtual environment name their interpreter by its full path.
stamp() { { printf '%s\n' "$PWD/$dir $1" && cat "requirements/$1.txt"; } | cksum; }
is_stamped() { [ "$(cat "$dir/.stamps/$1" 2>/dev/null)" = "$(stamp "$1")" ]; }

if [ -d "$dir" ]; then
    keep=yes
    "$dir/bin/python" -I -c '' 2>/dev/null || keep=no
    for name in "$@"; do
        # Changed requirements are installed afresh, so that nothing of the old ones lingers.
        if [ -e "$dir/.stamps/$name" ] && ! is_stamped "$name"; then keep=no; fi
    done
    [ "$keep" = yes ] || rm -rf "$dir"
fi

todo=
for name in "$@"; do
    is_stamped "$name" || todo="$todo $name"
done
[ -n "$todo" ] || exit 0

if [ ! -x "$dir/bin/python" ]; then
    # shellcheck disable=SC2086 # a list of versions
    python=${PYTHON:-$("$tools/find-python.sh" $versions)} || exit 3
    say "making $dir with $python"
    if [ "$dir" = .venv ]; then
        if ! "$python" -I -c 'import ensurepip' 2>/dev/null; then
            package=python$("$python" -I -c 'import sys; print("%d.%d" % sys.version_info[:2])')-venv
            if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
                say "$python cannot make virtual environments: installing $package"
                "$tools/apt-install.sh" "$package"
            else
                say "$python cannot make virtual environments: install it with 'apt-get install $package' and try again"
                exit 1
            fi
        fi
        "$python" -m venv "$dir"
        "$dir/bin/python" -m pip install --quiet --disable-pip-version-check --requirement requirements/bootstrap.txt
    else
        "$uv" venv --quiet --python "$python" "$dir"
    fi
fi

# uv does not read pip's settings; a mirror that is set for pip is meant for it as well.
index=${PIP_INDEX_URL:-$(.venv/bin/python -m pip config get global.index-url 2>/dev/null || :)}
[ -z "$index" ] || export UV_DEFAULT_INDEX="${UV_DEFAULT_INDEX:-$index}"

# shellcheck disable=SC2086 # a list of names
say "installing into $dir:" $todo
set --
for name in $todo; do
    set -- "$@" --requirement "requirements/$name.txt"
done
# Compiled now, because otherwise every ansible process compiles its modules anew where PYTHONDONTWRITEBYTECODE is set.
"$uv" pip install --quiet --python "$dir/bin/python" --compile-bytecode "$@"
mkdir -p "$dir/.stamps"
for name in $todo; do
    stamp "$name" >"$dir/.stamps/$name"
done
