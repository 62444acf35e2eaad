#!/usr/bin/env bash
# Wrong protocols that our suites must find: builds all of them at once, then runs mutants.py.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

mapfile -t suites < <(python3 scripts/mutants.py targets)
{
  bash scripts/dev-deps.sh
  mkdir -p build
  if ! cmake --preset mutants >build/configure-mutants.log 2>&1; then
    cat build/configure-mutants.log
    exit 1
  fi
  cmake --build --preset mutants -j "$(nproc)" --target "${suites[@]}"
} >&2
exec python3 scripts/mutants.py run "$@"
