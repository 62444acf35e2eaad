// One line a fact on standard error: time, level, then key=value. Any thread; lines do not mix.
#pragma once

#include <string>

namespace seawall::controller {

enum class LogLevel { info, warning, error };

void log_line(LogLevel level, const std::string& fields);

}  // namespace seawall::controller
