#!/usr/bin/env bash
# Builds everything with one preset (dev unless named); the programs of dev land in build/bin.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

preset=${1:-dev}
bash scripts/dev-deps.sh
mkdir -p build
log=build/configure-$preset.log
if ! cmake --preset "$preset" >"$log" 2>&1; then
  cat "$log" >&2
  exit 1
fi
cmake --build --preset "$preset" -j "$(nproc)"
