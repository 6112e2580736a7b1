#!/bin/sh
# Makes a virtual environment at $1 with exactly what the lock file $2 names; without $2 requirements.lock, and this
# project in it.
set -eu

venv=$1
lock=${2:-requirements.lock}
python=${PYTHON:-python3}

"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
    echo "Ganglion needs Python 3.11 or newer; $python is $("$python" -V 2>&1). Set PYTHON=..." >&2
    exit 1
}

if "$python" -m venv "$venv" 2>/dev/null; then
    pip() { "$venv/bin/python" -m pip "$@"; }
else
    # Debian without python3-venv lacks only the pip to put inside: use the one outside.
    "$python" -m venv --without-pip "$venv"
    pip() { "$python" -m pip --python "$venv/bin/python" "$@"; }
fi

pip install --quiet --require-hashes --only-binary :all: -r "$lock"
[ $# -gt 1 ] || pip install --quiet --no-deps --no-build-isolation --no-index -e .
