#!/usr/bin/env bash
# libFuzzer on every decoder: builds the targets with clang's sanitizers, then runs fuzz.py.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

{
  bash scripts/dev-deps.sh
  mkdir -p build
  if ! cmake --preset fuzz >build/configure-fuzz.log 2>&1; then
    cat build/configure-fuzz.log
    exit 1
  fi
  cmake --build --preset fuzz -j "$(nproc)" --target fuzz_programs
} >&2
exec python3 scripts/fuzz.py "$@"
