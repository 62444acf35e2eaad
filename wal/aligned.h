// AlignedBuffer: owned memory aligned for direct I/O, zeroed, of a fixed size.
//
// Life cycle: allocated once at construction (at open, never on the I/O path), freed with the
// owner. Thread: that of its owner. Units: bytes, multiples of 4096.
#pragma once

#include <cstddef>
#include <cstring>
#include <memory>
#include <new>
#include <span>
#include <utility>

#include "engine/base/check.h"

namespace seawall::wal {

class AlignedBuffer {
 public:
  static constexpr std::size_t alignment = 4096;

  AlignedBuffer() = default;
  explicit AlignedBuffer(std::size_t bytes)
      : data_(static_cast<std::byte*>(::operator new (bytes, std::align_val_t{alignment}))),
        size_(bytes) {
    CHECK(bytes % alignment == 0);
    std::memset(data_.get(), 0, bytes);
  }

  [[nodiscard]] std::byte* data() { return data_.get(); }
  [[nodiscard]] const std::byte* data() const { return data_.get(); }
  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] std::span<std::byte> span() { return {data_.get(), size_}; }
  [[nodiscard]] std::span<std::byte> first(std::size_t bytes) { return span().first(bytes); }
  void clear() { std::memset(data_.get(), 0, size_); }

 private:
  struct Free {
    void operator()(std::byte* data) const {
      ::operator delete (data, std::align_val_t{alignment});
    }
  };
  std::unique_ptr<std::byte, Free> data_;
  std::size_t size_ = 0;
};

}  // namespace seawall::wal
