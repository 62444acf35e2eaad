// Prng: xoshiro256** with integer draws only, so that a seed means the same on every machine.
//
// Purpose: the simulator and tests. It is no source of secrets, and the engine never draws.
// Life cycle: a value; a copy repeats the original. Thread: that of its owner. No floats.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

#include "engine/base/check.h"

namespace seawall {

// A probability as a fraction: Ratio{1, 100} is one in a hundred; {0, 1} never, {1, 1} always.
struct Ratio {
  std::uint64_t numerator = 0;
  std::uint64_t denominator = 1;
  friend constexpr bool operator==(const Ratio&, const Ratio&) = default;
};

constexpr Ratio one_in(std::uint64_t denominator) { return Ratio{1, denominator}; }
constexpr Ratio percent(std::uint64_t value) { return Ratio{value, 100}; }

class Prng {
 public:
  explicit constexpr Prng(std::uint64_t seed) {
    for (std::uint64_t& word : state_) {  // splitmix64: any seed, 0 too, gives a good state
      seed += 0x9e3779b97f4a7c15ULL;
      std::uint64_t mixed = seed;
      mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9ULL;
      mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111ebULL;
      word = mixed ^ (mixed >> 31);
    }
  }

  constexpr std::uint64_t next() {
    const std::uint64_t result = std::rotl(state_[1] * 5, 7) * 9;
    const std::uint64_t shifted = state_[1] << 17;
    state_[2] ^= state_[0];
    state_[3] ^= state_[1];
    state_[1] ^= state_[2];
    state_[0] ^= state_[3];
    state_[2] ^= shifted;
    state_[3] = std::rotl(state_[3], 45);
    return result;
  }

  // Uniform in [0, bound); bound > 0. Without bias: draws in the last, incomplete lap repeat.
  constexpr std::uint64_t below(std::uint64_t bound) {
    CHECK(bound > 0);
    const std::uint64_t incomplete = (0 - bound) % bound;  // 2^64 mod bound
    std::uint64_t draw = next();
    while (draw < incomplete) draw = next();
    return draw % bound;
  }
  // Uniform in [low, high], both included.
  constexpr std::uint64_t range(std::uint64_t low, std::uint64_t high) {
    CHECK(low <= high);
    const std::uint64_t width = high - low;
    return width == ~0ULL ? next() : low + below(width + 1);
  }
  constexpr bool chance(Ratio ratio) {
    CHECK(ratio.denominator > 0);
    CHECK(ratio.numerator <= ratio.denominator);
    return below(ratio.denominator) < ratio.numerator;
  }
  constexpr bool coin() { return (next() >> 63) != 0; }

  template <class T, std::size_t Extent>
  constexpr void shuffle(std::span<T, Extent> items) {
    for (std::size_t i = items.size(); i > 1; --i) {
      std::swap(items[i - 1], items[static_cast<std::size_t>(below(i))]);
    }
  }
  // One element of a container with size() and operator[]; it must not be empty.
  template <class Container>
  constexpr auto& pick(Container& items) {
    return items[static_cast<std::size_t>(below(items.size()))];
  }
  // An independent stream: what it draws does not shift what this one draws next, beyond one draw.
  constexpr Prng fork() { return Prng(next()); }

 private:
  std::array<std::uint64_t, 4> state_{};
};

}  // namespace seawall
