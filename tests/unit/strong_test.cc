// Points, counts and identifiers: what compiles, what does not, and where it stops.
#include "engine/base/strong.h"

#include <gtest/gtest.h>

#include <concepts>
#include <cstdint>
#include <limits>
#include <string>
#include <type_traits>

namespace seawall {
namespace {

using AppleCount = Count<struct AppleTag>;
using Apple = Point<struct AppleTag, std::uint64_t, AppleCount>;
using PearCount = Count<struct PearTag>;
using Pear = Point<struct PearTag, std::uint64_t, PearCount>;
using Tree = Id<struct TreeTag, std::uint64_t>;
using Bush = Id<struct BushTag, std::uint64_t>;
using Orchard = Id128<struct OrchardTag>;

template <class A, class B>
concept Addable = requires(A a, B b) {
  a + b;
};
template <class A, class B>
concept Subtractable = requires(A a, B b) {
  a - b;
};
template <class A, class B>
concept Multipliable = requires(A a, B b) {
  a* b;
};
template <class A, class B>
concept Comparable = requires(A a, B b) {
  a < b;
};
template <class A, class B>
concept Equatable = requires(A a, B b) {
  a == b;
};

// The sums that exist.
static_assert(std::same_as<decltype(Apple() - Apple()), AppleCount>);
static_assert(std::same_as<decltype(Apple() + AppleCount()), Apple>);
static_assert(std::same_as<decltype(Apple() - AppleCount()), Apple>);
static_assert(std::same_as<decltype(AppleCount() + AppleCount()), AppleCount>);
static_assert(std::same_as<decltype(AppleCount() - AppleCount()), AppleCount>);

// The forbidden ones.
static_assert(!Addable<Apple, Apple>);
static_assert(!Addable<AppleCount, Apple>);
static_assert(!Addable<Apple, int>);
static_assert(!Addable<int, Apple>);
static_assert(!Addable<Apple, PearCount>);
static_assert(!Addable<AppleCount, PearCount>);
static_assert(!Addable<AppleCount, int>);
static_assert(!Addable<Tree, Tree>);
static_assert(!Addable<Tree, int>);
static_assert(!Subtractable<Apple, Pear>);
static_assert(!Subtractable<AppleCount, Apple>);
static_assert(!Subtractable<Apple, int>);
static_assert(!Subtractable<Tree, Tree>);
static_assert(!Multipliable<Apple, Apple>);
static_assert(!Multipliable<AppleCount, AppleCount>);

// The forbidden comparisons and conversions.
static_assert(!Comparable<Apple, Pear>);
static_assert(!Comparable<Apple, AppleCount>);
static_assert(!Equatable<Apple, std::uint64_t>);
static_assert(!Equatable<AppleCount, int>);
static_assert(!Equatable<Tree, Bush>);
static_assert(!Equatable<Tree, std::uint64_t>);
static_assert(!std::is_convertible_v<std::uint64_t, Apple>);
static_assert(!std::is_convertible_v<Apple, std::uint64_t>);
static_assert(!std::is_convertible_v<std::uint64_t, AppleCount>);
static_assert(!std::is_convertible_v<AppleCount, std::uint64_t>);
static_assert(!std::is_convertible_v<Apple, AppleCount>);
static_assert(!std::is_constructible_v<Apple, Pear>);
static_assert(!std::is_constructible_v<Tree, Bush>);
static_assert(!std::is_constructible_v<bool, Apple>);

// Values, as cheap as what they hold.
static_assert(std::is_trivially_copyable_v<Apple> && sizeof(Apple) == sizeof(std::uint64_t));
static_assert(std::is_trivially_copyable_v<AppleCount>);
static_assert(std::is_trivially_copyable_v<Tree>);
static_assert(std::is_trivially_copyable_v<Orchard> && sizeof(Orchard) == 16);
static_assert(Apple().value() == 0 && Tree().value() == 0 && Orchard().is_zero());

TEST(Strong, DifferenceOfPointsIsTheCountBetweenThem) {
  EXPECT_EQ(Apple(10) - Apple(4), AppleCount(6));
  EXPECT_EQ(Apple(4) + AppleCount(6), Apple(10));
  EXPECT_EQ(Apple(10) - AppleCount(6), Apple(4));
}

TEST(Strong, NextAndPrevAreOneApart) {
  EXPECT_EQ(Apple(7).next(), Apple(8));
  EXPECT_EQ(Apple(7).prev(), Apple(6));
  Apple apple(7);
  EXPECT_EQ(++apple, Apple(8));
}

TEST(StrongDeathTest, PointDoesNotPassBelowZero) {
  EXPECT_DEATH(static_cast<void>(Apple(0).prev()), "CHECK failed");
  EXPECT_DEATH(static_cast<void>(Apple(1) - Apple(2)), "CHECK failed");
}

TEST(StrongDeathTest, PointDoesNotPassItsMaximum) {
  EXPECT_DEATH(static_cast<void>(Apple::max().next()), "CHECK failed");
  EXPECT_DEATH(static_cast<void>(AppleCount::max() + AppleCount(1)), "CHECK failed");
}

TEST(StrongDeathTest, CountDoesNotPassBelowZero) {
  EXPECT_DEATH(static_cast<void>(AppleCount(1) - AppleCount(2)), "CHECK failed");
}

TEST(Strong, NarrowCountsKeepTheirWidth) {
  using Narrow = Count<struct NarrowTag, std::uint8_t>;
  EXPECT_EQ((Narrow(200) + Narrow(55)).value(), 255);
  EXPECT_DEATH(static_cast<void>(Narrow(200) + Narrow(56)), "CHECK failed");
}

TEST(Id128, HexIsMostSignificantDigitFirst) {
  const Orchard orchard{0x0123456789abcdefULL, 0x00000000000000ffULL};
  EXPECT_STREQ(orchard.to_hex().data(), "0123456789abcdef00000000000000ff");
}

TEST(Id128, ParsesWhatItPrints) {
  const Orchard orchard{0xfedcba9876543210ULL, 0x8000000000000001ULL};
  Orchard parsed;
  ASSERT_TRUE(Orchard::parse(orchard.to_hex().data(), 32, parsed));
  EXPECT_EQ(parsed, orchard);
}

TEST(Id128, RefusesOtherLengthsAndDigits) {
  Orchard parsed{1, 2};
  const std::string good(32, 'a');
  EXPECT_FALSE(Orchard::parse(good.data(), 31, parsed));
  const std::string bad = std::string(31, 'a') + "g";
  EXPECT_FALSE(Orchard::parse(bad.data(), bad.size(), parsed));
  EXPECT_EQ(parsed, (Orchard{1, 2}));
}

}  // namespace
}  // namespace seawall
