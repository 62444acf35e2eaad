#!/usr/bin/env bash
# The demonstration: builds, then runs demo.sh.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

if [[ ! -e scripts/demo.sh ]]; then
  echo "./dev demo is not there yet: scripts/demo.sh does not exist" >&2
  exit 3
fi
bash scripts/dev-build.sh >&2
exec bash scripts/demo.sh "$@"
