#!/usr/bin/env bash
# Builds the simulator with one wrong protocol at a time and demands that some seed fails.
#   scripts/mutants.sh                 every mutant that the sources hold
#   scripts/mutants.sh M02 M15         these
#   SEEDS=300 scripts/mutants.sh M02   the limit of seeds a mutant (1000)
# One line a mutant: killed by which seed, or survived. Exit status 0 iff all were killed.
# One build directory of its own (build/mutants) is used for all of them, and only the simulator and
# what it links is built; ccache makes most of it free.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

seeds=${SEEDS:-1000}
directory=build/mutants
mutants=("$@")
if [[ ${#mutants[@]} -eq 0 ]]; then
  mapfile -t mutants < <(grep -rhoE --include='*.h' --include='*.cc' '\bMUTANT\(M[0-9]+\)' \
    engine wal node controller | grep -oE 'M[0-9]+' | sort -u)
fi
if [[ ${#mutants[@]} -eq 0 ]]; then
  echo "no MUTANT(Mnn) in the sources" >&2
  exit 1
fi

mkdir -p "$directory"
survived=0
for mutant in "${mutants[@]}"; do
  if ! [[ $mutant =~ ^M[0-9]+$ ]]; then
    echo "'$mutant' is no mutant: M and a number" >&2
    exit 2
  fi
  number=$((10#${mutant#M}))
  if ! cmake -S . -B "$directory" -G Ninja -DCMAKE_BUILD_TYPE=RelWithDebInfo \
    -DSEAWALL_MUTANT="$number" >"$directory/configure.log" 2>&1 ||
    ! ninja -C "$directory" -j "${JOBS:-2}" seawall-sim >"$directory/build.log" 2>&1; then
    tail -20 "$directory"/configure.log "$directory"/build.log >&2
    echo "$mutant could not be built" >&2
    exit 1
  fi
  log=$directory/$mutant.log
  if "$directory"/bin/seawall-sim --seed 1 --seeds "$seeds" --mutant-expected >"$log" 2>&1; then
    what=$(grep -m1 -E '^  what: ' "$log" | sed 's/^  what: //' | cut -c1-120 || true)
    echo "$mutant $(tail -1 "$log" | sed 's/^mutant //') ($what)"
  else
    echo "$mutant SURVIVED: $(tail -1 "$log")"
    survived=$((survived + 1))
  fi
done
echo "${#mutants[@]} mutants, $survived survived"
[[ $survived -eq 0 ]]
