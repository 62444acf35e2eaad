#include "cli/entropy.h"

#include <unistd.h>

#include "engine/base/check.h"

namespace seawall::cli {

std::uint64_t random_bits() {
  std::uint64_t bits = 0;
  CHECK(::getentropy(&bits, sizeof bits) == 0);
  return bits;
}

}  // namespace seawall::cli
