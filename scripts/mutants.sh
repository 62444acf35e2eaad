#!/usr/bin/env bash
# Wrong protocols on purpose: every MUTANT(Mnn) of the sources must make a suite fail.
#   scripts/mutants.sh                 all of them
#   scripts/mutants.sh M02 M15         these
#   scripts/mutants.sh --sample 10     ten of them, other ones every day
#   SEEDS=300 scripts/mutants.sh       the limit of seeds a mutant (1000)
# One line a mutant: what killed it, or that it survived. Exit status 0 iff all were killed.
# One build holds all mutants; the environment says which one is awake. The suites run from the
# quickest on, and the first that fails is the killer: log (tests of wal), twins and scripts (pure
# engine), stream and failover (controller), sim (seeds of the simulator), walk (random walks).
# Without a mutant every suite must pass first, or nothing here means anything.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

seeds=${SEEDS:-1000}
directory=build/mutants
mapfile -t all < <(grep -rhoE --include='*.h' --include='*.cc' '\bMUTANT\(M[0-9]+\)' \
  engine wal node controller | grep -oE 'M[0-9]+' | sort -u)
mutants=("$@")
if [[ ${1:-} == --sample ]]; then
  day=$(($(date +%s) / 86400))
  mutants=()
  for ((i = 0; i < ${2:-10}; i++)); do
    mutants+=("${all[$(((day * 37 + i * 7) % ${#all[@]}))]}")
  done
elif [[ ${#mutants[@]} -eq 0 ]]; then
  mutants=("${all[@]}")
fi
for mutant in "${mutants[@]}"; do
  if ! printf '%s\n' "${all[@]}" | grep -qx "$mutant"; then
    echo "'$mutant' is none of the mutants: ${all[*]}" >&2
    exit 2
  fi
done

mkdir -p "$directory"
switch=$PWD/$directory/mutant_switch.h
if [[ ! -e $switch ]]; then
  cat >"$switch" <<'SWITCH'
#pragma once
#include <cstdlib>
inline const int seawall_mutant_number = [] {
  const char* text = std::getenv("SEAWALL_MUTANT_NUMBER");
  return text == nullptr ? 0 : std::atoi(text);
}();
SWITCH
fi
suites=(log_test twin_test script_test stream_test controller_failover_test chaos_test)
if ! cmake -S . -B "$directory" -G Ninja -DCMAKE_BUILD_TYPE=RelWithDebInfo \
  -DSEAWALL_MUTANT=::seawall_mutant_number "-DCMAKE_CXX_FLAGS=-w -include $switch" \
  >"$directory/configure.log" 2>&1 ||
  ! ninja -C "$directory" -j "${JOBS:-2}" seawall-sim "${suites[@]}" >"$directory/build.log" 2>&1; then
  tail -20 "$directory"/configure.log "$directory"/build.log >&2
  echo "the mutants could not be built" >&2
  exit 1
fi

log=$directory/mutant.log
gtest() { timeout 300 "$(find "$directory" -name "$1" -type f -perm -u+x | head -1)" \
  --gtest_fail_fast --gtest_brief=1 >"$log" 2>&1; }
simulate() { timeout 3600 "$(find "$directory" -name seawall-sim -type f | head -1)" \
  --seed 1 --seeds "$1" --stop-at-first --tail 0 >"$log" 2>&1; }
# What the log says of the first failure, in one line.
reason() {
  grep -m1 -E '^\[  FAILED  \]|^  what: |CHECK|^seed [0-9]+ FAILED|Assertion' "$log" |
    sed 's/^\[  FAILED  \] //; s/^  what: //' | cut -c1-110
}

export SEAWALL_MUTANT_NUMBER=0 CHAOS_SEEDS=${CHAOS_SEEDS:-300}
for suite in log_test twin_test script_test stream_test controller_failover_test; do
  gtest "$suite" || { cat "$log"; echo "$suite fails without a mutant" >&2; exit 2; }
done
simulate 20 || { tail -20 "$log"; echo "the simulator fails without a mutant" >&2; exit 2; }

killer() {
  local suite
  for suite in log_test twin_test script_test stream_test controller_failover_test; do
    gtest "$suite" || { echo "${suite%_test}"; return; }
  done
  simulate "$seeds" || { echo "sim seed $(grep -m1 -oE '^seed [0-9]+' "$log" | grep -oE '[0-9]+')"; return; }
  gtest chaos_test || echo walk
}

survived=0
for mutant in "${mutants[@]}"; do
  export SEAWALL_MUTANT_NUMBER=$((10#${mutant#M}))
  by=$(killer)
  if [[ -n $by ]]; then
    echo "$mutant killed by $by: $(reason || true)"
  else
    echo "$mutant SURVIVED $seeds seeds and every suite"
    survived=$((survived + 1))
  fi
done
echo "${#mutants[@]} mutants of ${#all[@]}, $survived survived"
[[ $survived -eq 0 ]]
