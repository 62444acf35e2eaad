// The subcommand `crashpoints` of seawall-sim: see usage in the source, and README.md.
#pragma once

namespace seawall::sim {

// `argv` holds what follows the subcommand. Returns the exit status.
int crashpoints_main(int argc, char** argv);

}  // namespace seawall::sim
