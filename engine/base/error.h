// Error: what an expected refusal says. A small value: a code, one static sentence, two numbers.
//
// A code exists only if some caller branches on it; detail goes to the sentence and the log.
// Thread: any. Ownership: `what` points to a string literal, never to owned text. `a` and `b`
// mean what the sentence says they mean (an errno, an epoch, a length in bytes), else 0.
#pragma once

#include <cstdint>
#include <type_traits>

namespace seawall {

// Never renumber: the numbers travel in frames and in exit reports. Append, and move kErrcLast.
enum class Errc : std::uint16_t {
  ok = 0,  // only where a plain code travels in a struct; an Error is never ok
  invalid_argument = 1,
  not_found = 2,
  already_exists = 3,
  stale_epoch = 4,
  not_primary = 5,
  fenced = 6,
  no_lease = 7,
  corrupt = 8,
  io_error = 9,
  no_space = 10,
  timed_out = 11,
  busy = 12,
  refused = 13,
  unavailable = 14,
  wrong_incarnation = 15,
  unknown_version = 16,
  too_large = 17,
  exhausted = 18,
  internal = 19,
  lost = 20,          // the payload of a record that nobody can produce any more
  divergent = 21,     // equal position, different history
  conflict = 22,      // a compare-and-set lost
  cancelled = 23,     // the session or the process ends
  read_only = 24,
  permission = 25,
  not_supported = 26,
};

inline constexpr std::uint16_t kErrcLast = 26;

// The spelling of the enumerator; "unknown" for a number that is none.
const char* errc_name(Errc code);

struct [[nodiscard]] Error {
  Errc code = Errc::internal;
  const char* what = "";
  std::uint64_t a = 0;
  std::uint64_t b = 0;

  // Two errors are equal when a caller would branch alike.
  friend constexpr bool operator==(const Error& x, const Error& y) { return x.code == y.code; }
};
static_assert(std::is_trivially_copyable_v<Error>);

constexpr Error make_error(Errc code, const char* what = "", std::uint64_t a = 0,
                           std::uint64_t b = 0) {
  return Error{code, what, a, b};
}

}  // namespace seawall
