#!/usr/bin/env bash
# Runs all tests; installs what the build needs first.
set -euo pipefail
cd "$(dirname "$0")/.."
bash .ci/setup
exec cargo test
