#!/usr/bin/env bash
# Style: the tidy rules, clang-format and clang-tidy over the sources that git knows. Arguments
# limit it to those files; --fix formats them in place.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

fix=no
files=()
for argument in "$@"; do
  if [[ $argument == --fix ]]; then fix=yes; else files+=("$argument"); fi
done
bash scripts/dev-build.sh >&2
if [[ ${#files[@]} -eq 0 ]]; then
  mapfile -t files < <(git ls-files '*.h' '*.cc')
fi

status=0
python3 scripts/tidy.py || status=1
if [[ $fix == yes ]]; then
  clang-format -i "${files[@]}"
else
  clang-format --dry-run --Werror "${files[@]}" || status=1
fi
sources=()
for file in "${files[@]}"; do
  [[ $file == *.cc ]] && sources+=("$file")
done
if [[ ${#sources[@]} -gt 0 ]]; then
  printf '%s\n' "${sources[@]}" |
    xargs -P "$(nproc)" -n 4 clang-tidy -p build/dev --quiet --warnings-as-errors='*' || status=1
fi
exit $status
