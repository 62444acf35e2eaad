// Strong types: points, counts and identifiers that cannot be mixed up.
//
// A Point is a position (an Lsn, a byte offset); a Count is a distance between two points of
// one kind. point - point = count, point +- count = point, count +- count = count, and nothing
// else compiles; there is no implicit conversion from or to an integer, and none between tags.
// An Id only compares. Id128 is a random 128-bit identity.
//
// Life cycle: values; trivially copyable; a default-constructed value is zero. Thread: any.
// Errors: wrap-around of a sum or difference is a bug and fails a CHECK.
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <type_traits>

#include "engine/base/check.h"

namespace seawall {

template <class Tag, class Rep = std::uint64_t>
class Count {
  static_assert(std::is_unsigned_v<Rep>, "a count is never negative");

 public:
  using rep = Rep;

  constexpr Count() = default;
  explicit constexpr Count(Rep value) : value_(value) {}

  static constexpr Count zero() { return Count(Rep{0}); }
  static constexpr Count max() { return Count(std::numeric_limits<Rep>::max()); }

  [[nodiscard]] constexpr Rep value() const { return value_; }
  [[nodiscard]] constexpr bool is_zero() const { return value_ == 0; }

  constexpr Count& operator+=(Count other) {
    CHECK(other.value_ <= std::numeric_limits<Rep>::max() - value_);
    value_ = static_cast<Rep>(value_ + other.value_);
    return *this;
  }
  constexpr Count& operator-=(Count other) {
    CHECK(other.value_ <= value_);
    value_ = static_cast<Rep>(value_ - other.value_);
    return *this;
  }
  constexpr Count& operator++() { return *this += Count(Rep{1}); }
  constexpr Count& operator--() { return *this -= Count(Rep{1}); }

  friend constexpr Count operator+(Count a, Count b) { return a += b; }
  friend constexpr Count operator-(Count a, Count b) { return a -= b; }
  friend constexpr auto operator<=>(Count, Count) = default;

 private:
  Rep value_ = 0;
};

template <class Tag, class Rep, class CountT>
class Point {
  static_assert(std::is_unsigned_v<Rep>, "a point is never negative");
  static_assert(std::is_same_v<typename CountT::rep, Rep>, "a point and its count share a width");

 public:
  using rep = Rep;
  using count_type = CountT;

  constexpr Point() = default;
  explicit constexpr Point(Rep value) : value_(value) {}

  static constexpr Point max() { return Point(std::numeric_limits<Rep>::max()); }

  [[nodiscard]] constexpr Rep value() const { return value_; }

  [[nodiscard]] constexpr Point next() const { return *this + CountT(Rep{1}); }
  [[nodiscard]] constexpr Point prev() const { return *this - CountT(Rep{1}); }

  constexpr Point& operator+=(CountT count) {
    CHECK(count.value() <= std::numeric_limits<Rep>::max() - value_);
    value_ = static_cast<Rep>(value_ + count.value());
    return *this;
  }
  constexpr Point& operator-=(CountT count) {
    CHECK(count.value() <= value_);
    value_ = static_cast<Rep>(value_ - count.value());
    return *this;
  }
  constexpr Point& operator++() { return *this += CountT(Rep{1}); }

  friend constexpr Point operator+(Point point, CountT count) { return point += count; }
  friend constexpr Point operator-(Point point, CountT count) { return point -= count; }
  friend constexpr CountT operator-(Point a, Point b) {
    CHECK(b.value_ <= a.value_);
    return CountT(static_cast<Rep>(a.value_ - b.value_));
  }
  friend constexpr auto operator<=>(Point, Point) = default;

 private:
  Rep value_ = 0;
};

template <class Tag, class Rep = std::uint64_t>
class Id {
 public:
  using rep = Rep;

  constexpr Id() = default;
  explicit constexpr Id(Rep value) : value_(value) {}

  [[nodiscard]] constexpr Rep value() const { return value_; }

  friend constexpr auto operator<=>(Id, Id) = default;

 private:
  Rep value_{};
};

// A random 128-bit identity: an incarnation, a pool, a node. Zero means "none".
template <class Tag>
struct Id128 {
  static constexpr std::size_t kHexDigits = 32;

  std::uint64_t hi = 0;
  std::uint64_t lo = 0;

  [[nodiscard]] constexpr bool is_zero() const { return hi == 0 && lo == 0; }

  // 32 lower-case digits, most significant first, and a final '\0'.
  [[nodiscard]] constexpr std::array<char, kHexDigits + 1> to_hex() const {
    constexpr const char* kDigits = "0123456789abcdef";
    std::array<char, kHexDigits + 1> out{};
    for (std::size_t i = 0; i < kHexDigits; ++i) {
      const std::uint64_t word = i < kHexDigits / 2 ? hi : lo;
      const auto shift = static_cast<unsigned>(60 - 4 * (i % (kHexDigits / 2)));
      out[i] = kDigits[(word >> shift) & 0xF];
    }
    return out;
  }

  // Parses exactly 32 hexadecimal digits, either case. Returns false, with `out` unchanged, for
  // anything else.
  [[nodiscard]] static constexpr bool parse(const char* text, std::size_t size, Id128& out) {
    if (size != kHexDigits) return false;
    Id128 parsed;
    for (std::size_t i = 0; i < kHexDigits; ++i) {
      const char c = text[i];
      std::uint64_t digit = 0;
      if (c >= '0' && c <= '9') {
        digit = static_cast<std::uint64_t>(c - '0');
      } else if (c >= 'a' && c <= 'f') {
        digit = static_cast<std::uint64_t>(c - 'a') + 10;
      } else if (c >= 'A' && c <= 'F') {
        digit = static_cast<std::uint64_t>(c - 'A') + 10;
      } else {
        return false;
      }
      std::uint64_t& word = i < kHexDigits / 2 ? parsed.hi : parsed.lo;
      word = (word << 4) | digit;
    }
    out = parsed;
    return true;
  }

  friend constexpr auto operator<=>(const Id128&, const Id128&) = default;
};

}  // namespace seawall
