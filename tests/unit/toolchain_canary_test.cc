// What we rely on in the tool chain, and what must be noticed when it changes.
#include <gtest/gtest.h>

#include <bit>
#include <compare>
#include <concepts>
#include <cstdint>
#include <span>

#include "engine/base/limits.h"

namespace seawall {
namespace {

TEST(ToolchainCanary, MachineIsLittleEndianWith64BitPointers) {
  static_assert(std::endian::native == std::endian::little, "the formats are little endian");
  static_assert(sizeof(void*) == 8);
  static_assert(sizeof(unsigned long long) == sizeof(std::uint64_t));
  SUCCEED();
}

TEST(ToolchainCanary, HeadersOfAllToolsAreThere) {
  static_assert(__cplusplus >= 202002L);
  static_assert(limits::record_blocks_max == 256);
  SUCCEED();
}

}  // namespace
}  // namespace seawall
