#!/usr/bin/env bash
# Long runs under faults: builds, then runs soak.sh.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

if [[ ! -e scripts/soak.sh ]]; then
  echo "./dev soak is not there yet: scripts/soak.sh does not exist" >&2
  exit 3
fi
bash scripts/dev-build.sh >&2
exec bash scripts/soak.sh "$@"
