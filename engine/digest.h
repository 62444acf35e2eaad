// Digest: one number for all that decides what a Core does next.
//
// Purpose: exhaustive exploration (tests/explore) tells states that it has seen from new ones by
// it. Two states with equal digests behave alike; counters, journals and static texts are left out.
// Names that mean nothing by themselves (links, slots, tokens) are replaced by what they stand for,
// times count from now, and replicas are named by the caller, so that states that differ in names
// only are one.
// Life cycle: a value for one computation. Thread: any. Pure: no clock, no allocation. Whoever adds
// a field that decides something adds it in digest.cc; explore_test samples pairs of equal digests
// and compares what they do.
#pragma once

#include <array>
#include <concepts>
#include <cstdint>
#include <optional>
#include <variant>

#include "engine/base/bounded_vector.h"
#include "engine/base/chain.h"
#include "engine/base/ids.h"
#include "engine/base/ring_buffer.h"
#include "engine/message.h"

namespace seawall {

class Engine;
class RequestTables;
struct Assignment;
struct Configuration;

// What a name stands for, by its number.
struct DigestNames {
  const void* context = nullptr;
  std::uint64_t (*replica)(const void*, ReplicaId) = nullptr;
  std::uint64_t (*link)(const void*, LinkId) = nullptr;
  std::uint64_t (*slot)(const void*, ReplicaId owner, Slot) = nullptr;
};

class Digest {
 public:
  Digest(const DigestNames& names, Instant now, ReplicaId owner)
      : names_(names), now_(now), owner_(owner) {}

  [[nodiscard]] std::uint64_t value() const { return hash_; }
  [[nodiscard]] Digest fresh() const { return Digest(names_, now_, owner_); }

  void word(std::uint64_t word) { hash_ = mix64(hash_, word); }

  template <class... T>
  void add(const T&... each) {
    (one(each), ...);
  }
  // The order of the elements means nothing.
  template <class Range>
  void add_unordered(const Range& range) {
    std::uint64_t sum = 0;
    for (const auto& each : range) {
      Digest element = fresh();
      element.one(each);
      sum += mix64(0x0e1e, element.value());
    }
    word(sum);
  }

 private:
  template <class T>
    requires std::integral<T> || std::is_enum_v<T>
  void one(const T& value) {
    word(static_cast<std::uint64_t>(value));
  }
  void one(const ReplicaId& id) {
    word(id == ReplicaId{} ? 0 : names_.replica(names_.context, id));
  }
  void one(const LinkId& id) { word(names_.link(names_.context, id)); }
  void one(const Slot& slot) {
    word(slot == Slot{} ? 0 : names_.slot(names_.context, owner_, slot));
  }
  // How long ago, or ahead; what is farther than every time-out is equally far.
  void one(const Instant& at) {
    constexpr std::uint64_t far = 60'000;
    if (at <= now_) {
      const std::uint64_t ago = (now_ - at).value();
      word(ago < far ? ago : far);
    } else {
      const std::uint64_t ahead = (at - now_).value();
      word(~(ahead < far ? ahead : far));
    }
  }
  template <class Tag, class Rep>
  void one(const Count<Tag, Rep>& count) {
    word(count.value());
  }
  template <class Tag, class Rep, class CountT>
  void one(const Point<Tag, Rep, CountT>& point) {
    word(point.value());
  }
  template <class Tag, class Rep>
  void one(const Id<Tag, Rep>& id) {
    word(id.value());
  }
  template <class T>
  void one(const std::optional<T>& value) {
    word(value.has_value() ? 1 : 0);
    if (value) one(*value);
  }
  template <class T, std::size_t N>
  void one(const BoundedVector<T, N>& values) {
    word(values.size());
    for (const T& value : values) one(value);
  }
  template <class T, std::size_t N>
  void one(const RingBuffer<T, N>& values) {
    word(values.size());
    for (std::size_t i = 0; i < values.size(); ++i) one(values[i]);
  }
  template <class... T>
  void one(const std::variant<T...>& value) {
    word(value.index());
    std::visit([this](const auto& each) { this->one(each); }, value);
  }
  // A type of this project that has a function of its own.
  template <class T>
    requires requires(Digest& digest, const T& value) { digest_of(digest, value); }
  void one(const T& value) {
    digest_of(*this, value);
  }

  DigestNames names_;
  Instant now_;
  ReplicaId owner_;
  std::uint64_t hash_ = 0x5ea3a11d16e57ull;
};

void digest_of(Digest& digest, const Configuration& value);
void digest_of(Digest& digest, const Assignment& value);
void digest_of(Digest& digest, const TermEntry& value);
void digest_of(Digest& digest, const Position& value);
void digest_of(Digest& digest, const SessionId& value);
void digest_of(Digest& digest, const RebuildMarker& value);
void digest_of(Digest& digest, const Watermarks& value);
void digest_of(Digest& digest, const RecordHeader& value);
void digest_of(Digest& digest, const ReplicaFacts& value);
void digest_of(Digest& digest, const RequestTables& value);
void digest_of(Digest& digest, const PeerEndpoint& value);
void digest_of(Digest& digest, const AttachmentGrant& value);
void digest_of(Digest& digest, const message::Envelope& value);
// Without what its pointers point to: the caller adds that.
void digest_of(Digest& digest, const message::PeerMessage& value);
void digest_of(Digest& digest, const Engine& value);

}  // namespace seawall
