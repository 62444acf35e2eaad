#!/usr/bin/env bash
# Wrong protocols on purpose: builds the engine once for each mutant and demands that the random walks
# or the golden scripts fail. usage: tests/walk/mutants.sh [M02 M15 ...]; all of them by default.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

mutants=("$@")
if [[ ${#mutants[@]} -eq 0 ]]; then
  mapfile -t mutants < <(grep -rhoE 'MUTANT\(M[0-9]+\)' engine --include='*.cc' | grep -oE 'M[0-9]+' |
    sort -u)
fi
build=$(mktemp -d)
trap 'rm -rf "$build"' EXIT
compiler=${CXX:-c++}
command -v ccache >/dev/null && compiler="ccache $compiler"
sources=(engine/*.cc engine/base/*.cc tests/walk/*.cc tests/script/{script_test,runner,carrier}.cc
  tests/script/{cluster,oracle,model_store}.cc tests/script/commands_*.cc)

compile() {  # compile MUTANT-NUMBER FOLDER
  mkdir -p "$2"
  printf '%s\n' "${sources[@]}" | xargs -P "$(nproc)" -I{} bash -c \
    'out="$1/$(echo "{}" | tr / _).o"; '"$compiler"' -std=c++20 -O1 -w -I. -DSCRIPT_DIR=\"$PWD/tests/script\" $2 -c {} -o "$out"' \
    _ "$2" "${1:+-DSEAWALL_MUTANT=$1}"
  c++ "$2"/engine_*.o "$2"/tests_walk_*.o -lgtest_main -lgtest -o "$2/chaos"
  c++ "$2"/engine_*.o "$2"/tests_script_*.o -lgtest_main -lgtest -lfmt -o "$2/script"
}

alive=0
for mutant in "${mutants[@]}"; do
  number=$((10#${mutant#M}))
  compile "$number" "$build/$mutant"
  killer=
  "$build/$mutant/script" >"$build/out" 2>&1 || killer=scripts
  if [[ -z $killer ]]; then
    CHAOS_SEEDS=${CHAOS_SEEDS:-300} timeout 120 "$build/$mutant/chaos" >"$build/out" 2>&1 ||
      killer=walks
  fi
  if [[ -z $killer ]]; then
    echo "$mutant SURVIVES"
    alive=$((alive + 1))
  else
    echo "$mutant killed by $killer: $(grep -m1 -oE 'BROKEN.*|Which is: "[^"]+.*|CHECK failed.*|\[  FAILED  \] Script.*' "$build/out" | head -c 120)"
  fi
  rm -rf "${build:?}/$mutant"
done
echo "${#mutants[@]} mutants, $alive survive"
exit $((alive > 0))
