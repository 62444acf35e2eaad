#!/usr/bin/env bash
# Builds and runs the simulator; all arguments go to it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

bash scripts/dev-build.sh >&2
if [[ ! -x build/bin/seawall-sim ]]; then
  echo "there is no simulator yet: the build made no build/bin/seawall-sim" >&2
  exit 3
fi
exec build/bin/seawall-sim "$@"
