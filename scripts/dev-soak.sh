#!/usr/bin/env bash
# Long runs under faults: builds the simulator, then runs soak.sh.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

{
  bash scripts/dev-deps.sh
  mkdir -p build
  if ! cmake --preset dev >build/configure-dev.log 2>&1; then
    cat build/configure-dev.log
    exit 1
  fi
  cmake --build --preset dev -j "$(nproc)" --target seawall-sim
} >&2
exec bash scripts/soak.sh "$@"
