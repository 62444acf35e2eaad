#!/usr/bin/env bash
# The benchmark: builds, then runs bench.sh.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

if [[ ! -e scripts/bench.sh ]]; then
  echo "./dev bench is not there yet: scripts/bench.sh does not exist" >&2
  exit 3
fi
bash scripts/dev-build.sh >&2
exec bash scripts/bench.sh "$@"
