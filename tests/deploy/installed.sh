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

# each waits for the index and for its demo's sandboxes for most of its time: both at once
try() {
  "$python" -m venv "$work/$1"
  "by_$1" "$work/$1/bin/python" -m pip install -qq
  echo "installed by $1: importing every module, and the demo"
  "$work/$1/bin/python" -I "$here/import_all.py"
  mkdir "$work/$1.demo" && cd "$work/$1.demo"
  env -u PYTHONPATH PATH="$work/$1/bin:$PATH" "$work/$1/bin/dialstock" demo >"$work/$1.log" 2>&1 ||
    { tail -n 50 "$work/$1.log" >&2; return 1; }
}

by_lock() {
  "$@" --require-hashes -r "$lock"
  "$@" --no-deps --no-index "$wheel"
}

by_wheel() {
  "$@" --constraint "$work/versions" "$wheel"
}

try lock &
first=$!
try wheel &
second=$!
wait "$first" || { wait "$second" || true; exit 1; }
wait "$second"
