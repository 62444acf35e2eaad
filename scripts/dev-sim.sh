#!/usr/bin/env bash
# Builds and runs the simulator; all arguments go to it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# Only the simulator and what it links: nothing of it needs the daemons.
{
  bash scripts/dev-deps.sh
  mkdir -p build
  if ! cmake --preset dev >build/configure-dev.log 2>&1; then
    cat build/configure-dev.log
    exit 1
  fi
  cmake --build --preset dev -j "$(nproc)" --target seawall-sim
} >&2
exec build/bin/seawall-sim "$@"
