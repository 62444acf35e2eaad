// How a command ends: the exit codes, and the one exception that carries one of them to main().
//
// Life cycle: thrown by whatever cannot go on, caught once, in run_command_line(). Thread: any.
// A message names the field, its value and what would be right, in one sentence.
#pragma once

#include <stdexcept>
#include <string>

namespace seawall::cli {

// Scripts branch on these numbers: never renumber.
enum class ExitCode : int {
  done = 0,
  failed = 1,
  usage = 2,
  not_found = 3,
  refused = 4,
  conflict = 5,
  unreachable = 6,
  timed_out = 7,
  degraded = 10,     // or recovering: I/O is served
  unavailable = 11,  // I/O is not served
};

const char* exit_code_name(ExitCode code);

class Failure : public std::runtime_error {
 public:
  Failure(ExitCode code, const std::string& message) : std::runtime_error(message), code_(code) {}
  [[nodiscard]] ExitCode code() const { return code_; }

 private:
  ExitCode code_;
};

}  // namespace seawall::cli
