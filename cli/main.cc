// seawall: the command line. Everything is in run_command_line().
#include <string>
#include <vector>

#include "cli/app.h"

int main(int argc, char** argv) {
  const std::vector<std::string> words(argv + 1, argv + argc);
  return static_cast<int>(seawall::cli::run_command_line(words));
}
