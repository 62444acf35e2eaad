// The whole command line: parses, runs one command, prints what went wrong.
#pragma once

#include <string>
#include <vector>

#include "cli/failure.h"

namespace seawall::cli {

// `words` without the program's name. Standard output gets the result, standard error the rest.
ExitCode run_command_line(const std::vector<std::string>& words);

}  // namespace seawall::cli
