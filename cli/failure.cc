#include "cli/failure.h"

namespace seawall::cli {

const char* exit_code_name(ExitCode code) {
  switch (code) {
    case ExitCode::done: return "done";
    case ExitCode::failed: return "failed";
    case ExitCode::usage: return "usage";
    case ExitCode::not_found: return "not found";
    case ExitCode::refused: return "refused";
    case ExitCode::conflict: return "conflict";
    case ExitCode::unreachable: return "unreachable";
    case ExitCode::timed_out: return "timed out";
    case ExitCode::degraded: return "degraded";
    case ExitCode::unavailable: return "unavailable";
  }
  return "unknown";
}

}  // namespace seawall::cli
