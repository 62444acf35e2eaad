#!/usr/bin/env bash
# Open-ended: seeds of the simulator until the time is over, then a report of all of it.
#   scripts/soak.sh --hours N [--first-seed S] [--jobs J] [--out DIR] [--mutants N]
# Rounds of 500 seeds, every fourth one with every seed twice and every eighth one beyond what the
# configurations tolerate. A failed round goes on to the next; its seeds are in the log. At the end
# all crash points, then a sample of N mutants (0: none). Leaves DIR/report.json, DIR/round-*.json
# and .log, DIR/crashpoints.log.
# Exit status 0 iff no seed and no crash point failed, no probe was missed over all rounds and no mutant survived.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

hours=1 first=$(($(date +%s) % 1000000 * 1000)) jobs=$(nproc) out='' sample=10
while [[ $# -gt 0 ]]; do
  [[ $# -ge 2 ]] || { echo "soak: $1 wants a value" >&2; exit 2; }
  case $1 in
    --hours) hours=$2 ;;
    --first-seed) first=$2 ;;
    --jobs) jobs=$2 ;;
    --out) out=$2 ;;
    --mutants) sample=$2 ;;
    *) echo "soak: unknown argument $1" >&2; exit 2 ;;
  esac
  shift 2
done
out=${out:-build/soak/$(date -u +%Y%m%dT%H%M%SZ)}
mkdir -p "$out"
crashed=0
end=$(python3 -c 'import sys, time; print(int(time.time() + 3600 * float(sys.argv[1])))' "$hours")
round=0 seed=$first per_round=${SEEDS_A_ROUND:-500}
while [[ $(date +%s) -lt $end ]]; do
  round=$((round + 1))
  name=$out/round-$(printf '%05d' "$round")
  extra=()
  [[ $((round % 4)) -eq 0 ]] && extra+=(--check-determinism)
  [[ $((round % 8)) -eq 7 ]] && extra+=(--beyond)
  left=$((end - $(date +%s)))
  # The last round may be cut off: what a cut round found is in its log.
  timeout $((left + 600)) build/bin/seawall-sim --seed "$seed" --seeds "$per_round" \
    --jobs "$jobs" "${extra[@]}" --report "$name.json" >"$name.log" 2>&1 || true
  tail -1 "$name.log"
  seed=$((seed + per_round))
done
# Every crash point of every operation, and second deaths behind an even share of them; a soak of
# minutes takes an even share of all.
points=$(python3 -c 'import sys; print(1000000 if float(sys.argv[1]) >= 0.5 else 20)' "$hours")
build/bin/seawall-sim crashpoints --jobs "$jobs" --json --points "$points" \
  >"$out/crashpoints.log" 2>&1 || crashed=1
build/bin/seawall-sim crashpoints --jobs "$jobs" --json --depth 2 --points $((points < 60 ? 3 : 60)) \
  >>"$out/crashpoints.log" 2>&1 || crashed=1
tail -20 "$out/crashpoints.log"
if [[ $sample -gt 0 ]]; then
  ./dev mutants --sample "$sample" --seeds "${SEEDS:-300}" >"$out/mutants.log" 2>&1 || true
  tail -1 "$out/mutants.log"
fi
python3 scripts/soak_report.py "$out"
[[ $crashed -eq 0 ]]
