#include "node/io/steady_clock.h"

#include <ctime>

#include "engine/base/fatal.h"

namespace seawall::io {

Instant SteadyClock::now() const {
  timespec time{};
  if (clock_gettime(CLOCK_BOOTTIME, &time) != 0) {
    FATAL(FatalReason::clock_failed, "clock_gettime(CLOCK_BOOTTIME) failed");
  }
  return Instant{static_cast<std::uint64_t>(time.tv_sec) * 1000 +
                 static_cast<std::uint64_t>(time.tv_nsec) / 1'000'000};
}

}  // namespace seawall::io
