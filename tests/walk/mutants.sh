#!/usr/bin/env bash
# Wrong protocols on purpose: builds the engine once with every mutant in it, switched by a number in
# the environment, and demands that the golden scripts, the twins or the random walks fail for each.
# usage: tests/walk/mutants.sh [M02 M15 ...]; all of them by default.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

mutants=("$@")
if [[ ${#mutants[@]} -eq 0 ]]; then
  mapfile -t mutants < <(grep -rhoE 'MUTANT\(M[0-9]+\)' engine --include='*.cc' | grep -oE 'M[0-9]+' |
    sort -u)
fi
build=$(mktemp -d)
trap 'rm -rf "$build"' EXIT
# Forced into every file: one build tries all mutants, the number comes from the environment.
cat >"$build/mutant_switch.h" <<'SWITCH'
#pragma once
#include <cstdlib>
inline const int seawall_mutant_number = [] {
  const char* text = std::getenv("SEAWALL_MUTANT_NUMBER");
  return text == nullptr ? 0 : std::atoi(text);
}();
SWITCH
compiler=${CXX:-c++}
command -v ccache >/dev/null && compiler="ccache $compiler"
flags=(-std=c++20 -O1 -w -I. -include "$build/mutant_switch.h"
  -DSEAWALL_MUTANT=::seawall_mutant_number "-DSCRIPT_DIR=\"$PWD/tests/script:$PWD/tests/timing\"")

compile() { $compiler "${flags[@]}" -c "$1" -o "$build/${1//\//_}.o"; }
running=0
for source in engine/*.cc engine/base/*.cc tests/walk/*.cc tests/script/*.cc; do
  compile "$source" &
  running=$((running + 1))
  if ((running >= $(nproc))); then
    wait -n
    running=$((running - 1))
  fi
done
wait
link() { c++ "$build"/engine_*.o "$@"; }
link "$build"/tests_walk_*.o -lgtest_main -lgtest -o "$build/walks"
link "$build"/tests_script_*_twin_test.cc.o -lrapidcheck -lgtest_main -lgtest -o "$build/twins"
rm "$build"/tests_script_*_twin_test.cc.o
link "$build"/tests_script_*.o -lgtest_main -lgtest -lfmt -o "$build/scripts"

# The unchanged protocol passes, or nothing below means anything.
for program in scripts twins; do
  "$build/$program" >"$build/out" 2>&1 || { cat "$build/out"; exit 2; }
done
alive=0
for mutant in "${mutants[@]}"; do
  export SEAWALL_MUTANT_NUMBER=$((10#${mutant#M})) CHAOS_SEEDS=${CHAOS_SEEDS:-300}
  killers=()
  for program in twins scripts walks; do
    [[ $program == walks && ${#killers[@]} -gt 0 ]] && continue  # the slow ones, only if needed
    timeout 120 "$build/$program" >"$build/out" 2>&1 || killers+=("$program")
  done
  if [[ ${#killers[@]} -eq 0 ]]; then
    echo "$mutant SURVIVES"
    alive=$((alive + 1))
  else
    echo "$mutant killed by ${killers[*]}: $(grep -m1 -oE 'BROKEN.*|Which is: "[^"]+.*|CHECK failed.*|\[  FAILED  \] .*' "$build/out" | head -c 100)"
  fi
done
echo "${#mutants[@]} mutants, $alive survive"
exit $((alive > 0))
