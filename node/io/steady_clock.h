// The production clock: CLOCK_BOOTTIME, so a suspended machine does not stretch a lease.
//
// Units: milliseconds. Thread: any. Errors: a kernel without the clock is fatal.
#pragma once

#include "node/runtime/ports.h"

namespace seawall::io {

class SteadyClock final : public runtime::Clock {
 public:
  Instant now() const override;
};

}  // namespace seawall::io
