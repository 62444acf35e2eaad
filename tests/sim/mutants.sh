#!/usr/bin/env bash
# C04_a_sample_of_mutants_is_killed: ten wrong protocols, other ones for every commit, each by the
# test or the seed that tests/mutants.txt names for it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
exec ./dev mutants --sample 10
