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
# Servers that others have written, for tests/real_servers.rs; in the plain tier those tests say that they are skipped.
if [ "${PACELINE_TIER:-plain}" != plain ] && [ -z "${PACELINE_SERVERS:-}" ]; then
  if PACELINE_SERVERS="$(bash .ci/servers)"; then
    export PACELINE_SERVERS
  else
    unset PACELINE_SERVERS
    echo "SKIPPED: the tests on kinesis-local and DynamoDB Local, which could not be installed" >&2
  fi
fi
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
