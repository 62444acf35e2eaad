#!/usr/bin/env bash
# Wrong protocols that the simulator must find: builds, then runs mutants.sh.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

if [[ ! -e scripts/mutants.sh ]]; then
  echo "./dev mutants is not there yet: scripts/mutants.sh does not exist" >&2
  exit 3
fi
bash scripts/dev-deps.sh >&2
exec bash scripts/mutants.sh "$@"
