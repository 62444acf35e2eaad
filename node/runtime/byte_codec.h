// Little-endian fields in a bounded span: the only way in which node/runtime touches wire bytes.
//
// Life cycle: one writer or reader a message. Thread: any. Ownership: the span is the caller's.
// Errors: ByteWriter beyond its span is a bug (CHECK): our own messages have known sizes.
// ByteReader beyond its span is the peer's doing: it sticks to `failed`, answers zeroes, and is
// asked once at the end by finished().
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "engine/base/check.h"
#include "engine/base/ids.h"

namespace seawall::runtime {

class ByteWriter {
 public:
  explicit ByteWriter(std::span<std::byte> into) : into_(into) {}

  void u8(std::uint8_t value) { put(value, 1); }
  void u16(std::uint16_t value) { put(value, 2); }
  void u32(std::uint32_t value) { put(value, 4); }
  void u64(std::uint64_t value) { put(value, 8); }
  void boolean(bool value) { u8(value ? 1 : 0); }
  template <class T>
    requires requires(const T& t) { t.value(); }
  void id(const T& value) {
    put(value.value(), sizeof(typename T::rep));
  }
  template <class Tag>
  void id(const Id128<Tag>& value) {
    u64(value.hi);
    u64(value.lo);
  }
  // A flag and the value, zero when there is none: the size does not depend on it.
  template <class T>
  void optional(const std::optional<T>& value) {
    boolean(value.has_value());
    id(value.value_or(T{}));
  }

  [[nodiscard]] std::size_t size() const { return at_; }
  [[nodiscard]] std::span<const std::byte> written() const { return into_.first(at_); }

 private:
  void put(std::uint64_t value, std::size_t width) {
    CHECK(width <= into_.size() - at_);
    for (std::size_t i = 0; i < width; ++i) {
      into_[at_ + i] = static_cast<std::byte>(value >> (8 * i) & 0xff);
    }
    at_ += width;
  }

  std::span<std::byte> into_;
  std::size_t at_ = 0;
};

class ByteReader {
 public:
  explicit ByteReader(std::span<const std::byte> from) : from_(from) {}

  std::uint8_t u8() { return static_cast<std::uint8_t>(get(1)); }
  std::uint16_t u16() { return static_cast<std::uint16_t>(get(2)); }
  std::uint32_t u32() { return static_cast<std::uint32_t>(get(4)); }
  std::uint64_t u64() { return get(8); }
  bool boolean() {
    const std::uint8_t value = u8();
    if (value > 1) failed_ = true;
    return value == 1;
  }
  template <class T>
    requires requires(const T& t) { t.value(); }
  T id() {
    return T{static_cast<typename T::rep>(get(sizeof(typename T::rep)))};
  }
  template <class T>
    requires requires(const T& t) { t.hi; }
  T id() {
    T value;
    value.hi = u64();
    value.lo = u64();
    return value;
  }
  template <class T>
  std::optional<T> optional() {
    const bool present = boolean();
    const T value = id<T>();
    if (present) return value;
    if (value != T{}) failed_ = true;
    return std::nullopt;
  }
  // An enumerator between first and last; anything else fails.
  template <class Enum>
  Enum enumerator(Enum first, Enum last) {
    const std::uint8_t value = u8();
    if (value < static_cast<std::uint8_t>(first) || value > static_cast<std::uint8_t>(last)) {
      failed_ = true;
      return first;
    }
    return static_cast<Enum>(value);
  }
  void skip(std::size_t bytes) {
    if (bytes > from_.size() - at_) {
      failed_ = true;
      at_ = from_.size();
    } else {
      at_ += bytes;
    }
  }
  // For what only the message can judge: a count beyond its cap, marks out of order.
  void require(bool condition) {
    if (!condition) failed_ = true;
  }

  [[nodiscard]] bool failed() const { return failed_; }
  // Everything was there, and nothing is left over.
  [[nodiscard]] bool finished() const { return !failed_ && at_ == from_.size(); }

 private:
  std::uint64_t get(std::size_t width) {
    if (width > from_.size() - at_) {
      failed_ = true;
      at_ = from_.size();
      return 0;
    }
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < width; ++i) {
      value |= std::to_integer<std::uint64_t>(from_[at_ + i]) << (8 * i);
    }
    at_ += width;
    return value;
  }

  std::span<const std::byte> from_;
  std::size_t at_ = 0;
  bool failed_ = false;
};

}  // namespace seawall::runtime
