#!/usr/bin/env bash
# sanity.sh PART VENV VERSION... : run ansible-test sanity with the ansible-core of VENV, its compile and import tests
# on each of these Python versions. PART is what to call it. Run from the root of the checkout.
#
# It works on a copy of the tree, since ansible-test refuses symbolic links and writes into the tree that it tests; in
# the temporary folder, since inside of a checkout it would ask git, which ignores .cache, and find nothing to do. The
# environments that ansible-test makes below HOME are kept in .cache.
set -euo pipefail

part=$1
venv=$PWD/$2
shift 2
tools=$PWD/tests/tools
home=$PWD/.cache/ansible-test

exec 8>".cache/lock-$part"
if command -v flock >/dev/null; then flock 8; fi

# ansible-test looks on PATH for each Python. The folders are named one by one, since pyenv's shims are no use to it.
path=$venv/bin
missing=()
for version; do
    if python=$("$tools/find-python.sh" "$version"); then
        path+=:$(dirname "$python")
    else
        missing+=("$version")
    fi
done
if [ ${#missing[@]} -gt 0 ]; then
    "$tools/not-run.sh" "$part: compile and import tests on ${missing[*]} (no such Python here)"
fi
# The program shellcheck is in .venv. Without it ansible-test would skip that test in silence.
path+=:$PWD/.venv/bin:/usr/local/bin:/usr/bin:/bin

# ansible-test fetches a script that installs pip from a site of its own, and nothing else from there. A stand-in takes
# its place in the cache, so that a package registry is all that is needed. And ansible-test clears the environment, so
# pip's settings go the way of a file: the user's own ones, with those of the environment on top.
"$venv/bin/python" -I - "$home" <<'PY'
import configparser
import importlib.util
import os
import pathlib
import re
import sys

STAND_IN = """\
import os
import subprocess
import sys

subprocess.check_output([sys.executable, "-m", "ensurepip"])
os.environ.pop("GET_PIP", None)  # it would make ansible-test's wrapper of pip run this script again
arguments = [argument for argument in sys.argv[1:] if argument not in ("--no-setuptools", "--no-wheel")]
sys.exit(subprocess.call([sys.executable, "-m", "pip", "install"] + arguments))
"""

home = pathlib.Path(sys.argv[1])
ansible_test = pathlib.Path(importlib.util.find_spec("ansible_test").submodule_search_locations[0])
source = (ansible_test / "_internal" / "python_requirements.py").read_text(encoding="utf-8")
versions = re.findall(r"pip='([\d.]+)'", source)
if not versions:
    sys.exit("this ansible-test does not say which pip it wants in the way that sanity.sh knows")
cache = home / ".ansible" / "test" / "cache"
cache.mkdir(parents=True, exist_ok=True)
for version in versions:
    (cache / f"get_pip_{version.replace('.', '_')}.py").write_text(STAND_IN, encoding="utf-8")

settings = configparser.RawConfigParser(strict=False)
config_home = pathlib.Path(os.environ.get("XDG_CONFIG_HOME") or pathlib.Path.home() / ".config")
settings.read([pathlib.Path.home() / ".pip" / "pip.conf", config_home / "pip" / "pip.conf"], encoding="utf-8")
if not settings.has_section("global"):
    settings.add_section("global")
for name in ("index-url", "extra-index-url", "cert", "proxy", "trusted-host", "retries", "timeout"):
    if value := os.environ.get("PIP_" + name.upper().replace("-", "_")):
        settings.set("global", name, value)
settings.set("global", "quiet", "1")
target = home / ".config" / "pip" / "pip.conf"
target.parent.mkdir(parents=True, exist_ok=True)
with target.open("w", encoding="utf-8") as file:
    settings.write(file)
PY

root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
"$tools/tree.sh" copy "$root"
cd "$root/ansible_collections/roosync/heartbeat"
HOME=$home PATH=$path ansible-test sanity --local --color no --truncate 0
