#!/usr/bin/env bash
# Builds, runs every suite that this machine can run, says what could not run and why, and ends with
# one line: N passed, N failed, N skipped. An argument limits it to the tests whose names match.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

bash scripts/dev-build.sh
report=build/test-results.xml
rm -f "$report"

only=()
if [[ $# -gt 0 ]]; then
  only=(-R "$1")
fi
status=0
ctest --test-dir build/dev --output-on-failure --no-tests=error -j2 \
  --output-junit "$PWD/$report" "${only[@]}" || status=$?

echo
python3 scripts/test-summary.py "$report" || status=1
exit "$status"
