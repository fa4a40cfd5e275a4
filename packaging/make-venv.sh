#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Makes the virtual environment that the Makefile works in: make-venv.sh DIRECTORY
# Needs nothing but a Python of 3.11 or newer; helps itself where Debian and Ubuntu ship Python without its venv module.
set -eu

target=$1

say() { printf '%s\n' "$*" >&2; }
new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

# 3.12 and 3.11 come first: the real phone of the test suite has wheels for these two.
python=
for candidate in ${PYTHON:-} python3.12 python3.11 python3.13 python3; do
    if command -v "$candidate" >/dev/null 2>&1 && new_enough "$candidate"; then
        python=$candidate
        break
    fi
done
if [ -z "$python" ]; then
    say "softswitch needs Python 3.11 or newer; found $(python3 --version 2>/dev/null || echo none)."
    say "Install one (Debian 12, Ubuntu 24.04 and later: apt-get install python3 python3-venv) or name it: make PYTHON=/path/to/python3.11"
    exit 1
fi

version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
with_venv() { "$python" -c 'import venv, ensurepip' 2>/dev/null && "$python" -m venv --clear "$target"; }
with_virtualenv() { "$python" -m virtualenv --version >/dev/null 2>&1 && "$python" -m virtualenv --quiet --clear "$target"; }
with_uv() { command -v uv >/dev/null 2>&1 && uv venv --quiet --clear --seed --python "$python" "$target"; }
with_apt() {
    [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1 || return 1
    say "Python $version has no venv module here: installing python$version-venv with apt-get ..."
    apt-get update -qq >&2 || true
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "python$version-venv" >&2 ||
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq python3-venv >&2
    with_venv
}

say "Making the virtual environment with Python $version ..."
if ! { with_venv || with_virtualenv || with_uv || with_apt; }; then
    say "Python $version cannot make a virtual environment here. Run this once, then 'make' again:"
    say "    sudo apt-get install -y python$version-venv"
    exit 1
fi
