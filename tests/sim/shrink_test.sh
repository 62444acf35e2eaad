#!/bin/sh
# A failing seed becomes a smaller run that fails in the same kind, and the line that is printed for
# it replays just that. What fails is an older generation of the protocol: it is wrong for good.
set -eu
sim=$SEAWALL_BIN_DIR/seawall-sim

found=$("$sim" --seed 7 --seeds 60 --generation v1 --stop-at-first --tail 1 || true)
seed=$(printf '%s\n' "$found" | sed -n 's/^seed \([0-9]*\) FAILED: .*/\1/p' | head -1)
kind=$(printf '%s\n' "$found" | sed -n 's/^seed [0-9]* FAILED: \([a-z]*\).*/\1/p' | head -1)
chaos=$(printf '%s\n' "$found" | sed -n 's/.* chaos_ms=\([0-9]*\).*/\1/p' | head -1)
[ -n "$seed" ] || { echo "no seed of v1 fails: nothing to shrink"; exit 1; }

shrunk=$("$sim" shrink --seed "$seed" --generation v1)
printf '%s\n' "$shrunk"
case $shrunk in
  "seed $seed fails ($kind) with "*) ;;
  *) echo "it failed in another kind than $kind"; exit 1 ;;
esac
replay=$(printf '%s\n' "$shrunk" | sed -n 's|^replay: ./dev sim ||p' | sed 's/ --trace$//')
strikes=$(printf '%s\n' "$replay" | sed -n 's/.*--strikes \([^ ]*\).*/\1/p')
[ -n "$strikes" ] || { echo "no fault was left out"; exit 1; }
case $replay in
  *--chaos-ms*|*--operations*) ;;
  *) echo "neither time nor requests were left out (of $chaos ms)"; exit 1 ;;
esac

# Twice, as everything here: the same kind and the same trace.
once() {
  # shellcheck disable=SC2086  # words of a command line
  "$sim" $replay >"$1" || status=$?
}
first=$(mktemp) second=$(mktemp)
trap 'rm -f "$first" "$second"' EXIT
status=0
once "$first"
once "$second"
case $kind in
  safety) wanted=31 ;;
  liveness) wanted=32 ;;
  *) wanted=34 ;;
esac
[ "$status" -eq "$wanted" ] || { echo "the replay ended with $status, not $wanted"; exit 1; }
one=$(tail -1 "$first" | sed 's/.*hash //') two=$(tail -1 "$second" | sed 's/.*hash //')
[ "$one" = "$two" ] || { echo "two replays were different runs"; exit 1; }
# Without the faults that are left it does not fail: they are what it needs.
# shellcheck disable=SC2086
"$sim" $(printf '%s\n' "$replay" | sed "s/--strikes $strikes/--strikes none/") >"$first" || {
  [ "$kind" = liveness ] || { echo "it fails without any fault"; exit 1; }
}
