// Result: values, errors, and the two macros that pass errors on.
#include "engine/base/result.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <string>

namespace seawall {
namespace {

Result<int> half(int value) {
  if (value % 2 != 0) {
    return make_error(Errc::invalid_argument, "odd", static_cast<std::uint64_t>(value));
  }
  return value / 2;
}

Result<int> quarter(int value) {
  TRY_ASSIGN(const int first, half(value));
  TRY_ASSIGN(const int second, half(first));
  return second;
}

Status check_even(int value) {
  TRY(half(value));
  return ok();
}

TEST(Result, HoldsAValue) {
  const Result<int> result = half(8);
  ASSERT_TRUE(result.has_value());
  EXPECT_EQ(result.value(), 4);
  EXPECT_EQ(result.value_or(0), 4);
}

TEST(Result, HoldsAnErrorWithItsNumbers) {
  const Result<int> result = half(7);
  ASSERT_FALSE(result.has_value());
  EXPECT_EQ(result.error().code, Errc::invalid_argument);
  EXPECT_STREQ(result.error().what, "odd");
  EXPECT_EQ(result.error().a, 7U);
  EXPECT_EQ(result.value_or(-1), -1);
}

TEST(Result, CodeAloneIsAnError) {
  const Result<std::string> result = Errc::not_found;
  EXPECT_EQ(result.error().code, Errc::not_found);
}

TEST(Result, TryAssignPassesTheFirstErrorOn) {
  EXPECT_EQ(quarter(8).value(), 2);
  EXPECT_EQ(quarter(6).error().a, 3U);
}

TEST(Result, TryPassesAnErrorToAStatus) {
  EXPECT_TRUE(check_even(2).has_value());
  EXPECT_EQ(check_even(3).error().code, Errc::invalid_argument);
}

TEST(Result, MovesOutWhatItOwns) {
  Result<std::unique_ptr<int>> result = std::make_unique<int>(3);
  const std::unique_ptr<int> owned = std::move(result).value();
  EXPECT_EQ(*owned, 3);
}

TEST(ResultDeathTest, ValueOfAnErrorIsABug) {
  const Result<int> result = Errc::busy;
  EXPECT_DEATH(static_cast<void>(result.value()), "CHECK failed");
}

TEST(ResultDeathTest, ErrorOfAValueIsABug) {
  EXPECT_DEATH(static_cast<void>(half(2).error()), "CHECK failed");
}

TEST(Error, EveryCodeHasItsOwnName) {
  for (std::uint16_t number = 0; number <= kErrcLast; ++number) {
    const std::string name = errc_name(static_cast<Errc>(number));
    EXPECT_NE(name, "unknown") << number;
    for (std::uint16_t other = 0; other < number; ++other) {
      EXPECT_NE(name, errc_name(static_cast<Errc>(other)));
    }
  }
  EXPECT_STREQ(errc_name(static_cast<Errc>(kErrcLast + 1)), "unknown");
}

}  // namespace
}  // namespace seawall
