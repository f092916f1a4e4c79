#!/usr/bin/env bash
# The Alleycat leaderboard with a made-up crowd: builds Paceline and runs the query file on this machine, no account needed.
# Further arguments are passed on to `paceline run`.
set -euo pipefail
cd "$(dirname "$0")/.."
bash .ci/setup
# The binary alone: an example target would have cargo compile what the tests need, test servers included.
exec cargo run --bin paceline -- run --local queries/alleycat/leaderboard.sql "$@"
