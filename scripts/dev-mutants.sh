#!/usr/bin/env bash
# Wrong protocols that our suites must find: builds all of them at once, then runs mutants.py.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

suites=(engine_leaves_test twin_test timing_test script_test stream_test controller_failover_test
  runtime_recovery_gate_test runtime_cluster_test log_test sim_cluster_test chaos_test seawall-sim)
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
