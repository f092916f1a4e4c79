#!/usr/bin/env bash
# Runs the tests; installs what the build needs first. PACELINE_TIER says how much they do: plain (minutes; the default), ci
# (what a change must pass) or nightly (hours), for which --nightly stands too. Other arguments go to `cargo test`:
# bash tests/run.sh --test cases windows::hop
set -euo pipefail
cd "$(dirname "$0")/.."
if [ "${1:-}" = --nightly ]; then
  shift
  export PACELINE_TIER=nightly
fi
bash .ci/setup
exec cargo test "$@"
