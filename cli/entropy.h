// Random bits of the kernel, for what must be unlike anything else.
#pragma once

#include <cstdint>

namespace seawall::cli {

std::uint64_t random_bits();

}  // namespace seawall::cli
