#!/usr/bin/env bash
# Runs the tests; installs what the build needs first. Arguments go to `cargo test`: bash tests/run.sh --test all tumble
set -euo pipefail
cd "$(dirname "$0")/.."
bash .ci/setup
exec cargo test "$@"
