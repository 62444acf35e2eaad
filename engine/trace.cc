#include "engine/trace.h"

#include <algorithm>

namespace seawall {

TraceWriter& TraceWriter::operator<<(std::string_view text) {
  constexpr std::string_view cut = "...";
  if (size_ + text.size() <= buffer_.size()) {
    std::copy(text.begin(), text.end(), buffer_.begin() + static_cast<std::ptrdiff_t>(size_));
    size_ += text.size();
  } else if (buffer_.size() >= cut.size()) {
    size_ = std::min(size_, buffer_.size() - cut.size());
    std::copy(cut.begin(), cut.end(), buffer_.begin() + static_cast<std::ptrdiff_t>(size_));
    size_ = buffer_.size();
  }
  return *this;
}

TraceWriter& TraceWriter::operator<<(std::uint64_t number) {
  char digits[20];
  std::size_t first = sizeof digits;
  do {
    digits[--first] = static_cast<char>('0' + number % 10);
    number /= 10;
  } while (number != 0);
  return *this << std::string_view(digits + first, sizeof digits - first);
}

// --- names ---

const char* client_op_name(ClientOp op) {
  switch (op) {
    case ClientOp::read: return "read";
    case ClientOp::write: return "write";
    case ClientOp::flush: return "flush";
    case ClientOp::discard: return "discard";
    case ClientOp::write_zeroes: return "zeroes";
  }
  return "?";
}

const char* client_status_name(ClientStatus status) {
  switch (status) {
    case ClientStatus::ok: return "ok";
    case ClientStatus::not_primary: return "not_primary";
    case ClientStatus::not_serving: return "not_serving";
    case ClientStatus::detached: return "detached";
    case ClientStatus::io_error: return "io_error";
    case ClientStatus::no_space: return "no_space";
    case ClientStatus::out_of_range: return "out_of_range";
    case ClientStatus::position_lost: return "position_lost";
    case ClientStatus::stale_connection: return "stale_connection";
    case ClientStatus::below_low_mark: return "below_low_mark";
    case ClientStatus::busy: return "busy";
  }
  return "?";
}

const char* record_kind_name(RecordKind kind) {
  switch (kind) {
    case RecordKind::write: return "write";
    case RecordKind::discard: return "discard";
    case RecordKind::write_zeroes: return "zeroes";
    case RecordKind::term_start: return "term_start";
    case RecordKind::snapshot: return "snapshot";
    case RecordKind::snapshot_delete: return "snapshot_delete";
    case RecordKind::resize: return "resize";
  }
  return "?";
}

const char* fetch_result_name(message::FetchResult result) {
  switch (result) {
    case message::FetchResult::found: return "found";
    case message::FetchResult::lost: return "lost";
    case message::FetchResult::none: return "none";
    case message::FetchResult::busy: return "busy";
  }
  return "?";
}

const char* nack_reason_name(message::NackReason reason) {
  switch (reason) {
    case message::NackReason::gap: return "gap";
    case message::NackReason::divergence: return "divergence";
    case message::NackReason::log_failed: return "log_failed";
    case message::NackReason::log_full: return "log_full";
    case message::NackReason::stale: return "stale";
    case message::NackReason::refused: return "refused";
    case message::NackReason::wrong_incarnation: return "wrong_incarnation";
    case message::NackReason::marker: return "marker";
    case message::NackReason::unrepaired: return "unrepaired";
    case message::NackReason::broken_contract: return "broken_contract";
  }
  return "?";
}

// --- facts and status ---

void render(TraceWriter& out, const ReplicaFacts& facts) {
  out << "last=" << Position{facts.last_term, facts.marks.written}
      << " durable=" << facts.marks.durable << " applied=" << facts.marks.applied
      << " trimmed=" << facts.marks.trimmed << " promised=" << facts.promised
      << " intact=" << facts.intact;
  if (facts.floor) out << " floor=" << *facts.floor;
  if (facts.marker) out << " marker(cut=" << facts.marker->cut << ")";
  if (facts.damage != Damage::none) {
    out << " damage=" << static_cast<std::uint64_t>(facts.damage);
  }
}

void render(TraceWriter& out, const ReplicaStatus& status) {
  out << role_name(status.role) << " epoch=" << status.epoch << " promised=" << status.promised
      << " written=" << status.marks.written << " durable=" << status.marks.durable
      << " applied=" << status.marks.applied << " committed=" << status.committed
      << " stable=" << status.stable;
  if (status.log_failed) out << " log_failed";
  if (*status.reason != '\0') out << " (" << status.reason << ")";
  for (const PeerStatus& peer : status.peers) {
    out << "\n  peer " << peer.replica << " " << replica_state_name(peer.state)
        << " written=" << peer.written << " durable=" << peer.durable;
    if (*peer.reason != '\0') out << " (" << peer.reason << ")";
  }
}

}  // namespace seawall
