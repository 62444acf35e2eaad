// What a session owns, and how it ends.
//
// A session is one attempt of a primary to make one replica part of its epoch: (epoch, counter).
// Its pins are move-only handles: the end of the session, however it comes, releases them in that
// step. An end that is a failure has a kind (failure_policy.h). Thread: the Core's.
#pragma once

#include <cstdint>
#include <optional>
#include <utility>

#include "engine/base/mutant.h"
#include "engine/context.h"
#include "engine/failure_policy.h"

namespace seawall {

// The log keeps records from `from` on while this lives.
class LogPin {
 public:
  LogPin() = default;
  LogPin(Context& context, Lsn from) : context_(&context), id_(context.next_pin++), from_(from) {
    ++context.pins;
    context.emit(command::PinLog{id_, from_});
  }
  LogPin(LogPin&& other) noexcept
      : context_(std::exchange(other.context_, nullptr)), id_(other.id_), from_(other.from_) {}
  LogPin& operator=(LogPin&& other) noexcept {
    if (this == &other) return *this;
    release();
    context_ = std::exchange(other.context_, nullptr);
    id_ = other.id_;
    from_ = other.from_;
    return *this;
  }
  ~LogPin() { release(); }

  [[nodiscard]] bool held() const { return context_ != nullptr; }
  [[nodiscard]] Lsn from() const { return from_; }
  void advance(Lsn from) {  // forward only
    if (context_ == nullptr || from <= from_) return;
    from_ = from;
    context_->emit(command::PinLog{id_, MUTANT(M38) ? Lsn(from_.value() + 64) : from_});
  }
  void release() {
    Context* context = std::exchange(context_, nullptr);
    if (context == nullptr) return;
    CHECK(context->pins > 0);
    --context->pins;
    if (context->out != nullptr && !MUTANT(M39)) context->emit(command::UnpinLog{id_});
  }

 private:
  Context* context_ = nullptr;
  std::uint64_t id_ = 0;
  Lsn from_;
};

// The base stays as it is while this lives.
class BaseFreeze {
 public:
  BaseFreeze() = default;
  BaseFreeze(Context& context, ReplicaId peer, SessionId session)
      : context_(&context), peer_(peer), session_(session) {
    ++context.freezes;
    context.emit(command::FreezeBase{peer, session});
  }
  BaseFreeze(BaseFreeze&& other) noexcept
      : context_(std::exchange(other.context_, nullptr)),
        peer_(other.peer_),
        session_(other.session_) {}
  BaseFreeze& operator=(BaseFreeze&& other) noexcept {
    if (this == &other) return *this;
    release();
    context_ = std::exchange(other.context_, nullptr);
    peer_ = other.peer_;
    session_ = other.session_;
    return *this;
  }
  ~BaseFreeze() { release(); }

  [[nodiscard]] bool held() const { return context_ != nullptr; }
  void release() {
    Context* context = std::exchange(context_, nullptr);
    if (context == nullptr) return;
    CHECK(context->freezes > 0);
    --context->freezes;
    if (context->out != nullptr) context->emit(command::ThawBase{peer_, session_});
  }

 private:
  Context* context_ = nullptr;
  ReplicaId peer_;
  SessionId session_;
};

// Why a session ended: what is no failure first, then one value for each kind of failure.
enum class SessionEnd : std::uint8_t {
  epoch_over,          // role, epoch or membership ended
  superseded,          // a new link of the same replica
  transport,           // reachability, not a failure
  endpoint_changed,
  silent,              // nothing heard for the suspicion time
  start_deadline,      // nothing heard at all
  rewound,             // as planned: a new handshake follows
  stale,               // it is in a newer epoch or session
  refused,             // not now: its controller has not told it of this epoch yet
  wrong_incarnation,   // somebody else answers at its address
  stalled,             // no progress until the deadline
  gap,
  divergence,
  marker,
  log_failed,
  log_full,
  broken_contract,
  unrepaired,          // it lacks payloads that its primary cannot give
  trimmed,             // a record that the stream owes is gone from the log
  log_unreadable,      // a record that the stream owes cannot be read here
  base_failed,
  not_equal,           // count or digest of a rebuild differ
  misfit,              // it is smaller than the volume
  not_converging,      // its writers outran the catch-up
  log_given_up,        // its place in the log was wanted for its writers
};
const char* session_end_name(SessionEnd end);

// The kind of failure that an end is; none: the end says nothing about the replica's recovery.
std::optional<FailureKind> failure_of(SessionEnd end);

// What follows an end that is no failure: it costs no budget, however often it comes.
struct EndRule {
  bool hang_up = false;    // the link goes as well and is dialled anew
  bool alarm = false;
  Duration pause{0};       // before the next handshake on the same link
};
EndRule rule_of(SessionEnd end);

}  // namespace seawall
