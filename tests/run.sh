#!/usr/bin/env bash
# Runs the tests; installs what the build needs first. PACELINE_TIER says how much they do: plain (minutes; the default), ci
# (what a change must pass) or nightly (hours), for which --nightly stands too. Other arguments go to `cargo test`:
# bash tests/run.sh --test cases windows::hop
# PACELINE_SEEDS=0..10000 bash tests/run.sh simulation runs whole jobs in the worlds of these seeds.
set -euo pipefail
cd "$(dirname "$0")/.."
if [ "${1:-}" = --nightly ]; then
  shift
  export PACELINE_TIER=nightly
fi
bash .ci/setup
# Tests kill processes, never the machine, so their state need not outlive it: in memory no checkpoint waits for a disk, and a
# recorded case takes a quarter of the time. Where a TMPDIR is set, or memory has no room for files, tests go where they always do.
room_kb_min=$((4 << 20))
room_kb="$(df --output=avail /dev/shm 2>/dev/null | tail -n 1 || true)"
if [ -z "${TMPDIR:-}" ] && [ -w /dev/shm ] && [ "${room_kb:-0}" -ge "$room_kb_min" ]; then
  TMPDIR="$(mktemp -d /dev/shm/paceline-tests.XXXXXX)"
  export TMPDIR
  trap 'rm -rf "$TMPDIR"' EXIT
fi
if [ "${1:-}" = simulation ]; then
  told="$(mktemp)"
  status=0
  cargo test --lib -- --exact simulation::worlds --nocapture | tee "$told" || status=$?
  grep -E '^[0-9]+ worlds, [0-9]+ failed$' "$told" || true
  rm -f "$told"
  exit "$status"
fi
cargo test "$@"
