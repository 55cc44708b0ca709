#!/usr/bin/env bash
# What a user installs, in environments that hold nothing else: each module imports, and the demo runs.
# Twice: the locked packages as the image has them, and the wheel with what it declares, as pip and pipx install it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
python=$PWD/.venv/bin/python
lock=$PWD/requirements.lock
here=$PWD/tests/deploy
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

"$python" -m pip wheel -qq --no-deps --no-build-isolation --wheel-dir "$work" .
wheel=$(echo "$work"/dialstock-*.whl)
# hashes would make pip refuse a file of our own
sed -n 's/^\([a-z][^ ]*==[^ ]*\).*/\1/p' "$lock" >"$work/versions"

try() {
  echo "installed by $1: importing every module, and the demo"
  "$work/$1/bin/python" -I "$here/import_all.py"
  (cd "$work" && env -u PYTHONPATH PATH="$work/$1/bin:$PATH" "$work/$1/bin/dialstock" demo >"$work/$1.log" 2>&1) ||
    { tail -n 50 "$work/$1.log" >&2; return 1; }
}

"$python" -m venv "$work/lock"
"$work/lock/bin/python" -m pip install -qq --require-hashes -r "$lock"
"$work/lock/bin/python" -m pip install -qq --no-deps --no-index "$wheel"
try lock

"$python" -m venv "$work/wheel"
"$work/wheel/bin/python" -m pip install -qq --constraint "$work/versions" "$wheel"
try wheel
