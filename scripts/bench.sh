#!/usr/bin/env bash
# The rows of the performance page: ./dev bench builds first and runs this. --help tells the options.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
exec python3 scripts/bench.py "$@"
