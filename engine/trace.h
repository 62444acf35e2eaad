// Trace: one renderer of events and commands to text, for scripts, the simulator and the debug log.
//
// Writes into a buffer of the caller; never allocates. A value has the same text in every run.
// Thread: any. Errors: a buffer that is too small ends in "..." and the text is cut, never more.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "engine/base/ids.h"
#include "engine/command.h"
#include "engine/control.h"
#include "engine/event.h"

namespace seawall {

// Text that is appended to a fixed buffer.
class TraceWriter {
 public:
  explicit TraceWriter(std::span<char> buffer) : buffer_(buffer) {}

  TraceWriter& operator<<(std::string_view text);
  TraceWriter& operator<<(std::uint64_t number);
  TraceWriter& operator<<(bool value) { return *this << std::string_view(value ? "yes" : "no"); }
  TraceWriter& operator<<(Lsn lsn) { return *this << lsn.value(); }
  TraceWriter& operator<<(Epoch epoch) { return *this << epoch.value(); }
  TraceWriter& operator<<(ReplicaId id) { return *this << id.value(); }
  TraceWriter& operator<<(const Position& position) {
    return *this << position.lsn << "@" << position.term;
  }
  template <class T>
  TraceWriter& operator<<(const std::optional<T>& value) {
    if (value) return *this << *value;
    return *this << std::string_view("?");
  }
  // A pointer would convert to bool in silence.
  TraceWriter& operator<<(const char* text) { return *this << std::string_view(text); }

  [[nodiscard]] std::string_view text() const { return {buffer_.data(), size_}; }

 private:
  std::span<char> buffer_;
  std::size_t size_ = 0;
};

void render(TraceWriter& out, const message::PeerMessage& message);
void render(TraceWriter& out, const Event& event);
void render(TraceWriter& out, const Command& command);
void render(TraceWriter& out, const ReplicaStatus& status);  // several lines
void render(TraceWriter& out, const ReplicaFacts& facts);

const char* client_op_name(ClientOp op);
const char* client_status_name(ClientStatus status);
const char* record_kind_name(RecordKind kind);
const char* fetch_result_name(message::FetchResult result);
const char* nack_reason_name(message::NackReason reason);

}  // namespace seawall
