// Jitter: what began to wait in one tick does not all come back in one tick.
//
// Purpose: shortens a back-off by up to a quarter of it, drawn from a seed, from who waits and from
// how often it has waited. Never longer than the rule says, so bounds stay what they are; never
// nothing, so there is no busy loop. Pure: the same arguments give the same pause. The seed comes
// in with the options of whoever waits: production makes it of the process and the volume, the
// simulator of its own seed, and 0 leaves every pause as it is. Life cycle: a value. Units:
// milliseconds. Errors: none.
#pragma once

#include <cstdint>

#include "engine/base/chain.h"
#include "engine/base/ids.h"
#include "engine/base/mutant.h"

namespace seawall {

class Jitter {
 public:
  constexpr Jitter() = default;
  explicit constexpr Jitter(std::uint64_t seed) : seed_(seed) {}

  [[nodiscard]] Duration of(Duration pause, std::uint64_t who, std::uint64_t nth) const {
    if (seed_ == 0 || MUTANT(M161)) return pause;
    const std::uint64_t quarter = pause.value() / 4;
    return Duration{pause.value() - mix64(mix64(seed_, who), nth) % (quarter + 1)};
  }

 private:
  std::uint64_t seed_ = 0;
};

}  // namespace seawall
