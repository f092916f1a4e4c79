#!/usr/bin/env bash
# The Alleycat leaderboard with a made-up crowd: builds Paceline and runs the query file on this machine, no account needed.
set -euo pipefail
cd "$(dirname "$0")/.."
bash .ci/setup
# As an example target it shares every compiled dependency with the tests.
exec cargo run --example leaderboard -- "$@"
