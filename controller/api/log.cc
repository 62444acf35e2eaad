#include "controller/api/log.h"

#include <cstdio>
#include <ctime>

namespace seawall::controller {

void log_line(LogLevel level, const std::string& fields) {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);  // for readers only, never for a decision
  tm parts{};
  gmtime_r(&now.tv_sec, &parts);
  char time[32];
  const std::size_t length = std::strftime(time, sizeof time, "%Y-%m-%dT%H:%M:%S", &parts);
  const char* word = level == LogLevel::info      ? "info"
                     : level == LogLevel::warning ? "warning"
                                                  : "error";
  std::string line(time, length);
  char rest[32];
  std::snprintf(rest, sizeof rest, ".%03ldZ level=%s ", now.tv_nsec / 1'000'000, word);
  line += rest + fields + "\n";
  std::fwrite(line.data(), 1, line.size(), stderr);
}

}  // namespace seawall::controller
