// Result<T>: the channel for expected refusals. Spelled like std::expected, without exceptions.
//
//   Result<Lsn> find(...);                      a value or an Error; cannot be dropped silently
//   Result<void> (alias: Status) store(...);    success or an Error
//   return Lsn(7);                              a value converts
//   return Errc::not_found;                     so does a code, and an Error
//   return make_error(Errc::io_error, "short write", got, wanted);
//   TRY(store(...));                            returns the error to the caller, else goes on
//   TRY_ASSIGN(const Lsn lsn, find(...));       the same, and names the value
//
// Life cycle: a value type; moves as T moves. Thread: that of T. Ownership: owns T.
// Errors: value() of an error, and error() of a value, fail a CHECK.
#pragma once

#include <type_traits>
#include <utility>
#include <variant>

#include "engine/base/check.h"
#include "engine/base/error.h"

namespace seawall {

template <class T, class E = Error>
class [[nodiscard]] Result {
  static_assert(!std::is_reference_v<T>, "hold a pointer instead");
  static_assert(!std::is_same_v<T, E> && !std::is_same_v<T, Errc>, "ambiguous");

 public:
  using value_type = T;
  using error_type = E;

  // NOLINTBEGIN(google-explicit-constructor): both conversions are the point of the type.
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  Result(E error) : state_(std::in_place_index<1>, std::move(error)) {}
  Result(Errc code) requires std::is_same_v<E, Error>
      : state_(std::in_place_index<1>, make_error(code)) {}
  // NOLINTEND(google-explicit-constructor)

  [[nodiscard]] bool has_value() const { return state_.index() == 0; }
  explicit operator bool() const { return has_value(); }

  [[nodiscard]] T& value() & {
    CHECK(has_value());
    return *std::get_if<0>(&state_);
  }
  [[nodiscard]] const T& value() const& {
    CHECK(has_value());
    return *std::get_if<0>(&state_);
  }
  [[nodiscard]] T&& value() && {
    CHECK(has_value());
    return std::move(*std::get_if<0>(&state_));
  }

  [[nodiscard]] T& operator*() & { return value(); }
  [[nodiscard]] const T& operator*() const& { return value(); }
  [[nodiscard]] T&& operator*() && { return std::move(*this).value(); }
  [[nodiscard]] T* operator->() { return &value(); }
  [[nodiscard]] const T* operator->() const { return &value(); }

  [[nodiscard]] T value_or(T other) const& { return has_value() ? value() : std::move(other); }

  [[nodiscard]] const E& error() const {
    CHECK(!has_value());
    return *std::get_if<1>(&state_);
  }

 private:
  std::variant<T, E> state_;
};

template <class E>
class [[nodiscard]] Result<void, E> {
 public:
  using value_type = void;
  using error_type = E;

  Result() = default;
  // NOLINTBEGIN(google-explicit-constructor)
  Result(E error) : error_(std::move(error)), ok_(false) {}
  Result(Errc code) requires std::is_same_v<E, Error> : error_(make_error(code)), ok_(false) {}
  // NOLINTEND(google-explicit-constructor)

  [[nodiscard]] bool has_value() const { return ok_; }
  explicit operator bool() const { return ok_; }
  void value() const { CHECK(ok_); }

  [[nodiscard]] const E& error() const {
    CHECK(!ok_);
    return error_;
  }

 private:
  E error_{};
  bool ok_ = true;
};

using Status = Result<void>;

inline Status ok() { return {}; }

}  // namespace seawall

#define SEAWALL_JOIN_(a, b) a##b
#define SEAWALL_JOIN(a, b) SEAWALL_JOIN_(a, b)

#define TRY(...)                                                      \
  do {                                                                \
    if (auto try_result_ = (__VA_ARGS__); !try_result_.has_value()) { \
      return try_result_.error();                                     \
    }                                                                 \
  } while (false)

#define SEAWALL_TRY_ASSIGN(name, declaration, ...) \
  auto name = (__VA_ARGS__);                       \
  if (!name.has_value()) return name.error();      \
  declaration = std::move(name).value()

// The declaration comes first, so it must not hold a comma outside parentheses.
#define TRY_ASSIGN(declaration, ...) \
  SEAWALL_TRY_ASSIGN(SEAWALL_JOIN(try_value_, __COUNTER__), declaration, __VA_ARGS__)
