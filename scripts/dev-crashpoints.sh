#!/usr/bin/env bash
# Builds the simulator and enumerates crash points; all arguments go to `seawall-sim crashpoints`.
exec bash "$(dirname "${BASH_SOURCE[0]}")/dev-sim.sh" crashpoints "$@"
