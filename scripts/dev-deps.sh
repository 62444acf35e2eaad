#!/usr/bin/env bash
# Installs the packages of packages.txt through apt, once per content of that list: a stamp under
# build/ remembers its hash. Quiet unless something is installed or fails.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

hash=$(sha256sum scripts/packages.txt | cut -d' ' -f1)
stamp=build/deps-$hash
[[ -e $stamp ]] && exit 0
mkdir -p build

mapfile -t wanted < <(grep -v '^#' scripts/packages.txt)
missing=()
for package in "${wanted[@]}"; do
  state=$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null || true)
  [[ $state == installed ]] || missing+=("$package")
done

if [[ ${#missing[@]} -gt 0 ]]; then
  if ! command -v apt-get >/dev/null; then
    echo "these packages are missing and there is no apt-get here: ${missing[*]}" >&2
    exit 1
  fi
  as_root=()
  if [[ $(id -u) -ne 0 ]]; then
    as_root=(sudo)
  fi
  echo "installing ${#missing[@]} Debian packages (log: build/deps.log)" >&2
  apt=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -y -q
    -o DPkg::Lock::Timeout=900 -o Acquire::Retries=3)
  if ! { "${apt[@]}" update && "${apt[@]}" install --no-install-recommends "${missing[@]}"; } \
    >build/deps.log 2>&1 </dev/null; then
    tail -n 20 build/deps.log >&2
    echo "apt could not install: ${missing[*]}" >&2
    exit 1
  fi
fi
rm -f build/deps-*
: >"$stamp"
